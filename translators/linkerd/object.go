package linkerd

import "github.com/meshknot/meshknot/translators/manifest"

// object is a Kubernetes object, or a part of one, as JSON has it.
type object = manifest.Object

// The order of application: a server closes its port before what opens it again,
// and whatever is referred to stands before what refers to it.
const (
	rankServer = iota
	rankAuthentication
	rankServerRoute
	rankAuthorization
	rankRoute
)

const (
	gatewayGroup  = "gateway.networking.k8s.io"
	policyGroup   = "policy.linkerd.io"
	httpRoutes    = gatewayGroup + "/v1"
	tcpRoutes     = gatewayGroup + "/v1alpha2"
	servers       = policyGroup + "/v1beta3"
	authorization = policyGroup + "/v1alpha1"
)
