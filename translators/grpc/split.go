package grpc

import (
	"slices"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/xds"
)

// mesh makes the cluster without endpoints; gRPC knows clusters by EDS only.
func mesh() []translators.Artifact {
	return []translators.Artifact{
		artifact(xds.Cluster(xds.Blackhole), ir.Audience{}),
		artifact(&endpointv3.ClusterLoadAssignment{ClusterName: xds.Blackhole}, ir.Audience{}),
	}
}

// service makes what a client learns of a Service.
func service(s ir.Service, trustDomain string) []translators.Artifact {
	var out []translators.Artifact
	for _, p := range s.Ports {
		if !p.Protocol.IsHTTP() {
			continue
		}
		refs := []report.Ref{s.Ref, p.Ref}
		for _, r := range p.Routes {
			refs = append(refs, r.Ref)
		}
		c := xds.Cluster(xds.Host(ir.Name{Namespace: s.Namespace, Name: s.Name}, p.Number))
		c.TransportSocket = clientTLS(xds.ServerNames(s, p, trustDomain))
		out = append(out,
			artifact(c, ir.Audience{}, s.Ref, p.Ref),
			artifact(entrance(c.GetName()), ir.Audience{}, refs...),
			artifact(routes(s, p, p.Routes), ir.Audience{}, refs...))
		out = append(out, views(s, p)...)
	}
	return out
}

// routes makes routes of a port, those of everybody or of a view.
func routes(s ir.Service, p ir.Port, all []ir.Route) *routev3.RouteConfiguration {
	p.Routes = callable(all)
	return xds.RouteConfig(s, p, complete)
}

// entrance is the Listener that a client asks for by name.
func entrance(host string) *listenerv3.Listener {
	return &listenerv3.Listener{Name: host, ApiListener: &listenerv3.ApiListener{ApiListener: xds.Any(&hcmv3.HttpConnectionManager{
		StatPrefix:     host,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: xds.ADS(), RouteConfigName: host}},
		HttpFilters: []*hcmv3.HttpFilter{
			httpFilter(xds.FaultFilter, &faultv3.HTTPFault{}),
			httpFilter("envoy.filters.http.router", &routerv3.Router{})},
	})}}
}

func httpFilter(name string, config proto.Message) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: xds.Any(config)}}
}

// callable says conditions as a client can hold them. Every call is a POST,
// which clients do not tell their routes: so a match for POST is one for every
// method, and any other stays a condition that never holds. No call has a query,
// and some clients would take a condition on it for none.
func callable(routes []ir.Route) []ir.Route {
	routes = slices.Clone(routes)
	for i := range routes {
		routes[i].Matches = slices.DeleteFunc(slices.Clone(routes[i].Matches), func(m ir.Match) bool { return len(m.Query) > 0 })
		for j, m := range routes[i].Matches {
			if slices.Contains(m.Methods, "POST") {
				routes[i].Matches[j].Methods = []string{ir.AnyMethod}
			}
		}
	}
	return routes
}

// endpoints makes the addresses behind each port of a Service.
func endpoints(e ir.Endpoints) []translators.Artifact {
	var out []translators.Artifact
	for _, a := range xds.LoadAssignments(e) {
		out = append(out, artifact(a, ir.Audience{}))
	}
	return out
}
