package ask

import (
	"fmt"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/verify"
)

// Mesh is a back end's output, ready to be asked.
type Mesh struct {
	Target translators.Target
	world  interpret.World
	mesh   interpret.Mesh
	pieces []translators.Piece
	// at finds the piece of a unit.
	at map[ir.Key]int
	// silent says why the back end cannot be asked; empty where it can.
	silent string
}

// The reasons for which a back end cannot be asked.
const (
	// NotModelled: nothing reads the back end's artifacts yet.
	NotModelled = "not modelled"
	// Withheld: its output is withheld, for a deny in it cannot be said.
	Withheld = "withheld"
)

// Translated translates units for a target and reads what comes out as the mesh would.
func (a *Asker) Translated(t translators.Target, units []ir.Unit, w interpret.World) Mesh {
	b, ok := a.pipeline.Backend(t.Backend)
	if !ok {
		return Mesh{Target: t, silent: "no such back end"}
	}
	out, pieces := translators.Make(units, b, t, nil)
	return a.pipeline.read(t, w, pieces, out)
}

// read reads an output, which is made of pieces, as the target's mesh would.
func (p Program) read(t translators.Target, w interpret.World, pieces []translators.Piece, out translators.Output) Mesh {
	m := Mesh{Target: t, world: w, pieces: pieces, at: make(map[ir.Key]int, len(pieces))}
	for i, piece := range pieces {
		m.at[piece.Unit.Key()] = i
	}
	read, ok := p.Interpreter(t.Backend)
	switch {
	case out.Withheld:
		m.silent = Withheld
	case !ok:
		m.silent = NotModelled
	default:
		var err error
		if m.mesh, err = read(w, t, out.Artifacts); err != nil {
			m.silent = fmt.Sprintf("cannot be read: %v", err)
		}
	}
	return m
}

// Silent says why the back end cannot be asked; empty where it can be.
func (m Mesh) Silent() string { return m.silent }

// Decide decides a request by the mesh's artifacts: the first of those that are
// returned route it at the caller's side, the others let it in at the servers'.
func (m Mesh) Decide(q semantics.Request) (d semantics.Decision, routed, admitted []translators.ID) {
	d, by := interpret.Decide(m.world, m.mesh, q)
	n := 0
	if q.Workload == (ir.Name{}) {
		n = min(len(m.mesh.Route(q).By), len(by))
	}
	return d, distinct(by[:n]), distinct(by[n:])
}

func distinct(ids []translators.ID) []translators.ID {
	var out []translators.ID
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// Loss is a place in the input of which a back end does not keep everything.
type Loss struct {
	Ref   report.Ref
	Class report.Class
	// What is lost, and Note says how.
	What, Note string
	// Security: it concerns who may call, so what is dropped is refused.
	Security bool
}

// Losses lists what the back end narrows, drops or would widen, in order.
func (m Mesh) Losses() []Loss {
	var out []Loss
	for _, p := range m.pieces {
		for _, c := range p.Claims {
			if !c.Row.Class.Worse(report.Approximated) {
				continue
			}
			spec := feature.SpecOf(c.Feature)
			if spec.Implicit() && !spec.Security {
				continue // what holds for every policy is no loss of this one
			}
			if l := lossOf(c); !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Loss) int { return a.Ref.Compare(b.Ref) })
	return out
}

// Causes lists the places in the input of which the table says that the mesh
// decides requests otherwise, in the way of an effect. Only the units named are
// looked at; none: all.
func (m Mesh) Causes(q semantics.Request, e report.Effect, among []ir.Key) []Loss {
	var shown, refused []Loss
	d := m.difference(q, e)
	for _, p := range m.among(among) {
		for _, c := range p.Claims {
			l := lossOf(c)
			if slices.ContainsFunc(c.Row.Shows, func(s feature.Shown) bool { return s.Effect == e && verify.HasIn(p.Unit, d, s.On) }) &&
				!slices.Contains(shown, l) {
				shown = append(shown, l)
			}
			// What is refused is taken out: then less is allowed, or calls go astray.
			if (l.Class == report.Dropped || l.Class == report.Widened) && e != report.Allows && !slices.Contains(refused, l) {
				refused = append(refused, l)
			}
		}
	}
	if len(shown) > 0 {
		return shown
	}
	return slices.DeleteFunc(refused, func(l Loss) bool { return l.Ref.IsZero() })
}

// among are the pieces of units, in their order; of none all.
func (m Mesh) among(units []ir.Key) []translators.Piece {
	if len(units) == 0 {
		return m.pieces
	}
	var out []translators.Piece
	for _, k := range units {
		if i, ok := m.at[k]; ok {
			out = append(out, m.pieces[i])
		}
	}
	return out
}

// difference is a request, an effect that it shows and what decides it, as rows
// are asked whether they speak of it.
func (m Mesh) difference(q semantics.Request, e report.Effect) verify.Difference {
	d := verify.Difference{Unit: Callee(q), Request: q, Difference: semantics.Difference{Effect: e}}
	if i, ok := m.at[d.Unit]; ok && q.Service != (ir.Name{}) {
		d.Want = semantics.Outcome(semantics.New([]ir.Unit{m.pieces[i].Unit}).Decide(q))
	}
	if m.mesh != nil {
		_, d.By = interpret.Decide(m.world, m.mesh, q)
	}
	return d
}

func lossOf(c feature.Claim) Loss {
	spec := feature.SpecOf(c.Feature)
	return Loss{c.Ref, c.Row.Class, spec.Title, c.Row.Note, spec.Security}
}
