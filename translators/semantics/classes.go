package semantics

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// Classes lists representative requests of a model: for every port of every
// Service, and every account, a caller of each kind that the policies tell
// apart, with requests that meet each condition and that just miss it. Two
// configurations that decide all of them alike agree wherever the policies look.
func Classes(units []ir.Unit) []Request {
	var out []Request
	callers := callers(units)
	for _, u := range units {
		switch {
		case u.Service != nil:
			for _, p := range u.Service.Ports {
				conds := routeMatches(p.AllRoutes())
				conds = append(conds, grantMatches(units, p.AllRoutes())...)
				to := Request{Service: ir.Name{Namespace: u.Service.Namespace, Name: u.Service.Name}, Port: max(p.Number, 1)}
				out = append(out, requests(to, append(viewers(p), callers...), conds, p.Protocol.IsHTTP())...)
			}
		case u.VirtualHost != nil:
			out = append(out, hostRequests(units, *u.VirtualHost)...)
		case u.Workload != nil:
			out = append(out, workloadRequests(*u.Workload, callers)...)
		}
	}
	return out
}

// RouteClasses lists representative requests of one unit, a Service or a
// VirtualHost, by its own routes alone: for a caller of each namespace that the
// routes tell apart, requests that meet each condition and that just miss it.
func RouteClasses(u ir.Unit) []Request {
	if u.VirtualHost != nil {
		return hostRequests(nil, *u.VirtualHost)
	}
	var out []Request
	for _, p := range u.Service.Ports {
		to := Request{Service: ir.Name{Namespace: u.Service.Namespace, Name: u.Service.Name}, Port: max(p.Number, 1)}
		callers := append(viewers(p), &ir.Identity{Namespace: "meshknot-nowhere", Account: "nobody"})
		out = append(out, requests(to, callers, routeMatches(p.AllRoutes()), p.Protocol.IsHTTP())...)
	}
	return out
}

// AdmitClasses lists representative requests that arrive at a workload's pods,
// by its own grants alone: from each caller that a grant names, from its
// neighbours in account and namespace, from nobody and in plain text.
func AdmitClasses(w ir.Workload) []Request {
	ids := callers([]ir.Unit{{Workload: &w}})
	for _, id := range slices.Clone(ids) {
		if id != nil && id.SPIFFE == "" && id.Namespace != "meshknot-nowhere" {
			ids = append(ids, &ir.Identity{Namespace: "meshknot-nowhere", Account: id.Account},
				&ir.Identity{Namespace: id.Namespace, Account: "meshknot-nobody"})
		}
	}
	return workloadRequests(w, ids)
}

// viewers are callers of the namespaces that have routes of their own.
func viewers(p ir.Port) []*ir.Identity {
	var out []*ir.Identity
	for _, v := range p.Views {
		out = append(out, &ir.Identity{Namespace: v.Namespace, Account: "meshknot-nobody"})
	}
	return out
}

// hostRequests ask a Gateway for a host, and for one that it just is not.
func hostRequests(units []ir.Unit, v ir.VirtualHost) []Request {
	conds := append(routeMatches(v.Routes), grantMatches(units, v.Routes)...)
	host := v.Host
	if rest, ok := strings.CutPrefix(host, "*"); ok {
		host = "meshknot-any" + rest
	}
	var out []Request
	for _, h := range []string{host, host + ":8443", "x" + host} {
		for _, q := range shape(Request{Gateway: v.Gateway, Port: v.Port}, conds) {
			if q.Headers = clone(q.Headers); len(q.Headers["host"]) == 0 {
				q.Headers["host"] = []string{h}
			}
			out = append(out, q)
		}
	}
	return out
}

func workloadRequests(w ir.Workload, callers []*ir.Identity) []Request {
	var matches []ir.Match
	ports := []ir.WorkloadPort{{Number: 1, Protocol: ir.HTTP}} // one that nothing names
	for _, g := range w.Grants {
		matches = append(matches, g.Matches...)
	}
	for _, p := range w.Probes {
		if p.Protocol == ir.HTTP {
			m := ir.MatchAll(p.Ref)
			m.Path, m.Methods = ir.StringMatch{Kind: ir.MatchExact, Value: p.Path}, []string{"GET"}
			matches = append(matches, m)
		}
	}
	var out []Request
	for _, p := range append(ports, w.Ports...) {
		to := Request{Workload: ir.Name{Namespace: w.Namespace, Name: w.Account}, Port: p.Number}
		out = append(out, requests(to, callers, matches, p.Protocol.IsHTTP())...)
	}
	return out
}

// callers lists every identity that a grant names, one that none names, and none.
func callers(units []ir.Unit) []*ir.Identity {
	ids := []ir.Identity{{Namespace: "meshknot-nowhere", Account: "nobody"}}
	for _, u := range units {
		if u.Workload == nil {
			continue
		}
		for _, g := range u.Workload.Grants {
			for _, s := range g.Sources {
				ids = append(ids, s.Identity)
			}
		}
	}
	slices.SortFunc(ids, ir.Identity.Compare)
	out := []*ir.Identity{nil}
	for _, id := range slices.Compact(ids) {
		out = append(out, &id)
	}
	return out
}

func routeMatches(routes []ir.Route) []ir.Match {
	var out []ir.Match
	for _, r := range routes {
		out = append(out, r.Matches...)
	}
	return out
}

