package grpc

import (
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// supports is what gRPC applications make of every feature.
var supports = feature.Table{
	{Feature: feature.RouteSplit, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteSplit, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteSplit, When: when(feature.CondPlainHTTP), Class: report.Approximated, Note: plainHTTP, Case: "split/weights"},
	{Feature: feature.RouteSplit, Class: report.Exact, Case: "pairs/grpc-and-split"},

	{Feature: feature.RouteBackend, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteBackend, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteBackend, When: when(feature.CondPlainHTTP), Class: report.Approximated, Note: plainHTTP, Case: "split/weights"},
	{Feature: feature.RouteBackend, Class: report.Exact, Case: "pairs/grpc-and-split"},

	{Feature: feature.RouteInvalidBackend, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteInvalidBackend, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteInvalidBackend, Class: report.Approximated, Note: "the share fails with the gRPC status that stands for 500, UNKNOWN", Case: "split/missing-backend"},

	{Feature: feature.RoutePath, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RoutePath, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RoutePath, When: when(feature.CondPlainHTTP), Class: report.Approximated, Note: plainHTTP, Case: "mesh/paths-as-sent"},
	{Feature: feature.RoutePath, Class: report.Exact, Case: "pairs/grpc-and-split"},

	{Feature: feature.RouteMethod, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteMethod, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteMethod, Class: report.Approximated, Note: "every gRPC call is a POST, so a route for other methods never holds", Case: "mesh/grpc-calls"},

	{Feature: feature.RouteHeader, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteHeader, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteHeader, When: when(feature.CondHostHeader), Class: report.Dropped, Note: "a client does not compare its own authority"},
	{Feature: feature.RouteHeader, When: when(feature.CondBinaryHeader), Class: report.Dropped, Note: "gRPC compares no header whose name ends in -bin"},
	{Feature: feature.RouteHeader, When: when(feature.CondReservedHeader), Class: report.Dropped, Note: "gRPC keeps such headers to itself"},
	{Feature: feature.RouteHeader, Class: report.Approximated, Note: "the lines of a repeated header are compared as one, joined by commas", Case: "mesh/grpc-repeated-headers"},

	{Feature: feature.AccessSource, When: when(feature.CondForeignIdentity), Class: report.Exact,
		Note: "the identity's authority must be among the roots that the server is given", Case: "access/identity-binding"},
	{Feature: feature.AccessSource, Class: report.Exact, Case: "access/source"},

	{Feature: feature.AccessPort, When: when(feature.CondSharedTargetPort), Class: report.Widened,
		Note: "the server sees its own port, which Service ports without the grant lead to as well"},
	{Feature: feature.AccessPort, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.AccessPort, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.AccessPort, When: when(feature.CondAnyHTTPPort), Class: report.Dropped,
		Note: "what a server is told is named by its port, and the workload's ports are not known; give its Services"},
	{Feature: feature.AccessPort, When: when(feature.CondPlainHTTP), Class: report.Approximated, Note: plainHTTP, Case: "access/port"},
	{Feature: feature.AccessPort, Class: report.Exact, Case: "specs/grpc"},

	{Feature: feature.AccessPath, Class: report.Exact, Case: "access/path-exact"},
	{Feature: feature.AccessMethod, Class: report.Exact, Note: "every gRPC call is a POST", Case: "access/method"},
	{Feature: feature.AccessHeader, When: when(feature.CondBinaryHeader), Class: report.Dropped, Note: "gRPC compares no header whose name ends in -bin"},
	{Feature: feature.AccessHeader, When: when(feature.CondReservedHeader), Class: report.Dropped, Note: "gRPC refuses rules about headers that it keeps to itself"},
	{Feature: feature.AccessHeader, When: when(feature.CondPresent), Class: report.Exact, Case: "access/header-present"},
	{Feature: feature.AccessHeader, Class: report.Narrowed,
		Note: "the lines of a repeated header are compared as one, joined by commas; where that could let more through, a comma is not let through at all", Case: "mesh/repeated-headers"},

	{Feature: feature.AccessWhole, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.AccessWhole, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.AccessWhole, Class: report.Exact, Case: "access/source"},
	{Feature: feature.AccessSelector, Class: report.Exact, Note: "a server is told what concerns its own account", Case: "access/source"},

	{Feature: feature.DefaultDeny, When: when(feature.CondUDP), Class: report.Approximated, Note: onlyGRPC, Case: "specs/udp-route"},
	{Feature: feature.DefaultDeny, When: when(feature.CondTCP), Class: report.Approximated, Note: onlyGRPC, Case: "access/tcp"},
	{Feature: feature.DefaultDeny, When: when(feature.CondPlainHTTP), Class: report.Approximated, Note: onlyGRPC, Case: "access/default-deny"},
	{Feature: feature.DefaultDeny, Class: report.Approximated, Note: onlyGRPC, Case: "specs/grpc"},

	{Feature: feature.Unmatched, Class: report.Exact, Case: "split/match-path"},
	{Feature: feature.Retries, Class: report.Approximated, Note: "a call that no server has seen is sent once more, as gRPC always does", Case: "mesh/retries"},
	{Feature: feature.Timeouts, Class: report.Exact, Case: "mesh/timeouts"},
	{Feature: feature.PathNormalisation, Class: report.Approximated,
		Note: "names of methods are not normalised; a server knows each by one spelling only", Case: "mesh/dead-paths"},
	{Feature: feature.EncodedSlash, Class: report.Exact, Case: "mesh/encoded-slash"},
	{Feature: feature.IdentityMapping, Class: report.Exact, Note: "the application must ask for xDS credentials; without them it has no identity and is denied", Case: "access/source"},

	{Feature: feature.ProtocolSelection, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.ProtocolSelection, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.ProtocolSelection, When: when(feature.CondPlainHTTP), Class: report.Approximated, Note: plainHTTP, Case: "mesh/protocol"},
	{Feature: feature.ProtocolSelection, When: when(feature.CondPathCondition), Class: report.Approximated,
		Note: "routes compare names of methods as they are sent; a server knows each by one spelling only", Case: "mesh/grpc-calls"},
	{Feature: feature.ProtocolSelection, Class: report.Exact, Case: "specs/grpc"},

	{Feature: feature.UnreadyBackend, Class: report.Approximated,
		Note: "the share fails with UNAVAILABLE; where no account is known behind a Service its servers are told of no Listener, and without one they do not serve", Case: "routes/weights"},
	{Feature: feature.EstablishedConnections, Class: report.Approximated,
		Note: "a server asks its connections to go when its rules change; calls that run are finished", Case: "access/default-deny"},
	{Feature: feature.Probes, Class: report.Narrowed,
		Note: "a kubelet has no certificate and is turned away; serve health checks on a port without xDS", Case: "access/probes"},

	{Feature: feature.Open, Class: report.Narrowed, Note: "a server demands TLS of every caller, so one in plain text is turned away", Case: "access/default-deny-selected"},

	{Feature: feature.RouteQuery, Class: report.Dropped, Note: "a gRPC call has no query, and some clients would take the condition for none"},
	{Feature: feature.RouteStatus, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteStatus, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteStatus, Class: report.Approximated, Note: "the call fails with the gRPC status that stands for the one of HTTP: UNIMPLEMENTED for 404, UNKNOWN for 500", Case: "routes/no-backends"},
	{Feature: feature.RouteRedirect, Class: report.Dropped, Note: "clients follow no redirects, and refuse routes that make some"},
	{Feature: feature.RouteRewrite, Class: report.Dropped, Note: "clients call what they call; nothing rewrites it"},
	{Feature: feature.RouteHeaderEdit, Class: report.Dropped, Note: "clients edit no metadata"},
	{Feature: feature.RouteMirror, Class: report.Dropped, Note: "clients send no copies"},
	{Feature: feature.RouteTimeout, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteTimeout, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteTimeout, Class: report.Approximated, Note: "the call ends with DEADLINE_EXCEEDED, a long stream too", Case: "routes/timeouts"},
	{Feature: feature.RouteView, When: when(feature.CondTCP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteView, When: when(feature.CondUDP), Class: report.Dropped, Note: noTCP},
	{Feature: feature.RouteView, When: when(feature.CondPlainHTTP), Class: report.Approximated, Note: plainHTTP, Case: "routes/consumer-and-producer"},
	{Feature: feature.RouteView, Class: report.Exact, Case: "routes/envoy-grpc-consumer"},
	{Feature: feature.GatewayPort, Class: report.Dropped, Note: noGateway},
	{Feature: feature.GatewayHost, Class: report.Dropped, Note: noGateway},
}

// What several rows say.
const (
	noTCP     = "gRPC applications configure gRPC and nothing else"
	noGateway = "gRPC applications are no gateways; another back end makes them"
	plainHTTP = "holds where both ends speak gRPC through xDS"
	onlyGRPC  = "only servers that speak gRPC through xDS are guarded; every other port of the pods needs another back end"
)

func when(c ...feature.Condition) []feature.Condition { return c }
