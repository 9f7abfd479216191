package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// mostListed is how many objects, and how many losses, of a binding are listed for
// people; JSON has all of them.
const mostListed = 40

// show writes a plan for people, in sections, each on a screen of its own.
func (p plan) show(screen func(*input.Set) *screen) error {
	s := screen(p.after.set)
	s.also = p.after.also
	for _, b := range p.bindings {
		b.show(s, p.after)
	}
	s.head("access")
	workloads := func(word, color string, list []string) {
		for _, w := range list {
			s.line("  " + s.paint(word, color) + "  " + printable(w))
		}
	}
	workloads("opens", red, p.opens)
	workloads("closes", yellow, p.closes)
	if len(p.opens)+len(p.closes) == 0 {
		s.line("  no workload is opened to everybody, and none is closed")
	}
	if err := s.flush(); err != nil {
		return err
	}
	for _, b := range p.behaviour {
		s := screen(p.after.set)
		s.head("requests, by " + b.by)
		if b.silent != "" {
			s.wrapped("  ", "nothing can be said: "+b.silent)
			if err := s.flush(); err != nil {
				return err
			}
			continue
		}
		if err := b.difference.show(s); err != nil {
			return err
		}
	}
	return nil
}

func (b planBinding) show(s *screen, after *planState) {
	title := "binding " + b.name + ": "
	switch {
	case b.was == "":
		title += "new, " + b.is
	case b.is == "":
		title += "deleted, was " + b.was
	case b.was != b.is:
		title += b.was + " -> " + b.is
	default:
		title += b.is
	}
	s.head(title)
	if len(b.joins)+len(b.leaves) > 0 {
		s.wrapped("  ", "namespaces "+strings.Join(append(signed("+", b.joins), signed("-", b.leaves)...), " "))
	}
	if why, ok := after.table.Conflicts[b.name]; ok {
		s.wrapped("  ", s.paint("in conflict", yellow)+": "+why)
	}
	switch {
	case b.withheld:
		s.wrapped("  ", s.paint("withheld", red)+": a deny in it cannot be said, so nothing would be written and what is in force stays")
	case b.paused:
		s.wrapped("  ", "paused: nothing would be written, and what is in force stays")
	default:
		s.line(fmt.Sprintf("  %d to create, %d to change, %d to delete", len(b.create), len(b.change), len(b.remove)))
	}
	b.objects(s)
	b.losses(s)
}

func signed(sign string, list []string) []string {
	var out []string
	for _, one := range list {
		out = append(out, sign+one)
	}
	return out
}

func (b planBinding) objects(s *screen) {
	n := 0
	for _, part := range []struct {
		sign, color string
		ids         []translators.ID
	}{{"+", green, b.create}, {"~", yellow, b.change}, {"-", red, b.remove}} {
		for _, id := range part.ids {
			if n++; n <= mostListed {
				s.line("  " + s.paint(part.sign, part.color) + " " + printable(artifact(id)))
			}
		}
	}
	if n > mostListed {
		s.line(fmt.Sprintf("  and %d more", n-mostListed))
	}
}

func (b planBinding) losses(s *screen) {
	n := 0
	for _, part := range []struct {
		sign, color string
		found       report.Report
	}{{"+ loss", red, b.come}, {"- loss", green, b.gone}} {
		for _, f := range part.found {
			if n++; n > mostListed {
				continue
			}
			text := string(f.Code) + " "
			if f.Class != "" {
				text = string(f.Code) + " " + string(f.Class) + ": "
			}
			if !f.Source.IsZero() {
				text = s.place(f.Source) + " " + text
			}
			s.named("  ", part.sign+" ", part.color, text+f.Message)
		}
	}
	if n > mostListed {
		s.line(fmt.Sprintf("  and %s more", counted(n-mostListed, "loss")))
	}
}

// The shapes of "plan -o json".
type (
	planDocument struct {
		documentKind
		Changed   bool              `json:"changed"`
		Bindings  []planBindingPart `json:"bindings"`
		Opens     []string          `json:"opens"`
		Closes    []string          `json:"closes"`
		Behaviour []planDiffPart    `json:"behaviour"`
	}
	planBindingPart struct {
		Name     string         `json:"name"`
		Was      string         `json:"was,omitempty"`
		Is       string         `json:"is,omitempty"`
		Paused   bool           `json:"paused,omitempty"`
		Withheld bool           `json:"withheld,omitempty"`
		Conflict string         `json:"conflict,omitempty"`
		Joins    []string       `json:"namespacesJoining"`
		Leaves   []string       `json:"namespacesLeaving"`
		Create   []artifactName `json:"create"`
		Change   []artifactName `json:"change"`
		Delete   []artifactName `json:"delete"`
		Come     []any          `json:"lossesComing"`
		Gone     []any          `json:"lossesGoing"`
	}
	planDiffPart struct {
		By     string `json:"by"`
		Silent string `json:"silent,omitempty"`
		diffPart
	}
)

func (p plan) json() planDocument {
	doc := planDocument{documentKind: kindOf("Plan"), Changed: p.changes(nil), Bindings: []planBindingPart{},
		Opens: listed(p.opens), Closes: listed(p.closes), Behaviour: []planDiffPart{}}
	for _, b := range p.bindings {
		doc.Bindings = append(doc.Bindings, planBindingPart{b.name, b.was, b.is, b.paused, b.withheld, p.after.table.Conflicts[b.name],
			listed(b.joins), listed(b.leaves), artifactNames(b.create), artifactNames(b.change), artifactNames(b.remove),
			locatedIn(p.after.set, b.come), locatedIn(p.before.set, b.gone)})
	}
	for _, b := range p.behaviour {
		part := planDiffPart{b.by, b.silent, diffPart{Changes: []changePart{}}}
		if b.silent == "" {
			part.diffPart = b.difference.json()
		}
		doc.Behaviour = append(doc.Behaviour, part)
	}
	return doc
}

// listed is a list that JSON shows as one, also where it is empty.
func listed(list []string) []string { return append([]string{}, slices.Clone(list)...) }

func locatedIn(set *input.Set, found report.Report) []any {
	out := []any{}
	for _, f := range found {
		out = append(out, report.JSON(f, set))
	}
	return out
}
