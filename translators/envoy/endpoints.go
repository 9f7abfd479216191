package envoy

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
)

// endpoints makes the addresses behind each port of a Service. One that is not
// ready is named as unhealthy, so that a backend without a ready one fails its
// share instead of vanishing from the split.
func endpoints(e ir.Endpoints) []translators.Artifact {
	var out []translators.Artifact
	for _, a := range xds.LoadAssignments(e) {
		out = append(out, artifact(a, ir.Audience{}))
	}
	return out
}
