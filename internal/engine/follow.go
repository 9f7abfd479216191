package engine

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// follow brings the engine to the state of its store, which has changed: objects
// say anew which units they make, then units are compiled anew, each where one of
// its answers has changed; then each target settles what that touched.
func (e *Engine) follow(c input.Changed) Step {
	objects, units := e.concerned(c)
	e.ask(objects, units)
	step := Step{Recompiled: e.compile(units)}
	e.settle()
	e.graph.derive(e.memory)
	step.Changed = e.changes()
	e.recompiled = step.Recompiled
	e.compact()
	return step
}

// changes asks each target for what differs. What is gone follows: not before what
// came under its name can be applied, and without the places that this has now.
func (e *Engine) changes() (out []translators.Change) {
	has := map[string]map[translators.Slot]bool{}
	held := map[string]bool{}
	for _, t := range e.targets {
		c := t.assembly.Change()
		if c.Withheld || t.withheld || len(c.Put)+len(c.Remove) > 0 {
			out = append(out, c)
		}
		t.withheld = c.Withheld
		held[t.name()] = held[t.name()] || c.Withheld
		if len(e.gone) > 0 {
			slots := map[translators.Slot]bool{}
			for _, a := range c.Put {
				slots[a.Slot()] = true
			}
			has[t.name()] = slots
		}
	}
	var waiting []*target
	for _, t := range e.gone {
		if held[t.name()] {
			waiting = append(waiting, t)
			continue
		}
		c := t.assembly.Change()
		c.Remove = slices.DeleteFunc(c.Remove, func(s translators.Slot) bool { return has[t.name()][s] })
		if t.withheld || len(c.Remove) > 0 {
			out = append(out, c)
		}
	}
	e.gone = waiting
	return out
}

// concerned returns who asked what has another answer now, and the objects that
// are others themselves. What the Mesh is made of nothing tells the first time.
func (e *Engine) concerned(c input.Changed) (map[*object]bool, map[*unit]bool) {
	objects, units := map[*object]bool{}, map[*unit]bool{}
	for _, id := range c.IDs {
		o := e.objects[id]
		if o == nil {
			o = &object{id: id}
			o.node.object = o
			e.objects[id] = o
		}
		objects[o] = true
	}
	for questions := slices.Clone(c.Questions); len(questions) > 0; {
		a := e.graph.asked[questions[0]]
		questions = questions[1:]
		if a == nil {
			continue
		}
		for _, by := range a.by {
			switch {
			case by.object != nil:
				objects[by.object] = true
			case by.unit != nil:
				units[by.unit] = true
			case e.memory.Forget(by.derived): // its answer may be another one now
				questions = append(questions, by.derived)
			}
		}
	}
	if mesh, _ := e.unit(ir.Key{Kind: ir.KindMesh}); mesh.asks == nil {
		units[mesh] = true
	}
	return objects, units
}

// told is what an object says of units, and what it asked for that.
type told struct {
	*object
	keys  []ir.Key
	asked []input.Question
	lost  report.Report
}

// ask lets objects say which units they make. A unit that nobody made before is
// added to those that are to be compiled, and one that nobody makes is dropped.
func (e *Engine) ask(objects map[*object]bool, units map[*unit]bool) {
	all := make([]told, 0, len(objects))
	for o := range objects {
		all = append(all, told{object: o})
	}
	parallel(len(all), func(i int) { e.keys(&all[i]) })
	var left []*unit
	for _, t := range all {
		e.graph.connect(&t.object.node, t.asked)
		for _, k := range t.keys {
			u, known := e.unit(k)
			if u.makers++; !known {
				units[u] = true
			}
		}
		for _, k := range t.object.keys {
			u := e.units[k]
			if u.makers--; u.makers == 0 {
				left = append(left, u)
			}
		}
		t.object.keys, t.object.lost = t.keys, t.lost
		if len(e.store.Under(t.id)) == 0 {
			delete(e.objects, t.id)
		}
	}
	for _, u := range left {
		if u.makers == 0 && e.units[u.key] == u { // nobody else made it meanwhile
			e.replace(u, made{}, nil)
			delete(e.units, u.key)
			delete(units, u)
		}
	}
}

// keys asks the front ends which units an object makes. It changes nothing.
func (e *Engine) keys(t *told) {
	r := e.store.TrackIn(e.memory)
	defer func() {
		t.asked = r.Asked()
		if p := recover(); p != nil {
			t.keys, t.lost = t.object.keys, crashed(t.id.Ref(""), p)
		}
	}()
	for _, o := range e.store.Under(t.id) {
		for _, f := range e.pipeline.Frontends {
			t.keys = append(t.keys, f.Keys(o, r)...)
		}
	}
	slices.SortFunc(t.keys, ir.Key.Compare)
	t.keys = slices.Clip(slices.Compact(t.keys))
}

// compiling is a unit and what it came to.
type compiling struct {
	*unit
	made  made
	asked []input.Question
}

