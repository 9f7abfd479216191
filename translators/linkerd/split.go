package linkerd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// nowhere can never be the name of a Service, so what is sent there fails.
const nowhere = "missing-backend.meshknot.invalid"

// service makes the routes of each port that leads anywhere but to the Service
// itself, for everybody and for the callers of a namespace.
func (m mesh) service(s ir.Service) ([]translators.Artifact, report.Report) {
	var out []translators.Artifact
	var found report.Report
	for _, p := range s.Ports {
		if p.Number == ir.AnyPort || p.Protocol == ir.UDP || s.Headless {
			continue // the table leaves nothing to be said here
		}
		mine := routing(s, p, s.Namespace, p.Routes)
		a, f := mine.artifacts()
		out, found = append(out, a...), append(found, f...)
		for _, v := range p.Views {
			view := routing(s, p, v.Namespace, v.Routes)
			if view.overrides = mine.needed(); view.overrides {
				found = append(found, lossy(v.Routes[0].Ref, report.Approximated, fmt.Sprintf(
					"Linkerd adds the routes of a namespace to those for everybody: callers in %s obey the latter where they are more specific, and what matches no route fails with status 500", v.Namespace)))
			}
			a, f := view.artifacts()
			out, found = append(out, a...), append(found, f...)
		}
	}
	return out, found
}

// routed is a port with the routes that callers of a namespace see.
type routed struct {
	service ir.Service
	port    ir.Port
	// namespace is where the routes are made: that of the Service for everybody,
	// another one for its own callers.
	namespace string
	routes    []ir.Route
	// overrides: there are routes for everybody beside these.
	overrides bool
}

func routing(s ir.Service, p ir.Port, namespace string, routes []ir.Route) routed {
	return routed{service: s, port: p, namespace: namespace, routes: routes}
}

func (r routed) self() ir.Name { return ir.Name{Namespace: r.service.Namespace, Name: r.service.Name} }

// needed reports whether some route does anything but pass requests on to the
// called port of the Service itself.
func (r routed) needed() bool {
	return slices.ContainsFunc(r.routes, func(one ir.Route) bool { return len(one.Matches) > 0 && !r.home(one) })
}

func (r routed) home(one ir.Route) bool {
	if one.Answers() || one.RequestHeaders != nil || one.ResponseHeaders != nil || one.Timeout != nil && one.Timeout.Request > 0 {
		return false
	}
	live := live(one.Backends)
	return len(live) > 0 && !slices.ContainsFunc(live, func(b ir.Backend) bool {
		return b.Invalid != "" || b.Service != r.self() || b.Port != r.port.Number && b.Port != ir.AnyPort ||
			b.RequestHeaders != nil || b.ResponseHeaders != nil
	})
}

// live are the backends that get a share.
func live(all []ir.Backend) []ir.Backend {
	return slices.DeleteFunc(slices.Clone(all), func(b ir.Backend) bool { return b.Weight == 0 })
}

func (r routed) artifacts() ([]translators.Artifact, report.Report) {
	if !r.needed() && !r.overrides {
		return nil, nil
	}
	if !r.port.Protocol.IsHTTP() {
		return r.tcp()
	}
	return r.http()
}

// http makes the HTTPRoutes of a port. Linkerd puts the rules of several together.
func (r routed) http() ([]translators.Artifact, report.Report) {
	rules, found := r.rulesOf(r.routes)
	found = append(found, newSets().inOrder(rules)...)
	var written []written
	for _, one := range rules {
		if r.unmatched(one.Route) {
			continue // what matches no rule gets this answer by itself
		}
		written = append(written, r.rules(one)...)
	}
	if len(written) == 0 && len(rules) > 0 {
		written = append(written, never(rules[0].Ref))
	}
	groups := grouped(written)
	if len(groups) > 1 {
		found = append(found, lossy(r.service.Ref, report.Approximated, fmt.Sprintf(
			"port %d takes %d HTTPRoutes: between rules of two of them that are equally specific, the older counts", r.port.Number, len(groups))))
	}
	var out []translators.Artifact
	for i, g := range groups {
		spec := object{"parentRefs": []any{r.parent()}, "rules": g.objects}
		name := r.name()
		if i > 0 {
			name = manifest.Name(name+"-"+g.first, r.key(g.first, strconv.Itoa(g.part))...)
		}
		a := manifest.New(httpRoutes, "HTTPRoute", r.namespace, name, spec, append(g.refs, r.service.Ref))
		a.Rank = rankRoute
		out = append(out, a)
	}
	return out, found
}

// unmatched reports whether a route is what becomes of requests by themselves,
// being the last one.
func (r routed) unmatched(one ir.Route) bool {
	return one.Status == 404 && one.MatchesAll()
}

