// Package world is what every server of a benchmark serves: clusters, the
// endpoints of each, and routes, numbered and the same for everybody. Both ends
// make it for themselves, so that what arrives can be compared with what was meant.
package world

import (
	"fmt"
	"hash/maphash"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The type URLs of what a world holds.
const (
	ClusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	EndpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	RouteType    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// World counts what there is. There are as many endpoint resources as clusters.
type World struct {
	Clusters int `json:"clusters"`
	Routes   int `json:"routes"`
}

// Change replaces one resource of a type by its next version.
type Change struct {
	Type    string `json:"type"`
	Index   int    `json:"index"`
	Version int    `json:"version"`
}

// Resource is one resource and its name.
type Resource struct {
	Type    string
	Name    string
	Message proto.Message
}

// Resources lists a world in its first version, clusters before endpoints.
func (w World) Resources() []Resource {
	out := make([]Resource, 0, 2*w.Clusters+w.Routes)
	for _, t := range []string{ClusterType, EndpointType, RouteType} {
		for i := range w.Count(t) {
			out = append(out, Change{Type: t, Index: i}.Resource())
		}
	}
	return out
}

// Count is how many resources of a type there are.
func (w World) Count(typeURL string) int {
	if typeURL == RouteType {
		return w.Routes
	}
	return w.Clusters
}

// Resource is what a change leads to. It panics on a type that no world has.
func (c Change) Resource() Resource {
	name := Name(c.Type, c.Index)
	switch c.Type {
	case ClusterType:
		return Resource{c.Type, name, cluster(name, c.Version)}
	case EndpointType:
		return Resource{c.Type, name, endpoints(name, c.Index, c.Version)}
	case RouteType:
		return Resource{c.Type, name, routes(name, c.Index, c.Version)}
	}
	panic("no world has resources of " + c.Type)
}

// Name of a resource by its number.
func Name(typeURL string, i int) string {
	if typeURL == RouteType {
		return fmt.Sprintf("route-%06d.shop.svc.cluster.local:80", i)
	}
	return fmt.Sprintf("outbound|http|backend-%06d.shop.svc.cluster.local:8080", i)
}

// Names of all resources of a type.
func (w World) Names(typeURL string) []string {
	out := make([]string, w.Count(typeURL))
	for i := range out {
		out[i] = Name(typeURL, i)
	}
	return out
}

// endpoints is one endpoint that moves with each version: 127 bytes.
func endpoints(name string, i, version int) *endpointv3.ClusterLoadAssignment {
	address := &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       fmt.Sprintf("10.%03d.%03d.%03d", 100+version/100%100, 100+i/100%100, 100+i%100),
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(20000 + version%10000)}}}}
	return &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{
		Locality:            &corev3.Locality{Region: "europe-west1", Zone: "europe-west1-b"},
		LoadBalancingWeight: wrapperspb.UInt32(200),
		LbEndpoints: []*endpointv3.LbEndpoint{{
			HealthStatus:   corev3.HealthStatus_HEALTHY,
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address}}}}}}}
}

func cluster(name string, version int) *clusterv3.Cluster {
	most := wrapperspb.UInt32(1<<31 - 1)
	return &clusterv3.Cluster{
		Name:                 name,
		ConnectTimeout:       durationpb.New(5_000_000_000),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig: &clusterv3.Cluster_EdsClusterConfig{EdsConfig: &corev3.ConfigSource{
			ResourceApiVersion:    corev3.ApiVersion_V3,
			ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}}},
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(uint32(1<<20 + version)),
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections: most, MaxPendingRequests: most, MaxRequests: most, MaxRetries: most}}},
	}
}

// routes is a host with two routes, one by a prefix that moves with each version.
func routes(name string, i, version int) *routev3.RouteConfiguration {
	to := func(c int) *routev3.Route_Route {
		return &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: Name(ClusterType, c)}}}
	}
	prefix := func(p string) *routev3.RouteMatch {
		return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: p}}
	}
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{{
		Name:    name,
		Domains: []string{fmt.Sprintf("h%06d.example.com", i)},
		Routes: []*routev3.Route{
			{Name: "api", Match: prefix(fmt.Sprintf("/api/v%06d", version)), Action: to(i % 1000)},
			{Name: "rest", Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}, Action: to((i + 1) % 1000)},
		}}}}
}

// seed is of this process: hashes are compared only where they were made.
var seed = maphash.MakeSeed()

// Hash of a resource as it arrives: its name and its bytes. Hashes are added up,
// so that the order of arrival does not matter.
func Hash(name, body []byte) uint64 {
	return maphash.Bytes(seed, body) ^ 3*maphash.Bytes(seed, name)
}

// Hash of the resource as it must arrive.
func (r Resource) Hash() (uint64, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.Message)
	if err != nil {
		return 0, fmt.Errorf("marshalling %s: %w", r.Name, err)
	}
	return Hash([]byte(r.Name), body), nil
}

// Sum of the hashes of all resources of some types, and their number.
func (w World) Sum(typeURLs ...string) (sum uint64, count int, err error) {
	for _, t := range typeURLs {
		for i := range w.Count(t) {
			h, err := Change{Type: t, Index: i}.Resource().Hash()
			if err != nil {
				return 0, 0, err
			}
			sum += h
			count++
		}
	}
	return sum, count, nil
}
