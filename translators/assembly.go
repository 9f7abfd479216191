package translators

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Change is what a target's output came to differ in.
type Change struct {
	Target Target
	// Put are the artifacts that are new or say something else, in the order of
	// application. Refs of one that is assembled are those of the parts that made
	// it differ: what the change is about.
	Put []Artifact
	// Remove are the places that are empty now, in the order of removal.
	Remove []Slot
	// Withheld: nothing may be applied for now. Put and Remove are empty; what
	// changes meanwhile is in the first change after it.
	Withheld bool
}

// Assembly joins the pieces of one target to its output. A piece that is replaced
// costs the artifacts that it touches, whatever else is in the output. It is for
// one goroutine.
type Assembly struct {
	backend Backend
	target  Target
	groups  map[ID]*group
	// touched are the groups to look at when changes are asked for.
	touched map[ID]*group
	// withheld counts the pieces, and closed the claimed IDs, that withhold.
	withheld, closed int
	// comparing remembers until changes were asked for.
	comparing comparing
	// completed is what a Completer made of all groups, nil before it was asked.
	completed *completed
}

// completed is what a Completer makes of everything.
type completed struct {
	out            []Artifact // not withheld
	handed         []Artifact
	found, claimed report.Report
	closes         bool
}

// NewAssembly makes the assembly of no pieces.
func NewAssembly(b Backend, t Target) *Assembly {
	return &Assembly{backend: b, target: t, groups: map[ID]*group{}, touched: map[ID]*group{}, comparing: comparing{}}
}

// Retarget goes on with another version or other options of the same back end. All
// that is assembled is looked at again; pieces that are others are replaced.
func (a *Assembly) Retarget(t Target) {
	a.target = t
	for id, g := range a.groups {
		g.dirty, a.touched[id] = true, g
	}
}

// Replace puts a unit's piece in the place of what the unit contributed before.
// Either may be the zero Piece. Where an artifact says the same as before its
// payload stays the one that it was.
func (a *Assembly) Replace(old, now Piece) {
	a.withheld += one(now.Withheld) - one(old.Withheld)
	before, after := ordered(old.Artifacts), ordered(now.Artifacts)
	for len(before)+len(after) > 0 {
		c := -1
		switch {
		case len(before) == 0:
			c = 1
		case len(after) > 0:
			c = inOrder(before[0], after[0])
		}
		if c == 0 && (twice(before) || twice(after)) {
			c = -1 // which of them is which cannot be told
		}
		switch {
		case c < 0:
			a.group(before[0].ID).remove(before[0])
			before = before[1:]
		case c > 0:
			a.group(after[0].ID).insert(after[0])
			after = after[1:]
		default:
			if g := a.groups[after[0].ID]; g.update(after[0], a.comparing) {
				a.touched[after[0].ID] = g
			}
			before, after = before[1:], after[1:]
		}
	}
}

// twice reports whether the first of a list stands there again.
func twice(list []Artifact) bool { return len(list) > 1 && inOrder(list[0], list[1]) == 0 }