// written is a rule as an object.
type written struct {
	object object
	route  string // the name of the route that it says
	part   int    // of the route, where its matches are too many for one rule
	count  int    // of its matches
	refs   []report.Ref
}

// rules writes a route, in several rules where it has many matches.
func (r routed) rules(one rule) []written {
	var out []written
	for chunk := range slices.Chunk(one.requests, maxRuleMatches) {
		w := written{object: object{}, route: one.Name, part: len(out), count: len(chunk), refs: one.Route.Refs()}
		maps.Copy(w.object, one.action)
		var matches []any
		for _, q := range chunk {
			m, _ := q.object()
			matches = append(matches, m)
		}
		w.object["matches"] = matches
		out = append(out, w)
	}
	return out
}

// never is a rule that no request fulfils: a path is never empty.
func never(ref report.Ref) written {
	match := object{"path": object{"type": "RegularExpression", "value": "^$"}}
	return written{object: object{"matches": []any{match}}, route: "unmatched", count: 1, refs: []report.Ref{ref}}
}

// group is the rules of one HTTPRoute.
type group struct {
	first   string // the name of the route that its first rule says
	part    int
	objects []any
	refs    []report.Ref
	matches int
}

func grouped(all []written) []group {
	var out []group
	for _, w := range all {
		if n := len(out); n == 0 || len(out[n-1].objects) == maxRules || out[n-1].matches+w.count > maxRouteMatches {
			out = append(out, group{first: w.route, part: w.part})
		}
		g := &out[len(out)-1]
		g.objects, g.refs, g.matches = append(g.objects, w.object), append(g.refs, w.refs...), g.matches+w.count
	}
	return out
}

// tcp makes the TCPRoute of a port whose connections cannot be told apart.
func (r routed) tcp() ([]translators.Artifact, report.Report) {
	i := slices.IndexFunc(r.routes, ir.Route.MatchesAll)
	if i < 0 {
		return nil, nil
	}
	one := r.routes[i]
	backends, found := r.backends(one)
	for _, b := range backends {
		delete(b.(object), "filters")
	}
	spec := object{"parentRefs": []any{r.parent()}, "rules": []any{object{"backendRefs": backends}}}
	a := manifest.New(tcpRoutes, "TCPRoute", r.namespace, r.name(), spec, append(one.Refs(), r.service.Ref))
	a.Rank = rankRoute
	return []translators.Artifact{a}, found
}

// parent names the port of the Service that is routed.
func (r routed) parent() object {
	return object{"group": "", "kind": "Service", "namespace": r.service.Namespace, "name": r.service.Name, "port": int64(r.port.Number)}
}

// name of the route of a port; for the callers of another namespace it names the
// Service's too.
func (r routed) name() string {
	port := r.service.Name + "-" + strconv.Itoa(int(r.port.Number))
	if r.namespace == r.service.Namespace {
		return "meshknot-" + port
	}
	return manifest.Name("meshknot-"+r.service.Namespace+"-"+port, r.key()...)
}

func (r routed) key(more ...string) []string {
	return append([]string{r.service.Namespace, r.service.Name, strconv.Itoa(int(r.port.Number))}, more...)
}

// backends writes the shares of a route. One that fails is sent to where nobody
// is, which Linkerd answers with status 500, or by closing the connection.
func (r routed) backends(one ir.Route) ([]any, report.Report) {
	shares := live(one.Backends)
	if len(shares) == 0 {
		shares = []ir.Backend{{Invalid: nowhere, Weight: 1, Ref: one.Ref}}
	}
	var found report.Report
	if len(shares) > maxBackends {
		found = append(found, lossy(one.Ref, report.Dropped, fmt.Sprintf(
			"a rule takes %d backends, and all requests fail where there are more", maxBackends)))
		shares = []ir.Backend{{Invalid: nowhere, Weight: 1, Ref: one.Ref}}
	}
	weights, exact := weightsOf(shares)
	if !exact {
		found = append(found, report.New(report.WeightRounded, shares[0].Ref,
			"the weights are scaled down to the range of a route, so their ratio is rounded").WithClass(report.Approximated))
	}
	var out []any
	for i, b := range shares {
		ref := object{"group": "", "kind": "Service", "name": nowhere, "port": int64(r.port.Number), "weight": weights[i]}
		if b.Invalid == "" {
			ref["name"], ref["namespace"] = b.Service.Name, b.Service.Namespace
			if b.Port != ir.AnyPort {
				ref["port"] = int64(b.Port)
			}
		}
		filters, f := headerFilters(b.RequestHeaders, b.ResponseHeaders)
		if found = append(found, f...); len(filters) > 0 {
			ref["filters"] = filters
		}
		out = append(out, ref)
	}
	return out, found
}
