package ask

import (
	"cmp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/verify"
)

// Change is a way in which two sides decide requests of a callee otherwise, for
// one reason.
type Change struct {
	semantics.Difference
	// Callees are the units that are called, sorted.
	Callees []ir.Key
	// Example is a request that shows it; Kinds counts the kinds of requests that do.
	Example semantics.Request
	Kinds   int
	// Old and New are what the sides decide of the example, and why.
	Old, New Outlook

	cause string
}

// Outlook is what one side decides.
type Outlook struct {
	Decision semantics.Decision
	// Because are the places that decide; of a back end those of the model.
	Because []report.Ref
	// By are the artifacts that decide; none where the model does.
	By []translators.ID
	// Causes are what the back end's table says of it.
	Causes []Loss
}

// Compared is what a comparison found.
type Compared struct {
	// Kinds of requests that both sides were asked, and how many of them they
	// decide otherwise.
	Kinds, Otherwise int
	// Changes, those first that let more in, then those that let less in.
	Changes []Change
}

// Compare asks both sides every kind of request that the policies of either
// tell apart, unit by unit.
func Compare(before, after Side) Compared {
	keys := unitKeys(before, after)
	found := make([]Compared, len(keys))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, k := range keys {
		g.Go(func() error { found[i] = compareUnit(k, before, after); return nil })
	}
	_ = g.Wait() // nothing fails: differences are values
	var out Compared
	at := map[string]int{}
	for _, f := range found {
		out.Kinds += f.Kinds
		out.Otherwise += f.Otherwise
		for _, c := range f.Changes {
			out.add(at, c)
		}
	}
	slices.SortStableFunc(out.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(rank(a.Effect), rank(b.Effect)), a.Callees[0].Compare(b.Callees[0]))
	})
	return out
}

// add adds a change, or counts it to one of the same effect and cause. An example
// that somebody lets in tells more than one that is denied anyway.
func (c *Compared) add(at map[string]int, one Change) {
	i, ok := at[one.cause]
	if !ok {
		at[one.cause] = len(c.Changes)
		c.Changes = append(c.Changes, one)
		return
	}
	known := &c.Changes[i]
	known.Kinds += one.Kinds
	if !slices.Contains(known.Callees, one.Callees[0]) {
		known.Callees = append(known.Callees, one.Callees[0])
	}
	if one.telling() > known.telling() {
		known.Difference, known.Example, known.Old, known.New = one.Difference, one.Example, one.Old, one.New
	}
}

// telling says how much an example tells: most where somebody is let in, and
// where the path is plain.
func (c Change) telling() int {
	n := 0
	if c.Old.Decision.Verdict != semantics.Deny || c.New.Decision.Verdict != semantics.Deny {
		n += 2
	}
	if !verify.Has(c.Example, feature.OnRawPath) {
		n++
	}
	return n
}

// effects from the most to the least worrying.
var effects = []report.Effect{report.Allows, report.Denies, report.Fails, report.Strays, report.Mirrors, report.Edits, report.Times}

func rank(e report.Effect) int { return slices.Index(effects, e) }

func unitKeys(a, b Side) []ir.Key {
	var out []ir.Key
	for _, u := range slices.Concat(a.list, b.list) {
		if u.Service != nil || u.VirtualHost != nil || u.Workload != nil {
			out = append(out, u.Key())
		}
	}
	slices.SortFunc(out, ir.Key.Compare)
	return slices.Compact(out)
}

func compareUnit(k ir.Key, before, after Side) Compared {
	asked := classes(k, []Side{before, after})
	involved := []ir.Key{k}
	for _, s := range []Side{before, after} {
		for _, u := range s.behind(s.units[k]) {
			involved = append(involved, u.Key())
		}
	}
	slices.SortFunc(involved, ir.Key.Compare)
	involved = slices.Compact(involved)
	out := Compared{Kinds: len(asked)}
	at := map[string]int{}
	for _, q := range asked {
		was, byOld := before.Decide(q)
		is, byNew := after.Decide(q)
		differs := semantics.Differences(q, was, is, verify.Rounding)
		if len(differs) > 0 {
			out.Otherwise++
		}
		for _, d := range differs {
			c := Change{Difference: d, Callees: []ir.Key{k}, Example: q, Kinds: 1,
				Old: before.outlook(q, was, byOld), New: after.outlook(q, is, byNew)}
			before.says(&c.Old, q, inverse(d.Effect), involved)
			after.says(&c.New, q, d.Effect, involved)
			c.cause = c.causes()
			out.add(at, c)
		}
	}
	return out
}

// outlook says why a side decides so.
func (s Side) outlook(q semantics.Request, d semantics.Decision, by []translators.ID) Outlook {
	o := Outlook{Decision: d, Because: d.Because, By: distinct(by)}
	if s.mesh != nil {
		o.Because = s.model.Decide(q).Because
	}
	return o
}

// says adds what the table of a back end says of an effect.
func (s Side) says(o *Outlook, q semantics.Request, e report.Effect, involved []ir.Key) {
	if s.mesh != nil {
		o.Causes = s.mesh.Causes(q, e, involved)
	}
}

// inverse is the effect of the other side, seen from this one.
func inverse(e report.Effect) report.Effect {
	switch e {
	case report.Allows:
		return report.Denies
	case report.Denies:
		return report.Allows
	}
	return e
}

// causes tells changes apart by what decides. Who may call is decided by
// workloads, whatever leads there; where calls go is by the callee's routes.
func (c Change) causes() string {
	text := []string{string(c.Effect)}
	access := c.Effect == report.Allows || c.Effect == report.Denies
	if !access {
		text = append(text, c.Callees[0].String())
	}
	for _, o := range []Outlook{c.Old, c.New} {
		if access {
			text = append(text, o.guard())
		} else {
			text = append(text, o.Decision.Route)
		}
	}
	return strings.Join(text, "\x00")
}

// guard is what lets a call in, or does not: the place that the model names, or
// the artifact of the server's side, which is the last one.
func (o Outlook) guard() string {
	if len(o.Causes) > 0 {
		return o.Causes[0].Ref.String() + o.Causes[0].Note
	}
	if len(o.By) > 0 {
		last := o.By[len(o.By)-1]
		return last.Type + " " + last.Name
	}
	why := o.Because
	if shares := o.Decision.Shares; len(shares) > 0 { // where the call goes does not count
		i := max(0, slices.IndexFunc(shares, func(s semantics.Share) bool { return !s.Allowed }))
		why = shares[i].Because
	}
	if len(why) > 0 {
		return why[0].String()
	}
	return string(o.Decision.Verdict)
}
