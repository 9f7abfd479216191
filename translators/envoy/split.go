package envoy

import (
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/xds"
)

// service makes the client side: for each port where its calls go, the cluster
// of its own endpoints, and the listeners that catch the calls.
func service(s ir.Service, o options) ([]translators.Artifact, report.Report) {
	var out []translators.Artifact
	var found report.Report
	uncaught, lost := report.Exact, []report.Ref(nil)
	for _, p := range s.Ports {
		if p.Protocol == ir.UDP {
			continue
		}
		refs := portRefs(s, p)
		out = append(out, artifact(cluster(s, p, o), ir.Audience{}, s.Ref, p.Ref))
		if p.Protocol.IsHTTP() {
			out = append(out, routeConfigs(s, p)...)
		}
		places, err := o.places(s, p)
		if err != nil {
			found = append(found, report.New(report.BadValue, p.Ref, err.Error()))
			continue
		}
		if len(places) == 0 {
			uncaught = worse(uncaught, p)
			lost = append(lost, connectionRefs(p)...)
		}
		for _, at := range places {
			out = append(out, outbounds(s, p, at, refs)...)
		}
	}
	if uncaught != report.Exact {
		const message = "Envoy catches calls by the address called, and no cluster address is known of this Service and those related"
		found = append(found, report.New(report.NoClusterAddress, s.Ref, message).WithClass(uncaught).With(lost...))
	}
	return out, found
}

// connectionRefs are the places that say how connections to a port are shared.
func connectionRefs(p ir.Port) []report.Ref {
	if p.Protocol.IsHTTP() {
		return nil
	}
	return routeRefs(p.AllRoutes())
}

// worse is what becomes of a Service once calls to a port are not caught: the
// routes of an HTTP port are still there to be read, those of connections are
// nowhere.
func worse(c report.Class, p ir.Port) report.Class {
	if p.Protocol.IsHTTP() && c == report.Exact {
		return report.Approximated
	} else if p.Protocol.IsHTTP() {
		return c
	}
	return report.Dropped
}

// cluster is the Service's own endpoints behind a port. The cluster of another
// Service that a route names is made with that Service.
func cluster(s ir.Service, p ir.Port, o options) *clusterv3.Cluster {
	c := xds.Cluster(xds.Host(ir.Name{Namespace: s.Namespace, Name: s.Name}, p.Number))
	c.TransportSocket = o.clientTLS(p.Protocol, xds.ServerNames(s, p, o.trustDomain))
	speak(c, p.Protocol)
	return c
}

// connections returns how the connections to a TCP port are shared: as the
// first route says that looks at no request.
func connections(p ir.Port) []xds.Share {
	for _, r := range p.Routes {
		if slices.ContainsFunc(r.Matches, ir.Match.IsAll) {
			return xds.Shares(r.Backends, p.Number)
		}
	}
	return xds.Shares(nil, p.Number)
}

func portRefs(s ir.Service, p ir.Port) []report.Ref {
	return append([]report.Ref{s.Ref, p.Ref}, routeRefs(p.Routes)...)
}

func routeRefs(routes []ir.Route) []report.Ref {
	var refs []report.Ref
	for _, r := range routes {
		refs = append(refs, r.Refs()...)
		for _, m := range r.Mirrors {
			refs = append(refs, m.Ref)
		}
	}
	return refs
}
