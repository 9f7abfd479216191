package controller

import (
	"cmp"
	"slices"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Where a unit is not good enough as it is asked for, the last good one is in force in
// its place, as a whole: so what else is asked of it since then is not in force either,
// though nothing is wrong with the object that asks. Of a workload it is, as far as it
// can be said (engine.KeepGood), so there only findings tell.
//
// A process that begins with such a unit has no last good of it. Then what a mesh has
// of it stays as it is stored.

// keeping is what bindings keep of units in place of what they are asked for.
type keeping struct {
	// since are the turns of the loop since which a binding keeps what it had of a unit.
	since map[ir.Key]map[string]uint64
	// stays are the places of units that have no last good here; changed: they are others
	// than the publisher knows.
	stays   map[ir.Key][]slot
	changed bool
}

func newKeeping() keeping {
	return keeping{since: map[ir.Key]map[string]uint64{}, stays: map[ir.Key][]slot{}}
}

// keeps notes since which turn bindings keep what they had of a unit.
func (l *loop) keeps(k ir.Key, made engine.Made) {
	was, now := l.kept.since[k], map[string]uint64{}
	var stays []slot
	for _, p := range made.Pieces {
		if p.Kept && made.Unit.Workload == nil {
			now[p.Name] = cmp.Or(was[p.Name], l.turn)
			if p.Unit == (ir.Unit{}) {
				stays = append(stays, l.slots(p.Name, made.Unit)...)
			}
		}
	}
	if delete(l.kept.since, k); len(now) > 0 {
		l.kept.since[k] = now
	}
	l.kept.changed = l.kept.changed || !slices.Equal(stays, l.kept.stays[k])
	if delete(l.kept.stays, k); len(stays) > 0 {
		l.kept.stays[k] = stays
	}
}

// rebound looks at all units, of which bindings may have something else though none
// was compiled.
func (l *loop) rebound() {
	for k := range l.told {
		if made, ok := l.world.made(k); ok {
			l.keeps(k, made)
		}
	}
}

// slots are where a binding would have what is made of a unit.
func (l *loop) slots(binding string, u ir.Unit) (out []slot) {
	t := l.lastUsable[binding].Target
	backend, ok := l.pipeline.Backend(t.Backend)
	if !ok || served(t) {
		return nil
	}
	for _, a := range translators.Translate(u, backend, t, nil).Artifacts {
		out = append(out, slot{binding, sinkOf(a.ID), a.ID})
	}
	slices.SortFunc(out, slot.compare)
	return out
}

// stay tells the publisher what stays as it is stored, where that is something else.
func (l *loop) stay() {
	if !l.kept.changed {
		return
	}
	l.kept.changed = false
	all := map[slot]bool{}
	for _, slots := range l.kept.stays {
		for _, s := range slots {
			all[s] = true
		}
	}
	l.publisher.hand(work{stays: all, early: !l.compiled})
}

// stay takes down what stays as it is stored. What no longer does is looked for anew.
func (p *publisher) stay(now map[slot]bool) {
	for s := range p.stays {
		if o := p.owners[s.binding]; o != nil && !now[s] {
			delete(o.surveyed, s.sink)
		}
	}
	p.stays = now
}

// behind says why what is in force of a unit is not what a source asks of it; nothing
// where it is.
func (l *loop) behind(src *source, k ir.Key, made engine.Made, p engine.NamedPiece) string {
	since, keeps := l.kept.since[k][p.Name]
	switch {
	case !keeps, !p.Kept, !asks(made.Unit, src.ref()):
		return ""
	case p.Unit != (ir.Unit{}) && src.since < since: // it asks what it asked when that was good
		return ""
	}
	for _, f := range p.Findings {
		if f.Severity == report.Error {
			return f.Source.Object().String() + ": " + f.Message
		}
	}
	return "what is made of it with other objects cannot be said"
}

// asks reports whether an object takes part in what is asked of a unit.
func asks(u ir.Unit, ref report.Ref) bool {
	return slices.ContainsFunc(feature.Uses(u), func(use feature.Use) bool { return use.Ref.Object() == ref })
}
