package xds

import (
	"cmp"
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

// Complete turns an entry, which sends what one match of a route holds for to
// the route's backends, into the entries of a data plane that stand for it.
type Complete func(r ir.Route, entry *routev3.Route) []*routev3.Route

// RouteConfig makes the routes of one port, under its Host name and for every
// authority.
func RouteConfig(s ir.Service, p ir.Port, complete Complete) *routev3.RouteConfiguration {
	name := Host(ir.Name{Namespace: s.Namespace, Name: s.Name}, p.Number)
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{{
		Name: name, Domains: []string{"*"}, Routes: Routes(p.Routes, p.Number, complete)}}}
}

// Routes makes the entries for the routes of a port that is called, in order.
// Each match of a route becomes entries of its own with the same name.
func Routes(routes []ir.Route, called int32, complete Complete) []*routev3.Route {
	var out []*routev3.Route
	for _, r := range routes {
		out = appendRoute(out, r, called, complete)
	}
	return out
}

func appendRoute(out []*routev3.Route, r ir.Route, called int32, complete Complete) []*routev3.Route {
	for _, m := range r.Matches {
		for _, condition := range RouteMatches(m) {
			entry := &routev3.Route{Name: r.Name, Match: condition, Action: &routev3.Route_Route{Route: Action(r, called)}}
			if complete == nil {
				out = append(out, entry)
			} else {
				out = append(out, complete(r, entry)...)
			}
		}
	}
	return out
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
			weights[ClusterOf(b, called)] += b.Weight
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

// ClusterOf names the cluster of a backend of a port that is called.
func ClusterOf(b ir.Backend, called int32) string {
	if b.Invalid != "" {
		return Blackhole
	}
	if b.Port == ir.AnyPort {
		return Host(b.Service, called)
	}
	return Host(b.Service, b.Port)
}

// Action sends requests to a route's backends by weight. The share of backends
// that are not there is answered with status 500 by the fault filter: as an
// entry among the weighted clusters it takes part in the one draw that decides,
// so it is exact. A route that answers by itself is one such share alone, until
// it is completed by what the data plane has for it.
func Action(r ir.Route, called int32) *routev3.RouteAction {
	backends := r.Backends
	if r.Answers() {
		backends = nil
	}
	plain, edited := backends, []ir.Backend(nil)
	if EditsByShare(r) {
		plain, edited = apart(backends)
	}
	shares := Shares(plain, called)
	if len(edited) == 0 && len(shares) == 1 && shares[0].Cluster != Blackhole {
		return &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: shares[0].Cluster}}
	}
	weighted := &routev3.WeightedCluster{}
	if len(plain) > 0 || len(edited) == 0 {
		for _, s := range shares {
			weighted.Clusters = append(weighted.Clusters, clusterWeight(s, cmp.Or(uint32(r.Status), 500)))
		}
	}
	for _, b := range edited {
		w := clusterWeight(Share{ClusterOf(b, called), b.Weight}, 500)
		edit(w, r, b)
		weighted.Clusters = append(weighted.Clusters, w)
	}
	return &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}}
}

// EditsByShare reports whether some share of a route has edits of headers of its
// own. They come after the route's, but a proxy makes them before: so Action
// gives every share the sum of both, and the entry itself must have none.
func EditsByShare(r ir.Route) bool {
	return slices.ContainsFunc(r.Backends, func(b ir.Backend) bool {
		return b.Weight > 0 && b.Invalid == "" && (b.RequestHeaders != nil || b.ResponseHeaders != nil)
	})
}

// apart splits backends with weight into those that are not there, and those
// that keep an entry of their own, also where two lead to the same cluster.
func apart(backends []ir.Backend) (gone, there []ir.Backend) {
	for _, b := range backends {
		switch {
		case b.Weight == 0:
		case b.Invalid == "":
			there = append(there, b)
		default:
			gone = append(gone, b)
		}
	}
	slices.SortStableFunc(there, func(a, b ir.Backend) int {
		return cmp.Or(a.Service.Compare(b.Service), cmp.Compare(a.Port, b.Port))
	})
	return gone, there
}

// edit says what is edited for one share.
func edit(w *routev3.WeightedCluster_ClusterWeight, r ir.Route, b ir.Backend) {
	w.RequestHeadersToAdd, w.RequestHeadersToRemove = Headers(sum(r.RequestHeaders, b.RequestHeaders))
	w.ResponseHeadersToAdd, w.ResponseHeadersToRemove = Headers(sum(r.ResponseHeaders, b.ResponseHeaders))
	if host := cmp.Or(HostOf(b.RequestHeaders), RewrittenHost(r)); host != "" {
		w.HostRewriteSpecifier = &routev3.WeightedCluster_ClusterWeight_HostRewriteLiteral{HostRewriteLiteral: host}
	}
}

func clusterWeight(s Share, status uint32) *routev3.WeightedCluster_ClusterWeight {
	w := &routev3.WeightedCluster_ClusterWeight{Name: s.Cluster, Weight: wrapperspb.UInt32(s.Weight)}
	if s.Cluster == Blackhole {
		w.TypedPerFilterConfig = map[string]*anypb.Any{FaultFilter: Any(failing(status))}
	}
	return w
}

// failing answers every request with a status.
func failing(status uint32) *faultv3.HTTPFault {
	return &faultv3.HTTPFault{Abort: &faultv3.FaultAbort{
		ErrorType:  &faultv3.FaultAbort_HttpStatus{HttpStatus: status},
		Percentage: &typev3.FractionalPercent{Numerator: 100, Denominator: typev3.FractionalPercent_HUNDRED}}}
}
