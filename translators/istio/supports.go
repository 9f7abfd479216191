package istio

import (
	"slices"

	"github.com/meshknot/meshknot/translators"
	f "github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// Supports returns the table of an Istio minor: what holds under a condition,
// how its proxies compare headers, and what holds otherwise.
func (b backend) Supports(t translators.Target) f.Table {
	if t.Version == "" || t.Version == b.Versions()[0] {
		return newest
	}
	return older
}

// The tables are asked for with every unit, so they are put together once.
var (
	newest = together(conditional, separateHeaders, prefixRedirects, filters, general).Show(shows...).Show(showsNewest...)
	older  = together(conditional, joinedHeaders, noPrefixRedirects, filters, general).Show(shows...).Show(showsOlder...)
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

// conditional are the rows that hold under a condition.
var conditional = []row{
	{f.RouteSplit, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteSplit, when{f.CondTLS}, report.Dropped, noTLS, ""},
	{f.RouteBackend, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteBackend, when{f.CondTLS}, report.Dropped, noTLS, ""},
	{f.RouteBackend, when{f.CondPortsUnknown}, report.Approximated, "a backend with one port is called at that port, whichever was called", "split/services-not-given"},
	{f.RouteInvalidBackend, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteInvalidBackend, when{f.CondTLS}, report.Dropped, noTLS, ""},
	{f.RoutePath, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RoutePath, when{f.CondEmptyValue}, report.Dropped, "Istio has no empty path to compare with", ""},
	{f.RoutePath, when{f.CondBrace}, report.Narrowed, "a caller's proxy escapes braces in a path before it compares, so the condition holds for no request, and backends see them escaped", "routes/braces"},
	{f.RouteMethod, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteHeader, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteQuery, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteStatus, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteStatus, when{f.CondTLS}, report.Dropped, noTLS, ""},
	{f.RouteView, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.RouteView, when{f.CondTLS}, report.Dropped, noTLS, ""},
	{f.RouteHeader, when{f.CondReservedHeader}, report.Dropped, "proxies write headers of this name themselves", ""},
	{f.RouteHeader, when{f.CondProxyHeader}, report.Dropped, generated, ""},
	{f.RouteHeader, when{f.CondRepeatedName}, report.Dropped, "a VirtualService compares each header with one value", ""},
	{f.RouteHeader, when{f.CondHostHeader}, report.Approximated, "a caller's proxy finds the Service by the host that is asked for: a request for a host that is no name of the Service goes to the address that was called, past every route", "routes/istio-other-host"},

	{f.AccessSource, when{f.CondStarEdge}, report.Dropped, starNote, ""},
	{f.AccessSource, when{f.CondForeignIdentity}, report.Exact, "the mesh has to trust the other trust domain's root, and istiod has to be told by PILOT_SKIP_VALIDATE_TRUST_DOMAIN that proxies take its certificates; an alias of the trust domain would let its accounts in under names of ours", "access/identity-binding"},
	{f.AccessPort, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.AccessPort, when{f.CondSharedTargetPort}, report.Widened, "a policy sees the port on the pod, and another port of a Service leads there too", ""},
	{f.AccessWhole, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.AccessPath, when{f.CondRegex}, report.Dropped, noRegex, ""},
	{f.AccessPath, when{f.CondContains}, report.Dropped, noRegex, ""},
	{f.AccessPath, when{f.CondEmptyValue}, report.Dropped, emptyNote, ""},
	{f.AccessPath, when{f.CondStarEdge}, report.Dropped, starNote, ""},
	{f.AccessPath, when{f.CondBrace}, report.Dropped, "Istio reads braces as a template", ""},
	{f.AccessPath, when{f.CondDoubleSlash}, report.Widened, "no normalised path has two slashes in a row, but Istio does not merge them and would find them", ""},
	{f.AccessHeader, when{f.CondRegex}, report.Dropped, noRegex, ""},
	{f.AccessHeader, when{f.CondContains}, report.Dropped, noRegex, ""},
	{f.AccessHeader, when{f.CondEmptyValue}, report.Dropped, emptyNote, ""},
	{f.AccessHeader, when{f.CondStarEdge}, report.Dropped, starNote, ""},
	{f.AccessHeader, when{f.CondReservedHeader}, report.Dropped, "proxies write headers of this name themselves", ""},
	{f.AccessHeader, when{f.CondProxyHeader}, report.Dropped, generated, ""},
	{f.AccessSelector, when{f.CondPodsUnknown}, report.Dropped, "no pod of the account is known, and Istio selects by labels", ""},
	{f.AccessSelector, when{f.CondSelectorCatches}, report.Widened, "Istio selects by labels, and pods of other accounts carry them too", ""},

	{f.DefaultDeny, when{f.CondUDP}, report.Widened, "UDP does not pass Istio's proxies and reaches the pods unasked; a NetworkPolicy can close the port", ""},
	{f.DefaultDeny, when{f.CondPodsUnknown, f.CondNamespaceDenies}, report.Relocated, "the policy of the whole namespace denies, for no pod of the account is known", "access/default-deny-strict"},
	{f.DefaultDeny, when{f.CondPodsUnknown}, report.Dropped, "no pod of the account is known, and Istio selects by labels", ""},
	{f.DefaultDeny, when{f.CondSelectorCatches}, report.Narrowed, "Istio selects by labels, and pods of other accounts that carry them are closed too", "access/selector-overlap"},
	{f.DefaultDeny, when{f.CondTCP, f.CondGRPC}, report.Approximated, greeted + "; " + proxyless, "mesh/istio-proxyless"},
	{f.DefaultDeny, when{f.CondTCP}, report.Approximated, greeted, "access/tcp"},
	{f.DefaultDeny, when{f.CondGRPC}, report.Approximated, proxyless, "mesh/istio-proxyless"},
	{f.IdentityMapping, when{f.CondPodsUnknown, f.CondNamespaceDenies}, report.Relocated, "mTLS is required in the whole namespace, for no pod of the account is known", "access/default-deny-strict"},
	{f.IdentityMapping, when{f.CondPodsUnknown}, report.Dropped, "no pod of the account is known to require mTLS of", ""},
	{f.PathNormalisation, when{f.CondPathCondition}, report.Narrowed, "Istio's default path normalisation does not merge slashes: what is granted for /a/b is denied for /a//b", "specs/path-normalisation"},
	{f.Retries, when{f.CondTCP}, report.Exact, "", "split/tcp"},
	{f.Retries, when{f.CondUDP}, report.Exact, "", "specs/udp-route"},
	{f.ProtocolSelection, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.Probes, nil, report.Relocated, "Istio's injection leads declared probes to its agent, past every policy", "access/probes"},
}

// joinedHeaders are the rows of minors whose Envoy joins the lines of a
// repeated header with commas before it compares: all before 1.31, the first
// with Envoy 1.39.
var joinedHeaders = []row{
	{f.RouteHeader, nil, report.Approximated, joinedNote, "routes/inline-headers"},
	{f.AccessHeader, when{f.CondPresent}, report.Exact, "", "access/header-given"},
	{f.AccessHeader, nil, report.Narrowed, joinedNote, "access/header-exact"},
}

// separateHeaders are the rows of minors whose Envoy compares each line alone, but
// of the headers of which it holds one value.
var separateHeaders = []row{
	{f.RouteHeader, when{f.CondPresent}, report.Exact, "", "mesh/inline-headers"},
	{f.RouteHeader, when{f.CondInlineHeader}, report.Approximated, inlineNote, "routes/inline-headers"},
	{f.RouteHeader, nil, report.Exact, "", "split/match-header"},
	{f.AccessHeader, when{f.CondPresent}, report.Exact, "", "access/header-given"},
	{f.AccessHeader, when{f.CondInlineHeader}, report.Narrowed, inlineNote + "; a grant for a value with a comma is left out", "mesh/inline-headers"},
	{f.AccessHeader, nil, report.Exact, "", "access/header-exact"},
}

// prefixRedirects is the row of minors whose VirtualService knows
// redirect.prefixRewrite, the first of which is 1.31.
var prefixRedirects = []row{
	{f.RouteRedirect, when{f.CondRewritePrefix, f.CondPortOrScheme}, report.Approximated, hostPort, "routes/istio-redirect-path"},
	{f.RouteRedirect, when{f.CondRewritePrefix}, report.Exact, "", "routes/istio-redirect-path"},
}

// noPrefixRedirects is that of the minors before.
var noPrefixRedirects = []row{
	{f.RouteRedirect, when{f.CondRewritePrefix}, report.Dropped, "before 1.31 a redirect of Istio replaces the whole path or none of it", ""},
}

// filters are the rows of what is done with requests beside sending them on.
var filters = []row{
	{f.RouteQuery, nil, report.Exact, "", "routes/istio-query"},
	{f.RouteStatus, when{f.CondTCP}, report.Exact, "", "routes/istio-tcp-nowhere"},
	{f.RouteStatus, nil, report.Exact, "", "routes/istio-status"},
	{f.RouteRedirect, when{f.CondRewriteHost}, report.Exact, "", "routes/istio-redirect"},
	{f.RouteRedirect, when{f.CondPortOrScheme}, report.Approximated, hostPort, "routes/istio-redirect"},
	{f.RouteRedirect, nil, report.Exact, "", "routes/istio-redirect-path"},
	{f.RouteRewrite, nil, report.Exact, "", "routes/istio-rewrite"},
	{f.RouteHeaderEdit, when{f.CondReservedHeader}, report.Dropped, "proxies write headers of this name themselves", ""},
	{f.RouteHeaderEdit, when{f.CondHostHeader, f.CondResponse}, report.Dropped, "Istio refuses to edit a header of the name host in an answer", ""},
	{f.RouteHeaderEdit, when{f.CondHostHeader, f.CondPerBackend}, report.Dropped, "Istio rewrites the host for a route as a whole", ""},
	{f.RouteHeaderEdit, when{f.CondHostHeader}, report.Approximated, "the host is set, also where it is to be added, and is never removed", "routes/istio-headers"},
	{f.RouteHeaderEdit, nil, report.Exact, "", "routes/istio-headers"},
	{f.RouteMirror, nil, report.Approximated, "the host that a copy asks for ends in -shadow; a share is in steps of 0.0001 percent", "routes/istio-mirror"},
	{f.RouteTimeout, when{f.CondPerTry}, report.Approximated, "there are no retries, so one attempt is all there is: the shorter of the times ends the request; " + wholeRequest, "routes/istio-timeout"},
	{f.RouteTimeout, nil, report.Approximated, wholeRequest, "routes/istio-timeout"},
	{f.RouteView, nil, report.Exact, "", "routes/istio-consumer"},
}

// general are the rows that hold where no row before does.
var general = []row{
	{f.RouteSplit, nil, report.Exact, "", "split/weights"},
	{f.RouteBackend, nil, report.Exact, "", "split/weights"},
	{f.RouteInvalidBackend, nil, report.Exact, "", "split/missing-backend"},
	{f.RoutePath, nil, report.Approximated, "Istio's default path normalisation does not merge slashes: /a//b is not routed as /a/b", "mesh/paths-as-sent"},
	{f.RouteMethod, nil, report.Exact, "", "split/match-method"},

	{f.AccessSource, nil, report.Exact, "", "access/source"},
	{f.AccessPort, nil, report.Exact, "", "access/port"},
	{f.AccessPath, when{f.CondExact}, report.Exact, "", "access/path-exact"},
	{f.AccessPath, when{f.CondSuffix}, report.Exact, "", "access/path-suffix"},
	{f.AccessPath, nil, report.Exact, "", "access/path-prefix"},
	{f.AccessMethod, nil, report.Exact, "", "access/method"},
	{f.AccessWhole, nil, report.Exact, "", "access/tcp"},
	{f.AccessSelector, nil, report.Exact, "", "access/source"},

	{f.DefaultDeny, nil, report.Exact, "for servers that have a proxy", "access/default-deny"},
	{f.Unmatched, nil, report.Exact, "", "split/match-header"},
	{f.Retries, nil, report.Approximated, "every route written here says none; a Service that no policy routes keeps Istio's own two", "split/weights"},
	{f.Timeouts, nil, report.Exact, "", "split/weights"},
	{f.PathNormalisation, nil, report.Exact, "", "access/tcp"},
	{f.EncodedSlash, nil, report.Exact, "", "specs/path-normalisation"},
	{f.Open, nil, report.Exact, "", "access/default-deny-selected"},
	{f.IdentityMapping, nil, report.Exact, "", "access/source"},
	{f.ProtocolSelection, nil, report.Approximated, "Istio goes by appProtocol, then by the port's name; a port that has neither is sniffed; a request for a host that names another Service goes there, and one for a host that names none goes where it was sent, past every route; a backend hears of a brace in the path as %7B or %7D", "routes/istio-other-host"},
	{f.UnreadyBackend, nil, report.Exact, "", "split/weights"},
	{f.EstablishedConnections, nil, report.Approximated, "a proxy drains connections that stand when a policy changes, in 45 seconds by default; until then the old one holds for them", "access/source"},

	{f.GatewayPort, nil, report.Dropped, noGateways, ""},
	{f.GatewayHost, nil, report.Dropped, noGateways, ""},
}

const (
	noTLS      = "on a port that is declared as TLS or HTTPS Istio routes by SNI alone, and callers differ in the name they ask for"
	noUDP      = "UDP does not pass Istio's proxies"
	noGateways = "Istio reads Gateways and the routes on them itself, and routes here are for callers in the mesh"
	noRegex    = "an AuthorizationPolicy compares with a value, its beginning or its end, and nothing else"
	emptyNote  = "an AuthorizationPolicy cannot compare with nothing"
	starNote   = "Istio reads an asterisk at either end as a wildcard"
	hostPort   = "a port that the caller named with the host stays where the new one is its scheme's own"
	// Envoy starts its clock when it has the whole request.
	wholeRequest = "the time that the caller takes to send the request does not count"
	generated    = "Istio's proxies write this header into every request that lacks it"
	greeted      = "a proxy judges a connection when its caller speaks: a caller who is denied may hear what the server says before, and is then cut off"
	// istiod makes a filter of the rules of all policies, and none where there is no rule.
	proxyless  = "a gRPC server that istiod configures itself, without a proxy, hears nothing of a policy that allows nothing: where no grant is left, whoever has a certificate of the mesh is let in"
	inlineNote = "a proxy joins the lines of this header with commas as they arrive, then compares them as one"
	joinedNote = "the lines of a repeated header are joined with commas, then compared as one"
)
