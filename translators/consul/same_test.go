package consul

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

var written = []string{"", "/", "/a", "/a/b", "/v2", "/a.b", "b", "/a/"}

func drawMatch(t *rapid.T, query bool) ir.Match {
	m := all()
	compared := func(label string, kinds ...ir.MatchKind) ir.StringMatch {
		s := ir.StringMatch{Kind: rapid.SampledFrom(append(kinds, ir.MatchExact, ir.MatchPrefix, ir.MatchSuffix, ir.MatchContains, ir.MatchRegex)).Draw(t, label)}
		switch s.Kind {
		case ir.MatchAny:
		case ir.MatchRegex:
			s.Value = rapid.SampledFrom([]string{"/[ab]", "/a.*", "", "/v[0-9]+(/x)?", "b|/b"}).Draw(t, label)
		case ir.MatchSegments:
			s.Value = rapid.SampledFrom([]string{"/a", "/v2", "/a/b"}).Draw(t, label)
		default:
			s.Value = rapid.SampledFrom(written).Draw(t, label)
		}
		return s
	}
	m.Path = compared("path", ir.MatchAny, ir.MatchAny, ir.MatchSegments)
	if m.Path.Kind == ir.MatchRegex && m.Path.Value == "" {
		m.Path = ir.StringMatch{Kind: ir.MatchAny}
	}
	if rapid.Bool().Draw(t, "methods") {
		m.Methods = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"GET", "POST", "PUT"}), 1, 2, rapid.ID).Draw(t, "method")
	}
	for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "host"}), 0, 2, rapid.ID).Draw(t, "headers") {
		m.Headers = append(m.Headers, ir.HeaderMatch{Name: n, Value: compared(n, ir.MatchAny)})
	}
	if query && rapid.Bool().Draw(t, "query") {
		m.Query = []ir.QueryMatch{{Name: "q", Value: compared("q", ir.MatchAny)}}
	}
	return m
}

func drawMatches(t *rapid.T, query bool) []ir.Match {
	var out []ir.Match
	for range rapid.IntRange(1, 3).Draw(t, "matches") {
		out = append(out, drawMatch(t, query))
	}
	return out
}

var accounts = []string{"web", "admin", "batch"}

func drawWorkload(t *rapid.T, account string) ir.Unit {
	protocol := rapid.SampledFrom([]ir.Protocol{ir.HTTP, ir.HTTP, ir.GRPC, ir.TCP}).Draw(t, "protocol")
	services := rapid.SampledFrom([][]string{nil, {"books"}, {"books", "extra"}}).Draw(t, "services")
	var grants []ir.Grant
	for range rapid.IntRange(0, 3).Draw(t, "grants") {
		g := grant(rapid.SampledFrom(accounts).Draw(t, "caller"), drawMatches(t, false)...)
		if rapid.IntRange(0, 3).Draw(t, "whole") == 0 {
			g.Matches = append(g.Matches, all())
		}
		if services == nil {
			g.Ports[0].Number = ir.AnyPort
		} else {
			g.Ports[0].Number = rapid.Int32Range(8080, 8081).Draw(t, "port")
		}
		grants = append(grants, g)
	}
	return workload(account, protocol, services, grants...)
}

// around asks for what the policies look at and, from each caller, for what just
// misses it, with a path written otherwise too.
func around(units ...ir.Unit) []semantics.Request {
	out := semantics.Classes(units)
	for _, q := range slices.Clone(out) {
		for _, v := range written {
			other := q
			other.Path, other.Headers = "/"+strings.TrimPrefix(v, "/"), map[string][]string{"x": {v}, "host": {v}}
			out = append(out, other)
		}
	}
	return slices.DeleteFunc(out, func(q semantics.Request) bool {
		repeated := false // the table speaks of such headers
		for _, lines := range q.Headers {
			repeated = repeated || len(lines) > 1
		}
		return repeated || !strings.HasPrefix(q.Path, "/") && !q.Raw
	})
}

func callerName(q semantics.Request) string {
	if q.From == nil {
		return ""
	}
	return strings.TrimSuffix(q.From.Account, "-account")
}

