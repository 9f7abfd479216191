package semantics

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// condition is what requests are made to meet.
type condition struct {
	ir.Match
	// edited are the headers that requests may come with and that are edited where
	// the condition is met; said once for each route.
	edited []string
}

func conditions(all []ir.Match) []condition {
	out := make([]condition, 0, len(all))
	for _, m := range all {
		out = append(out, condition{Match: m})
	}
	return out
}

func routeConditions(routes []ir.Route) []condition {
	var out []condition
	for _, r := range routes {
		first := len(out)
		out = append(out, conditions(r.Matches)...)
		if first < len(out) {
			out[first].edited = edited(r)
		}
	}
	return out
}

// edited lists the headers of requests that a route or one of its backends edits,
// without those by which HTTP itself works.
func edited(r ir.Route) []string {
	var out []string
	add := func(e *ir.HeaderEdit) {
		if e == nil {
			return
		}
		out = append(out, e.Remove...)
		for _, h := range slices.Concat(e.Set, e.Add) {
			out = append(out, h.Name)
		}
	}
	add(r.RequestHeaders)
	for _, b := range r.Backends {
		add(b.RequestHeaders)
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(name string) bool { return slices.Contains(ownHeaders, name) })
}

// ownHeaders are those without which, or with any value of which, no request is
// what it was.
var ownHeaders = []string{"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}

// shape lists requests around the conditions: none met, each met, each missed in
// one of its parts; met with the headers that are edited then; each met together
// with the next one; and one with two lines of a header, and one with a query
// parameter twice, where they are asked for.
func shape(to Request, conds []condition) []Request {
	base := to
	base.Method, base.Path = "GET", "/meshknot-unmatched"
	out := []Request{base}
	for _, c := range conds {
		hit := met(base, c.Match)
		out = append(out, hit)
		out = append(out, misses(hit, c.Match)...)
		if len(c.edited) > 0 {
			out = append(out, carrying(hit, c.edited))
		}
	}
	out = append(out, repeating(base, conds)...)
	for i := 1; i < len(conds); i++ {
		if q, ok := both(base, conds[i-1].Match, conds[i].Match); ok {
			out = append(out, q)
		}
	}
	return dedupe(slices.DeleteFunc(out, func(q Request) bool { return !possible(q) }))
}

// met is a request that meets a condition.
func met(base Request, m ir.Match) Request {
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
	return hit
}

// both is a request that meets two conditions at once: which of them counts is up
// to their order. It reports false where none of the few that are tried does.
func both(base Request, a, b ir.Match) (Request, bool) {
	if a.IsAll() || b.IsAll() { // then what meets the other meets both
		return Request{}, false
	}
	q := met(base, b)
	path, query, asked := strings.Cut(q.Path, "?")
	if w := Witness(a.Path, path); b.Path.Matches(NormalisePath(w)) {
		path = w
	}
	if q.Path = path; asked {
		q.Path += "?" + query
	}
	if !a.AnyMethod() && (b.AnyMethod() || !slices.Contains(a.Methods, q.Method)) {
		i := slices.IndexFunc(a.Methods, func(m string) bool { return b.AnyMethod() || slices.Contains(b.Methods, m) })
		if i < 0 {
			return q, false
		}
		q.Method = a.Methods[i]
	}
	for _, h := range a.Headers {
		w := Witness(h.Value, "v")
		if !slices.ContainsFunc(b.Headers, func(o ir.HeaderMatch) bool { return o.Name == h.Name && !o.Value.Matches(w) }) {
			q.Headers[h.Name] = []string{w}
		}
	}
	for _, p := range a.Query {
		if _, there := parameter(q.Path, p.Name); !there {
			q.Path = withParameter(q.Path, p.Name, Witness(p.Value, "v"))
		}
	}
	return q, Fulfils(q, a) && Fulfils(q, b)
}

// carrying is a request with one line of each header that it does not have yet.
func carrying(q Request, names []string) Request {
	q.Headers = clone(q.Headers)
	for _, n := range names {
		if len(q.Headers[n]) == 0 {
			q.Headers[n] = []string{"old"}
		}
	}
	return q
}

// repeating are the requests that meet a condition with the first of two lines of
// a header, and one with the first occurrence of a query parameter.
func repeating(base Request, conds []condition) []Request {
	var out []Request
	if i := slices.IndexFunc(conds, func(c condition) bool { return len(c.Headers) > 0 }); i >= 0 {
		q := met(base, conds[i].Match)
		h := conds[i].Headers[0]
		q.Headers[h.Name] = append(q.Headers[h.Name], Witness(h.Value, "v")+"-other")
		out = append(out, q)
	}
	if i := slices.IndexFunc(conds, func(c condition) bool { return len(c.Query) > 0 }); i >= 0 {
		q := met(base, conds[i].Match)
		p := conds[i].Query[0]
		q.Path = withParameter(q.Path, p.Name, Witness(p.Value, "v")+"-other")
		out = append(out, q)
	}
	for _, c := range conds {
		for _, h := range c.Headers {
			if lines := together(h.Value); lines != nil {
				q := met(base, c.Match)
				q.Headers[h.Name] = lines
				out = append(out, q)
			}
		}
	}
	return out
}

// together are two lines that fulfil a comparison joined by a comma and neither of
// which does alone; nil where the one string that is tried cannot be cut so.
func together(m ir.StringMatch) []string {
	w := Witness(m, "v")
	for i := range len(w) + 1 {
		first, second := w[:i], strings.TrimPrefix(w[i:], ",")
		if m.Matches(first+","+second) && !m.Matches(first) && !m.Matches(second) {
			return []string{first, second}
		}
	}
	return nil
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
