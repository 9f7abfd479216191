package engine

import (
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
)

// Preview is what edits would come to.
type Preview struct {
	// Units that would be compiled anew or would be no more, sorted by key. All
	// others stay what they are.
	Units []UnitChange
}

// UnitChange is a unit before edits and after them; the zero Made where no object
// makes it. A unit that objects make may have a zero Unit all the same, where
// nothing that it names exists.
type UnitChange struct {
	Key           ir.Key
	Before, After Made
}

// Preview tells what Apply would come to, and changes nothing. It costs what the
// edits touch, whatever the size of the mesh. Several goroutines may preview at once,
// but not while the engine is changed. What units make together, such as an artifact
// that two of them claim, is not looked at.
func (e *Engine) Preview(edits []input.Edit) Preview {
	patched := e.store.Preview(edits)
	objects, units, stale := e.touched(patched.Changed()) // units: whether they will be there
	r := patched.Reader(e.memory, stale)
	for k, makers := range e.makers(objects, patched, r) {
		if u := e.units[k]; u == nil {
			units[k] = true // whatever concerns it: nobody made it
		} else if u.makers+makers == 0 {
			units[k] = false
		}
	}
	out := Preview{Units: make([]UnitChange, 0, len(units))}
	for k := range units {
		out.Units = append(out.Units, UnitChange{Key: k})
	}
	slices.SortFunc(out.Units, func(a, b UnitChange) int { return a.Key.Compare(b.Key) })
	parallel(len(out.Units), func(i int) {
		c := &out.Units[i]
		var before made
		if u := e.units[c.Key]; u != nil {
			before = u.made
			c.Before = e.report(before)
		}
		if units[c.Key] {
			c.After = e.report(e.outcome(c.Key, before, r))
		}
	})
	return out
}

// touched returns what concerned does, where asking changes nothing: the objects
// whose units are to be asked for, the units that are to be compiled, and what was
// derived of answers that are others.
func (e *Engine) touched(c input.Changed) (objects map[input.ID]bool, units map[ir.Key]bool, stale map[input.Question]bool) {
	objects, units, stale = map[input.ID]bool{}, map[ir.Key]bool{}, map[input.Question]bool{}
	for _, id := range c.IDs {
		objects[id] = true
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
				objects[by.object.id] = true
			case by.unit != nil:
				units[by.unit.key] = true
			case !stale[by.derived]:
				stale[by.derived] = true
				questions = append(questions, by.derived)
			}
		}
	}
	if mesh := (ir.Key{Kind: ir.KindMesh}); e.units[mesh] != nil && e.units[mesh].asks == nil {
		units[mesh] = true
	}
	return objects, units, stale
}

// makers returns by how many each unit has more makers, or fewer, once the objects
// under some IDs say anew which units they make.
func (e *Engine) makers(ids map[input.ID]bool, patched *input.Preview, r input.Reader) map[ir.Key]int {
	out := map[ir.Key]int{}
	for id := range ids {
		var was []ir.Key
		if o := e.objects[id]; o != nil {
			was = o.keys
		}
		for _, k := range e.said(patched.Under(id), was, r) {
			out[k]++
		}
		for _, k := range was {
			out[k]--
		}
	}
	return out
}

// said returns the units that objects of one ID make, or those that they made before
// where a defect of ours keeps them from being told.
func (e *Engine) said(objects []input.Object, was []ir.Key, r input.Reader) (keys []ir.Key) {
	defer func() {
		if recover() != nil {
			keys = was
		}
	}()
	for _, o := range objects {
		for _, f := range e.pipeline.Frontends {
			keys = append(keys, f.Keys(o, r)...)
		}
	}
	slices.SortFunc(keys, ir.Key.Compare)
	return slices.Compact(keys)
}
