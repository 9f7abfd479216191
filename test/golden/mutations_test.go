package golden

import (
	"time"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// A mutation changes one field of a unit, a private copy.
type mutation struct {
	what string
	ref  report.Ref
	do   func(u *ir.Unit)
	// view: it stands in the routes for the callers of one namespace.
	view bool
}

// mutations lists a change to every field of a unit that means something.
func mutations(u ir.Unit) []mutation {
	var out []mutation
	if s := u.Service; s != nil {
		for i, p := range s.Ports {
			out = append(out, routesMutations(p.Routes, func(u *ir.Unit) []ir.Route { return u.Service.Ports[i].Routes })...)
			for j, v := range p.Views {
				for _, m := range routesMutations(v.Routes, func(u *ir.Unit) []ir.Route { return u.Service.Ports[i].Views[j].Routes }) {
					m.view = true
					out = append(out, m)
				}
			}
		}
	}
	if v := u.VirtualHost; v != nil {
		out = append(out, routesMutations(v.Routes, func(u *ir.Unit) []ir.Route { return u.VirtualHost.Routes })...)
	}
	if w := u.Workload; w != nil && w.Enforced {
		out = append(out, workloadMutations(*w)...)
	}
	return out
}

func workloadMutations(w ir.Workload) []mutation {
	var out []mutation
	add := func(what string, ref report.Ref, do func(*ir.Unit)) {
		out = append(out, mutation{what: what, ref: ref, do: do})
	}
	for i, g := range w.Grants {
		grant := func(u *ir.Unit) *ir.Grant { return &u.Workload.Grants[i] }
		for k, s := range g.Sources {
			add("source", s.Ref, func(u *ir.Unit) {
				s := &grant(u).Sources[k]
				s.Identity.Account += "x"
				for j := range s.Services {
					s.Services[j].Name += "x"
				}
			})
			add("source namespace", s.Ref, func(u *ir.Unit) {
				s := &grant(u).Sources[k]
				s.Identity.Namespace += "x"
				for j := range s.Services {
					s.Services[j].Namespace += "x"
				}
			})
		}
		for k, p := range g.Ports {
			if p.Number != ir.AnyPort {
				add("port", p.Ref, func(u *ir.Unit) { grant(u).Ports[k].Number++ })
			}
		}
		for k, m := range g.Matches {
			out = append(out, matchMutations(m, func(u *ir.Unit) *ir.Match { return &grant(u).Matches[k] })...)
		}
	}
	return out
}

func routesMutations(routes []ir.Route, at func(*ir.Unit) []ir.Route) []mutation {
	var out []mutation
	for j, r := range routes {
		route := func(u *ir.Unit) *ir.Route { return &at(u)[j] }
		add := func(what string, ref report.Ref, do func(*ir.Route)) {
			out = append(out, mutation{what: what, ref: ref, do: func(u *ir.Unit) { do(route(u)) }})
		}
		for k, b := range r.Backends {
			if len(r.Backends) > 1 {
				add("weight", b.Ref, func(r *ir.Route) { r.Backends[k].Weight += 7 })
			}
			add("backend", b.Ref, func(r *ir.Route) { r.Backends[k].Service.Name += "x" })
			edit("a backend's request headers", b.RequestHeaders, add, func(r *ir.Route) *ir.HeaderEdit { return r.Backends[k].RequestHeaders })
			edit("a backend's response headers", b.ResponseHeaders, add, func(r *ir.Route) *ir.HeaderEdit { return r.Backends[k].ResponseHeaders })
		}
		for k, m := range r.Matches {
			out = append(out, matchMutations(m, func(u *ir.Unit) *ir.Match { return &route(u).Matches[k] })...)
		}
		actions(r, add)
	}
	return out
}

// actions changes what becomes of requests besides their backends.
func actions(r ir.Route, add func(string, report.Ref, func(*ir.Route))) {
	if r.Status == 404 { // the last route; 500 before it is what Gateway API says, and 404 there is not
		add("status", r.Ref, func(r *ir.Route) { r.Status = 500 })
	}
	if d := r.Redirect; d != nil {
		add("redirect status", d.Ref, func(r *ir.Route) { r.Redirect.Status = 300 + (r.Redirect.Status+1)%2 + 1 })
		if d.Host != "" {
			add("redirect host", d.Ref, func(r *ir.Route) { r.Redirect.Host = "x" + r.Redirect.Host })
		}
		if d.Path != nil {
			add("redirect path", d.Ref, func(r *ir.Route) { r.Redirect.Path.Value += "x" })
		}
		if d.Port != 0 {
			add("redirect port", d.Ref, func(r *ir.Route) { r.Redirect.Port++ })
		}
	}
	if w := r.Rewrite; w != nil {
		if w.Host != "" {
			add("rewrite host", w.Ref, func(r *ir.Route) { r.Rewrite.Host = "x" + r.Rewrite.Host })
		}
		if w.Path != nil {
			add("rewrite path", w.Ref, func(r *ir.Route) { r.Rewrite.Path.Value += "x" })
		}
	}
	edit("request headers", r.RequestHeaders, add, func(r *ir.Route) *ir.HeaderEdit { return r.RequestHeaders })
	edit("response headers", r.ResponseHeaders, add, func(r *ir.Route) *ir.HeaderEdit { return r.ResponseHeaders })
	for k, m := range r.Mirrors {
		add("mirror", m.Ref, func(r *ir.Route) { r.Mirrors[k].Backend.Service.Name += "x" })
		add("mirrored fraction", m.Ref, func(r *ir.Route) { r.Mirrors[k].Denominator *= 2 })
	}
	if t := r.Timeout; t != nil {
		if t.Request != 0 {
			add("timeout", t.Ref, func(r *ir.Route) { r.Timeout.Request = time.Millisecond })
		}
		if t.Backend != 0 {
			add("timeout of an attempt", t.Ref, func(r *ir.Route) { r.Timeout.Backend -= time.Millisecond })
		}
	}
}

func edit(what string, e *ir.HeaderEdit, add func(string, report.Ref, func(*ir.Route)), at func(*ir.Route) *ir.HeaderEdit) {
	if e == nil {
		return
	}
	for k := range e.Set {
		add(what+" set", e.Ref, func(r *ir.Route) { at(r).Set[k].Value += "x" })
	}
	for k := range e.Add {
		add(what+" added", e.Ref, func(r *ir.Route) { at(r).Add[k].Value += "x" })
	}
	for k := range e.Remove {
		add(what+" removed", e.Ref, func(r *ir.Route) { at(r).Remove[k] += "x" })
	}
}

func matchMutations(m ir.Match, at func(*ir.Unit) *ir.Match) []mutation {
	var out []mutation
	if m.Path.Kind != ir.MatchAny {
		out = append(out, mutation{what: "path", ref: m.PathRef, do: func(u *ir.Unit) { at(u).Path.Value += "x" }})
	}
	if !m.AnyMethod() {
		out = append(out, mutation{what: "method", ref: m.MethodsRef, do: func(u *ir.Unit) { at(u).Methods[0] = "TRACE" }})
	}
	for k, h := range m.Headers {
		out = append(out, mutation{what: "header name", ref: h.Ref, do: func(u *ir.Unit) { at(u).Headers[k].Name += "x" }})
		if h.Value.Kind != ir.MatchAny {
			out = append(out, mutation{what: "header value", ref: h.Ref, do: func(u *ir.Unit) { at(u).Headers[k].Value.Value += "x" }})
		}
	}
	for k, q := range m.Query {
		out = append(out, mutation{what: "query parameter", ref: q.Ref, do: func(u *ir.Unit) { at(u).Query[k].Name += "x" }})
		if q.Value.Kind != ir.MatchAny {
			out = append(out, mutation{what: "query value", ref: q.Ref, do: func(u *ir.Unit) { at(u).Query[k].Value.Value += "x" }})
		}
	}
	return out
}
