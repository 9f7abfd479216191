package gamma

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// writer writes the routes of one port, for everybody or for the callers of one
// namespace.
type writer struct {
	service ir.Name // INPUT
	port    ir.Port
	// namespace is where the route objects stand: that of the Service or, for
	// consumer routes, that of the callers.
	namespace string
	found     report.Report // OUTPUT
}

func (w *writer) add(found ...report.Finding) { w.found = append(w.found, found...) }

// service makes the routes of a Service, port by port.
func service(s ir.Service) ([]translators.Artifact, report.Report) {
	var out []translators.Artifact
	var found report.Report
	for _, p := range s.Ports {
		w := writer{service: ir.Name{Namespace: s.Namespace, Name: s.Name}, port: p, namespace: s.Namespace}
		if s.Headless || p.Protocol == ir.UDP || p.Number == ir.AnyPort || !w.routed() {
			continue
		}
		out = append(out, w.routes(p.Routes, s.Ref)...)
		found = append(found, w.found...)
		for _, v := range p.Views {
			consumer := w
			consumer.namespace, consumer.found = v.Namespace, nil
			out = append(out, consumer.routes(v.Routes, s.Ref)...)
			found = append(found, consumer.found...)
		}
	}
	return out, found
}

// routed reports whether some route of the port does anything but lead to the
// Service itself, which is what happens where no route is attached.
func (w *writer) routed() bool {
	return slices.ContainsFunc(w.port.AllRoutes(), func(r ir.Route) bool { return len(r.Matches) > 0 && !w.home(r) })
}

func (w *writer) home(r ir.Route) bool {
	return plainly(r) && len(r.Backends) > 0 && !slices.ContainsFunc(r.Backends, func(b ir.Backend) bool {
		return b.Invalid != "" || b.Weight == 0 || b.Service != w.service || b.Port != w.port.Number && b.Port != ir.AnyPort
	})
}

// routes makes the route objects of one list of routes.
func (w *writer) routes(routes []ir.Route, at report.Ref) []translators.Artifact {
	refs := append(refsOf(routes), at)
	if !w.port.Protocol.IsHTTP() {
		return w.tcp(routes, refs)
	}
	kind, write, wins, ties := "HTTPRoute", httpMatch, httpWins, httpTies
	grpc := asGRPC(w.port)
	if grpc {
		kind, write, wins, ties = "GRPCRoute", grpcMatch, grpcWins, grpcTies
	}
	routes = w.answered(routes)
	arms, found := armsOf(routes)
	w.add(found...)
	if !grpc {
		everyPathAsExpression(arms, routes)
	}
	o := ordering{wins: wins, routes: routes}
	o.order(arms)
	w.unordered(o, routes)
	objects := chunk(w.rules(o.out, routes))
	w.tied(objects, wins, ties)
	var out []translators.Artifact
	for i, rules := range objects {
		out = append(out, artifact(kind, w.namespace, w.name(i), object{
			"parentRefs": []any{w.parent()}, "rules": written(rules, write),
		}, refs))
	}
	return out
}

// answered leaves out the last route where it answers 404, which is what happens
// to requests that no rule matches. Gateway API has no other answer of its own
// but 500, for a rule without backends.
func (w *writer) answered(routes []ir.Route) []ir.Route {
	if n := len(routes); n > 1 && routes[n-1].Status == 404 && routes[n-1].MatchesAll() {
		routes = routes[:n-1]
	}
	for _, r := range routes {
		if r.Status != 0 && r.Status != 500 {
			w.add(report.New(report.Lossy, r.Ref, fmt.Sprintf("%s is answered with 500, not %d: Gateway API has no other answer for requests that match", r.Name, r.Status)).
				WithClass(report.Dropped))
		}
	}
	return routes
}

// unordered reports the pairs of matches whose order is the implementation's.
func (w *writer) unordered(o ordering, routes []ir.Route) {
	said := map[[2]int]bool{}
	for _, p := range o.unsure {
		first, second := routes[p[0].route], routes[p[1].route]
		if pair := [2]int{p[0].route, p[1].route}; !said[pair] {
			said[pair] = true
			w.add(report.New(report.Lossy, p[1].match.Ref, fmt.Sprintf(
				"some requests to port %d match %s and %s; the first takes them, and Gateway API leaves open whether it does here",
				w.port.Number, first.Name, second.Name)).WithClass(report.Approximated).With(p[0].match.Ref))
		}
	}
}

// tied reports matches that are alike in precedence and stand in different
// objects, of which the older one goes first.
func (w *writer) tied(objects [][]rule, wins, ties func(a, b arm) bool) {
	for i, former := range objects {
		for _, latter := range objects[i+1:] {
			if at, ok := tie(former, latter, func(a, b arm) bool { return wins(a, b) && ties(a, b) }); ok {
				w.add(report.New(report.Lossy, at, fmt.Sprintf(
					"port %d needs several route objects, and some requests match alike in two of them: the older object takes them, so they have to be made in the order of their names",
					w.port.Number)).WithClass(report.Approximated))
				return
			}
		}
	}
}

func tie(former, latter []rule, ties func(a, b arm) bool) (report.Ref, bool) {
	for _, f := range former {
		for _, l := range latter {
			for _, a := range f.arms {
				for _, b := range l.arms {
					if a.route != b.route && ties(a, b) && !disjoint(a.match, b.match) {
						return b.match.Ref, true
					}
				}
			}
		}
	}
	return report.Ref{}, false
}

// parent names the port of the Service that the routes are attached to.
func (w *writer) parent() object {
	out := object{"group": "", "kind": "Service", "name": w.service.Name, "port": int64(w.port.Number)}
	if w.namespace != w.service.Namespace {
		out["namespace"] = w.service.Namespace
	}
	return out
}

// name names the i-th route object of the port. A number, and not what the object
// holds, tells those of one port apart: where matches are alike the older object
// goes first, then the first by name, so an edit must not give them new names.
func (w *writer) name(i int) string {
	name := w.service.Name + "-" + strconv.Itoa(int(w.port.Number))
	if w.namespace != w.service.Namespace {
		name += "-" + manifest.Hash(w.service.Namespace, w.service.Name, strconv.Itoa(int(w.port.Number)))
	}
	if i > 0 {
		name += fmt.Sprintf("-%03d", i+1) // no port starts with a zero
	}
	return name
}

// tcp makes the one route of a port whose connections cannot be told apart.
func (w *writer) tcp(routes []ir.Route, refs []report.Ref) []translators.Artifact {
	i := slices.IndexFunc(routes, ir.Route.MatchesAll)
	if i < 0 {
		return nil
	}
	backends := w.backendRefs(routes[i])
	if len(backends) == 0 {
		backends = []any{w.backendRef(ir.Backend{Service: w.service, Port: w.port.Number, Invalid: "nowhere"})}
		backends[0].(object)["weight"] = int64(1)
	}
	return []translators.Artifact{artifact("TCPRoute", w.namespace, w.name(0), object{
		"parentRefs": []any{w.parent()}, "rules": []any{object{"backendRefs": backends}},
	}, refs)}
}

func refsOf(routes []ir.Route) []report.Ref {
	var refs []report.Ref
	for _, r := range routes {
		refs = append(refs, r.Refs()...)
	}
	return slices.DeleteFunc(refs, report.Ref.IsZero)
}
