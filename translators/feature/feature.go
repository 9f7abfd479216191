// Package feature accounts for what a policy uses against what a back end can
// say. Losses are found from tables, not remembered by authors: every unit is
// walked once, every node that means something is a Use, and every Use finds
// its row in the back end's table or is refused.
package feature

import (
	"slices"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Feature is something that a policy can ask for.
type Feature string

// The features that fields of an input feed.
const (
	// RouteSplit: requests (or connections) are shared between backends by weight.
	RouteSplit Feature = "route.split"
	// RouteBackend: a route's requests go to a Service of another name.
	RouteBackend Feature = "route.backend"
	// RouteInvalidBackend: the share of a backend that is not there fails.
	RouteInvalidBackend Feature = "route.backend.invalid"
	// RoutePath, RouteMethod, RouteHeader: requests are told apart by these.
	RoutePath   Feature = "route.match.path"
	RouteMethod Feature = "route.match.method"
	RouteHeader Feature = "route.match.header"
	// RouteQuery: requests are told apart by query parameters.
	RouteQuery Feature = "route.match.query"
	// RouteStatus: requests are answered with a status, and sent nowhere.
	RouteStatus Feature = "route.status"
	// RouteRedirect: requests are answered with another place to ask.
	RouteRedirect Feature = "route.redirect"
	// RouteRewrite: host or path is changed on the way.
	RouteRewrite Feature = "route.rewrite"
	// RouteHeaderEdit: headers are changed on the way.
	RouteHeaderEdit Feature = "route.headers"
	// RouteMirror: requests are copied to another Service.
	RouteMirror Feature = "route.mirror"
	// RouteTimeout: requests that take too long are ended.
	RouteTimeout Feature = "route.timeout"
	// RouteView: callers of a namespace have routes of their own.
	RouteView Feature = "route.view"
	// GatewayPort: calls from outside come in on a port.
	GatewayPort Feature = "gateway.port"
	// GatewayHost: calls from outside are told apart by the host they ask for.
	GatewayHost Feature = "gateway.host"
	// AccessSource: a caller is allowed by its identity.
	AccessSource Feature = "access.source"
	// AccessPort: a grant holds for some ports only.
	AccessPort Feature = "access.port"
	// AccessPath, AccessMethod, AccessHeader: a grant holds for some requests only.
	AccessPath   Feature = "access.match.path"
	AccessMethod Feature = "access.match.method"
	AccessHeader Feature = "access.match.header"
	// AccessWhole: a grant holds for whatever is said on its ports.
	AccessWhole Feature = "access.whole"
	// AccessSelector: a grant reaches the pods of its account, and no others.
	AccessSelector Feature = "access.selector"
)

// The implicit features: no field names them, every policy relies on them.
const (
	// DefaultDeny: what no grant allows is denied.
	DefaultDeny Feature = "implicit.default-deny"
	// Unmatched: a request that matches no route goes to the Service itself.
	Unmatched Feature = "implicit.unmatched-request"
	// Retries: none are made, for none were asked for.
	Retries Feature = "implicit.retries"
	// Timeouts: none are set, for none were asked for.
	Timeouts Feature = "implicit.timeouts"
	// PathNormalisation: a path is normalised before it is matched.
	PathNormalisation Feature = "implicit.path-normalisation"
	// EncodedSlash: "%2F" in a path is no slash, and stays as it is.
	EncodedSlash Feature = "implicit.encoded-slash"
	// IdentityMapping: who calls is proven by mTLS and named by account.
	IdentityMapping Feature = "implicit.identity"
	// ProtocolSelection: a port is handled as the protocol that the model gives it.
	ProtocolSelection Feature = "implicit.protocol"
	// UnreadyBackend: the share of a backend without ready endpoints fails; it
	// is not given to the others.
	UnreadyBackend Feature = "implicit.unready-backend"
	// EstablishedConnections: a change holds also for connections that stand.
	EstablishedConnections Feature = "implicit.established-connections"
	// Probes: declared probes keep being answered.
	Probes Feature = "implicit.probes"
	// Open: who denies nothing is open to every caller, also in plain text.
	Open Feature = "implicit.open"
)

// Spec describes a feature.
type Spec struct {
	Feature Feature
	// Unit is the kind of unit that uses it.
	Unit ir.UnitKind
	// Security: losing it concerns who may call; such a loss is refused.
	Security bool
	// Title says it in a few words.
	Title string
	// Conditions are the ones that a Use of the feature can carry.
	Conditions []Condition
}

// Implicit reports whether no field names the feature.
func (s Spec) Implicit() bool { return len(s.Feature) > 9 && s.Feature[:9] == "implicit." }

// Condition is a fact about one use of a feature, said in the words of no
// mesh. A row of a back end's table may hold for a condition only.
type Condition string

// The conditions.
const (
	// CondExact to CondPresent: how a string is compared (ir.MatchKind).
	CondExact    Condition = "exact"
	CondPrefix   Condition = "prefix"
	CondSegments Condition = "segments"
	CondSuffix   Condition = "suffix"
	CondContains Condition = "contains"
	CondRegex    Condition = "regex"
	CondPresent  Condition = "present"
	// CondEmptyValue: the string compared with is empty.
	CondEmptyValue Condition = "empty-value"
	// CondStarEdge: the string compared with starts or ends with an asterisk.
	CondStarEdge Condition = "star-edge"
	// CondBrace: the string compared with holds a curly brace.
	CondBrace Condition = "brace"
	// CondDoubleSlash: the string compared with holds two slashes in a row,
	// which no normalised path does.
	CondDoubleSlash Condition = "double-slash"
	// CondTCP, CondUDP, CondGRPC, CondPlainHTTP: the protocol of the port;
	// plain HTTP is any HTTP that the input does not call gRPC.
	CondTCP       Condition = "tcp"
	CondUDP       Condition = "udp"
	CondGRPC      Condition = "grpc"
	CondPlainHTTP Condition = "plain-http"
	// CondTLS: what is said on a TCP port is encrypted by those who say it.
	CondTLS Condition = "tls"
	// CondPortsUnknown: the Service is inferred, its ports are not known.
	CondPortsUnknown Condition = "ports-unknown"
	// CondHostHeader: the header is "host", which HTTP/2 carries as :authority.
	CondHostHeader Condition = "host-header"
	// CondBinaryHeader: the header's name ends in "-bin".
	CondBinaryHeader Condition = "binary-header"
	// CondReservedHeader: the header's name starts with "grpc-" or ":".
	CondReservedHeader Condition = "reserved-header"
	// CondProxyHeader: the header is one that proxies of Envoy's kind write into every
	// request that lacks it, such as "x-request-id", so that it is always present.
	CondProxyHeader Condition = "proxy-header"
	// CondInlineHeader: the header is one whose lines Envoy joins by a comma as they
	// arrive, see InlineHeader.
	CondInlineHeader Condition = "inline-header"
	// CondRepeatedName: the match has another condition on the same header.
	CondRepeatedName Condition = "repeated-name"
	// CondForeignIdentity: the caller is named by a SPIFFE identity of its own.
	CondForeignIdentity Condition = "foreign-identity"
	// CondSharedTargetPort: Service ports without the grant lead to the port too.
	CondSharedTargetPort Condition = "shared-target-port"
	// CondAnyHTTPPort: every HTTP port of a workload whose Services are unknown.
	CondAnyHTTPPort Condition = "any-http-port"
	// CondPodsUnknown: no pod of the account is known.
	CondPodsUnknown Condition = "pods-unknown"
	// CondNamespaceDenies: the namespace as a whole denies by default.
	CondNamespaceDenies Condition = "namespace-denies"
	// CondSelectorCatches: the pods' labels also select another account's pods.
	CondSelectorCatches Condition = "selector-catches-others"
	// CondHeadless: the Service has no cluster address.
	CondHeadless Condition = "headless"
	// CondGateway: it is asked of a Gateway's proxies, not of callers in the mesh.
	CondGateway Condition = "gateway"
	// CondView: it is asked for the callers of one namespace.
	CondView Condition = "view"
	// CondStatus404: the status is 404, for what matches no route.
	CondStatus404 Condition = "status-404"
	// CondResponse: headers of the answer; CondPerBackend: for one share alone.
	CondResponse   Condition = "response"
	CondPerBackend Condition = "per-backend"
	// CondRewriteHost, CondRewritePath, CondRewritePrefix: what is rewritten or,
	// with a redirect, what is asked for instead.
	CondRewriteHost   Condition = "rewrite-host"
	CondRewritePath   Condition = "rewrite-path"
	CondRewritePrefix Condition = "rewrite-prefix"
	// CondPortOrScheme: a redirect changes port or scheme.
	CondPortOrScheme Condition = "port-or-scheme"
	// CondFraction: not every request is mirrored.
	CondFraction Condition = "fraction"
	// CondMany: there are several mirrors.
	CondMany Condition = "many"
	// CondPerTry: the timeout is for one attempt.
	CondPerTry Condition = "per-try"
	// CondWildcard: the host name is "*" or starts with "*.".
	CondWildcard Condition = "wildcard"
	// CondWeightsZero: no backend of the route has any weight.
	CondWeightsZero Condition = "weights-zero"
	// CondLookalike: a mesh in which callers are Services takes others for the caller.
	CondLookalike Condition = "lookalike"
	// CondForeignNamespace: the caller, or the backend, is in another namespace.
	CondForeignNamespace Condition = "foreign-namespace"
	// CondMultiPort: a Service that leads there has several ports.
	CondMultiPort Condition = "multi-port"
	// CondPathCondition: some match of the unit looks at the path.
	CondPathCondition Condition = "path-condition"
)

// Row says what a back end makes of a feature, or of it under a condition.
type Row struct {
	Feature Feature
	// When the use carries all of these conditions; none: always.
	When  []Condition
	Class report.Class
	// Note says how, to the user; required unless Class is Exact.
	Note string
	// Case is the golden case that proves the row, such as
	// "split/weights"; required where Class is better than Dropped.
	Case string
	// Shows says how requests are decided otherwise because of it.
	Shows []Shown
}

// Table is what a back end in one version makes of every feature: the first row
// whose conditions hold counts, so conditional rows stand before general ones.
type Table []Row

// Find returns the row for a use.
func (t Table) Find(f Feature, conditions []Condition) (Row, bool) {
	for _, r := range t {
		if r.Feature == f && holds(r.When, conditions) {
			return r, true
		}
	}
	return Row{}, false
}

func holds(when, conditions []Condition) bool {
	for _, c := range when {
		if !slices.Contains(conditions, c) {
			return false
		}
	}
	return true
}

var compared = []Condition{CondExact, CondPrefix, CondSegments, CondSuffix, CondContains, CondRegex, CondEmptyValue, CondStarEdge, CondBrace, CondDoubleSlash}

// protocols are the conditions of whatever is asked of callers.
var protocols = []Condition{CondTCP, CondUDP, CondGRPC, CondPlainHTTP, CondTLS, CondPortsUnknown, CondHeadless, CondGateway, CondView, CondMultiPort}

var named = []Condition{CondPresent, CondHostHeader, CondBinaryHeader, CondReservedHeader, CondProxyHeader, CondInlineHeader, CondRepeatedName}

// Specs lists every feature. The tests see to it that each back end's table has
// a row for each that holds always.
func Specs() []Spec { return slices.Clone(specs) }

// specs is looked into for every use of every unit, so it is made once.
var specs = makeSpecs()

func makeSpecs() []Spec {
	routed := slices.Concat(compared, protocols)
	edited := append(slices.Clone(protocols), CondRewriteHost, CondRewritePath, CondRewritePrefix, CondPortOrScheme)
	granted := slices.Concat(compared, []Condition{CondGRPC, CondPlainHTTP, CondAnyHTTPPort})
	server := []Condition{CondPodsUnknown, CondNamespaceDenies, CondSelectorCatches, CondTCP, CondUDP, CondGRPC, CondPlainHTTP, CondPathCondition, CondMultiPort}
	client := append(slices.Clone(protocols), CondPathCondition)
	return []Spec{
		{RouteSplit, ir.KindService, false, "requests shared by weight", protocols},
		{RouteBackend, ir.KindService, false, "requests sent to another Service", append(slices.Clone(protocols), CondForeignNamespace)},
		{RouteInvalidBackend, ir.KindService, false, "the share of a missing backend fails", protocols},
		{RoutePath, ir.KindService, false, "routed by path", routed},
		{RouteMethod, ir.KindService, false, "routed by method", protocols},
		{RouteHeader, ir.KindService, false, "routed by header", slices.Concat(routed, named)},
		{RouteQuery, ir.KindService, false, "routed by query parameter", slices.Concat(routed, named)},
		{RouteStatus, ir.KindService, false, "answered with a status", append(slices.Clone(protocols), CondStatus404, CondWeightsZero)},
		{RouteRedirect, ir.KindService, false, "redirected", edited},
		{RouteRewrite, ir.KindService, false, "host or path rewritten", edited},
		{RouteHeaderEdit, ir.KindService, false, "headers edited", append(slices.Clone(protocols), CondResponse, CondPerBackend, CondHostHeader, CondReservedHeader)},
		{RouteMirror, ir.KindService, false, "requests mirrored", append(slices.Clone(protocols), CondFraction, CondMany)},
		{RouteTimeout, ir.KindService, false, "requests ended after a time", append(slices.Clone(protocols), CondPerTry)},
		{RouteView, ir.KindService, false, "routes for the callers of one namespace", protocols},
		{GatewayPort, ir.KindGateway, false, "calls from outside come in", nil},
		{GatewayHost, ir.KindVirtualHost, false, "calls from outside are routed by host", []Condition{CondWildcard}},
		{AccessSource, ir.KindWorkload, true, "allowed by the caller's identity", []Condition{CondForeignIdentity, CondStarEdge, CondLookalike, CondForeignNamespace}},
		{AccessPort, ir.KindWorkload, true, "allowed on some ports", []Condition{CondSharedTargetPort, CondAnyHTTPPort, CondTCP, CondUDP, CondGRPC, CondPlainHTTP}},
		{AccessPath, ir.KindWorkload, true, "allowed by path", granted},
		{AccessMethod, ir.KindWorkload, true, "allowed by method", granted},
		{AccessHeader, ir.KindWorkload, true, "allowed by header", slices.Concat(granted, named)},
		{AccessWhole, ir.KindWorkload, true, "allowed whatever is said", []Condition{CondTCP, CondUDP, CondGRPC, CondPlainHTTP, CondAnyHTTPPort}},
		{AccessSelector, ir.KindWorkload, true, "grants reach the account's pods alone", server},
		{DefaultDeny, ir.KindWorkload, true, "what is not granted is denied", server},
		{Unmatched, ir.KindService, false, "what matches no route goes to the Service itself", client},
		{Retries, ir.KindService, false, "no retries unless asked for", client},
		{Timeouts, ir.KindService, false, "no timeout unless asked for", client},
		{PathNormalisation, ir.KindWorkload, true, "paths are normalised before matching", server},
		{EncodedSlash, ir.KindWorkload, true, "an encoded slash is no slash", server},
		{IdentityMapping, ir.KindWorkload, true, "accounts are proven by mTLS", server},
		{ProtocolSelection, ir.KindService, false, "ports are handled as their protocol", client},
		{UnreadyBackend, ir.KindService, false, "the share of an unready backend fails", client},
		{EstablishedConnections, ir.KindWorkload, false, "a change reaches standing connections", server},
		{Probes, ir.KindWorkload, false, "declared probes keep working", server},
		{Open, ir.KindWorkload, false, "who denies nothing is open to every caller", server},
	}
}

// SpecOf returns the description of a feature.
func SpecOf(f Feature) Spec {
	for _, s := range specs {
		if s.Feature == f {
			return s
		}
	}
	return Spec{Feature: f, Security: true}
}
