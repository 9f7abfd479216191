package xds

import (
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/translators/ir"
)

// FaultFilter is the name of the HTTP filter that answers for the shares of
// backends that are not there. Whoever uses Routes must have it in the chain.
const FaultFilter = "envoy.filters.http.fault"

// RouteConfig makes the routes of one port, under its Host name and for every
// authority. Each match of a route becomes a route of its own with the same
// name, in order. finish, when given, completes what is done with a request.
func RouteConfig(s ir.Service, p ir.Port, finish func(*routev3.RouteAction)) *routev3.RouteConfiguration {
	name := Host(ir.Name{Namespace: s.Namespace, Name: s.Name}, p.Number)
	vhost := &routev3.VirtualHost{Name: name, Domains: []string{"*"}}
	for _, r := range p.Routes {
		for _, m := range r.Matches {
			action := Action(r.Backends, p.Number)
			if finish != nil {
				finish(action)
			}
			vhost.Routes = append(vhost.Routes, &routev3.Route{
				Name: r.Name, Match: RouteMatch(m), Action: &routev3.Route_Route{Route: action}})
		}
	}
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{vhost}}
}

// Share is a cluster and its weight.
type Share struct {
	Cluster string
	Weight  uint32
}

// Shares adds up what each cluster gets of the calls to a port, sorted by
// cluster. Backends without weight are left out; invalid ones are Blackhole's.
// There is always a share, and the weights are what proxies accept: they sum up
// to at least one.
func Shares(backends []ir.Backend, called int32) []Share {
	weights := map[string]uint32{}
	for _, b := range backends {
		if b.Weight > 0 {
			weights[clusterOf(b, called)] += b.Weight
		}
	}
	if len(weights) == 0 { // nobody is to get the call, so it fails
		weights[Blackhole] = 1
	}
	out := make([]Share, 0, len(weights))
	for cluster, weight := range weights {
		out = append(out, Share{cluster, weight})
	}
	slices.SortFunc(out, func(a, b Share) int { return strings.Compare(a.Cluster, b.Cluster) })
	return out
}

func clusterOf(b ir.Backend, called int32) string {
	if b.Invalid != "" {
		return Blackhole
	}
	if b.Port == ir.AnyPort {
		return Host(b.Service, called)
	}
	return Host(b.Service, b.Port)
}

// Action sends requests to backends by weight. The share of backends that are
// not there is answered with status 500 by the fault filter: as an entry among
// the weighted clusters it takes part in the one draw that decides, so it is
// exact.
func Action(backends []ir.Backend, called int32) *routev3.RouteAction {
	shares := Shares(backends, called)
	if len(shares) == 1 && shares[0].Cluster != Blackhole {
		return &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: shares[0].Cluster}}
	}
	weighted := &routev3.WeightedCluster{}
	for _, s := range shares {
		w := &routev3.WeightedCluster_ClusterWeight{Name: s.Cluster, Weight: wrapperspb.UInt32(s.Weight)}
		if s.Cluster == Blackhole {
			w.TypedPerFilterConfig = map[string]*anypb.Any{FaultFilter: Any(failing())}
		}
		weighted.Clusters = append(weighted.Clusters, w)
	}
	return &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}}
}

// failing answers every request with status 500.
func failing() *faultv3.HTTPFault {
	return &faultv3.HTTPFault{Abort: &faultv3.FaultAbort{
		ErrorType:  &faultv3.FaultAbort_HttpStatus{HttpStatus: 500},
		Percentage: &typev3.FractionalPercent{Numerator: 100, Denominator: typev3.FractionalPercent_HUNDRED}}}
}