// grantMatches lists the conditions of the workloads behind routes.
func grantMatches(units []ir.Unit, routes []ir.Route) []ir.Match {
	var servers []ir.Identity
	for _, r := range routes {
		for _, b := range r.Backends {
			servers = append(servers, b.Servers...)
		}
	}
	var out []ir.Match
	for _, u := range units {
		if u.Workload != nil && slices.Contains(servers, ir.Identity{Namespace: u.Workload.Namespace, Account: u.Workload.Account}) {
			for _, g := range u.Workload.Grants {
				out = append(out, g.Matches...)
			}
		}
	}
	return out
}

func requests(to Request, callers []*ir.Identity, matches []ir.Match, http bool) []Request {
	var shapes []Request
	if !http {
		to.Raw = true
		shapes = []Request{to}
	} else {
		shapes = shape(to, matches)
	}
	out := make([]Request, 0, len(callers)*len(shapes))
	for _, from := range callers {
		for _, q := range shapes {
			q.From = from
			out = append(out, q)
		}
	}
	return out
}

// shape lists requests around the conditions: none met, each met, and each
// missed in one of its parts.
func shape(to Request, matches []ir.Match) []Request {
	base := to
	base.Method, base.Path = "GET", "/meshknot-unmatched"
	out := []Request{base}
	for _, m := range matches {
		hit := base
		hit.Path = Witness(m.Path, base.Path)
		if !m.AnyMethod() && len(m.Methods) > 0 {
			hit.Method = m.Methods[0]
		}
		hit.Headers = map[string][]string{}
		for _, h := range m.Headers {
			hit.Headers[h.Name] = append(hit.Headers[h.Name], Witness(h.Value, "v"))
		}
		for _, p := range m.Query {
			hit.Path = withParameter(hit.Path, p.Name, Witness(p.Value, "v"))
		}
		out = append(out, hit)
		out = append(out, misses(hit, m)...)
	}
	return dedupe(slices.DeleteFunc(out, func(q Request) bool { return !possible(q) }))
}

// possible reports whether a request can be made at all: a path begins with a
// slash, or is "*", and no header holds a control character but the tab.
func possible(q Request) bool {
	for _, lines := range q.Headers {
		if slices.ContainsFunc(lines, func(l string) bool {
			return strings.ContainsFunc(l, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
		}) {
			return false
		}
	}
	return q.Path == "*" || strings.HasPrefix(q.Path, "/")
}

func misses(hit Request, m ir.Match) []Request {
	var out []Request
	if m.Path.Kind != ir.MatchAny {
		path, query, asked := strings.Cut(hit.Path, "?")
		for _, p := range []string{path + "x", path + "/x", "/x" + path, "/x/.." + path, "/" + path} {
			q := hit
			if q.Path = p; asked {
				q.Path += "?" + query
			}
			out = append(out, q)
		}
	}
	if !m.AnyMethod() {
		q := hit
		q.Method = otherMethod(m.Methods)
		out = append(out, q)
	}
	path, _, asked := strings.Cut(hit.Path, "?")
	if asked && len(m.Query) > 0 {
		without, other := hit, hit
		without.Path, other.Path = path, path
		for _, p := range m.Query {
			other.Path = withParameter(other.Path, p.Name, Witness(p.Value, "v")+"-other")
		}
		out = append(out, without, other)
	}
	for _, h := range m.Headers {
		without, other := hit, hit
		without.Headers, other.Headers = clone(hit.Headers), clone(hit.Headers)
		delete(without.Headers, h.Name)
		other.Headers[h.Name] = []string{hit.Headers[h.Name][0] + "-other"}
		out = append(out, without, other)
	}
	return out
}

func otherMethod(methods []string) string {
	for _, m := range []string{"DELETE", "PUT", "POST", "GET", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"} {
		if !slices.Contains(methods, m) {
			return m
		}
	}
	return "MESHKNOT"
}

func withParameter(target, name, value string) string {
	if strings.Contains(target, "?") {
		return target + "&" + name + "=" + value
	}
	return target + "?" + name + "=" + value
}

func clone(h map[string][]string) map[string][]string {
	out := map[string][]string{}
	for k, v := range h {
		out[k] = v
	}
	return out
}

func dedupe(in []Request) []Request {
	var out []Request
	for _, q := range in {
		if !slices.ContainsFunc(out, func(o Request) bool { return sameShape(q, o) }) {
			out = append(out, q)
		}
	}
	return out
}

func sameShape(a, b Request) bool {
	if a.Method != b.Method || a.Path != b.Path || len(a.Headers) != len(b.Headers) {
		return false
	}
	for k, v := range a.Headers {
		if !slices.Equal(v, b.Headers[k]) {
			return false
		}
	}
	return true
}

// Witness returns a string that fulfils m, or fallback where every string does.
func Witness(m ir.StringMatch, fallback string) string {
	switch m.Kind {
	case ir.MatchExact, ir.MatchPrefix, ir.MatchSegments:
		return m.Value
	case ir.MatchSuffix, ir.MatchContains:
		if strings.HasPrefix(fallback, "/") && !strings.HasPrefix(m.Value, "/") {
			return "/" + m.Value
		}
		return m.Value
	case ir.MatchRegex:
		if s := ir.Example(m.Value); m.Matches(s) {
			return s
		}
	}
	return fallback
}
