package webhook

import "github.com/meshknot/meshknot/crds/v1alpha1"

// Kind is a kind whose objects are judged.
type Kind struct {
	Group, Resource, Kind string
	// Versions that an API server may send. A request in another version of the
	// kind is converted by the server, as matchPolicy Equivalent says.
	Versions []string
	Cluster  bool
	// Ours: a kind of this project. While the webhook is away nothing of it changes.
	Ours bool
	// Label, if set, has to be "true" on what is judged.
	Label string
}

// PolicyLabel marks a ConfigMap that holds rules.
const PolicyLabel = "meshknot.io/policy"

// The groups.
const (
	splitGroup   = "split.smi-spec.io"
	specsGroup   = "specs.smi-spec.io"
	accessGroup  = "access.smi-spec.io"
	gatewayGroup = "gateway.networking.k8s.io"
)

// Kinds lists the kinds that are judged. A test holds it against the schemas of
// the front ends.
func Kinds() []Kind {
	four := []string{"v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"}
	return []Kind{
		{Group: splitGroup, Resource: "trafficsplits", Kind: "TrafficSplit", Versions: four},
		{Group: specsGroup, Resource: "httproutegroups", Kind: "HTTPRouteGroup", Versions: four},
		{Group: specsGroup, Resource: "tcproutes", Kind: "TCPRoute", Versions: four},
		{Group: specsGroup, Resource: "udproutes", Kind: "UDPRoute", Versions: four[3:]},
		{Group: accessGroup, Resource: "traffictargets", Kind: "TrafficTarget", Versions: four},
		{Group: accessGroup, Resource: "identitybindings", Kind: "IdentityBinding", Versions: four[3:]},
		{Group: gatewayGroup, Resource: "gatewayclasses", Kind: "GatewayClass", Versions: []string{"v1beta1", "v1"}, Cluster: true},
		{Group: gatewayGroup, Resource: "gateways", Kind: "Gateway", Versions: []string{"v1beta1", "v1"}},
		{Group: gatewayGroup, Resource: "listenersets", Kind: "ListenerSet", Versions: []string{"v1"}},
		{Group: gatewayGroup, Resource: "referencegrants", Kind: "ReferenceGrant", Versions: []string{"v1alpha2", "v1beta1", "v1"}},
		{Group: gatewayGroup, Resource: "httproutes", Kind: "HTTPRoute", Versions: []string{"v1beta1", "v1"}},
		{Group: gatewayGroup, Resource: "grpcroutes", Kind: "GRPCRoute", Versions: []string{"v1alpha2", "v1"}},
		{Group: gatewayGroup, Resource: "tcproutes", Kind: "TCPRoute", Versions: []string{"v1alpha2", "v1"}},
		{Group: gatewayGroup, Resource: "tlsroutes", Kind: "TLSRoute", Versions: []string{"v1alpha2", "v1alpha3", "v1"}},
		{Group: gatewayGroup, Resource: "udproutes", Kind: "UDPRoute", Versions: []string{"v1alpha2", "v1"}},
		{Group: gatewayGroup, Resource: "backendtlspolicies", Kind: "BackendTLSPolicy", Versions: []string{"v1alpha3", "v1"}},
		{Group: v1alpha1.Group, Resource: v1alpha1.ResourceMeshBindings, Kind: v1alpha1.KindMeshBinding, Versions: []string{v1alpha1.Version}, Cluster: true, Ours: true},
		{Group: v1alpha1.Group, Resource: v1alpha1.ResourceTranslationReports, Kind: v1alpha1.KindTranslationReport, Versions: []string{v1alpha1.Version}, Ours: true},
		{Resource: "configmaps", Kind: "ConfigMap", Versions: []string{"v1"}, Label: PolicyLabel},
	}
}

// kindName is that of a kind, group and all.
type kindName struct{ group, kind string }

// kindNames are those of all kinds, each with whether its objects are previewed: all
// but those that no unit is made of.
func kindNames() map[kindName]bool {
	out := map[kindName]bool{}
	for _, k := range Kinds() {
		out[kindName{k.Group, k.Kind}] = k.Group != "" && k.Group != v1alpha1.Group
	}
	return out
}