// A service of one workload lets through what the policy does, and nothing else,
// whatever the agents do by default.
func TestAccessIsThatOfThePolicy(t *testing.T) {
	allowed := 0
	rapid.Check(t, func(r *rapid.T) {
		target := translators.Target{Options: map[string]string{"default": rapid.SampledFrom([]string{"allow", "deny"}).Draw(r, "default")}}
		u, _ := left(drawWorkload(r, "books-account"), target)
		out, _ := made(t, target, u)
		j := judgeOf(t, target.Options["default"] == "allow", out)
		model := semantics.New([]ir.Unit{u})
		for _, q := range around(u) {
			service := serviceAt(*u.Workload, q.Port)
			if service == "" {
				continue
			}
			want := model.Decide(q)
			got := j.admits(service, callerName(q), q)
			if got {
				allowed++
			}
			if got != (want.Verdict == semantics.Allow) {
				r.Fatalf("%s from %s: %s %s %v: %t, want %s because %v\n%s", service, callerName(q), q.Method, q.Path, q.Headers, got, want.Verdict, want.Because, encode(t, u))
			}
		}
	})
	if allowed == 0 {
		t.Error("nothing was ever allowed")
	}
}

func serviceAt(w ir.Workload, port int32) string {
	if len(w.Ports) == 0 {
		return w.Account
	}
	for _, p := range w.Ports {
		if p.Number == port {
			return p.Services[0].Service.Name
		}
	}
	return ""
}

// A service of several workloads lets nothing through that one of them does not.
func TestIntersectionNeverWidens(t *testing.T) {
	allowed := 0
	rapid.Check(t, func(r *rapid.T) {
		var units []ir.Unit
		common := drawWorkload(r, "common").Workload.Grants
		for i := range 3 {
			u := workload(fmt.Sprintf("account%d", i), ir.HTTP, []string{"books"}, common...)
			own := drawWorkload(r, u.Workload.Account).Workload.Grants
			if rapid.IntRange(0, 3).Draw(r, "own") > 0 {
				u.Workload.Grants = append(slices.Clone(common), own...)
			}
			u, _ = left(u, translators.Target{})
			units = append(units, u)
		}
		out, _ := made(t, translators.Target{}, units...)
		j, model := judgeOf(t, true, out), semantics.New(units)
		for _, q := range around(units...) {
			if q.Port != 8080 || !j.admits("books", callerName(q), q) {
				continue
			}
			allowed++
			for _, u := range units {
				q.Workload = shop(u.Workload.Account)
				if d := model.Decide(q); d.Verdict != semantics.Allow {
					r.Fatalf("%s %s from %s passes, but %s says %s", q.Method, q.Path, callerName(q), u.Workload.Account, d.Verdict)
				}
			}
		}
	})
	if allowed == 0 {
		t.Error("nothing was ever allowed")
	}
}

func drawEdit(t *rapid.T) *ir.HeaderEdit {
	if rapid.IntRange(0, 2).Draw(t, "edits") > 0 {
		return nil
	}
	e := &ir.HeaderEdit{}
	for i, n := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 1, 3, rapid.ID).Draw(t, "edited") {
		switch h := (ir.Header{Name: n, Value: fmt.Sprint(n, i)}); rapid.IntRange(0, 2).Draw(t, "edit") {
		case 0:
			e.Set = append(e.Set, h)
		case 1:
			e.Add = append(e.Add, h)
		default:
			e.Remove = append(e.Remove, n)
		}
	}
	return e
}

func drawRoute(t *rapid.T, name string) ir.Route {
	r := route(name, drawMatches(t, true))
	for i := range rapid.IntRange(0, 4).Draw(t, "backends") {
		b := to(fmt.Sprintf("v%d", i), rapid.Uint32Range(0, 5).Draw(t, "weight"))
		if i == 3 {
			b = nowhere("gone", b.Weight)
		} else {
			b.RequestHeaders, b.ResponseHeaders = drawEdit(t), drawEdit(t)
		}
		r.Backends = append(r.Backends, b)
	}
	if rapid.IntRange(0, 5).Draw(t, "answers") == 0 {
		r.Backends, r.Status = nil, rapid.SampledFrom([]int{404, 500}).Draw(t, "status")
	}
	r.RequestHeaders, r.ResponseHeaders = drawEdit(t), drawEdit(t)
	if rapid.Bool().Draw(t, "rewrite") {
		r.Rewrite = &ir.Rewrite{Path: &ir.PathEdit{Prefix: true, Value: rapid.SampledFrom([]string{"/", "/new", "/new/"}).Draw(t, "prefix")}}
		for i := range r.Matches { // a prefix is replaced of what says one
			r.Matches[i].Path = rapid.SampledFrom([]ir.StringMatch{{Kind: ir.MatchAny}, {Kind: ir.MatchSegments, Value: "/a"}}).Draw(t, "replaced")
		}
	}
	return r
}

