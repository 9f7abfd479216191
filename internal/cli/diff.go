package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/ask"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

func diffCommand(a *app) *cobra.Command {
	var in inputFlags
	var to targetFlags
	var view viewFlags
	var with []string
	c := &cobra.Command{
		Use:   "diff -f OLD --with NEW | -f FILE --backends ONE,OTHER",
		Short: "Show which requests two inputs, or two back ends, decide otherwise",
		Long: `Diff decides requests of every kind that the policies tell apart, and lists where
the decisions differ: first what opens, then what closes, then all else. Each
comes with one request that shows it, what becomes of it on either side, and the
lines that decide.

With --with two inputs are compared by what they mean or, with one name in
--backends, by what that back end makes of them. Without it two back ends, or one
and model, are compared on one input.

Exit status 0 when all is decided alike, 1 when something is not, 2 when nothing
can be said.`,
		Example: "  meshknot diff -f examples/bookstore --with examples/bookstore\n" +
			"  meshknot diff -f examples/strict --access strict --with examples/strict -o json",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := view.check(); err != nil {
				return err
			}
			targets, err := compared(to, len(with) > 0)
			if err != nil {
				return err
			}
			d, err := a.compare(in, with, targets, view)
			if err != nil {
				return err
			}
			if view.output == "json" {
				err = report.WriteJSON(a.out, d.json())
			} else {
				err = d.show(a.screen(d.sets[0], view))
			}
			if err == nil && d.found.Otherwise > 0 {
				return status{code: exitNo}
			}
			return err
		},
	}
	in.register(c)
	c.Flags().StringArrayVar(&with, "with", nil, "the new input, as -f names the old one (repeatable)")
	to.registerBackends(c, "backends", "what decides: two of them, or one with --with; model is what the policies mean")
	view.register(c, "text", "json")
	return c
}

// compared returns who decides at either side; a target without a name is the model.
func compared(to targetFlags, two bool) ([]translators.Target, error) {
	want := 2
	if two {
		want = 1
		if len(to.to) == 0 {
			to.to = []string{theModel}
		}
	}
	targets, err := to.asked()
	if err != nil && len(to.to) > 0 {
		return nil, err
	}
	var out []translators.Target
	for _, named := range to.to {
		if named == theModel {
			out = append(out, translators.Target{})
			continue
		}
		for _, t := range targets {
			if name(t) == named {
				out = append(out, t)
			}
		}
	}
	if len(out) != want || len(to.to) != want {
		return nil, cannot("want --with and at most one name in --backends, or two names in --backends")
	}
	if two {
		out = append(out, out[0])
	}
	return out, nil
}

// difference is a comparison of two sides, which may be of two inputs.
type difference struct {
	found ask.Compared
	sets  [2]*input.Set
	// names are what the sides are called.
	names [2]string
}

func (a *app) compare(in inputFlags, with []string, targets []translators.Target, view viewFlags) (difference, error) {
	set, store, err := a.question(in, view.findings())
	if err != nil {
		return difference{}, err
	}
	d := difference{sets: [2]*input.Set{set, set}, names: [2]string{sideName(targets[0]), sideName(targets[1])}}
	var sides []ask.Side
	if len(with) == 0 {
		sides = ask.Sides(program(), store, targets...)
	} else {
		next := in
		next.files = with
		newer, newStore, err := a.question(next, view.findings())
		if err != nil {
			return d, err
		}
		d.sets[1], d.names = newer, [2]string{"old", "new"}
		sides = append(ask.Sides(program(), store, targets[0]), ask.Sides(program(), newStore, targets[1])...)
	}
	for _, s := range sides {
		if err := s.Silent(); err != nil {
			return d, unknown(err)
		}
	}
	d.found = ask.Compare(sides[0], sides[1])
	return d, nil
}

func sideName(t translators.Target) string {
	if t.Backend == "" {
		return theModel
	}
	return name(t)
}

// effectWords say an effect as a change.
var effectWords = map[report.Effect]string{report.Allows: "opens", report.Denies: "closes"}

func effectWord(e report.Effect) string {
	if w, ok := effectWords[e]; ok {
		return w
	}
	return string(e)
}

