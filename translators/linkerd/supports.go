package linkerd

import (
	"slices"

	"github.com/meshknot/meshknot/translators"
	f "github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// Supports returns the table: what holds under a condition, what a closed port
// means by what Linkerd does on the others, and what holds otherwise.
func (backend) Supports(t translators.Target) f.Table {
	if meshOf(t).denies {
		return closed
	}
	return open
}

// The tables are asked for with every unit, so they are put together once.
var (
	open   = together(unrouted, conditional, openElsewhere, general).Show(shows...).Show(showsOpen...)
	closed = together(unrouted, conditional, closedElsewhere, general).Show(shows...).Show(showsClosed...)
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

// unrouted are the rows of ports for which there are no routes.
var unrouted = slices.Concat(
	none(f.CondUDP, noUDP, f.RouteSplit, f.RouteBackend, f.RouteInvalidBackend, f.RoutePath, f.RouteMethod, f.RouteHeader,
		f.RouteQuery, f.RouteStatus, f.RouteRedirect, f.RouteHeaderEdit, f.RouteTimeout, f.RouteView, f.ProtocolSelection),
	none(f.CondHeadless, noAddress, f.RouteSplit, f.RouteBackend, f.RouteInvalidBackend, f.RoutePath, f.RouteMethod, f.RouteHeader,
		f.RouteQuery, f.RouteStatus, f.RouteRedirect, f.RouteHeaderEdit, f.RouteTimeout, f.RouteView),
	none(f.CondPortsUnknown, noPort, f.RouteSplit, f.RouteBackend, f.RouteInvalidBackend, f.RoutePath, f.RouteMethod, f.RouteHeader,
		f.RouteQuery, f.RouteStatus, f.RouteRedirect, f.RouteHeaderEdit, f.RouteTimeout, f.RouteView),
)

func none(c f.Condition, note string, features ...f.Feature) []row {
	var out []row
	for _, one := range features {
		out = append(out, row{one, when{c}, report.Dropped, note, ""})
	}
	return out
}

// conditional are the rows that hold under a condition.
var conditional = []row{
	{f.RouteHeader, when{f.CondHostHeader}, report.Dropped, noHost, ""},
	{f.RouteHeader, when{f.CondReservedHeader}, report.Dropped, reserved, ""},
	{f.RouteHeader, when{f.CondRepeatedName}, report.Dropped, oneValue, ""},
	{f.RouteQuery, when{f.CondRepeatedName}, report.Dropped, oneValue, ""},
	{f.RouteStatus, when{f.CondStatus404}, report.Exact, "", "routes/conditions"},
	{f.RouteStatus, when{f.CondWeightsZero}, report.Exact, "", "routes/no-backends"},
	{f.RouteRedirect, when{f.CondRewritePrefix}, report.Dropped, "Linkerd's proxies refuse to replace the beginning of a path in a redirect", ""},
	{f.RouteRedirect, when{f.CondRewritePath}, report.Approximated, "a path that is replaced as a whole loses its query", "mesh/linkerd-query"},
	{f.RouteHeaderEdit, when{f.CondHostHeader}, report.Dropped, noHost, ""},
	{f.RouteHeaderEdit, when{f.CondReservedHeader}, report.Dropped, reserved, ""},
	{f.RouteTimeout, when{f.CondPerTry}, report.Dropped, "Linkerd accepts a timeout for an attempt at a backend and ignores it", ""},
	{f.Probes, when{f.CondPodsUnknown}, report.Dropped, noPods, ""},

	{f.AccessSource, when{f.CondForeignIdentity}, report.Dropped, "certificates of Linkerd's pods name an account of the cluster, and no SPIFFE identity", ""},
	{f.AccessPort, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.AccessPort, when{f.CondAnyHTTPPort}, report.Dropped, "a Server is for one port, and which ports the workload has is not known", ""},
	{f.AccessPort, when{f.CondSharedTargetPort}, report.Widened, "a Server sees the port on the pod, and another port of a Service leads there too", ""},
	{f.AccessWhole, when{f.CondUDP}, report.Dropped, noUDP, ""},
	{f.AccessHeader, when{f.CondHostHeader}, report.Dropped, noHost, ""},
	{f.AccessHeader, when{f.CondReservedHeader}, report.Dropped, reserved, ""},
	{f.AccessHeader, when{f.CondRepeatedName}, report.Dropped, oneValue, ""},
	{f.AccessSelector, when{f.CondPodsUnknown}, report.Dropped, noPods, ""},
	{f.AccessSelector, when{f.CondSelectorCatches}, report.Widened, "a Server selects by labels, and pods of other accounts carry them too", ""},
	{f.DefaultDeny, when{f.CondUDP}, report.Widened, "UDP does not pass Linkerd's proxies and reaches the pods unasked; a NetworkPolicy can close the port", ""},
	{f.PathNormalisation, when{f.CondPathCondition}, report.Narrowed, "Linkerd compares a path as it was sent: what is granted for a path is denied where that is not in its normal form, or has dots first in a segment, or an escape where the expression would be too long", "mesh/linkerd-dotted-paths"},
}

// closedElsewhere are the rows where Linkerd denies what no Server speaks of.
var closedElsewhere = []row{
	{f.DefaultDeny, when{f.CondPodsUnknown}, report.Relocated, "no pod of the account is known, and Linkerd denies where there is no Server", "mesh/linkerd-default-policy"},
	{f.DefaultDeny, when{f.CondSelectorCatches}, report.Narrowed, catchNote, "access/selector-overlap"},
	{f.IdentityMapping, when{f.CondPodsUnknown}, report.Relocated, "no pod of the account is known, and Linkerd denies where there is no Server", "mesh/linkerd-default-policy"},
	{f.DefaultDeny, nil, report.Exact, "", "mesh/linkerd-default-policy"},
	{f.Open, nil, report.Narrowed, "workloads that no object names as destination are closed too, as Linkerd denies where there is no Server", "mesh/linkerd-default-closed"},
}

// openElsewhere are the rows where it does not, or that is not said: a workload
// none of whose ports are known cannot be closed at all.
var openElsewhere = []row{
	{f.DefaultDeny, when{f.CondPodsUnknown}, report.Dropped, noPods + "; " + defaultNote, ""},
	{f.DefaultDeny, when{f.CondSelectorCatches, f.CondPlainHTTP}, report.Approximated, catchNote + "; " + otherPorts, "access/selector-overlap"},
	{f.DefaultDeny, when{f.CondSelectorCatches, f.CondGRPC}, report.Approximated, catchNote + "; " + otherPorts, "mesh/linkerd-selector-overlap"},
	{f.DefaultDeny, when{f.CondSelectorCatches, f.CondTCP}, report.Approximated, catchNote + "; " + otherPorts, "mesh/linkerd-selector-overlap"},
	{f.DefaultDeny, when{f.CondPlainHTTP}, report.Approximated, otherPorts, "access/default-deny"},
	{f.DefaultDeny, when{f.CondGRPC}, report.Approximated, otherPorts, "pairs/grpc-and-access"},
	{f.DefaultDeny, when{f.CondTCP}, report.Approximated, otherPorts, "pairs/tcp-and-access"},
	{f.DefaultDeny, nil, report.Dropped, "a Server is for one port, and no port of the workload is known; " + defaultNote, ""},
	{f.IdentityMapping, when{f.CondPodsUnknown}, report.Dropped, noPods, ""},
	{f.Open, nil, report.Exact, "", "access/default-deny-selected"},
}

// general are the rows that hold where no row before does.
var general = []row{
	{f.RouteSplit, nil, report.Exact, "", "split/weights"},
	{f.RouteBackend, nil, report.Exact, "", "split/weights"},
	{f.RouteInvalidBackend, nil, report.Exact, "", "split/missing-backend"},
	{f.RoutePath, nil, report.Approximated, "Linkerd compares a path as it was sent: one that is not in its normal form is routed as another", "mesh/paths-as-sent"},
	{f.RouteMethod, nil, report.Exact, "", "split/match-method"},
	{f.RouteHeader, nil, report.Exact, "", "split/match-header"},
	{f.RouteQuery, nil, report.Approximated, "Linkerd decodes a query before it compares, and any occurrence of a parameter counts", "mesh/linkerd-query"},
	{f.RouteStatus, nil, report.Approximated, "Linkerd answers with status 500 by sending requests where nobody is, and with no other", "routes/no-backends"},
	{f.RouteRedirect, nil, report.Exact, "", "routes/redirect"},
	{f.RouteRewrite, nil, report.Dropped, "Linkerd does not rewrite, and takes no route that asks for it", ""},
	{f.RouteHeaderEdit, nil, report.Exact, "", "routes/headers"},
	{f.RouteMirror, nil, report.Dropped, "Linkerd does not mirror, and takes no route that asks for it", ""},
	{f.RouteTimeout, nil, report.Exact, "", "routes/timeouts"},
	{f.RouteView, nil, report.Approximated, "Linkerd adds the routes of a namespace to those for everybody, of which the more specific count there too", "mesh/linkerd-views"},
	{f.GatewayPort, nil, report.Dropped, "Linkerd has no gateway of its own; another one's proxies join the mesh as its callers", ""},
	{f.GatewayHost, nil, report.Dropped, "Linkerd has no gateway of its own; another one's proxies join the mesh as its callers", ""},

	{f.AccessSource, nil, report.Exact, "", "access/source"},
	{f.AccessPort, nil, report.Exact, "", "access/port"},
	{f.AccessPath, nil, report.Exact, "", "access/path-prefix"},
	{f.AccessMethod, nil, report.Exact, "", "access/method"},
	{f.AccessHeader, nil, report.Narrowed, "a request whose repeated header fulfils several grants has the rights of one of them, and an expression finds no value with characters beyond ASCII", "mesh/linkerd-not-ascii"},
	{f.AccessWhole, nil, report.Exact, "", "access/tcp"},
	{f.AccessSelector, nil, report.Exact, "", "access/source"},

	{f.Unmatched, nil, report.Exact, "", "split/match-header"},
	{f.Retries, nil, report.Exact, "", "split/weights"},
	{f.Timeouts, nil, report.Exact, "", "split/weights"},
	{f.PathNormalisation, nil, report.Exact, "", "access/tcp"},
	{f.EncodedSlash, nil, report.Exact, "", "specs/path-normalisation"},
	{f.IdentityMapping, nil, report.Exact, "", "access/source"},
	{f.ProtocolSelection, nil, report.Approximated, "Linkerd goes by appProtocol, of which it knows http and kubernetes.io/h2c and tunnels the rest; without one it looks at the first bytes, unless the port is among its opaque ones", "specs/grpc"},
	{f.UnreadyBackend, nil, report.Approximated, "Linkerd gives the share of a backend without ready endpoints to the others", "mesh/unready-backend"},
	{f.EstablishedConnections, nil, report.Exact, "", "access/source"},
	{f.Probes, nil, report.Approximated, "Linkerd answers a declared probe to whoever asks, with an identity or without, if its path is in its normal form", "access/probes"},
}

const (
	noUDP       = "UDP does not pass Linkerd's proxies"
	noAddress   = "Linkerd finds the routes of a Service by its cluster address, and a headless one has none"
	noPort      = "a route names the port of each backend, and the Service's ports are not known"
	noPods      = "no pod of the account is known, and a Server selects by labels"
	noHost      = "a route compares headers, of which the host is none with HTTP/2"
	reserved    = "proxies write headers of this name themselves"
	oneValue    = "a route compares each header and each parameter with one value"
	catchNote   = "a Server selects by labels, and pods of other accounts that carry them are closed too"
	defaultNote = "annotate the namespace with config.linkerd.io/default-inbound-policy: deny before its pods are made, or install Linkerd so, and say --option linkerd.default-inbound-policy=deny"
	otherPorts  = "each port that is known is closed; one that no Service, grant, probe or pod names follows Linkerd's default-inbound-policy, which lets everybody in unless it is set to deny"
)