// A request goes where the policy says, within a step for each share.
func TestRoutesAreThoseOfThePolicy(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var routes []ir.Route
		for i := range rapid.IntRange(0, 3).Draw(r, "routes") {
			routes = append(routes, drawRoute(r, fmt.Sprintf("route%d", i)))
		}
		u, _ := left(reviews(rapid.SampledFrom([]ir.Protocol{ir.HTTP, ir.HTTP2, ir.GRPC}).Draw(r, "protocol"), routes...), translators.Target{})
		out, _ := made(t, translators.Target{}, u)
		j, model := judgeOf(t, true, out), semantics.New([]ir.Unit{u})
		for _, q := range around(u) {
			if path, _, _ := strings.Cut(q.Path, "?"); semantics.NormalisePath(q.Path) != path {
				continue // which the table speaks of
			}
			d, got := model.Decide(q), j.route("reviews", q)
			want := map[string]float64{}
			for _, s := range d.Shares {
				if name := s.Service.Name; s.Invalid == "" {
					want[name] += s.Percent
				} else {
					want[missing] += s.Percent
				}
			}
			if d.Verdict == semantics.Answer {
				want = map[string]float64{missing: 100}
			}
			for name, percent := range got.shares {
				if strings.HasPrefix(name, missing) {
					name = missing
				}
				if math.Abs(percent-want[name]) > 0.04 || want[name] == 0 {
					r.Fatalf("%s %s %v: %v, want %v\n%s", q.Method, q.Path, q.Headers, got.shares, want, encode(t, u))
				}
			}
			if len(got.shares) != len(want) {
				r.Fatalf("%s %s %v: %v, want %v", q.Method, q.Path, q.Headers, got.shares, want)
			}
			sendsOn(r, q, d, got)
		}
	})
}

// sendsOn compares what backends are asked: the path, and the headers after all edits.
func sendsOn(r *rapid.T, q semantics.Request, d semantics.Decision, got way) {
	if d.Verdict == semantics.Answer {
		return
	}
	if got.path != d.Sent.Path {
		r.Fatalf("%s: %s is asked, want %s", q.Path, got.path, d.Sent.Path)
	}
	routed := d.Route != "default" || got.timeout != "15s"
	if routed && got.timeout != "-1s" {
		r.Fatalf("%s: a timeout of %s", q.Path, got.timeout)
	}
	for _, s := range d.Shares {
		if s.Invalid != "" {
			continue
		}
		answer := map[string][]string{"x": {"answered"}, "z": {"answered"}}
		for what, pair := range map[string][2]string{
			"request":  {flat(edited(d.Sent.Headers, s.Request)), flat(proxiedHeaders(q.Headers, got.request[s.Service.Name]))},
			"response": {flat(edited(edited(answer, d.Sent.Response), s.Response)), flat(proxiedHeaders(answer, got.response[s.Service.Name]))},
		} {
			if pair[0] != pair[1] {
				r.Fatalf("%s of %s: %s, want %s", what, s.Service, pair[1], pair[0])
			}
		}
	}
}

// edited is what the model says of an edit.
func edited(headers map[string][]string, e *ir.HeaderEdit) map[string][]string {
	out := map[string][]string{}
	for k, v := range headers {
		out[k] = slices.Clone(v)
	}
	if e == nil {
		return out
	}
	for _, n := range e.Remove {
		delete(out, n)
	}
	for _, h := range e.Set {
		out[h.Name] = []string{h.Value}
	}
	for _, h := range e.Add {
		out[h.Name] = append(out[h.Name], h.Value)
	}
	return out
}

// proxiedHeaders is what Envoy does with Consul's modifiers: those of the share
// before those of the route, each removing first, then adding, then setting.
func proxiedHeaders(headers map[string][]string, all []*modifiers) map[string][]string {
	out := edited(headers, nil)
	for _, m := range all {
		if m == nil {
			continue
		}
		for _, n := range m.Remove {
			delete(out, n)
		}
		for n, v := range m.Add {
			out[n] = append(out[n], v)
		}
		for n, v := range m.Set {
			out[n] = []string{v}
		}
	}
	return out
}

// flat writes headers with the lines of each joined, which HTTP takes for the same.
func flat(headers map[string][]string) string {
	var out []string
	for k, v := range headers {
		if len(v) > 0 {
			out = append(out, k+"="+strings.Join(v, ","))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