// show lists the changes and tells how many there are.
func (d difference) show(s *screen) error {
	colors := map[report.Effect]string{report.Allows: red, report.Denies: yellow}
	counts := map[report.Effect]int{}
	for _, c := range d.found.Changes {
		counts[c.Effect]++
		s.line(s.paint(effectWord(c.Effect), colors[c.Effect]) + "  " + printable(callees(c.Callees)) +
			"  (" + counted(c.Kinds, "kind") + " of requests)")
		s.line("  " + printable(c.Example.String())) // whole, to be copied
		d.side(s, 0, c.Old, c.Want)
		d.side(s, 1, c.New, c.Got)
		s.line("")
	}
	if len(d.found.Changes) == 0 {
		s.line(s.paint("equivalent", green) + fmt.Sprintf(": %s of requests are decided alike", counted(d.found.Kinds, "kind")))
		return s.flush()
	}
	var parts []string
	for _, e := range []report.Effect{report.Allows, report.Denies, report.Fails, report.Strays, report.Mirrors, report.Edits, report.Times} {
		if n := counts[e]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, effectWord(e)))
		}
	}
	s.line(fmt.Sprintf("%d of %d kinds of requests are decided otherwise: %s", d.found.Otherwise, d.found.Kinds, strings.Join(parts, ", ")))
	return s.flush()
}

// callees names at most three of those who are called.
func callees(keys []ir.Key) string {
	const most = 3
	var names []string
	for _, k := range keys[:min(most, len(keys))] {
		names = append(names, k.String())
	}
	text := strings.Join(names, ", ")
	if more := len(keys) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// side shows what one side makes of a request, and the lines that decide.
func (d difference) side(s *screen, i int, o ask.Outlook, outcome string) {
	const most = 3
	s.set, s.also = d.sets[i], d.sets[0] // a plan's new side has objects of the old one
	width := max(len(d.names[0]), len(d.names[1]))
	s.named("  ", fmt.Sprintf("%-*s ", width, d.names[i]), "", outcome)
	if i == 0 || d.sets[0] != d.sets[1] { // one input says the same to both sides
		for _, r := range o.Because[:min(most, len(o.Because))] {
			at, what := s.place(r), printable(r.String())
			if at != what {
				at += "  " + what
			}
			s.line("      " + at)
		}
	}
	for _, id := range o.By[:min(most, len(o.By))] {
		s.line("      by " + printable(artifact(id)))
	}
	for _, c := range o.Causes[:min(1, len(o.Causes))] {
		s.wrapped("      ", lossText(s, c))
	}
}

// The shapes of "diff -o json".
type (
	diffPart struct {
		Equivalent bool         `json:"equivalent"`
		Kinds      int          `json:"kinds"`
		Otherwise  int          `json:"otherwise"`
		Changes    []changePart `json:"changes"`
	}
	changePart struct {
		Effect  string      `json:"effect"`
		Callees []string    `json:"callees"`
		Kinds   int         `json:"kinds"`
		Request string      `json:"request"`
		Old     outlookPart `json:"old"`
		New     outlookPart `json:"new"`
	}
	outlookPart struct {
		Name      string         `json:"name"`
		Decision  string         `json:"decision"`
		Outcome   string         `json:"outcome"`
		Because   []linePart     `json:"because"`
		Artifacts []artifactName `json:"artifacts"`
	}
)

func (d difference) json() diffPart {
	out := diffPart{d.found.Otherwise == 0, d.found.Kinds, d.found.Otherwise, []changePart{}}
	for _, c := range d.found.Changes {
		look := func(i int, o ask.Outlook, outcome string) outlookPart {
			return outlookPart{d.names[i], string(o.Decision.Verdict), outcome, lineParts(d.sets[i], o.Because), artifactNames(o.By)}
		}
		called := []string{}
		for _, k := range c.Callees {
			called = append(called, k.String())
		}
		out.Changes = append(out.Changes, changePart{effectWord(c.Effect), called, c.Kinds, c.Example.String(),
			look(0, c.Old, c.Want), look(1, c.New, c.Got)})
	}
	return out
}
