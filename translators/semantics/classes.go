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
				conds := append(routeConditions(p.AllRoutes()), grantConditions(units, p.AllRoutes())...)
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
		out = append(out, requests(to, callers, routeConditions(p.AllRoutes()), p.Protocol.IsHTTP())...)
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
	conds := append(routeConditions(v.Routes), grantConditions(units, v.Routes)...)
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
	var conds []condition
	ports := []ir.WorkloadPort{{Number: 1, Protocol: ir.HTTP}} // one that nothing names
	for _, g := range w.Grants {
		conds = append(conds, conditions(g.Matches)...)
	}
	for _, p := range w.Probes {
		if p.Protocol == ir.HTTP {
			m := ir.MatchAll(p.Ref)
			m.Path, m.Methods = ir.StringMatch{Kind: ir.MatchExact, Value: p.Path}, []string{"GET"}
			conds = append(conds, condition{Match: m})
		}
	}
	var out []Request
	for _, p := range append(ports, w.Ports...) {
		to := Request{Workload: ir.Name{Namespace: w.Namespace, Name: w.Account}, Port: p.Number}
		out = append(out, requests(to, callers, conds, p.Protocol.IsHTTP())...)
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

// grantConditions lists the conditions of the workloads behind routes.
func grantConditions(units []ir.Unit, routes []ir.Route) []condition {
	var servers []ir.Identity
	for _, r := range routes {
		for _, b := range r.Backends {
			servers = append(servers, b.Servers...)
		}
	}
	var out []condition
	for _, u := range units {
		if u.Workload != nil && slices.Contains(servers, ir.Identity{Namespace: u.Workload.Namespace, Account: u.Workload.Account}) {
			for _, g := range u.Workload.Grants {
				out = append(out, conditions(g.Matches)...)
			}
		}
	}
	return out
}

func requests(to Request, callers []*ir.Identity, conds []condition, http bool) []Request {
	var shapes []Request
	if !http {
		to.Raw = true
		shapes = []Request{to}
	} else {
		shapes = shape(to, conds)
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

// possible reports whether a request can be made at all: a path begins with a
// slash, or is "*", no header holds a control character but the tab, and the host
// is one line, for servers refuse what names two (RFC 9112, section 3.2).
func possible(q Request) bool {
	if len(q.Headers["host"]) > 1 {
		return false
	}
	for _, lines := range q.Headers {
		if slices.ContainsFunc(lines, func(l string) bool {
			return strings.ContainsFunc(l, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
		}) {
			return false
		}
	}
	return q.Path == "*" || strings.HasPrefix(q.Path, "/")
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
	type line struct{ method, path string }
	seen := map[line][]Request{} // a policy of many conditions has many requests
	for _, q := range in {
		at := line{q.Method, q.Path}
		if !slices.ContainsFunc(seen[at], func(o Request) bool { return sameShape(q, o) }) {
			seen[at] = append(seen[at], q)
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
