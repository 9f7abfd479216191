package envoy

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/xds"
)

// routeConfigs makes the routes of a port: those of everybody and, under the
// same name, those of each namespace that has its own.
func routeConfigs(s ir.Service, p ir.Port) []translators.Artifact {
	out := []translators.Artifact{artifact(routeConfig(s, p), ir.Audience{}, portRefs(s, p)...)}
	for _, v := range p.Views {
		p.Routes = v.Routes
		out = append(out, artifact(routeConfig(s, p), ir.Audience{Namespace: v.Namespace}, portRefs(s, p)...))
	}
	return out
}

func routeConfig(s ir.Service, p ir.Port) *routev3.RouteConfiguration {
	return xds.RouteConfig(s, p, router{port: p.Number}.complete)
}

// outbounds makes the listeners that catch calls to a port at one place. Requests
// find the routes of who makes them by their name; how connections are shared
// stands in the listener itself, so a namespace with a view has one of its own.
func outbounds(s ir.Service, p ir.Port, at place, refs []report.Ref) []translators.Artifact {
	if p.Protocol.IsHTTP() || len(p.Views) == 0 {
		return []translators.Artifact{artifact(outbound(s, p, at), at.audience, refs...)}
	}
	listener := func(routes []ir.Route) *listenerv3.Listener {
		one := p
		one.Routes = routes
		return outbound(s, one, at)
	}
	out := []translators.Artifact{artifact(listener(p.RoutesFor(at.audience.Namespace)), at.audience, refs...)}
	for _, v := range p.Views {
		if at.audience == (ir.Audience{}) {
			out = append(out, artifact(listener(v.Routes), ir.Audience{Namespace: v.Namespace}, refs...))
		}
	}
	return out
}