// compile compiles units, each alone, so all processors take part. It returns
// their keys, sorted.
func (e *Engine) compile(units map[*unit]bool) []ir.Key {
	all := make([]compiling, 0, len(units))
	for u := range units {
		all = append(all, compiling{unit: u})
	}
	slices.SortFunc(all, func(a, b compiling) int { return a.key.Compare(b.key) })
	parallel(len(all), func(i int) { e.make(&all[i]) })
	var keys []ir.Key
	for _, c := range all {
		e.replace(c.unit, c.made, c.asked)
		keys = append(keys, c.key)
	}
	return keys
}

// make compiles a unit for every target. It changes nothing.
func (e *Engine) make(c *compiling) {
	r := e.store.TrackIn(e.memory)
	r.Expect(len(c.asks)) // mostly as many as before
	c.made = e.outcome(c.key, c.unit.made, r)
	c.asked = r.Asked()
}

// outcome compiles a unit of what a reader answers, for every target. It changes
// nothing.
func (e *Engine) outcome(k ir.Key, before made, r input.Reader) (m made) {
	defer func() {
		if p := recover(); p != nil {
			m = e.defect(k, before, p)
		}
	}()
	m.compiled, m.findings, m.exists = e.pipeline.Compile(k, r)
	if m.exists {
		m.pieces = e.pieces(k, before, m.compiled)
	}
	return m
}

// defect is what becomes of a unit that cannot be compiled: it stays what it was. A
// target that has nothing of a unit that says who may call lets nothing of its
// output be applied.
func (e *Engine) defect(k ir.Key, before made, why any) made {
	m := before
	m.lost = crashed(refOf(k), why)
	m.pieces = make([]piece, e.slots)
	for _, t := range e.targets {
		p := &m.pieces[t.slot]
		if !t.Scope.has(k) {
			continue
		}
		if *p = before.of(t); p.edition == 0 && closes(k.Kind) {
			p.edition, p.Withheld = t.edition, true
		}
	}
	return m
}

// pieces makes of a unit what each target gets of it. A piece that would be the
// one from before is that one.
func (e *Engine) pieces(k ir.Key, before made, u ir.Unit) []piece {
	same := before.exists && len(before.lost) == 0 && u.Same(before.compiled)
	if same && e.settled(k, before) {
		return before.pieces
	}
	out := make([]piece, e.slots)
	for _, t := range e.targets {
		was := before.of(t)
		switch {
		case same && t.current(k, was):
			out[t.slot] = was
		case t.Scope.has(k):
			out[t.slot] = e.translate(t, was, u)
		}
	}
	return out
}

// replace makes a unit what it came to.
func (e *Engine) replace(u *unit, m made, asked []input.Question) {
	e.graph.connect(&u.node, asked)
	e.assemble(u, m)
}

// assemble gives each target its piece of what a unit came to.
func (e *Engine) assemble(u *unit, m made) {
	for _, t := range e.targets {
		if old, now := u.of(t).Piece, m.of(t).Piece; !alike(old, now) {
			t.assembly.Replace(old, now)
		}
	}
	u.made = m
}

// alike reports whether two pieces put the very same into an assembly.
func alike(a, b translators.Piece) bool {
	return a.Withheld == b.Withheld && len(a.Artifacts) == len(b.Artifacts) &&
		(len(a.Artifacts) == 0 || &a.Artifacts[0] == &b.Artifacts[0])
}

// closes reports whether a unit of a kind says who may call.
func closes(k ir.UnitKind) bool {
	return k == ir.KindMesh || k == ir.KindNamespace || k == ir.KindWorkload
}

// crashed says that a defect of ours kept something from being translated.
func crashed(at report.Ref, why any) report.Report {
	return report.Report{report.New(report.Crashed, at, fmt.Sprintf("translating it failed: %v", why))}
}

// refOf returns the object that a unit is mostly about.
func refOf(k ir.Key) report.Ref {
	kind := string(k.Kind)
	if k.Kind == ir.KindWorkload {
		kind = "ServiceAccount"
	}
	return report.Ref{Kind: kind, Namespace: k.Namespace, Name: k.Name}
}

// parallel calls f for 0 to n-1 on all processors.
func parallel(n int, f func(int)) {
	var group sync.WaitGroup
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			f(i)
		}
	}
	for range min(n, runtime.GOMAXPROCS(0)) - 1 {
		group.Go(work)
	}
	work()
	group.Wait()
}

// compact gives back memory when far less is left than there was: maps keep room
// for as many as they ever held.
func (e *Engine) compact() {
	const small = 1000
	n := e.store.Len()
	if e.peak = max(e.peak, n); e.peak < small || n > e.peak/4 {
		return
	}
	e.peak = n
	e.store.Compact()
	e.graph.compact()
	e.memory.Compact()
	e.objects, e.units = maps.Clone(e.objects), maps.Clone(e.units)
	for _, t := range e.targets {
		t.assembly.Compact()
	}
}
