package consul

import (
	"slices"

	"github.com/meshknot/meshknot/translators"
	f "github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// Supports returns the table of what Consul can say, the same in every minor
// that is known. It depends on what the agents do by default: where they deny, a
// workload is closed even under a name that nobody knows.
func (backend) Supports(t translators.Target) f.Table {
	if meshOf(t).allows {
		return allowing
	}
	return denying
}

// The tables are asked for with every unit, so they are put together once.
var (
	denying  = together(onDeny, clientRows, serverRows).Show(shows...).Show(showsDenying...)
	allowing = together(onAllow, clientRows, serverRows).Show(shows...).Show(showsAllowing...)
)

func together(parts ...[]row) f.Table {
	var table f.Table
	for _, r := range slices.Concat(parts...) {
		table = append(table, f.Row{Feature: r.feature, When: r.when, Class: r.class, Note: r.note, Case: r.proof})
	}
	return table
}

type row struct {
	feature f.Feature
	when    []f.Condition
	class   report.Class
	note    string
	proof   string // the golden case
}

type when = []f.Condition

// onDeny and onAllow are the rows that differ by what the agents do.
var (
	onDeny = []row{
		{f.DefaultDeny, when{f.CondUDP}, report.Widened, noUDP, ""},
		{f.DefaultDeny, when{f.CondPodsUnknown}, report.Relocated, "no pod of the account is known, and the agents deny by default", "access/account-without-pods"},
		{f.DefaultDeny, when{f.CondTCP}, report.Approximated, greeted, "split/tcp"},
		{f.DefaultDeny, nil, report.Exact, "", "access/default-deny"},
		{f.Open, nil, report.Narrowed, "the agents deny by default: what no policy names is closed to every caller", "access/default-deny-selected"},
		{f.UnreadyBackend, nil, report.Approximated, outlier + "; the agents deny by default: a Service behind which no account is known is closed to every caller", "routes/weights"},
	}
	onAllow = []row{
		{f.DefaultDeny, when{f.CondUDP}, report.Widened, noUDP, ""},
		{f.DefaultDeny, when{f.CondPodsUnknown}, report.Approximated, "no pod of the account is known, so its Consul service is taken to bear the account's name", "mesh/consul-default-allow"},
		{f.DefaultDeny, when{f.CondTCP}, report.Approximated, greeted, "split/tcp"},
		{f.DefaultDeny, nil, report.Approximated, "an account that no Service is known for is taken to be the Consul service of its name", "mesh/consul-default-allow"},
		{f.Open, nil, report.Narrowed, "a sidecar demands a certificate of every caller, so one in plain text is turned away", "access/default-deny-selected"},
		{f.UnreadyBackend, nil, report.Approximated, outlier + "; where no account is known behind a Service, a caller in plain text is turned away too", "routes/weights"},
	}
)

// clientRows are the rows of routes. Requests are routed, connections are not.
var clientRows = []row{
	{f.RouteSplit, when{f.CondTCP}, report.Dropped, noTCP, ""},
	{f.RouteSplit, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteSplit, when{f.CondMultiPort}, report.Approximated, onePort, "pairs/several-ports-and-split"},
	{f.RouteSplit, when{f.CondHeadless}, report.Approximated, noAddress, "pairs/headless-and-split"},
	{f.RouteSplit, nil, report.Exact, "", "split/weights"},
	{f.RouteBackend, when{f.CondTCP}, report.Approximated, "a service-resolver leads all connections there, also those that another Service sends here", "mesh/consul-tcp-route"},
	{f.RouteBackend, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteBackend, when{f.CondMultiPort}, report.Approximated, onePort, "pairs/several-ports-and-split"},
	{f.RouteBackend, when{f.CondHeadless}, report.Approximated, noAddress, "pairs/headless-and-split"},
	{f.RouteBackend, nil, report.Approximated, "a service has one port in Consul, which is called whichever the route names", "split/weights"},
	{f.RouteInvalidBackend, when{f.CondTCP}, report.Approximated, "the connections go to a service that nobody is, and are closed", "mesh/consul-tcp-route"},
	{f.RouteInvalidBackend, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteInvalidBackend, nil, report.Approximated, "the share goes to a service that nobody is, and fails with status 503", "split/missing-backend"},
	{f.RoutePath, when{f.CondTCP}, report.Dropped, noTCP, ""},
	{f.RoutePath, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RoutePath, nil, report.Approximated, "a caller's proxy routes by the path as it is sent: /a//b and /x/../a/b are not routed as /a/b", "mesh/paths-as-sent"},
	{f.RouteMethod, when{f.CondTCP}, report.Dropped, noTCP, ""},
	{f.RouteMethod, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteMethod, nil, report.Exact, "", "split/match-method"},
	{f.RouteHeader, when{f.CondTCP}, report.Dropped, noTCP, ""},
	{f.RouteHeader, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteHeader, when{f.CondReservedHeader}, report.Dropped, reserved, ""},
	{f.RouteHeader, when{f.CondProxyHeader}, report.Dropped, generated, ""},
	{f.RouteHeader, when{f.CondPresent}, report.Exact, "", "pairs/split-and-header-present"},
	{f.RouteHeader, nil, report.Approximated, joined, "routes/inline-headers"},
	{f.RouteQuery, when{f.CondTCP}, report.Dropped, noTCP, ""},
	{f.RouteQuery, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteQuery, nil, report.Exact, "", "mesh/consul-http-route"},
	{f.RouteStatus, when{f.CondTCP}, report.Approximated, "the connections go to a service that nobody is, and are closed", "routes/istio-tcp-nowhere"},
	{f.RouteStatus, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteStatus, when{f.CondStatus404}, report.Approximated, "Consul cannot refuse a request; it goes to a service that nobody is, and fails with status 503 instead of 404", "mesh/consul-http-route"},
	{f.RouteStatus, nil, report.Approximated, "the requests go to a service that nobody is, and fail with status 503", "mesh/consul-http-route"},
	{f.RouteRedirect, nil, report.Narrowed, "a service-router has no redirects; the requests go to a service that nobody is, and fail with status 503", "routes/redirect"},
	{f.RouteRewrite, when{f.CondRewriteHost}, report.Dropped, "a service-router rewrites no hosts", ""},
	{f.RouteRewrite, when{f.CondRewritePath}, report.Dropped, "a service-router replaces the beginning of a path, not the whole", ""},
	{f.RouteRewrite, nil, report.Exact, "", "mesh/consul-http-route"},
	{f.RouteHeaderEdit, when{f.CondHostHeader}, report.Dropped, "Envoy does not let the host header be edited", ""},
	{f.RouteHeaderEdit, when{f.CondReservedHeader}, report.Dropped, reserved, ""},
	{f.RouteHeaderEdit, when{f.CondPerBackend}, report.Approximated, "what a route and its backend add to one header stands in one line, joined with a comma", "routes/added-twice"},
	{f.RouteHeaderEdit, nil, report.Exact, "", "mesh/consul-http-route"},
	{f.RouteMirror, nil, report.Dropped, "Consul has no mirrors", ""},
	{f.RouteTimeout, when{f.CondPerTry}, report.Dropped, "Consul has no timeout for one attempt", ""},
	{f.RouteTimeout, nil, report.Exact, "", "mesh/consul-http-route"},
	{f.RouteView, nil, report.Dropped, "a service has one router in Consul, for all callers", ""},
	{f.GatewayPort, nil, report.Dropped, "gateways are not translated", ""},
	{f.GatewayHost, nil, report.Dropped, "gateways are not translated", ""},

	{f.Unmatched, nil, report.Approximated, "Consul has no namespaces: Services of one name are one service there, whose pods share what comes to any of them, unless the option service.NS/NAME tells them apart", "pairs/two-namespaces-same-names"},
	{f.Retries, nil, report.Exact, "", "split/weights"},
	{f.Timeouts, when{f.CondTCP}, report.Exact, "", "split/tcp"},
	{f.Timeouts, nil, report.Approximated, "every route written here has none; a Service that no policy routes keeps Consul's own of 15 seconds", "split/weights"},
	{f.ProtocolSelection, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.ProtocolSelection, when{f.CondMultiPort}, report.Approximated, "a service has one port in Consul: it speaks what all ports of the Service do, and else TCP; " + heardEscaped, "routes/foreign-protocol"},
	{f.ProtocolSelection, nil, report.Approximated, "Consul refuses to route between services that do not all speak the same of http, http2 and grpc, as Services of one name do; " + heardEscaped, "routes/foreign-protocol"},
}

// serverRows are the rows of intentions.
var serverRows = []row{
	{f.AccessSource, when{f.CondForeignIdentity}, report.Dropped, "Consul knows callers by service, not by another mesh's identity", ""},
	{f.AccessSource, when{f.CondLookalike}, report.Widened, "Consul knows callers by the name of their service, and others go by the same one", ""},
	{f.AccessSource, nil, report.Exact, "", "access/source"},
	{f.AccessPort, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.AccessPort, when{f.CondTCP}, report.Exact, "", "access/tcp"},
	{f.AccessPort, when{f.CondGRPC}, report.Exact, "", "pairs/grpc-and-access"},
	{f.AccessPort, when{f.CondPlainHTTP}, report.Exact, "", "access/port"},
	{f.AccessPort, nil, report.Dropped, "no Service leads to the port, and a service has one port in Consul, which is not known", ""},
	{f.AccessPath, when{f.CondBrace}, report.Narrowed, "a proxy escapes braces in a path before it compares, so what is granted for a path with one is granted for none", "mesh/star-and-brace"},
	{f.AccessPath, nil, report.Exact, "", "access/path-prefix"},
	{f.AccessMethod, nil, report.Exact, "", "access/method"},
	{f.AccessHeader, when{f.CondReservedHeader}, report.Dropped, reserved, ""},
	{f.AccessHeader, when{f.CondProxyHeader}, report.Dropped, generated, ""},
	{f.AccessHeader, when{f.CondPresent}, report.Exact, "", "access/header-given"},
	{f.AccessHeader, when{f.CondRegex}, report.Narrowed, joined + ": what an expression grants is granted to no value with a comma, so that none spans several", "access/header-regex"},
	{f.AccessHeader, nil, report.Narrowed, joined, "access/header-exact"},
	{f.AccessWhole, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.AccessWhole, nil, report.Exact, "", "access/tcp"},
	{f.AccessSelector, when{f.CondMultiPort}, report.Narrowed, "a service has one port in Consul, and which one is not known: what is granted on some ports of a Service is granted on none", "mesh/consul-several-ports"},
	{f.AccessSelector, when{f.CondPodsUnknown}, report.Approximated, "no pod of the account is known, so its Consul service is taken to bear the account's name", "mesh/consul-default-allow"},
	{f.AccessSelector, nil, report.Approximated, "Consul governs the Services that lead to the pods: whoever else stands behind one is governed alike", "access/source"},

	{f.PathNormalisation, nil, report.Exact, "", "specs/path-normalisation"},
	{f.EncodedSlash, nil, report.Exact, "", "specs/path-normalisation"},
	{f.IdentityMapping, nil, report.Approximated, "callers and callees are Consul services: an account goes by the Services that select its pods, or by its own name where there is none, and a service lets in what all accounts behind it do", "access/one-service-several-accounts"},
	{f.EstablishedConnections, nil, report.Approximated, "a proxy drains connections that stand when an intention changes, in ten minutes by default; until then the old one holds for them", "access/source"},
	{f.Probes, nil, report.Relocated, "Consul's injection leads declared probes to listeners of their own, past every intention", "access/probes"},
}

const (
	noUDP        = "UDP does not pass Consul's proxies"
	heardEscaped = "a backend hears of a brace in the path as %7B or %7D"
	noTCP        = "Consul shares out requests, not connections, which all go to the Service itself"
	outlier      = "a caller that is a Service given here takes out no failing endpoint; any other does after five failures in a row"
	onePort      = "a service has one port in Consul: the routes hold for whichever port that is, if all ports have the same"
	noAddress    = "callers that dial the pods of a headless Service themselves are not routed"
	reserved     = "proxies write headers of this name themselves"
	generated    = "Consul's proxies write this header into every request that lacks it"
	greeted      = "a proxy judges a connection when its caller speaks: a caller who is denied may hear what the server says before, and is then cut off"
	joined       = "the lines of a repeated header are joined with commas, then compared as one"
)
