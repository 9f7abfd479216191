package envoy_test

import (
	"fmt"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// The cast: a caller that is granted things, one that is not, and who answers.
var (
	web     = ir.Identity{Namespace: "shop", Account: "web"}
	thief   = ir.Identity{Namespace: "shop", Account: "thief"}
	reviews = ir.Identity{Namespace: "shop", Account: "reviews"}
)

func shop(name string) ir.Name { return ir.Name{Namespace: "shop", Name: name} }

var mesh = ir.Unit{Mesh: &ir.Mesh{Access: ir.AccessSelected}}

// backend is a share of a Service that the account reviews answers for.
func backend(name string, port int32, weight uint32) ir.Backend {
	return ir.Backend{Service: shop(name), Port: port, Weight: weight, Servers: []ir.Identity{reviews}}
}

func missing(name string, port int32, weight uint32) ir.Backend {
	b := backend(name, port, weight)
	b.Invalid = "there is no such Service"
	return b
}

func route(name string, matches []ir.Match, backends ...ir.Backend) ir.Route {
	return ir.Route{Name: name, Matches: matches, Backends: backends}
}

var everything = []ir.Match{ir.MatchAll(report.Ref{})}

// service is a Service with one port; the route to itself comes last.
func service(name string, port int32, p ir.Protocol, routes ...ir.Route) ir.Unit {
	routes = append(routes, route("default", everything, backend(name, port, 1)))
	return ir.Unit{Service: &ir.Service{Namespace: "shop", Name: name, Ref: report.Ref{Kind: "Service", Namespace: "shop", Name: name},
		Ports: []ir.Port{{Number: port, Protocol: p, Routes: routes}}}}
}

// endpoint says that a Service's port is answered at a port of this machine.
func endpoint(name string, port, at int32, ready bool) ir.Unit {
	return ir.Unit{Endpoints: &ir.Endpoints{Namespace: "shop", Name: name, Ports: []ir.EndpointsPort{{Number: port,
		Endpoints: []ir.Endpoint{{Address: "127.0.0.1", Port: at, Ready: ready}}}}}}
}

func match(path ir.StringMatch, methods ...string) ir.Match {
	if len(methods) == 0 {
		methods = []string{ir.AnyMethod}
	}
	return ir.Match{Path: path, Methods: methods}
}

func withHeader(m ir.Match, name string, v ir.StringMatch) ir.Match {
	m.Headers = append(m.Headers, ir.HeaderMatch{Name: name, Value: v})
	return m
}

var anyPath = ir.StringMatch{Kind: ir.MatchAny}

func exact(s string) ir.StringMatch  { return ir.StringMatch{Kind: ir.MatchExact, Value: s} }
func prefix(s string) ir.StringMatch { return ir.StringMatch{Kind: ir.MatchPrefix, Value: s} }
func suffix(s string) ir.StringMatch { return ir.StringMatch{Kind: ir.MatchSuffix, Value: s} }
func contains(s string) ir.StringMatch {
	return ir.StringMatch{Kind: ir.MatchContains, Value: s}
}
func regex(s string) ir.StringMatch { return ir.StringMatch{Kind: ir.MatchRegex, Value: s} }

func grant(name string, ports []int32, source ir.Identity, matches ...ir.Match) ir.Grant {
	g := ir.Grant{Name: shop(name), Sources: []ir.Source{{Identity: source}}, Matches: matches}
	for _, p := range ports {
		g.Ports = append(g.Ports, ir.GrantPort{Number: p})
	}
	return g
}

// listen and inbound are the options by which a lab without privileges says
// where proxies stand.
func listen(options map[string]string, service string, port int32, account ir.Identity, at int32) {
	options[fmt.Sprintf("listen.shop/%s:%d", service, port)] = fmt.Sprintf("%s/%s=127.0.0.1:%d", account.Namespace, account.Account, at)
}

func inbound(options map[string]string, account ir.Identity, port, at, process int32) {
	options[fmt.Sprintf("inbound.%s/%s:%d", account.Namespace, account.Account, port)] = fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d", at, process)
}
