package xds

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// kind is a type of resource. Kinds are in the order in which proxies learn of
// them: what is referred to comes before what refers to it.
type kind uint8

const (
	clusters kind = iota
	endpoints
	listeners
	routes
	scopedRoutes
	virtualHosts
	secrets
	extensions
	runtimes
	kinds
)

var kindURLs = [kinds]string{
	clusters:     "type.googleapis.com/envoy.config.cluster.v3.Cluster",
	endpoints:    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
	listeners:    "type.googleapis.com/envoy.config.listener.v3.Listener",
	routes:       "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
	scopedRoutes: "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration",
	virtualHosts: "type.googleapis.com/envoy.config.route.v3.VirtualHost",
	secrets:      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
	extensions:   "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
	runtimes:     "type.googleapis.com/envoy.service.runtime.v3.Runtime",
}

// kindOf finds the kind that a type URL names.
func kindOf(url string) (kind, bool) {
	for k, u := range kindURLs {
		if u == url {
			return kind(k), true
		}
	}
	return 0, false
}

func (k kind) url() string { return kindURLs[k] }

// whole reports whether a state-of-the-world response is all that there is of
// the kind, so that what it does not hold is gone, and whether an empty list of
// names can mean everything.
func (k kind) whole() bool { return k == clusters || k == listeners }

// children is the kind of what resources of a kind make a proxy ask for anew
// when they change.
func (k kind) children() (kind, bool) {
	switch k {
	case clusters:
		return endpoints, true
	case listeners:
		return routes, true
	}
	return 0, false
}

// referrers are the kinds whose resources refer to those of a kind.
var referrers = [kinds][]kind{
	clusters:     {listeners, routes, scopedRoutes, virtualHosts},
	endpoints:    {listeners, routes, scopedRoutes, virtualHosts},
	routes:       {listeners, scopedRoutes},
	scopedRoutes: {listeners},
	virtualHosts: {routes},
	secrets:      {clusters, listeners},
	extensions:   {listeners, routes},
}

// refers reports whether resources of a kind, but for clusters, refer to others.
func (k kind) refers() bool {
	return k == listeners || k == routes || k == scopedRoutes || k == virtualHosts
}

// resource is an artifact as it is sent. It is never changed, and all streams
// share its bytes.
type resource struct {
	kind     kind
	name     string
	audience ir.Audience
	refs     []report.Ref
	children []string // names of the kind of its children
	hash     uint64   // of the content
	version  string   // the hash as text; replicas agree on it
	// delta and sotw are the field "resources" of either protocol's response. One
	// buffer serves both: the second is the end of the first.
	delta, sotw mem.Buffer
}

// same reports whether two resources, or none, have the same content.
func same(a, b *resource) bool {
	return a == b || a != nil && b != nil && a.hash == b.hash
}

// versionOf writes a hash as a version: 11 characters.
func versionOf(hash uint64) string {
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, hash))
}

// encode checks that an artifact can be served, and encodes it once for all.
func encode(a translators.Artifact) (*resource, error) {
	m, ok := a.Payload.(proto.Message)
	k, known := kindOf(a.ID.Type)
	if !ok || !known || "type.googleapis.com/"+string(m.ProtoReflect().Descriptor().FullName()) != a.ID.Type || nameOf(m) != a.ID.Name {
		return nil, fmt.Errorf("artifact %s %s is no xDS resource of that name", a.ID.Type, a.ID.Name)
	}
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("marshalling %s %s: %w", a.ID.Type, a.ID.Name, err)
	}
	sum := sha256.Sum256(value)
	r := &resource{kind: k, name: a.ID.Name, audience: a.Audience, refs: a.Refs, children: childrenOf(m),
		hash: binary.BigEndian.Uint64(sum[:])}
	r.version = versionOf(r.hash)
	r.frame(value)
	return r, nil
}

// nameOf is the name of a resource message; none for what is no resource.
func nameOf(m proto.Message) string {
	switch m := m.(type) {
	case interface{ GetClusterName() string }:
		return m.GetClusterName()
	case interface{ GetName() string }:
		return m.GetName()
	}
	return ""
}

// The numbers of the fields that are written: of DeltaDiscoveryResponse and of
// DiscoveryResponse, of Resource in a delta, and of Any.
const (
	fieldVersion   = 1
	fieldResources = 2
	fieldTypeURL   = 4
	fieldNonce     = 5
	fieldRemoved   = 6

	resourceVersion = 1
	resourceAny     = 2
	resourceName    = 3

	anyURL   = 1
	anyValue = 2
)

// frame encodes the field "resources" of a delta response. The Any comes last in
// it, and because the field of the Any has the number that the field "resources"
// has in the other protocol, the end of the one is all of the other.
func (r *resource) frame(value []byte) {
	field := func(n int) int { return 1 + protowire.SizeBytes(n) }
	url := r.kind.url()
	inAny := field(len(url)) + field(len(value))
	inResource := field(len(r.version)) + field(len(r.name)) + field(inAny)
	b := make([]byte, 0, field(inResource))
	b = protowire.AppendTag(b, fieldResources, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inResource))
	b = appendText(b, resourceVersion, r.version)
	b = appendText(b, resourceName, r.name)
	start := len(b)
	b = protowire.AppendTag(b, resourceAny, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inAny))
	b = appendText(b, anyURL, url)
	b = protowire.AppendTag(b, anyValue, protowire.BytesType)
	b = protowire.AppendBytes(b, value)
	r.delta, r.sotw = mem.SliceBuffer(b), mem.SliceBuffer(b[start:])
}

func appendText(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

// childrenOf names what a proxy asks for when it has taken over a resource.
func childrenOf(m proto.Message) []string {
	switch m := m.(type) {
	case *clusterv3.Cluster:
		if m.GetType() == clusterv3.Cluster_EDS {
			if name := m.GetEdsClusterConfig().GetServiceName(); name != "" {
				return []string{name}
			}
			return []string{m.GetName()}
		}
	case *listenerv3.Listener:
		return routesOf(m)
	}
	return nil
}

// routesOf names the route tables that a listener asks for.
func routesOf(l *listenerv3.Listener) []string {
	var out []string
	add := func(config *anypb.Any) {
		var m hcmv3.HttpConnectionManager
		if config.MessageIs(&m) && config.UnmarshalTo(&m) == nil && m.GetRds().GetRouteConfigName() != "" {
			out = append(out, m.GetRds().GetRouteConfigName())
		}
	}
	add(l.GetApiListener().GetApiListener())
	for _, chain := range append(l.GetFilterChains(), l.GetDefaultFilterChain()) {
		for _, f := range chain.GetFilters() {
			add(f.GetTypedConfig())
		}
	}
	return out
}
