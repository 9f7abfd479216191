package gatewayapi

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// lowering is the lowering of the routes of one unit.
type lowering struct {
	r input.Reader // INPUT
	// gateway: calls come from outside. There a reference to another namespace
	// needs a ReferenceGrant, and routes of many namespaces meet.
	gateway bool
	found   report.Report // OUTPUT
}

func (l *lowering) add(found ...report.Finding) { l.found = append(l.found, found...) }

// ranked is one match of one rule for a host name. Nobody changes the former, for
// units share it. What is compared first stands here again: there may be thousands.
type ranked struct {
	*lowered
	// host is the hostname of the route object; "" or "*" for every host.
	host        string
	specificity [5]int
	// all: it takes every request.
	all bool
	// at is where it stands among those that are sorted.
	at int
}

// lowered is one match of one rule, as a route of its own, with all that decides
// which of two is tried first.
type lowered struct {
	route ir.Route // with exactly one match
	// specificity of the match, compared element by element, the greater first:
	// for HTTP the kind of the path's condition, its length, method, headers and
	// query parameters; for gRPC service, method and headers.
	specificity [5]int
	all         bool // it takes every request
	created     time.Time
	name        ir.Name
	rule, match int
}

// precedence orders routes as they are tried: by host, by the match, and where
// those are alike as seniority says.
func precedence(a, b ranked) int {
	if c := moreSpecific(&a, &b); c != 0 {
		return c
	}
	return seniority(a.lowered, b.lowered)
}

// moreSpecific orders by host and by the match.
func moreSpecific(a, b *ranked) int {
	if a.host != b.host {
		if c := moreSpecificHost(a.host, b.host); c != 0 {
			return c
		}
	}
	for i := range a.specificity {
		if c := cmp.Compare(b.specificity[i], a.specificity[i]); c != 0 {
			return c
		}
	}
	return 0
}

// seniority puts the older object first, the first by name, the first rule.
func seniority(a, b *lowered) int {
	return cmp.Or(older(a.created, b.created), a.name.Compare(b.name), cmp.Compare(a.rule, b.rule), cmp.Compare(a.match, b.match))
}

// moreSpecificHost puts exact host names first, then the longer ones.
func moreSpecificHost(a, b string) int {
	return cmp.Or(cmp.Compare(hostRank(a), hostRank(b)), cmp.Compare(len(b), len(a)))
}

func hostRank(host string) int {
	switch {
	case host == "" || host == "*":
		return 2
	case strings.HasPrefix(host, "*."):
		return 1
	}
	return 0
}

// older puts the older first, and what has no age last.
func older(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}

// routesOf returns routes in the order in which they are tried. Neighbours that
// come from one rule are one route again.
func routesOf(all []ranked) []ir.Route {
	if len(all) == 0 {
		return nil
	}
	all = inOrder(all)
	out := make([]ir.Route, 0, len(all)+1) // for the one that is behind them
	for i := range all {
		one := all[i].lowered
		if i > 0 && one.ofRule(all[i-1].lowered) {
			last := &out[len(out)-1]
			last.Matches = slices.Concat(last.Matches, one.route.Matches)
			continue
		}
		out = append(out, one.route)
	}
	return out
}

// inOrder returns a list in order of precedence. Routes are found the senior first, so
// that mostly their matches alone have to be compared.
func inOrder(all []ranked) []ranked {
	all = slices.Clone(all)
	for i := range all {
		if all[i].at = i; i > 0 && seniority(all[i-1].lowered, all[i].lowered) > 0 {
			slices.SortStableFunc(all, precedence)
			return all
		}
	}
	slices.SortFunc(all, func(a, b ranked) int {
		if c := moreSpecific(&a, &b); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at)
	})
	return all
}

// ofRule reports whether two come from one rule.
func (l *lowered) ofRule(o *lowered) bool {
	return l.rule == o.rule && l.name == o.name && l.route.Ref == o.route.Ref
}

// appendRanked ranks the rules of a route for one of its host names.
func appendRanked(out []ranked, host string, rules []lowered) []ranked {
	for i := range rules {
		r := &rules[i]
		out = append(out, ranked{lowered: r, host: host, specificity: r.specificity, all: r.all})
	}
	return out
}

