package gamma

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/test/schema"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

func ref(name, field string) report.Ref {
	return report.Ref{Kind: "TrafficSplit", Namespace: "shop", Name: name, Field: field}
}

func route(name string, matches ...ir.Match) ir.Route {
	return ir.Route{Name: name, Ref: ref(name, "spec"), Matches: matches, Backends: []ir.Backend{backendTo(name, 1)}}
}

func backendTo(name string, weight uint32) ir.Backend {
	return ir.Backend{Service: ir.Name{Namespace: "shop", Name: name}, Port: 9080, Weight: weight, Ref: ref(name, "spec.backends[0]")}
}

// reviews is a Service whose last route leads to itself.
func reviews(p ir.Protocol, routes ...ir.Route) ir.Service {
	return ir.Service{Namespace: "shop", Name: "reviews", Ref: report.Ref{Kind: "Service", Namespace: "shop", Name: "reviews"},
		Ports: []ir.Port{{Number: 9080, Protocol: p, Routes: append(slices.Clone(routes), route("reviews", ir.MatchAll(ref("reviews", ""))))}}}
}

// made translates a Service and holds what comes out against the definitions.
func made(t require, s ir.Service) ([]translators.Artifact, report.Report) {
	before, _ := json.Marshal(s)
	v := feature.Check(ir.Unit{Service: &s}, "gateway-api", New().Supports(translators.Target{}), nil)
	out, found := New().Translate(v.Unit, translators.Target{})
	for _, a := range out {
		if err := schema.GatewayAPI(a.Payload.(object)); err != nil {
			text, _ := json.MarshalIndent(a.Payload, "", "  ")
			t.Fatalf("%s: %v\n%s", a.ID.Name, err, text)
		}
	}
	if after, _ := json.Marshal(s); string(after) != string(before) {
		t.Fatalf("the unit was changed")
	}
	return out, found
}

// require is what tests of both kinds have.
type require interface {
	Fatalf(format string, args ...any)
}

// goes says where the judge sends a request.
func goes(j judge, q semantics.Request) string {
	r := j.rule(q)
	if r == nil {
		return "404"
	}
	refs := list(r, "backendRefs")
	if len(refs) == 0 {
		return "500"
	}
	return refs[0]["name"].(string)
}

// meant says where the model sends it.
func meant(m semantics.Model, q semantics.Request) string {
	d := m.Decide(q)
	if d.Status != 0 {
		return fmt.Sprint(d.Status)
	}
	return d.Shares[0].Service.Name
}

var (
	somePaths   = []string{"/", "/a", "/ab", "/a/", "/a/b", "/a/b/c", "/a/bc", "/b", "/x.js", "/a/x.js"}
	someMethods = []string{"GET", "POST", "DELETE"}
	someHeaders = []map[string][]string{{}, {"h1": {"1"}}, {"h1": {"2"}}, {"h2": {"1"}}, {"h1": {"1"}, "h2": {"12"}}}
)

// calls lists requests to the Service.
func calls() []semantics.Request {
	var out []semantics.Request
	for _, p := range somePaths {
		for _, m := range someMethods {
			for _, h := range someHeaders {
				for _, query := range []string{"", "?q=1"} {
					out = append(out, semantics.Request{Service: ir.Name{Namespace: "shop", Name: "reviews"}, Port: 9080, Method: m, Path: p + query, Headers: h})
				}
			}
		}
	}
	return out
}

