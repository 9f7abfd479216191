package gamma

import (
	f "github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// shows is how the rows that are not exact show themselves: where a mesh compares
// paths as they were sent another route may be taken, with all that belongs to it.
func shows() []f.Shown {
	var out []f.Shown
	for _, on := range []when{nil, {f.CondPrefix}, {f.CondRegex}} {
		for _, effect := range []report.Effect{report.Strays, report.Fails, report.Edits, report.Mirrors, report.Times} {
			out = append(out, f.Shown{Feature: f.RoutePath, When: on, Effect: effect, On: f.OnRawPath})
		}
	}
	return out
}
