package feed

import (
	"cmp"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
)

// Kind is a kind that a feed follows, in one version.
type Kind struct {
	Group string
	// Version is the one that is read. Where it is empty, it is the one that the API
	// server prefers of those that the schemas know: only one is read, so that an
	// object is seen once.
	Version string
	// Resource is the plural that stands in paths.
	Resource, Kind string
	// Cluster: objects of the kind have no namespace.
	Cluster bool
	// Raw objects are handed out as JSON, status and all, and are not decoded.
	Raw bool
	// KeepJSON: decoded objects come with their JSON, too, without managedFields,
	// and without status unless KeepStatus asks for it.
	KeepJSON, KeepStatus bool
	// Idle: nothing of the kind is read until Follow.
	Idle bool
}

const (
	ownGroup = "meshknot.io"
	coreV1   = "v1"
	gateway  = "gateway.networking.k8s.io"
	split    = "split.smi-spec.io"
	specs    = "specs.smi-spec.io"
	access   = "access.smi-spec.io"
)

// BuiltIn lists the groups of which the API server itself has every kind that is
// read: no CustomResourceDefinition can take them away, and no field of them is
// unknown to it.
func BuiltIn() []string { return []string{"", "apps", "batch", "discovery.k8s.io"} }

type groupKind struct{ group, kind string }

// row is how a kind is called in paths.
type row struct {
	groupKind
	resource string
	// apart says why the kind is read of files only.
	apart string
}

// resources has a row for every kind that has a schema: a plural is never guessed.
var resources = []row{
	{groupKind{"", "Namespace"}, "namespaces", ""},
	{groupKind{"", "Service"}, "services", ""},
	{groupKind{"", "ServiceAccount"}, "serviceaccounts", ""},
	{groupKind{"", "Pod"}, "pods", ""},
	{groupKind{"", "Endpoints"}, "endpoints", "a cluster mirrors them in EndpointSlices"},
	{groupKind{"discovery.k8s.io", "EndpointSlice"}, "endpointslices", ""},
	{groupKind{"apps", "Deployment"}, "deployments", ""},
	{groupKind{"apps", "StatefulSet"}, "statefulsets", ""},
	{groupKind{"apps", "DaemonSet"}, "daemonsets", ""},
	{groupKind{"apps", "ReplicaSet"}, "replicasets", "a cluster keeps those of former revisions, which run nothing; others show by their pods"},
	{groupKind{"batch", "Job"}, "jobs", ""},
	{groupKind{"batch", "CronJob"}, "cronjobs", ""},
	{groupKind{gateway, "GatewayClass"}, "gatewayclasses", ""},
	{groupKind{gateway, "Gateway"}, "gateways", ""},
	{groupKind{gateway, "ListenerSet"}, "listenersets", ""},
	{groupKind{gateway, "ReferenceGrant"}, "referencegrants", ""},
	{groupKind{gateway, "HTTPRoute"}, "httproutes", ""},
	{groupKind{gateway, "GRPCRoute"}, "grpcroutes", ""},
	{groupKind{gateway, "TCPRoute"}, "tcproutes", ""},
	{groupKind{gateway, "TLSRoute"}, "tlsroutes", ""},
	{groupKind{gateway, "UDPRoute"}, "udproutes", ""},
	{groupKind{gateway, "BackendTLSPolicy"}, "backendtlspolicies", ""},
	{groupKind{split, "TrafficSplit"}, "trafficsplits", ""},
	{groupKind{specs, "HTTPRouteGroup"}, "httproutegroups", ""},
	{groupKind{specs, "TCPRoute"}, "tcproutes", ""},
	{groupKind{specs, "UDPRoute"}, "udproutes", ""},
	{groupKind{access, "TrafficTarget"}, "traffictargets", ""},
	{groupKind{access, "IdentityBinding"}, "identitybindings", ""},
}

// own are the kinds of meshknot itself.
var own = []Kind{
	{Group: ownGroup, Version: "v1alpha1", Resource: "meshbindings", Kind: "MeshBinding", Cluster: true, Raw: true},
	{Group: ownGroup, Version: "v1alpha1", Resource: "translationreports", Kind: "TranslationReport", Raw: true},
}

// Kinds returns the kinds that are followed for a pipeline with these schemas,
// and those of meshknot itself, ordered by group and resource. Each needs the
// verbs get, list and watch; beside them, the same on customresourcedefinitions
// of apiextensions.k8s.io lets a feed see at once that a kind comes or goes.
func Kinds(schemas []input.Schema) []Kind {
	out := slices.Clone(own)
	seen := map[groupKind]bool{}
	for _, s := range schemas {
		gk := groupKind{s.Group, s.Kind}
		i := slices.IndexFunc(resources, func(r row) bool { return r.groupKind == gk })
		if i < 0 || seen[gk] || resources[i].apart != "" {
			continue
		}
		seen[gk] = true
		out = append(out, Kind{Group: s.Group, Resource: resources[i].resource, Kind: s.Kind, Cluster: s.Cluster})
	}
	slices.SortFunc(out, func(a, b Kind) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource)) })
	return out
}

// builtIn reports whether the API server itself has a kind.
func (k Kind) builtIn() bool { return slices.Contains(BuiltIn(), k.Group) }

// path is where objects of the kind are served in a version.
func (k Kind) path(version string) string {
	if k.Group == "" {
		return "/api/" + version + "/" + k.Resource
	}
	return "/apis/" + k.Group + "/" + version + "/" + k.Resource
}

// object is where one object is served.
func (k Kind) object(version string, id input.ID) string {
	path := k.path(version)
	if !k.Cluster {
		path = path[:len(path)-len(k.Resource)] + "namespaces/" + id.Namespace + "/" + k.Resource
	}
	return path + "/" + id.Name
}

// definition is the name of the CustomResourceDefinition of the kind.
func (k Kind) definition() string { return k.Resource + "." + k.Group }
