// Package engine keeps compiled units and what targets are given of them, and
// recompiles what a change touches: a unit is compiled again only when a question
// that it asked has another answer now, and only artifacts that say something else
// are handed out. A batch run and a live update are the same machine.
package engine

import (
	"maps"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Engine compiles what a store holds, and follows its changes. It is not safe for
// concurrent use.
type Engine struct {
	pipeline translators.Pipeline
	// targets in the order in which they were given; gone are those that are bound no
	// more and have something to be removed.
	targets, gone []*target
	// slots is how many places units have for pieces, free those without a target.
	slots int
	free  []int
	// edition is the last number that was given to what is made for a target.
	edition uint32
	// keep: see KeepGood.
	keep  bool
	store *input.Store
	graph graph
	// memory is of what several units are made of.
	memory  *input.Memory
	objects map[input.ID]*object
	units   map[ir.Key]*unit
	// recompiled are the units that the last step compiled.
	recompiled []ir.Key
	// peak is the greatest number of objects since memory was given back.
	peak int
}

// object is what is known under an ID, and the units that it makes.
type object struct {
	node
	id   input.ID
	keys []ir.Key
	lost report.Report
}

// unit is a compiled unit and what was made of it. It is there while an object
// makes it.
type unit struct {
	node
	key    ir.Key
	makers int
	made
}

// made is the outcome of compiling a unit.
type made struct {
	compiled ir.Unit
	exists   bool
	findings report.Report
	pieces   []piece // by slot of the target; none of a unit that does not exist
	// lost is said where compiling it failed, and the rest is what it was before.
	lost report.Report
}

// piece is what a target has of a unit.
type piece struct {
	translators.Piece
	// edition of the target for which it was made; 0 where the target has no piece.
	edition uint32
	// good is the last unit that was translated well; nil where none was, or where
	// it is not kept.
	good *ir.Unit
	// kept: see NamedPiece.
	kept bool
}

// of returns the piece of a target, which may be none.
func (m made) of(t *target) piece {
	if t.slot < len(m.pieces) {
		return m.pieces[t.slot]
	}
	return piece{}
}

// Step is what a change came to.
type Step struct {
	// Recompiled lists the units that were compiled, sorted.
	Recompiled []ir.Key
	// Changed has an entry for each target whose output changed, is withheld or no
	// longer is, in the order in which targets were given; then those that are gone,
	// with all that they had to be removed.
	Changed []translators.Change
}

// Result is the state after a step.
type Result struct {
	Units []ir.Unit
	// Findings of the front ends; those of back ends are in their Outputs.
	Findings report.Report
	Outputs  []translators.Output
	// Pieces are what each output was assembled of, in the same order; of a target
	// with a scope those of its units.
	Pieces [][]translators.Piece
	// Recompiled lists the units that were compiled in the last step.
	Recompiled []ir.Key
}

// New makes an engine for back ends, of nothing. A target whose back end the
// pipeline does not have is left out; callers check the names before.
func New(p translators.Pipeline, targets []translators.Target, waivers []feature.Waiver) *Engine {
	e := &Engine{pipeline: p, store: input.StoreOf(nil, input.Settings{}),
		graph: newGraph(), memory: input.NewMemory(), objects: map[input.ID]*object{}, units: map[ir.Key]*unit{}}
	var bounds []Bound
	for _, t := range targets {
		bounds = append(bounds, Bound{Target: t, Waivers: waivers})
	}
	e.bind(bounds)
	e.tell()
	mesh, _ := e.unit(ir.Key{Kind: ir.KindMesh})
	mesh.makers++ // it is there whatever is given
	return e
}

// Run brings the engine to the state of a store.
func (e *Engine) Run(s *input.Store) Result {
	e.Update(s)
	return e.Result()
}

// Update brings the engine to the content and the settings of a store, which it
// does not keep.
func (e *Engine) Update(s *input.Store) Step {
	c := e.store.Become(s)
	e.tell()
	return e.follow(c)
}

// Apply replaces everything that is known under the IDs of edits. It costs what
// the edits touch, whatever the size of the mesh; only a target whose back end is
// a translators.Completer looks at all of its artifacts.
func (e *Engine) Apply(edits []input.Edit) Step { return e.follow(e.store.Apply(edits)) }

// Result says everything there is to be said of the state: it costs what is there.
func (e *Engine) Result() Result {
	res := Result{Recompiled: e.recompiled, Pieces: make([][]translators.Piece, len(e.targets))}
	for _, o := range e.objects {
		res.Findings = append(res.Findings, o.lost...)
	}
	keys := slices.SortedFunc(maps.Keys(e.units), ir.Key.Compare)
	for _, k := range keys {
		u := e.units[k]
		res.Findings = append(append(res.Findings, u.findings...), u.lost...)
		if !u.exists {
			continue
		}
		res.Units = append(res.Units, u.compiled)
		for i, t := range e.targets {
			if p := u.of(t); p.edition != 0 {
				res.Pieces[i] = append(res.Pieces[i], p.Piece)
			}
		}
	}
	res.Findings = res.Findings.Sorted()
	for i, t := range e.targets {
		res.Outputs = append(res.Outputs, t.assembly.Output(res.Pieces[i], t.Waivers))
	}
	return res
}

// unit returns the unit of a key, and whether it was there before.
func (e *Engine) unit(k ir.Key) (u *unit, known bool) {
	if u, known = e.units[k]; !known {
		u = &unit{key: k}
		u.node.unit = u
		e.units[k] = u
	}
	return u, known
}