// rule is a rule of a route of any kind, in the words of HTTPRoute.
type rule struct {
	index    int
	field    string
	name     string
	filters  []gatewayv1.HTTPRouteFilter
	backends []gatewayv1.HTTPBackendRef
	timeouts *gatewayv1.HTTPRouteTimeouts
}

// scored is a match and how specific it is.
type scored struct {
	match       ir.Match
	specificity [5]int
}

// routeRules lowers the rules of a route of any kind.
func (l *lowering) routeRules(o input.Object) []lowered {
	switch v := o.Value.(type) {
	case *HTTPRoute:
		return l.httpRules(o, v)
	case *GRPCRoute:
		return l.grpcRules(o, v)
	case *TCPRoute:
		return l.tcpRules(o, v)
	}
	return nil
}

// httpRules lowers the rules of an HTTPRoute.
func (l *lowering) httpRules(o input.Object, spec *HTTPRoute) []lowered {
	rules := spec.Spec.Rules
	if rules == nil { // as the API server fills it in
		rules = []gatewayv1.HTTPRouteRule{{}}
	}
	var out []lowered
	for i, w := range rules {
		r := rule{index: i, field: input.Element("spec.rules", i), name: string(value(w.Name, "")),
			filters: w.Filters, backends: w.BackendRefs, timeouts: w.Timeouts}
		out = append(out, l.rank(o, r, len(rules), l.httpMatches(o, r.field, w.Matches))...)
	}
	return out
}

// grpcRules lowers the rules of a GRPCRoute.
func (l *lowering) grpcRules(o input.Object, spec *GRPCRoute) []lowered {
	var out []lowered
	for i, w := range spec.Spec.Rules {
		r := rule{index: i, field: input.Element("spec.rules", i), name: string(value(w.Name, "")), filters: grpcFilters(w.Filters)}
		for _, b := range w.BackendRefs {
			r.backends = append(r.backends, gatewayv1.HTTPBackendRef{BackendRef: b.BackendRef, Filters: grpcFilters(b.Filters)})
		}
		out = append(out, l.rank(o, r, len(spec.Spec.Rules), l.grpcMatches(o, r.field, w.Matches))...)
	}
	return out
}

func grpcFilters(in []gatewayv1.GRPCRouteFilter) []gatewayv1.HTTPRouteFilter {
	var out []gatewayv1.HTTPRouteFilter
	for _, f := range in {
		out = append(out, gatewayv1.HTTPRouteFilter{Type: gatewayv1.HTTPRouteFilterType(f.Type),
			RequestHeaderModifier: f.RequestHeaderModifier, ResponseHeaderModifier: f.ResponseHeaderModifier,
			RequestMirror: f.RequestMirror, ExtensionRef: f.ExtensionRef})
	}
	return out
}

// tcpRules lowers the rule of a TCPRoute, which takes every connection.
func (l *lowering) tcpRules(o input.Object, spec *TCPRoute) []lowered {
	var out []lowered
	for i, w := range spec.Spec.Rules {
		r := rule{index: i, field: input.Element("spec.rules", i), name: string(value(w.Name, ""))}
		for _, b := range w.BackendRefs {
			r.backends = append(r.backends, gatewayv1.HTTPBackendRef{BackendRef: b})
		}
		out = append(out, l.rank(o, r, len(spec.Spec.Rules), []scored{{match: ir.MatchAll(o.Ref(r.field))}})...)
	}
	return out
}

// rank makes a route of each match of a rule.
func (l *lowering) rank(o input.Object, r rule, rules int, matches []scored) []lowered {
	route := l.action(o, r)
	route.Name = l.routeName(o, r, rules)
	out := make([]lowered, 0, len(matches))
	for i, m := range matches {
		one := lowered{route: route, specificity: m.specificity, all: m.match.IsAll(), created: o.Created,
			name: ir.Name{Namespace: o.Namespace, Name: o.ID.Name}, rule: r.index, match: i}
		one.route.Matches = []ir.Match{m.match}
		out = append(out, one)
	}
	return out
}

// routeName is the name of the object and, where it has several rules, that of
// the rule. With a Gateway objects of several namespaces meet.
func (l *lowering) routeName(o input.Object, r rule, rules int) string {
	name := o.ID.Name
	if l.gateway {
		name = o.Namespace + "/" + name
	}
	switch {
	case rules == 1:
		return name
	case r.name != "":
		return name + "/" + r.name
	}
	return name + "/" + strconv.Itoa(r.index)
}
