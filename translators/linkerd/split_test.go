package linkerd

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

var web = ir.Name{Namespace: "shop", Name: "web"}

func to(name string, weight uint32) ir.Backend {
	return ir.Backend{Service: ir.Name{Namespace: "shop", Name: name}, Port: 80, Weight: weight}
}

func drawRoutes(t *rapid.T, label string) []ir.Route {
	var routes []ir.Route
	for i := range rapid.IntRange(1, 4).Draw(t, label+" routes") {
		n := fmt.Sprintf("%s%d", label, i)
		r := ir.Route{Name: n, Ref: report.Ref{Kind: "Route", Name: n}, Backends: []ir.Backend{to(n, 1)}}
		switch rapid.IntRange(0, 5).Draw(t, n+" action") {
		case 0:
			r.Backends = append(r.Backends, to("other", 3))
		case 1:
			r.Backends[0].Invalid = "missing"
			r.Backends = append(r.Backends, to("other", 1))
		case 2:
			r.Backends, r.Status = nil, 500
		}
		for k := range rapid.IntRange(1, 3).Draw(t, n+" matches") {
			r.Matches = append(r.Matches, drawMatch(t, fmt.Sprintf("%s.%d", n, k), true))
		}
		routes = append(routes, r)
	}
	last := ir.Route{Name: "default", Matches: []ir.Match{ir.MatchAll(report.Ref{})}, Backends: []ir.Backend{to("web", 1)}}
	if rapid.IntRange(0, 3).Draw(t, label+" unmatched") == 0 {
		last = ir.Route{Name: "unmatched", Matches: last.Matches, Status: 404}
	}
	return append(routes, last)
}

func meant(d semantics.Decision, port int32) map[string]float64 {
	if d.Status != 0 {
		return map[string]float64{fmt.Sprint(d.Status): 100}
	}
	out := map[string]float64{}
	for _, s := range d.Shares {
		name := backendName(s.Service.Namespace, s.Service.Name, s.Port)
		if s.Invalid != "" {
			name = "500"
		}
		out[name] += s.Percent
	}
	return out
}

func alikeShares(a, b map[string]float64) bool {
	return maps.EqualFunc(a, b, func(x, y float64) bool { return x-y < 1e-6 && y-x < 1e-6 })
}

// What the routes decide must be what the model says, in whatever order Linkerd
// counts conditions, unless it was said that an order cannot be kept.
func TestRoutesDecideAsTheModel(t *testing.T) {
	kept, said := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := ir.Service{Namespace: "shop", Name: "web", Ref: report.Ref{Kind: "Service", Name: "web"},
			Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP, Routes: drawRoutes(t, "r")}}}
		artifacts, found := meshOf(translators.Target{}).service(s)
		if len(refusals(found)) > 0 {
			said++
			return
		}
		kept++
		j := judgeOf(made(t, artifacts))
		j.methodLast = rapid.Bool().Draw(t, "method last")
		model := semantics.New([]ir.Unit{{Service: &s}})
		for range 12 {
			q := drawRequest(t, sentPaths)
			q.Service, q.Port = web, 80
			got, want := j.route(q, "shop"), meant(model.Decide(q), 80)
			if got == nil {
				got = map[string]float64{backendName("shop", "web", 80): 100}
			}
			if !alikeShares(got, want) {
				t.Fatalf("%s %s %v\nLinkerd: %v\nmodel:   %v\nroutes: %v", q.Method, q.Path, q.Headers, got, want, artifacts)
			}
		}
	})
	t.Logf("kept %d said %d", kept, said)
	if kept < 5*said {
		t.Errorf("the order was kept in %d cases only, and not in %d", kept, said)
	}
}

// The same by paths and methods alone, which meet in all their ways.
func TestPathsDecideAsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var routes []ir.Route
		for i := range rapid.IntRange(2, 4).Draw(t, "routes") {
			n := fmt.Sprintf("r%d", i)
			m := ir.Match{Path: sample(t, n, somePaths), Methods: sample(t, n+" method", [][]string{{"*"}, {"*"}, {"GET"}})}
			if rapid.IntRange(0, 2).Draw(t, n+" header") == 0 {
				m.Headers = []ir.HeaderMatch{{Name: "h1", Value: ir.StringMatch{Kind: ir.MatchAny}}}
			}
			routes = append(routes, ir.Route{Name: n, Matches: []ir.Match{m}, Backends: []ir.Backend{to(n, 1)}})
		}
		routes = append(routes, ir.Route{Name: "default", Matches: []ir.Match{ir.MatchAll(report.Ref{})}, Backends: []ir.Backend{to("web", 1)}})
		s := ir.Service{Namespace: "shop", Name: "web", Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP, Routes: routes}}}
		artifacts, found := meshOf(translators.Target{}).service(s)
		if len(found) > 0 {
			t.Fatal(found)
		}
		j := judgeOf(made(t, artifacts))
		j.methodLast = rapid.Bool().Draw(t, "method last")
		model := semantics.New([]ir.Unit{{Service: &s}})
		for _, path := range sentPaths {
			for _, headers := range []map[string][]string{nil, {"h1": {"x"}}} {
				for _, method := range []string{"GET", "PURGE"} {
					q := semantics.Request{Service: web, Port: 80, Method: method, Path: path, Headers: headers}
					if got, want := j.route(q, "shop"), meant(model.Decide(q), 80); !alikeShares(got, want) {
						t.Fatalf("%s %s %v\nLinkerd: %v\nmodel:   %v\nroutes: %v", method, path, headers, got, want, artifacts)
					}
				}
			}
		}
	})
}

