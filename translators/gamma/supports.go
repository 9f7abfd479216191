package gamma

import (
	"slices"

	f "github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

type row struct {
	feature f.Feature
	when    []f.Condition
	class   report.Class
	note    string
	proof   string // the golden case
}

type when = []f.Condition

// alone is the table without authorization; routing begins every table.
var (
	routing = slices.Concat(unroutable(), table(conditional), table(general)).Show(shows()...)
	alone   = slices.Concat(routing, unauthorized())
)

func table(rows []row) f.Table {
	var out f.Table
	for _, r := range rows {
		out = append(out, f.Row{Feature: r.feature, When: r.when, Class: r.class, Note: r.note, Case: r.proof})
	}
	return out
}

// unroutable are the rows of what no route can be attached to.
func unroutable() f.Table {
	var out f.Table
	for _, feature := range []f.Feature{f.RouteSplit, f.RouteBackend, f.RouteInvalidBackend, f.RoutePath, f.RouteMethod, f.RouteHeader,
		f.RouteQuery, f.RouteStatus, f.RouteRedirect, f.RouteRewrite, f.RouteHeaderEdit, f.RouteMirror, f.RouteTimeout, f.RouteView} {
		for _, c := range []struct {
			when f.Condition
			note string
		}{
			{f.CondGateway, asGiven},
			{f.CondUDP, "no mesh routes what is sent by UDP"},
			{f.CondHeadless, "a headless Service cannot be the parent of a route"},
			{f.CondPortsUnknown, "a backend is named with its port, and the Service is not given"},
		} {
			out = append(out, f.Row{Feature: feature, When: when{c.when}, Class: report.Dropped, Note: c.note})
		}
	}
	return out
}

// conditional are the rows that hold under a condition.
var conditional = []row{
	{f.RouteSplit, when{f.CondTLS}, report.Approximated, overTLS, "split/tls-port"},
	{f.RouteBackend, when{f.CondTLS}, report.Approximated, overTLS, "split/tls-port"},
	{f.RouteBackend, when{f.CondForeignNamespace}, report.Relocated, "where a mesh asks for a ReferenceGrant in the backend's namespace, that of the input goes on to permit it", "routes/foreign-backend"},
	{f.RoutePath, when{f.CondPrefix}, report.Approximated, asExpression, "mesh/paths-as-sent"},
	{f.RoutePath, when{f.CondSuffix}, report.Approximated, asExpression, "mesh/gamma-expressions"},
	{f.RoutePath, when{f.CondContains}, report.Approximated, asExpression, "mesh/gamma-expressions"},
	{f.RoutePath, when{f.CondRegex}, report.Approximated, asExpression, "mesh/paths-as-sent"},
	{f.RouteHeader, when{f.CondReservedHeader}, report.Approximated, "proxies write headers of this name themselves", "mesh/gamma-grpc"},
	{f.RouteHeader, when{f.CondRepeatedName}, report.Dropped, "a match has one condition on each header", ""},
	{f.RouteHeader, when{f.CondHostHeader}, report.Approximated, "HTTP/2 has no such header; most meshes compare with the authority", "pairs/host-header"},
	{f.RouteHeader, when{f.CondPresent}, report.Approximated, "presence is a regular expression, whose support is up to the mesh", "pairs/split-and-header-present"},
	{f.RouteQuery, when{f.CondRepeatedName}, report.Dropped, "a match has one condition on each query parameter", ""},
	{f.Retries, when{f.CondTCP}, report.Exact, "", "split/tcp"},
}

// general are the rows that hold where no row before does.
var general = []row{
	{f.RouteSplit, nil, report.Exact, "", "split/weights"},
	{f.RouteBackend, nil, report.Exact, "", "split/weights"},
	{f.RouteInvalidBackend, nil, report.Exact, "", "split/missing-backend"},
	{f.RoutePath, nil, report.Approximated, "Gateway API does not say whether a path is normalised first: /a//b may not be routed as /a/b", "mesh/paths-as-sent"},
	{f.RouteMethod, nil, report.Exact, "", "split/match-method"},
	{f.RouteHeader, nil, report.Approximated, "Gateway API leaves open what a header is compared as that is sent twice", "split/match-header"},
	{f.RouteQuery, nil, report.Approximated, "Gateway API leaves open which one counts of a query parameter that is sent twice", "routes/istio-query"},
	{f.RouteStatus, when{f.CondStatus404}, report.Exact, "", "routes/conditions"},
	{f.RouteStatus, nil, report.Exact, "", "routes/no-backends"},
	{f.RouteRedirect, nil, report.Exact, "", "routes/redirect"},
	{f.RouteRewrite, nil, report.Exact, "", "routes/rewrite"},
	{f.RouteHeaderEdit, nil, report.Exact, "", "routes/headers"},
	{f.RouteMirror, nil, report.Exact, "", "routes/mirror"},
	{f.RouteTimeout, nil, report.Exact, "", "routes/timeouts"},
	{f.RouteView, nil, report.Exact, "", "routes/consumer-and-producer"},
	{f.GatewayPort, nil, report.Dropped, asGiven, ""},
	{f.GatewayHost, nil, report.Dropped, asGiven, ""},
	{f.Unmatched, nil, report.Exact, "", "split/match-header"},
	{f.Retries, nil, report.Approximated, "no route can say that there are none: Istio makes two where nothing is said", "split/weights"},
	{f.Timeouts, nil, report.Approximated, "without one the time is up to the mesh; those that are known set none", "split/weights"},
	{f.ProtocolSelection, nil, report.Approximated, "the kind of the route tells; some meshes go by appProtocol or the port's name first", "specs/grpc"},
	{f.UnreadyBackend, nil, report.Approximated, "Gateway API recommends 503 for this share; Linkerd gives it to the others", "split/weights"},
}

const (
	overTLS      = "a mesh that tells TLS by the name asked for may pass over a TCPRoute"
	asExpression = "PathPrefix holds for whole segments, so this is a regular expression: its support, and its place among other matches, is up to the mesh"
	asGiven      = "a Gateway and what is attached to it are in this form already, and are left as they are"
	noAccess     = "Gateway API has no authorization: --authorization istio, linkerd or consul writes it in the form of that mesh"
)

// unauthorized are the rows of access without anybody to write it.
func unauthorized() f.Table {
	var out f.Table
	for _, s := range f.Specs() {
		switch {
		case s.Feature == f.Open: // nothing has to be said
			out = append(out, f.Row{Feature: s.Feature, Class: report.Exact, Case: "access/default-deny-selected"})
		case s.Unit == ir.KindWorkload:
			out = append(out, f.Row{Feature: s.Feature, Class: report.Dropped, Note: noAccess})
		}
	}
	return out
}
