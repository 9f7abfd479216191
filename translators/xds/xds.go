// Package xds builds the xDS v3 messages that the envoy and the grpc back end
// have in common: routes, clusters, endpoints and RBAC rules. It knows the model
// and the protobuf types, and nothing of either back end.
//
// What it builds is deterministic down to the bytes of nested messages: maps are
// filled from sorted input and every Any is marshalled deterministically.
package xds

import (
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshknot/meshknot/translators/ir"
)

// The type URLs of the resources that are emitted.
const (
	TypeCluster   = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	TypeEndpoints = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	TypeListener  = "type.googleapis.com/envoy.config.listener.v3.Listener"
	TypeRoutes    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// Blackhole is the cluster without endpoints: what is sent there fails. The
// Mesh unit emits it.
const Blackhole = "blackhole"

// Resource says what a resource message is: its type URL, its name, and its
// rank in the order in which proxies should learn of resources (what is
// referred to comes before what refers to it).
func Resource(m proto.Message) (typeURL, name string, rank int) {
	switch m := m.(type) {
	case *clusterv3.Cluster:
		return TypeCluster, m.GetName(), 0
	case *endpointv3.ClusterLoadAssignment:
		return TypeEndpoints, m.GetClusterName(), 1
	case *listenerv3.Listener:
		return TypeListener, m.GetName(), 2
	case *routev3.RouteConfiguration:
		return TypeRoutes, m.GetName(), 3
	}
	panic(fmt.Sprintf("%T is no xDS resource", m))
}

// Host names a port of a Service: "reviews.shop:9080", without the port where
// it is ir.AnyPort. Clusters, endpoints and routes are all named so.
func Host(service ir.Name, port int32) string {
	if port == ir.AnyPort {
		return service.Name + "." + service.Namespace
	}
	return fmt.Sprintf("%s.%s:%d", service.Name, service.Namespace, port)
}

// Any packs a message so that equal messages have equal bytes.
func Any(m proto.Message) *anypb.Any {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil { // only a string that is not UTF-8 can do this, and decoded input has none
		panic(fmt.Sprintf("marshalling %T: %v", m, err))
	}
	return &anypb.Any{TypeUrl: "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName()), Value: b}
}

// ADS is the configuration source "the stream that this came by".
func ADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
}

// Address is a TCP socket address.
func Address(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}}}}
}