func aMatch(core bool) *rapid.Generator[ir.Match] {
	return rapid.Custom(func(t *rapid.T) ir.Match {
		m := ir.MatchAll(ref("m", "spec.matches[0]"))
		paths := []ir.StringMatch{{Kind: ir.MatchAny}, {Kind: ir.MatchExact, Value: "/a"}, {Kind: ir.MatchExact, Value: "/a/b"},
			{Kind: ir.MatchSegments, Value: "/a"}, {Kind: ir.MatchSegments, Value: "/a/b"}, {Kind: ir.MatchSegments, Value: "/b"}}
		values := []ir.StringMatch{{Kind: ir.MatchExact, Value: "1"}, {Kind: ir.MatchExact, Value: "2"}}
		if !core {
			paths = append(paths, ir.StringMatch{Kind: ir.MatchPrefix, Value: "/a"}, ir.StringMatch{Kind: ir.MatchPrefix, Value: "/a/b"}, ir.StringMatch{Kind: ir.MatchPrefix, Value: "/"},
				ir.StringMatch{Kind: ir.MatchPrefix, Value: "/a/"}, ir.StringMatch{Kind: ir.MatchSuffix, Value: ".js"}, ir.StringMatch{Kind: ir.MatchContains, Value: "b"},
				ir.StringMatch{Kind: ir.MatchRegex, Value: "/[ab]+|/x"})
			values = append(values, ir.StringMatch{Kind: ir.MatchAny}, ir.StringMatch{Kind: ir.MatchPrefix, Value: "1"}, ir.StringMatch{Kind: ir.MatchRegex, Value: "1|2"})
		}
		m.Path = rapid.SampledFrom(paths).Draw(t, "path")
		if rapid.Bool().Draw(t, "named") {
			m.Methods = rapid.SampledFrom([][]string{{"GET"}, {"POST"}, {"GET", "POST"}}).Draw(t, "methods")
		}
		for _, name := range []string{"h1", "h2"} {
			if rapid.IntRange(0, 2).Draw(t, name) == 0 {
				m.Headers = append(m.Headers, ir.HeaderMatch{Name: name, Value: rapid.SampledFrom(values).Draw(t, "value")})
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "query") == 0 {
			m.Query = []ir.QueryMatch{{Name: "q", Value: rapid.SampledFrom(values).Draw(t, "value")}}
		}
		return m
	})
}

func aService(core bool) *rapid.Generator[ir.Service] {
	return rapid.Custom(func(t *rapid.T) ir.Service {
		var routes []ir.Route
		for i := range rapid.IntRange(1, 5).Draw(t, "routes") {
			routes = append(routes, route(fmt.Sprintf("r%d", i), rapid.SliceOfN(aMatch(core), 1, 3).Draw(t, "matches")...))
		}
		if rapid.IntRange(0, 4).Draw(t, "refuses") == 0 {
			s := reviews(ir.HTTP, routes...)
			last := &s.Ports[0].Routes[len(routes)]
			last.Backends, last.Status, last.Name = nil, 404, "unmatched"
			return s
		}
		return reviews(ir.HTTP, routes...)
	})
}

// unsure reports whether it was said that the order is up to the mesh.
func unsure(found report.Report) bool {
	return slices.ContainsFunc(found, func(f report.Finding) bool { return f.Class == report.Approximated })
}

// Whatever mesh ranks the matches, a request goes where the model's first match
// sends it, unless it was said that this is left open.
func TestOrderIsKept(t *testing.T) {
	judged, open := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := aService(false).Draw(t, "service")
		out, found := made(t, s)
		if judged++; unsure(found) {
			open++
			return
		}
		agree(t, s, out)
	})
	if open*10 > judged*9 {
		t.Errorf("of %d Services %d were left open: nothing was tried", judged, open)
	}
}

// What Gateway API's core can say is kept in every case.
func TestOrderOfCoreMatchesIsAlwaysKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := aService(true).Draw(t, "service")
		out, found := made(t, s)
		if len(found) > 0 {
			t.Fatalf("something is said of core matches: %v", found)
		}
		agree(t, s, out)
	})
}

func agree(t *rapid.T, s ir.Service, out []translators.Artifact) {
	model := semantics.New([]ir.Unit{{Service: &s}})
	for name, mesh := range meshes {
		j := mesh.on(out)
		for _, q := range calls() {
			if len(out) == 0 { // nothing is attached: every call goes to the Service
				continue
			}
			if got, want := goes(j, q), meant(model, q); got != want {
				t.Fatalf("%s sends %s %s %v to %s, want %s", name, q.Method, q.Path, q.Headers, got, want)
			}
		}
	}
}
