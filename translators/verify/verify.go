// Package verify decides requests on the model and on what was made of it, and
// reports where the two differ and no table says so. The table explains, the
// check decides.
package verify

import (
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Rounding is by how many percent a share may differ from the one that is
// meant: weights are rounded to a mesh's own grid.
const Rounding = 0.01

// Difference is a request that a mesh decides otherwise than the model, as far
// as the model was told to the mesh.
type Difference struct {
	Unit    ir.Key
	Request semantics.Request
	semantics.Difference
	// Shown is what the table says of it; nil where nothing does.
	Shown *feature.Shown
	// By are the artifacts that decide, and Because the places in the input.
	By      []translators.ID
	Because []report.Ref
}

// Result is what comes of a check.
type Result struct {
	// Asked counts the questions that the model and the output were both asked.
	Asked int
	// Differences in order of the units, those that a table explains too.
	Differences []Difference
}

// Check holds an output against the model, unit by unit: where its callers are
// sent, and whom its servers let in. Pieces are those that the output was
// assembled of. The error says what the mesh would refuse to take.
func Check(w interpret.World, read interpret.New, out translators.Output, pieces []translators.Piece) (Result, error) {
	mesh, err := read(w, out.Target, out.Artifacts)
	if err != nil {
		return Result{}, err
	}
	c := newChecker(w, mesh, out, pieces)
	found := make([]Result, len(pieces))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range pieces {
		g.Go(func() error { found[i] = c.unit(pieces[i]); return nil })
	}
	_ = g.Wait() // nothing fails: differences are values
	var all Result
	for _, f := range found {
		all.Asked += f.Asked
		all.Differences = append(all.Differences, f.Differences...)
	}
	return all, nil
}

// Findings turns the unexplained differences into errors, one for each unit and
// effect, with the first request that shows it. A call that is let through
// though it must not be is told apart: nothing of that output may be used.
func Findings(backend string, found []Difference) report.Report {
	var out report.Report
	type told struct {
		unit   ir.Key
		effect report.Effect
	}
	seen := map[told]bool{}
	for _, d := range found {
		k := told{d.Unit, d.Effect}
		if d.Shown != nil || seen[k] {
			continue
		}
		seen[k] = true
		code := report.Unexplained
		if d.Effect == report.Allows {
			code = report.LetsThrough
		}
		var at report.Ref
		if len(d.Because) > 0 {
			at = d.Because[0]
		}
		f := report.New(code, at, fmt.Sprintf("%s: %s %s%s", d.Unit, d.Request, d.Difference, by(d.By)))
		f.Backend = backend
		out = append(out, f)
	}
	return out
}

func by(ids []translators.ID) string {
	if len(ids) == 0 {
		return ""
	}
	return fmt.Sprintf(" (by %s %s)", ids[0].Type[strings.LastIndexAny(ids[0].Type, "/.")+1:], ids[0].Name)
}