// group returns the group of an ID, to be changed.
func (a *Assembly) group(id ID) *group {
	g := a.groups[id]
	if g == nil {
		g = &group{}
		a.groups[id] = g
	}
	a.touched[id] = g
	return g
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func ordered(list []Artifact) []Artifact {
	if slices.IsSortedFunc(list, inOrder) {
		return list
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, inOrder)
	return list
}

// Change returns what differs since it was last asked.
func (a *Assembly) Change() Change {
	c := Change{Target: a.target}
	a.settle()
	if c.Withheld = a.Withheld(); c.Withheld {
		return c
	}
	var removed []Artifact
	if a.completed != nil {
		removed = c.differ(a.comparing, a.completed.handed, a.completed.out, nil)
		a.completed.handed = a.completed.out
	}
	for id, g := range a.touched {
		if a.completed == nil {
			removed = append(removed, c.differ(a.comparing, g.handed, g.emitted(), g.about())...)
		}
		g.handed, g.news, g.mixed = g.emitted(), nil, false
		if len(g.parts) == 0 {
			delete(a.groups, id)
		}
	}
	// Made anew: a map that was cleared keeps its room, and costs it whenever it is
	// walked through.
	a.touched, a.comparing = map[ID]*group{}, comparing{}
	slices.SortFunc(c.Put, inOrder)
	slices.SortFunc(removed, func(x, y Artifact) int { return inOrder(y, x) })
	for _, r := range removed {
		c.Remove = append(c.Remove, r.Slot())
	}
	return c
}

// Withheld reports whether nothing of the output may be applied.
func (a *Assembly) Withheld() bool {
	return a.withheld > 0 || a.closed > 0 || a.completed != nil && a.completed.closes
}

// differ adds to a change what differs between two lists, both in order. It
// returns what is gone.
func (c *Change) differ(by comparing, was, now []Artifact, news []report.Ref) (removed []Artifact) {
	start := len(c.Put)
	for len(was)+len(now) > 0 {
		d := -1
		switch {
		case len(was) == 0:
			d = 1
		case len(now) > 0:
			d = cmp.Or(cmp.Compare(was[0].Rank, now[0].Rank), was[0].Slot().Compare(now[0].Slot()))
		}
		switch {
		case d < 0:
			removed, was = append(removed, was[0]), was[1:]
			continue
		case d == 0 && by.same(was[0].Payload, now[0].Payload):
			was, now = was[1:], now[1:]
			continue
		case d == 0:
			was = was[1:]
		}
		put := now[0]
		if put.Refs == nil && news != nil {
			put.Refs = news
		}
		c.Put, now = append(c.Put, put), now[1:]
	}
	if len(removed) == 0 || len(c.Put) == start {
		return removed
	}
	put := map[Slot]bool{}
	for _, p := range c.Put[start:] {
		put[p.Slot()] = true
	}
	return slices.DeleteFunc(removed, func(r Artifact) bool { return put[r.Slot()] }) // its rank is another one now
}

// settle joins the parts of what was touched, and lets a Completer look at all.
func (a *Assembly) settle() {
	stale := false
	for _, g := range a.touched {
		if !g.dirty {
			continue
		}
		stale = true
		a.closed -= one(g.closes)
		g.join(a.backend, a.target)
		a.closed += one(g.closes)
	}
	c, ok := a.backend.(Completer)
	if !ok || !stale && a.completed != nil {
		return
	}
	var handed []Artifact
	if a.completed != nil {
		handed = a.completed.handed
	}
	a.completed = &completed{handed: handed} // claims are found when all is complete
	a.completed.run(c, a.target, a.all(func(g *group) []Artifact { return g.made }))
}

// run completes everything.
func (d *completed) run(c Completer, t Target, all []Artifact) {
	d.out, d.found = c.Complete(t, all)
	for i := range d.found {
		d.found[i].Backend = t.Backend
	}
	slices.SortStableFunc(d.out, inOrder)
	d.claimed, d.closes = claims(d.out, t.Backend)
	d.out = unclaimed(d.out)
}

// all lists artifacts of all groups in order, with all of their references.
func (a *Assembly) all(of func(*group) []Artifact) []Artifact {
	var out []Artifact
	for _, g := range a.inOrder() {
		g.refer()
		out = append(out, of(g)...)
	}
	slices.SortStableFunc(out, inOrder)
	return out
}

func (a *Assembly) inOrder() []*group {
	out := slices.AppendSeq(make([]*group, 0, len(a.groups)), maps.Values(a.groups))
	out = slices.DeleteFunc(out, func(g *group) bool { return len(g.parts) == 0 })
	slices.SortFunc(out, func(x, y *group) int { return inOrder(x.parts[0], y.parts[0]) })
	return out
}

// Output is everything, and what there is to be said of it: of the pieces that
// were put in, in the order of their units, and of what was made of them together.
func (a *Assembly) Output(pieces []Piece, waivers []feature.Waiver) Output {
	a.settle()
	out := Output{Target: a.target, Withheld: a.Withheld()}
	for _, p := range pieces {
		out.Findings = append(out.Findings, p.Findings...)
	}
	groups := a.inOrder()
	for _, g := range groups {
		out.Findings = append(out.Findings, g.found...)
	}
	if a.completed != nil {
		out.Artifacts = slices.Clone(a.completed.out)
		out.Findings = append(once(append(out.Findings, a.completed.found...)), a.completed.claimed...)
	} else {
		out.Artifacts = a.all((*group).emitted)
		out.Findings = once(out.Findings)
		for _, g := range groups {
			out.Findings = append(out.Findings, g.claimed...)
		}
	}
	for _, w := range feature.Unused(waivers, out.Findings) {
		f := report.New(report.WaiverUnused, w.Object, fmt.Sprintf("the waiver for %s covers nothing", w.Code))
		f.Backend = a.target.Backend
		out.Findings = append(out.Findings, f)
	}
	if out.Withheld {
		out.Artifacts = nil
	}
	out.Findings = out.Findings.Sorted()
	return out
}

// Compact gives back the memory of what has left the assembly.
func (a *Assembly) Compact() { a.groups, a.touched = maps.Clone(a.groups), maps.Clone(a.touched) }

func inOrder(a, b Artifact) int {
	return cmp.Or(cmp.Compare(a.Rank, b.Rank), a.ID.Compare(b.ID), a.Audience.Compare(b.Audience),
		strings.Compare(a.Part, b.Part), a.Unit.Compare(b.Unit))
}

// claims finds IDs that two units claim, among artifacts in order. Neither is
// emitted: which of them would win is luck. It reports true where a workload
// would be left without what closes it.
func claims(all []Artifact, backend string) (found report.Report, closes bool) {
	bad := map[ID]bool{}
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		if a.Slot() != b.Slot() {
			continue
		}
		bad[a.ID] = true
		f := report.New(report.Claimed, firstRef(b), fmt.Sprintf("%s and %s both make %s %s",
			a.Unit, b.Unit, a.ID.Type, a.ID.Name)).With(firstRef(a))
		f.Backend = backend
		found = append(found, f)
	}
	return found, slices.ContainsFunc(all, func(a Artifact) bool { return bad[a.ID] && a.Unit.Kind == ir.KindWorkload })
}

// unclaimed leaves out what two units claim.
func unclaimed(all []Artifact) []Artifact {
	bad := map[ID]bool{}
	for i := 1; i < len(all); i++ {
		if all[i-1].Slot() == all[i].Slot() {
			bad[all[i].ID] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(a Artifact) bool { return bad[a.ID] })
}

func firstRef(a Artifact) report.Ref {
	if len(a.Refs) == 0 {
		return report.Ref{}
	}
	return a.Refs[0]
}

// sortedRefs returns references in order, each once: the list itself where it is so.
func sortedRefs(refs []report.Ref) []report.Ref {
	inOrder := true
	for i := 1; i < len(refs) && inOrder; i++ {
		inOrder = refs[i-1].Compare(refs[i]) < 0
	}
	if inOrder {
		return refs
	}
	refs = slices.Clone(refs)
	slices.SortFunc(refs, report.Ref.Compare)
	return slices.Compact(refs)
}
