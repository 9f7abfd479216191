package gatewayapi

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/report"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// kinds are the kinds of routes; of those on one port the first holds.
var kinds = []string{KindGRPCRoute, KindHTTPRoute, KindTCPRoute}

// The reasons of the condition Accepted; for a conflict of kinds Gateway API has
// no constant yet.
const (
	accepted    = gatewayv1.RouteReasonAccepted
	notAllowed  = gatewayv1.RouteReasonNotAllowedByListeners
	noParent    = gatewayv1.RouteReasonNoMatchingParent
	unsupported = gatewayv1.RouteReasonUnsupportedValue
	conflicted  = gatewayv1.RouteConditionReason("Conflicted")
)

// attaching is the attaching of routes to one Service.
type attaching struct {
	lowering
	name ir.Name
	// external is where a Service of type ExternalName leads.
	external string
	// routes that have the Service as a parent, oldest first; one that names it
	// twice stands there twice.
	routes []attached
	// rules are lowered once for all ports.
	rules map[input.ID][]lowered
	// service is OUTPUT.
	service *ir.Service
}

// attached is a route with a parentRef to the Service.
type attached struct {
	input.Object
	ref   gatewayv1.ParentReference
	field string
}

func lowerService(r input.Reader, s *ir.Service) report.Report {
	a, ok := attach(r, s)
	if !ok {
		return a.found
	}
	for _, t := range a.routes {
		if _, hostnames, _ := routeOf(t.Object); len(hostnames) > 0 {
			a.add(report.New(report.HostIgnored, t.Ref("spec.hostnames"), "the hostnames of "+t.Kind+" "+t.ID.Name+" have no effect on calls to Service "+a.name.String()))
		}
		if reason, message := a.accept(t); reason != accepted && reason != conflicted {
			a.add(report.New(report.NotAttached, t.Ref(t.field), message))
		}
	}
	for i := range s.Ports {
		a.port(&s.Ports[i])
	}
	return a.found
}

// attach finds the routes of a Service that kube has lowered, and says what is
// spoken on its ports. It reports false where there is no such Service.
func attach(r input.Reader, s *ir.Service) (*attaching, bool) {
	a := &attaching{lowering: lowering{r: r}, service: s, name: ir.Name{Namespace: s.Namespace, Name: s.Name}, rules: map[input.ID][]lowered{}}
	from, _ := kube.FindService(r, a.name)
	a.external = from.External
	for _, o := range r.Lookup(routesByService, a.name.String()) {
		common, _, _ := routeOf(o)
		for i, ref := range common.ParentRefs {
			if to, ok := serviceParent(o.Namespace, ref); ok && to == a.name && !o.Rejected {
				a.routes = append(a.routes, attached{o, ref, input.Element("spec.parentRefs", i)})
			}
		}
	}
	if s.Ref.IsZero() && !a.infer() {
		return a, false
	}
	a.inferProtocols()
	return a, true
}

// accept says what the Service makes of a route: the reason and message of the
// condition Accepted, as far as the parent decides. One port that takes the
// route is enough.
func (a *attaching) accept(t attached) (reason gatewayv1.RouteConditionReason, message string) {
	switch {
	case a.service.Headless:
		return unsupported, "Service " + a.name.String() + " is headless: its callers choose pods themselves"
	case a.external != "":
		return unsupported, "Service " + a.name.String() + " stands for " + a.external + ", outside the cluster"
	}
	reason, message = noParent, "Service "+a.name.String()+" has no port "+meant(t.ref)
	for _, p := range a.service.Ports {
		switch {
		case !t.on(p):
		case !carries(p, t.Kind):
			if reason == noParent {
				reason, message = notAllowed, fmt.Sprintf("port %d of Service %s %s, where no %s can hold", p.Number, a.name, speaks(p), t.Kind)
			}
		case a.set(p, t.Namespace)[0].Kind != t.Kind:
			reason, message = conflicted, a.conflict(p, t)
		default:
			return accepted, "the route is attached"
		}
	}
	return reason, message
}

func (a *attaching) conflict(p ir.Port, t attached) string {
	winner := a.set(p, t.Namespace)[0]
	return fmt.Sprintf("on port %d of Service %s %s %s holds, which is of another kind", p.Number, a.name, winner.Kind, winner.ID.Name)
}

// on reports whether the route means a port.
func (t attached) on(p ir.Port) bool {
	return p.Number == ir.AnyPort || onPort(t.ref, p.Number, p.Name)
}

// speaks says what a port says of itself.
func speaks(p ir.Port) string {
	if p.Protocol == "" {
		return "does not say what it speaks"
	}
	return "is " + string(p.Protocol)
}

// meant says which port a parentRef means.
func meant(ref gatewayv1.ParentReference) string {
	switch {
	case ref.Port != nil && ref.SectionName != nil:
		return fmt.Sprintf("%d with the name %s", *ref.Port, *ref.SectionName)
	case ref.Port != nil:
		return strconv.Itoa(int(*ref.Port))
	case ref.SectionName != nil:
		return "with the name " + string(*ref.SectionName)
	}
	return "at all"
}

// carries reports whether routes of a kind can hold on a port: requests are seen
// only where HTTP is spoken, and a datagram is no connection.
func carries(p ir.Port, kind string) bool {
	if spoken[kind] == "" {
		return p.Protocol != ir.UDP
	}
	return p.Protocol.IsHTTP()
}

// set returns the routes of one namespace on a port that may hold there: those
// of the winning kind first, the older first among them.
func (a *attaching) set(p ir.Port, namespace string) []attached {
	var out []attached
	for _, kind := range kinds {
		for _, t := range a.routes {
			if t.Kind == kind && t.Namespace == namespace && t.on(p) && carries(p, kind) {
				out = append(out, t)
			}
		}
	}
	return out
}

// port attaches routes to a port. Those of the Service's own namespace are its
// producer's and hold for all callers, except where there are others of the
// callers' namespace: these take their place as a whole.
func (a *attaching) port(p *ir.Port) {
	if a.service.Headless || a.external != "" {
		return
	}
	namespaces := map[string]bool{}
	for _, t := range a.routes {
		namespaces[t.Namespace] = true
	}
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		routes := a.routed(*p, namespace)
		switch {
		case len(routes) == 0:
		case namespace == a.name.Namespace:
			p.Routes = routes
		default:
			p.Views = append(p.Views, ir.View{Namespace: namespace, Routes: routes})
		}
	}
}

// routed merges the routes of one namespace on a port; none where nothing is attached.
func (a *attaching) routed(p ir.Port, namespace string) []ir.Route {
	set := a.set(p, namespace)
	var all []ranked
	seen := map[input.ID]bool{}
	for _, t := range set {
		if t.Kind != set[0].Kind {
			a.add(report.New(report.KindConflict, t.Ref(t.field), a.conflict(p, t)).With(set[0].Ref(set[0].field)))
			continue
		}
		if !seen[t.ID] {
			all = appendRanked(all, "", a.lowered(t.Object))
		}
		seen[t.ID] = true
	}
	routes := routesOf(all)
	if len(routes) == 0 || slices.ContainsFunc(routes, ir.Route.MatchesAll) {
		return routes
	}
	ref := set[0].Ref(set[0].field)
	return append(routes, ir.Route{Name: unmatchedRoute, Ref: ref, Matches: []ir.Match{ir.MatchAll(ref)}, Status: 404})
}

// lowered returns the rules of a route.
func (a *attaching) lowered(o input.Object) []lowered {
	out, ok := a.rules[o.ID]
	if !ok {
		out = a.routeRules(o)
		a.rules[o.ID] = out
	}
	return out
}
