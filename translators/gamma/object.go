package gamma

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// object is a Kubernetes object, or a part of one, as JSON has it.
type object = manifest.Object

// rankRoute is behind whatever denies or allows, in any mesh's order.
const rankRoute = 100

const (
	group      = "gateway.networking.k8s.io"
	apiVersion = group + "/v1"
)

// artifact makes a route object.
func artifact(kind, namespace, name string, spec object, sources []report.Ref) translators.Artifact {
	a := manifest.New(apiVersion, kind, namespace, name, spec, sources)
	a.Rank = rankRoute
	return a
}
