package cli

import (
	"slices"

	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/verify"
)

// verify decides requests of every kind on the model and on what was made of it.
// A difference that no table explains is an error of that back end; where it
// lets something through, the whole output is withheld.
func (t *translation) verify() {
	world := interpret.WorldOf(t.Units)
	for i := range t.Outputs {
		o := &t.Outputs[i]
		read, ok := all.Interpreter(o.Target.Backend)
		if !ok || o.Withheld {
			continue
		}
		result, err := verify.Check(world, read, *o, t.Pieces[i])
		if err != nil {
			f := report.New(report.MeshRefuses, report.Ref{}, err.Error())
			f.Backend = o.Target.Backend
			o.Findings = append(o.Findings, f)
			continue
		}
		t.asked += result.Asked
		t.differ += len(result.Differences)
		for _, d := range result.Differences {
			if d.Shown != nil {
				t.foretold++
			}
		}
		o.Findings = append(o.Findings, verify.Findings(o.Target.Backend, result.Differences)...).Sorted()
		if slices.ContainsFunc(o.Findings, func(f report.Finding) bool { return f.Code == report.LetsThrough }) {
			o.Artifacts, o.Withheld = nil, true
		}
	}
}