// A view without routes for everybody beside it is the callers' own.
func TestViewsHoldForTheirNamespace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		home := []ir.Route{{Name: "default", Matches: []ir.Match{ir.MatchAll(report.Ref{})}, Backends: []ir.Backend{to("web", 1)}}}
		s := ir.Service{Namespace: "shop", Name: "web", Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP, Routes: home,
			Views: []ir.View{{Namespace: "office", Routes: drawRoutes(t, "v")}}}}}
		artifacts, found := meshOf(translators.Target{}).service(s)
		if len(refusals(found)) > 0 {
			return
		}
		j := judgeOf(made(t, artifacts))
		model := semantics.New([]ir.Unit{{Service: &s}})
		for range 6 {
			q := drawRequest(t, sentPaths)
			q.Service, q.Port = web, 80
			for _, from := range []string{"office", "home"} {
				q.From = &ir.Identity{Namespace: from, Account: "x"}
				got := j.route(q, from)
				if got == nil {
					got = map[string]float64{backendName("shop", "web", 80): 100}
				}
				if want := meant(model.Decide(q), 80); !alikeShares(got, want) {
					t.Fatalf("from %s %s %s %v\nLinkerd: %v\nmodel:   %v", from, q.Method, q.Path, q.Headers, got, want)
				}
			}
		}
	})
}

// One header with several lines: any line will do, as in the model.
func TestAnyLineOfAHeaderWillDo(t *testing.T) {
	s := ir.Service{Namespace: "shop", Name: "web", Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP, Routes: []ir.Route{
		{Name: "canary", Backends: []ir.Backend{to("canary", 1)}, Matches: []ir.Match{{Path: ir.StringMatch{Kind: ir.MatchAny}, Methods: []string{"*"},
			Headers: []ir.HeaderMatch{{Name: "h1", Value: ir.StringMatch{Kind: ir.MatchRegex, Value: "x|xy"}}}}}},
		{Name: "default", Backends: []ir.Backend{to("web", 1)}, Matches: []ir.Match{ir.MatchAll(report.Ref{})}},
	}}}}
	artifacts, _ := meshOf(translators.Target{}).service(s)
	j := judgeOf(made(t, artifacts))
	for lines, want := range map[string]string{"a,xy": "canary", "xy": "canary", "a": "web", "xyz": "web"} {
		q := semantics.Request{Service: web, Port: 80, Method: "GET", Path: "/", Headers: map[string][]string{"h1": strings.Split(lines, ",")}}
		if got := j.route(q, "shop"); got[backendName("shop", want, 80)] != 100 {
			t.Errorf("%s: %v, want %s", lines, got, want)
		}
	}
}

// Beside routes for everybody a view outranks those by paths, refuses what it does
// not know, and says that it is not the callers' own altogether.
func TestViewBesideRoutesForEverybody(t *testing.T) {
	under := func(path, name string) ir.Route {
		return ir.Route{Name: name, Matches: []ir.Match{{Path: ir.StringMatch{Kind: ir.MatchSegments, Value: path}, Methods: []string{"*"}}}, Backends: []ir.Backend{to(name, 1)}}
	}
	refuse := ir.Route{Name: "unmatched", Matches: []ir.Match{ir.MatchAll(report.Ref{})}, Status: 404}
	s := ir.Service{Namespace: "shop", Name: "web", Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP, Routes: []ir.Route{under("/a/b", "theirs"), refuse},
		Views: []ir.View{{Namespace: "office", Routes: []ir.Route{under("/a", "ours"), refuse}}}}}}
	artifacts, found := meshOf(translators.Target{}).service(s)
	if len(found) != 1 {
		t.Errorf("%v", found)
	}
	j := judgeOf(made(t, artifacts))
	for _, c := range []struct{ client, path, want string }{
		{"office", "/a/b/c", backendName("shop", "ours", 80)}, {"office", "/c", "500"}, {"home", "/a/b", backendName("shop", "theirs", 80)}, {"home", "/a", "404"},
	} {
		if got := j.route(semantics.Request{Service: web, Port: 80, Method: "GET", Path: c.path}, c.client); got[c.want] != 100 {
			t.Errorf("from %s to %s: %v, want %s", c.client, c.path, got, c.want)
		}
	}
}
