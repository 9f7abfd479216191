package istio

import "github.com/meshknot/meshknot/translators/manifest"

// object is a Kubernetes object, or a part of one, as JSON has it.
type object = manifest.Object

// The order of application: a deny before what it is the rest of.
const (
	rankDeny = iota
	rankAllow
	rankRoute
)

const (
	networking = "networking.istio.io/v1"
	security   = "security.istio.io/v1"
)
