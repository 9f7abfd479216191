package xds

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/translators/ir"
)

// ConnectTimeout ends an attempt to connect; no wait can be endless here.
const ConnectTimeout = 5 * time.Second

// Cluster makes a cluster whose endpoints come by EDS under its own name. What
// proxies would do on their own account is written out and switched off: no
// ejection of endpoints that fail, no limits, no use of endpoints that are not
// ready.
func Cluster(name string) *clusterv3.Cluster {
	c := Unlimited(name)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: ADS()}
	c.LbPolicy = clusterv3.Cluster_ROUND_ROBIN
	c.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{HealthyPanicThreshold: &typev3.Percent{Value: 0}}
	return c
}

// Unlimited makes a cluster, still without a type, that limits nothing.
func Unlimited(name string) *clusterv3.Cluster {
	most := wrapperspb.UInt32(math.MaxUint32)
	return &clusterv3.Cluster{
		Name:           name,
		ConnectTimeout: durationpb.New(ConnectTimeout),
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			Priority:           corev3.RoutingPriority_DEFAULT,
			MaxConnections:     most,
			MaxPendingRequests: most,
			MaxRequests:        most,
			MaxRetries:         most,
		}}},
	}
}

// ServerNames are the comparisons of which one must hold for the certificate of
// whoever answers for the Service itself: its known accounts or, where none is
// known, any account of its namespace.
func ServerNames(s ir.Service, p ir.Port, trustDomain string) []*matcherv3.StringMatcher {
	self := ir.Name{Namespace: s.Namespace, Name: s.Name}
	var uris []string
	for _, id := range p.Servers {
		uris = append(uris, id.URI(trustDomain))
	}
	for _, r := range p.AllRoutes() {
		for _, b := range r.Backends {
			if b.Service != self {
				continue
			}
			for _, id := range b.Servers {
				uris = append(uris, id.URI(trustDomain))
			}
		}
	}
	slices.Sort(uris)
	var out []*matcherv3.StringMatcher
	for _, uri := range slices.Compact(uris) {
		out = append(out, StringMatcher(ir.StringMatch{Kind: ir.MatchExact, Value: uri}))
	}
	if out == nil {
		namespace := ir.Identity{Namespace: s.Namespace}.URI(trustDomain)
		out = append(out, StringMatcher(ir.StringMatch{Kind: ir.MatchPrefix, Value: namespace}))
	}
	return out
}

// LoadAssignments makes the endpoints of each port of a Service. An address is
// named once, and always within a locality of weight one in the first priority,
// without which gRPC sees none of them.
func LoadAssignments(e ir.Endpoints) []*endpointv3.ClusterLoadAssignment {
	var out []*endpointv3.ClusterLoadAssignment
	for _, p := range e.Ports {
		a := &endpointv3.ClusterLoadAssignment{ClusterName: Host(ir.Name{Namespace: e.Namespace, Name: e.Name}, p.Number)}
		if ends := lbEndpoints(p.Endpoints); len(ends) > 0 {
			a.Endpoints = []*endpointv3.LocalityLbEndpoints{{
				Locality: &corev3.Locality{}, LoadBalancingWeight: wrapperspb.UInt32(1), LbEndpoints: ends}}
		}
		out = append(out, a)
	}
	return out
}

func lbEndpoints(all []ir.Endpoint) []*endpointv3.LbEndpoint {
	all = slices.Clone(all)
	slices.SortFunc(all, compareEndpoints)
	all = slices.CompactFunc(all, func(a, b ir.Endpoint) bool { return a.Address == b.Address && a.Port == b.Port })
	var out []*endpointv3.LbEndpoint
	for _, e := range all {
		health := corev3.HealthStatus_HEALTHY
		if !e.Ready {
			health = corev3.HealthStatus_UNHEALTHY
		}
		out = append(out, &endpointv3.LbEndpoint{HealthStatus: health,
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Address: Address(e.Address, uint32(e.Port))}}})
	}
	return out
}

// compareEndpoints orders by address and port, a ready endpoint before its
// twin that is not.
func compareEndpoints(a, b ir.Endpoint) int {
	return cmp.Or(strings.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port), cmp.Compare(unready(a), unready(b)))
}

func unready(e ir.Endpoint) int {
	if e.Ready {
		return 0
	}
	return 1
}
