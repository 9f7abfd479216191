package ask

import (
	"fmt"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Side is one of two things that are compared: a whole input, decided by the
// model or by what a back end makes of it.
type Side struct {
	units  map[ir.Key]ir.Unit
	list   []ir.Unit
	model  semantics.Model
	tracer tracer
	// mesh decides where it is set, else the model does.
	mesh *Mesh
}

// Sides compiles a whole input, once for all that decide it: the model where a
// target has no name, else that back end.
func Sides(p Program, s *input.Store, targets ...translators.Target) []Side {
	var named []translators.Target
	for _, t := range targets {
		if t.Backend != "" {
			named = append(named, t)
		}
	}
	res := engine.New(p.Pipeline, named, nil).Run(s)
	base := Side{list: res.Units, model: semantics.New(res.Units), tracer: newTracer(res.Units)}
	base.units = base.tracer.units
	world := interpret.WorldOf(res.Units)
	var out []Side
	next := 0
	for _, t := range targets {
		one := base
		if t.Backend != "" {
			m := p.read(t, world, res.Pieces[next], res.Outputs[next])
			one.mesh = &m
			next++
		}
		out = append(out, one)
	}
	return out
}

// Silent reports why the side cannot be asked; nil where it can be.
func (s Side) Silent() error {
	if s.mesh == nil || s.mesh.silent == "" {
		return nil
	}
	return fmt.Errorf("%s cannot be asked: %s", s.mesh.Target.Backend, s.mesh.silent)
}

// Units lists the units of the input, in order of their keys.
func (s Side) Units() []ir.Unit { return s.list }

// Decide decides a request; by are the artifacts that did, if any.
func (s Side) Decide(q semantics.Request) (d semantics.Decision, by []translators.ID) {
	if s.mesh == nil {
		return s.model.Decide(q), nil
	}
	if q.Workload != (ir.Name{}) || s.has(q) {
		return interpret.Decide(s.mesh.world, s.mesh.mesh, q)
	}
	return s.model.Decide(q), nil // what the input does not have, no mesh speaks of
}

// has reports whether the input has the Service, or the Gateway, that is called.
func (s Side) has(q semantics.Request) bool { _, ok := s.units[Callee(q)]; return ok }
