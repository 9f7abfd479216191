package sink

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/meshknot/meshknot/translators"
)

var (
	istioKinds = []string{
		"networking.istio.io/v1/VirtualService",
		"security.istio.io/v1/AuthorizationPolicy",
		"security.istio.io/v1/PeerAuthentication",
	}
	linkerdKinds = []string{
		"gateway.networking.k8s.io/v1/HTTPRoute",
		"gateway.networking.k8s.io/v1alpha2/TCPRoute",
		"policy.linkerd.io/v1alpha1/AuthorizationPolicy",
		"policy.linkerd.io/v1alpha1/MeshTLSAuthentication",
		"policy.linkerd.io/v1alpha1/NetworkAuthentication",
		"policy.linkerd.io/v1beta3/Server",
	}
	consulKinds = []string{
		"consul.hashicorp.com/v1alpha1/Mesh",
		"consul.hashicorp.com/v1alpha1/ServiceDefaults",
		"consul.hashicorp.com/v1alpha1/ServiceIntentions",
		"consul.hashicorp.com/v1alpha1/ServiceResolver",
		"consul.hashicorp.com/v1alpha1/ServiceRouter",
		"consul.hashicorp.com/v1alpha1/ServiceSplitter",
	}
	gatewayKinds = []string{
		"gateway.networking.k8s.io/v1/GRPCRoute",
		"gateway.networking.k8s.io/v1/HTTPRoute",
		"gateway.networking.k8s.io/v1/TCPRoute",
	}
)

// kindsOf are the types of the objects that a back end makes. A version stays here for
// as long as objects that were written in it may be in force. Authorization beside
// routes of Gateway API is written in the form of one of the others.
var kindsOf = map[string][]string{
	"istio":       istioKinds,
	"linkerd":     linkerdKinds,
	"consul":      consulKinds,
	"gateway-api": slices.Concat(gatewayKinds, istioKinds, linkerdKinds, consulKinds),
}

// Kinds lists the kinds of Kubernetes objects that back ends can make, sorted: what
// has to be allowed to whoever writes for them. A back end of another form has none.
func Kinds(backends ...string) []schema.GroupVersionKind {
	var types []string
	for _, b := range backends {
		types = append(types, kindsOf[b]...)
	}
	slices.Sort(types)
	var out []schema.GroupVersionKind
	for _, t := range slices.Compact(types) {
		out = append(out, kindOf(t))
	}
	return out
}

// AllKinds lists those of all back ends.
func AllKinds() []schema.GroupVersionKind {
	return Kinds(slices.Collect(maps.Keys(kindsOf))...)
}

// kindOf reads the type of an artifact, "group/version/Kind".
func kindOf(artifact string) schema.GroupVersionKind {
	rest, kind := cutLast(artifact)
	group, version := cutLast(rest)
	return schema.GroupVersionKind{Group: group, Version: version, Kind: kind}
}

// cutLast cuts at the last slash; without one all is after it.
func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, '/')
	return s[:max(i, 0)], s[i+1:]
}

// typeOf is the type of the artifacts of a kind.
func typeOf(k schema.GroupVersionKind) string { return k.Group + "/" + k.Version + "/" + k.Kind }

// served is what discovery says of kinds. What is served is remembered until
// forget; a kind that is missing is asked for again each time.
type served struct {
	client discovery.DiscoveryInterface
	mu     sync.Mutex
	known  map[schema.GroupVersionKind]schema.GroupVersionResource
}

// resource finds where a kind is served; it reports false where none is.
func (s *served) resource(ctx context.Context, k schema.GroupVersionKind) (schema.GroupVersionResource, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.known[k]; ok {
		return r, true, nil
	}
	if err := ctx.Err(); err != nil {
		return schema.GroupVersionResource{}, false, err
	}
	list, err := s.client.ServerResourcesForGroupVersion(k.GroupVersion().String())
	if apierrors.IsNotFound(err) {
		return schema.GroupVersionResource{}, false, nil
	}
	if err != nil {
		return schema.GroupVersionResource{}, false, fmt.Errorf("asking what %s has: %w", k.GroupVersion(), err)
	}
	for _, r := range list.APIResources {
		if !strings.Contains(r.Name, "/") {
			s.known[k.GroupVersion().WithKind(r.Kind)] = k.GroupVersion().WithResource(r.Name)
		}
	}
	r, ok := s.known[k]
	return r, ok, nil
}

func (s *served) forget(k schema.GroupVersionKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, k)
}

// noPath reports whether an answer says that there is no such kind, rather than no
// such object.
func noPath(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// placeOf splits the name of an object, "namespace/name".
func placeOf(id translators.ID) (namespace, name string) {
	return cutLast(id.Name)
}
