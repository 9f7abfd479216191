package engine

import (
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Made is what there is of a unit, for who reports on it.
type Made struct {
	// Unit as it was compiled; the zero Unit where nothing that it names exists.
	Unit ir.Unit
	// Findings of front ends and, where a defect of ours kept the unit from being
	// compiled (report.Crashed), that: the rest is then what it was before.
	Findings report.Report
	// Pieces in the order of the bounds; of those only that have the unit in scope.
	Pieces []NamedPiece
}

// NamedPiece is what a bound has of a unit.
type NamedPiece struct {
	// Name of the bound.
	Name string
	// Piece that is in force. Findings speak of what was asked for, also where
	// something else is kept.
	translators.Piece
	// Kept: what was asked for is refused, or loses more than the bound's gate lets
	// pass, and what is in force is what KeepGood says.
	Kept bool
}

// Made returns what there is of a unit, and false where no object makes it.
func (e *Engine) Made(k ir.Key) (Made, bool) {
	u := e.units[k]
	if u == nil {
		return Made{}, false
	}
	return e.report(u.made), true
}

// report says what a unit came to.
func (e *Engine) report(m made) Made {
	out := Made{Unit: m.compiled, Findings: slices.Concat(m.findings, m.lost)}
	for _, t := range e.targets {
		if p := m.of(t); p.edition != 0 {
			out.Pieces = append(out.Pieces, NamedPiece{t.name(), p.Piece, p.kept})
		}
	}
	return out
}

// Keys returns the units that an object makes and those that asked for it, by its
// name or by an index, themselves or through what is derived of it; sorted.
func (e *Engine) Keys(id input.ID) []ir.Key {
	var out []ir.Key
	if o := e.objects[id]; o != nil {
		out = append(out, o.keys...)
	}
	seen := map[input.Question]bool{}
	for questions := e.store.Questions(id); len(questions) > 0; {
		q := questions[0]
		questions = questions[1:]
		a := e.graph.asked[q]
		if a == nil || seen[q] {
			continue
		}
		seen[q] = true
		for _, by := range a.by {
			switch {
			case by.unit != nil:
				out = append(out, by.unit.key)
			case by.object == nil:
				questions = append(questions, by.derived)
			}
		}
	}
	slices.SortFunc(out, ir.Key.Compare)
	return slices.Compact(out)
}
