// Package engine keeps compiled units and recompiles the ones that a change
// touches: a unit is compiled again only when a question that it asked has
// another answer now. A batch run and a live update are the same function.
package engine

import (
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Engine compiles stores, one after another. It is not safe for concurrent use.
type Engine struct {
	pipeline translators.Pipeline
	targets  []translators.Target
	waivers  []feature.Waiver
	units    map[ir.Key]unit
}

// unit is a compiled unit, what it was made of, and what was made of it.
type unit struct {
	answers  input.Answers
	compiled ir.Unit
	exists   bool
	findings report.Report
	pieces   []translators.Piece // by target
}

// Result is the state after a run.
type Result struct {
	Units []ir.Unit
	// Findings of the front ends; those of back ends are in their Outputs.
	Findings report.Report
	Outputs  []translators.Output
	// Pieces are what each output was assembled of, in the same order.
	Pieces [][]translators.Piece
	// Recompiled lists the units that were compiled in this run.
	Recompiled []ir.Key
}

// New makes an engine for back ends. A target whose back end the pipeline does
// not have is left out; callers check the names before.
func New(p translators.Pipeline, targets []translators.Target, waivers []feature.Waiver) *Engine {
	known := slices.DeleteFunc(slices.Clone(targets), func(t translators.Target) bool {
		_, ok := p.Backend(t.Backend)
		return !ok
	})
	return &Engine{pipeline: p, targets: known, waivers: waivers, units: map[ir.Key]unit{}}
}

// Run brings the engine to the state of a store.
func (e *Engine) Run(s *input.Store) Result {
	var res Result
	next := map[ir.Key]unit{}
	pieces := make([][]translators.Piece, len(e.targets))
	keys := e.pipeline.Keys(s.Objects(), s.Reader())
	units, compiled := e.current(keys, s)
	for j, k := range keys {
		u := units[j]
		if compiled[j] {
			res.Recompiled = append(res.Recompiled, k)
		}
		next[k] = u
		res.Findings = append(res.Findings, u.findings...)
		if !u.exists {
			continue
		}
		res.Units = append(res.Units, u.compiled)
		for i, p := range u.pieces {
			pieces[i] = append(pieces[i], p)
		}
	}
	e.units, res.Pieces = next, pieces
	res.Findings = res.Findings.Sorted()
	for i, t := range e.targets {
		b, _ := e.pipeline.Backend(t.Backend)
		res.Outputs = append(res.Outputs, translators.Assemble(b, t, pieces[i], e.waivers))
	}
	return res
}

// current returns the units as the store has them, and which of them had to be
// compiled. Each is compiled alone, so all processors take part.
func (e *Engine) current(keys []ir.Key, s *input.Store) (units []unit, compiled []bool) {
	units, compiled = make([]unit, len(keys)), make([]bool, len(keys))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	const share = 32 // what one processor takes at a time
	for start := 0; start < len(keys); start += share {
		g.Go(func() error {
			for i := start; i < min(start+share, len(keys)); i++ {
				var known bool
				if units[i], known = e.units[keys[i]]; !known || !s.Same(units[i].answers) {
					units[i], compiled[i] = e.compile(keys[i], s), true
				}
			}
			return nil
		})
	}
	_ = g.Wait() // what is wrong with a unit is in its findings
	return units, compiled
}

func (e *Engine) compile(k ir.Key, s *input.Store) unit {
	reader := s.Track()
	var u unit
	u.compiled, u.findings, u.exists = e.pipeline.Compile(k, reader)
	u.answers = reader.Answers()
	if !u.exists {
		return u
	}
	for _, t := range e.targets {
		b, _ := e.pipeline.Backend(t.Backend)
		u.pieces = append(u.pieces, translators.Translate(u.compiled, b, t, e.waivers))
	}
	return u
}
