package envoy

import (
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// supports is what Envoy makes of every feature.
var supports = feature.Table{
	{Feature: feature.RouteSplit, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteSplit, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteSplit, When: when(feature.CondPortsUnknown), Class: report.Approximated, Note: uncaught, Case: "split/services-not-given"},
	{Feature: feature.RouteSplit, When: when(feature.CondTCP), Class: report.Exact, Note: "connections are shared, not requests", Case: "split/tcp"},
	{Feature: feature.RouteSplit, Class: report.Exact, Case: "split/weights"},

	{Feature: feature.RouteBackend, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteBackend, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteBackend, When: when(feature.CondPortsUnknown), Class: report.Approximated, Note: uncaught, Case: "split/services-not-given"},
	{Feature: feature.RouteBackend, Class: report.Exact, Case: "split/weights"},

	{Feature: feature.RouteInvalidBackend, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteInvalidBackend, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteInvalidBackend, Class: report.Exact, Case: "split/missing-backend"},

	{Feature: feature.RoutePath, When: when(feature.CondTCP), Class: report.Dropped, Note: noRequests},
	{Feature: feature.RoutePath, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RoutePath, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RoutePath, When: when(feature.CondBrace), Class: report.Narrowed, Note: escaped, Case: "routes/braces"},
	{Feature: feature.RoutePath, Class: report.Exact, Case: "split/match-path"},

	{Feature: feature.RouteMethod, When: when(feature.CondTCP), Class: report.Dropped, Note: noRequests},
	{Feature: feature.RouteMethod, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteMethod, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteMethod, Class: report.Exact, Note: "CONNECT has no path and reaches no route, and methods that nobody has registered are refused", Case: "split/match-method"},

	{Feature: feature.RouteHeader, When: when(feature.CondTCP), Class: report.Dropped, Note: noRequests},
	{Feature: feature.RouteHeader, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteHeader, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteHeader, When: when(feature.CondPresent), Class: report.Exact, Case: "mesh/inline-headers"},
	{Feature: feature.RouteHeader, When: when(feature.CondInlineHeader), Class: report.Approximated, Note: inline, Case: "routes/inline-headers"},
	{Feature: feature.RouteHeader, Class: report.Exact, Case: "split/match-header"},

	{Feature: feature.AccessSource, When: when(feature.CondForeignIdentity), Class: report.Exact,
		Note: "the identity's authority must be among the roots that the proxy is given", Case: "access/identity-binding"},
	{Feature: feature.AccessSource, Class: report.Exact, Case: "access/source"},

	{Feature: feature.AccessPort, When: when(feature.CondSharedTargetPort), Class: report.Widened,
		Note: "the proxy sees the port of the pod, which Service ports without the grant lead to as well"},
	{Feature: feature.AccessPort, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.AccessPort, When: when(feature.CondTCP), Class: report.Exact, Case: "access/tcp"},
	{Feature: feature.AccessPort, When: when(feature.CondAnyHTTPPort), Class: report.Exact,
		Note: "a port that no Service leads to is handled as HTTP", Case: "mesh/any-http-port"},
	{Feature: feature.AccessPort, Class: report.Exact, Case: "access/port"},

	{Feature: feature.AccessPath, When: when(feature.CondBrace), Class: report.Narrowed, Note: escaped, Case: "mesh/star-and-brace"},
	{Feature: feature.AccessPath, When: when(feature.CondRegex), Class: report.Exact, Case: "access/path-regex"},
	{Feature: feature.AccessPath, When: when(feature.CondPrefix), Class: report.Exact, Case: "access/path-prefix"},
	{Feature: feature.AccessPath, When: when(feature.CondSuffix), Class: report.Exact, Case: "access/path-suffix"},
	{Feature: feature.AccessPath, Class: report.Exact, Case: "access/path-exact"},
	{Feature: feature.AccessMethod, Class: report.Exact, Case: "access/method"},
	{Feature: feature.AccessHeader, When: when(feature.CondPresent), Class: report.Exact, Case: "access/header-present"},
	{Feature: feature.AccessHeader, When: when(feature.CondInlineHeader), Class: report.Narrowed,
		Note: inline + "; where that could let more through, a comma is not let through at all", Case: "mesh/inline-headers"},
	{Feature: feature.AccessHeader, When: when(feature.CondRegex), Class: report.Exact, Case: "access/header-regex"},
	{Feature: feature.AccessHeader, Class: report.Exact, Case: "access/header-exact"},

	{Feature: feature.AccessWhole, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.AccessWhole, When: when(feature.CondTCP), Class: report.Exact, Case: "access/tcp"},
	{Feature: feature.AccessWhole, Class: report.Exact, Case: "access/source"},
	{Feature: feature.AccessSelector, Class: report.Exact, Note: "a proxy is told what concerns its own account", Case: "access/source"},

	{Feature: feature.DefaultDeny, When: when(feature.CondUDP), Class: report.Widened,
		Note: "UDP does not pass through the proxy, so its port stays open; close it with a NetworkPolicy and leave it out of the Service"},
	{Feature: feature.DefaultDeny, Class: report.Exact, Case: "access/default-deny"},

	{Feature: feature.Unmatched, Class: report.Exact, Case: "split/match-path"},
	{Feature: feature.Retries, Class: report.Exact, Case: "mesh/retries"},
	{Feature: feature.Timeouts, Class: report.Exact, Note: "an attempt to connect is given up after five seconds", Case: "mesh/timeouts"},
	{Feature: feature.PathNormalisation, When: when(feature.CondPathCondition), Class: report.Approximated,
		Note: "a segment such as \"..;x\" counts as \"..\", a path of slashes alone is \"//\", and characters that no URI can hold are escaped", Case: "mesh/path-normalisation"},
	{Feature: feature.PathNormalisation, Class: report.Exact, Case: "access/source"},
	{Feature: feature.EncodedSlash, Class: report.Exact, Case: "mesh/encoded-slash"},
	{Feature: feature.IdentityMapping, Class: report.Exact, Case: "access/source"},

	{Feature: feature.ProtocolSelection, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.ProtocolSelection, When: when(feature.CondHeadless), Class: report.Narrowed,
		Note: "calls go straight to the pods, without a certificate, so a workload that denies by default denies them", Case: "mesh/headless"},
	{Feature: feature.ProtocolSelection, When: when(feature.CondTCP), Class: report.Exact, Case: "mesh/protocol"},
	{Feature: feature.ProtocolSelection, Class: report.Approximated,
		Note: "a path is passed on in its normal form, in which what no URI can hold is escaped: a backend hears of a brace as %7B or %7D", Case: "mesh/host-with-port"},

	{Feature: feature.UnreadyBackend, Class: report.Exact, Note: "the share fails with status 503", Case: "mesh/unready-backend"},
	{Feature: feature.EstablishedConnections, Class: report.Approximated,
		Note: "a connection keeps its rules until Envoy has drained it, at the latest after --drain-time-s", Case: "access/default-deny"},
	{Feature: feature.Probes, Class: report.Approximated,
		Note: "HTTP and gRPC probes reach the process; a TCP probe is answered by the proxy, whatever the process does", Case: "access/probes"},

	{Feature: feature.Open, Class: report.Exact, Case: "access/default-deny-selected"},

	{Feature: feature.RouteQuery, When: when(feature.CondTCP), Class: report.Dropped, Note: noRequests},
	{Feature: feature.RouteQuery, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteQuery, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteQuery, Class: report.Exact, Case: "routes/conditions"},

	{Feature: feature.RouteStatus, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteStatus, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteStatus, When: when(feature.CondWeightsZero), Class: report.Exact, Case: "routes/no-backends"},
	{Feature: feature.RouteStatus, Class: report.Exact, Note: "a gRPC call hears of it as UNIMPLEMENTED (404) or UNKNOWN (500)", Case: "routes/consumer-and-producer"},

	{Feature: feature.RouteRedirect, When: when(feature.CondTCP), Class: report.Dropped, Note: noRequests},
	{Feature: feature.RouteRedirect, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteRedirect, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteRedirect, Class: report.Exact, Note: "the path in Location is normalised", Case: "routes/redirect"},

	{Feature: feature.RouteRewrite, When: when(feature.CondTCP), Class: report.Dropped, Note: noRequests},
	{Feature: feature.RouteRewrite, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteRewrite, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteRewrite, Class: report.Exact, Case: "routes/rewrite"},

	{Feature: feature.RouteHeaderEdit, When: when(feature.CondTCP), Class: report.Dropped, Note: noRequests},
	{Feature: feature.RouteHeaderEdit, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteHeaderEdit, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteHeaderEdit, When: when(feature.CondHostHeader), Class: report.Approximated,
		Note: "the host can be set; a request has one, so it is neither added nor removed", Case: "gateway/envoy-edits"},
	{Feature: feature.RouteHeaderEdit, Class: report.Exact, Case: "routes/headers"},

	{Feature: feature.RouteMirror, When: when(feature.CondTCP), Class: report.Dropped, Note: noRequests},
	{Feature: feature.RouteMirror, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteMirror, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteMirror, When: when(feature.CondFraction), Class: report.Approximated, Note: "the fraction is rounded to a millionth", Case: "routes/mirror"},
	{Feature: feature.RouteMirror, Class: report.Exact, Note: "a copy has the headers that the original's backend is sent", Case: "routes/mirror"},

	{Feature: feature.RouteTimeout, When: when(feature.CondTCP), Class: report.Dropped, Note: noRequests},
	{Feature: feature.RouteTimeout, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteTimeout, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteTimeout, Class: report.Approximated, Note: "the time runs from the last byte of the request on", Case: "routes/timeouts"},

	{Feature: feature.RouteView, When: when(feature.CondUDP), Class: report.Dropped, Note: noUDP},
	{Feature: feature.RouteView, When: when(feature.CondHeadless), Class: report.Dropped, Note: headless},
	{Feature: feature.RouteView, Class: report.Exact, Case: "routes/consumer-and-producer"},

	{Feature: feature.GatewayPort, Class: report.Exact, Note: "an Envoy that runs as the Gateway's account listens; ports below 1024 it must be allowed to", Case: "gateway/hostnames"},
	{Feature: feature.GatewayHost, Class: report.Exact, Case: "gateway/wildcards"},
}

// What several rows say.
const (
	noUDP      = "UDP does not pass through the proxy"
	headless   = "a headless Service has no address at which its calls could be caught"
	noRequests = "requests cannot be told apart on a TCP port"
	inline     = "Envoy joins the lines of this header by commas and compares them as one"
	escaped    = "Envoy escapes braces in a path before it compares, so the condition holds for no request"
	uncaught   = "routes are made, but no call is caught until the Service and its address are given"
)

func when(c ...feature.Condition) []feature.Condition { return c }
