package gamma

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

func onPath(kind ir.MatchKind, value string) ir.Match {
	m := ir.MatchAll(ref("m", "spec.matches[0]"))
	m.Path = ir.StringMatch{Kind: kind, Value: value}
	return m
}

func withHeader(name, value string) ir.Match {
	m := ir.MatchAll(ref("m", "spec.matches[0]"))
	m.Headers = []ir.HeaderMatch{{Name: name, Value: ir.StringMatch{Kind: ir.MatchExact, Value: value}}}
	return m
}

// rulesOf lists the rules of all route objects.
func rulesOf(out []translators.Artifact) []object {
	var rules []object
	for _, a := range out {
		rules = append(rules, list(a.Payload.(object)["spec"].(object), "rules")...)
	}
	return rules
}

func wants(t *testing.T, got any, want string) {
	t.Helper()
	g, err := yaml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var w any
	if err := yaml.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if text, _ := yaml.Marshal(w); string(text) != string(g) {
		t.Errorf("got\n%s\nwant\n%s", g, text)
	}
}

// A string-wise prefix becomes an expression, and what is behind it does too:
// Istio would try the prefix "/" first.
func TestPrefixGoesBeforeTheCatchAll(t *testing.T) {
	s := reviews(ir.HTTP, route("canary", onPath(ir.MatchPrefix, "/a")), route("beta", withHeader("h1", "1")))
	out, found := made(t, s)
	if len(found) > 0 {
		t.Errorf("the order is left open: %v", found)
	}
	model := semantics.New([]ir.Unit{{Service: &s}})
	for name, mesh := range meshes {
		for _, q := range calls() {
			if got, want := goes(mesh.on(out), q), meant(model, q); got != want {
				t.Errorf("%s sends %s %v to %s, want %s", name, q.Path, q.Headers, got, want)
			}
		}
	}
}

// Two expressions that are not in a known order are reported, at the match that
// may take what is not its own.
func TestOpenOrderIsReported(t *testing.T) {
	later := onPath(ir.MatchSuffix, ".js")
	later.Ref = ref("later", "spec.matches[1]")
	_, found := made(t, reviews(ir.HTTP, route("first", onPath(ir.MatchPrefix, "/a")), route("second", later)))
	if len(found) != 1 || found[0].Source != later.Ref || found[0].Class != report.Approximated || !strings.Contains(found[0].Message, "first") {
		t.Errorf("found %v", found)
	}
}

func TestNothingIsAttachedWhereNothingIsRouted(t *testing.T) {
	for _, s := range []ir.Service{reviews(ir.HTTP), reviews(ir.TCP), reviews(ir.UDP, route("r", ir.MatchAll(ref("r", ""))))} {
		if out, found := made(t, s); len(out)+len(found) > 0 {
			t.Errorf("%v %v", out, found)
		}
	}
	headless := reviews(ir.HTTP, route("r", ir.MatchAll(ref("r", ""))))
	headless.Headless = true
	unknown := reviews(ir.HTTP, route("r", ir.MatchAll(ref("r", ""))))
	unknown.Ports[0].Number = ir.AnyPort
	for _, s := range []ir.Service{headless, unknown} {
		if out, _ := New().Translate(ir.Unit{Service: &s}, translators.Target{}); len(out) > 0 {
			t.Errorf("a route is attached to what cannot have one: %v", out)
		}
	}
}

// Route objects are filled up to their limits and no further, in an order that
// their names keep.
func TestLimitsAreKept(t *testing.T) {
	for _, size := range []struct{ routes, matches, objects int }{{16, 1, 2}, {15, 1, 1}, {1, 64, 1}, {1, 65, 1}, {1, 127, 1}, {1, 128, 2}, {40, 3, 3}, {3, 100, 3}} {
		var routes []ir.Route
		for i := range size.routes {
			var matches []ir.Match
			for k := range size.matches {
				matches = append(matches, onPath(ir.MatchExact, fmt.Sprintf("/%d/%d", i, k)))
			}
			routes = append(routes, route(fmt.Sprintf("r%d", i), matches...))
		}
		s := reviews(ir.HTTP, routes...)
		out, found := made(t, s) // the definitions hold the limits
		if len(out) != size.objects || len(found) > 0 {
			t.Errorf("%v: %d objects, %v", size, len(out), found)
		}
		names := make([]string, len(out))
		for i, a := range out {
			names[i] = a.ID.Name
		}
		if !slices.IsSorted(names) || names[0] != "shop/reviews-9080" || len(slices.Compact(names)) != size.objects {
			t.Errorf("%v: names %v", size, names)
		}
		model := semantics.New([]ir.Unit{{Service: &s}})
		for i := range size.routes {
			for _, k := range []int{0, size.matches - 1, size.matches} {
				q := semantics.Request{Service: ir.Name{Namespace: "shop", Name: "reviews"}, Port: 9080, Method: "GET", Path: fmt.Sprintf("/%d/%d", i, k)}
				if got, want := goes(meshes["istio"].on(out), q), meant(model, q); got != want {
					t.Errorf("%v: %s goes to %s, want %s", size, q.Path, got, want)
				}
			}
		}
	}
}

// Of matches that are alike, the one in the older object would go first.
func TestTiesAcrossObjectsAreReported(t *testing.T) {
	var routes []ir.Route
	for i := range 17 {
		routes = append(routes, route(fmt.Sprintf("r%d", i), withHeader(fmt.Sprintf("h%d", i), "1")))
	}
	if _, found := made(t, reviews(ir.HTTP, routes[:14]...)); len(found) > 0 {
		t.Errorf("one object: %v", found)
	}
	if _, found := made(t, reviews(ir.HTTP, routes...)); len(found) != 1 {
		t.Errorf("two objects: %v", found)
	}
}

func TestWeights(t *testing.T) {
	for _, w := range []struct {
		in    []uint32
		want  []int64
		exact bool
	}{
		{[]uint32{1, 3}, []int64{1, 3}, true},
		{[]uint32{0, 0}, []int64{0, 0}, true},
		{[]uint32{50, 150}, []int64{50, 150}, true},
		{[]uint32{1_000_000, 1_000_000}, []int64{1_000_000, 1_000_000}, true},
		{[]uint32{2_000_000, 6_000_000}, []int64{1, 3}, true},
		{[]uint32{4_000_000_000, 1}, []int64{999_999, 1}, false},
		{[]uint32{1_000_001, 2_000_001, 0}, []int64{333_333, 666_667, 0}, false},
	} {
		var backends []ir.Backend
		for _, n := range w.in {
			backends = append(backends, backendTo("b", n))
		}
		if got, exact := weights(backends); !slices.Equal(got, w.want) || exact != w.exact {
			t.Errorf("%v become %v %v, want %v %v", w.in, got, exact, w.want, w.exact)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var backends []ir.Backend
		var total float64
		for range rapid.IntRange(1, 16).Draw(t, "n") {
			b := backendTo("b", rapid.Uint32Max(1<<28-1).Draw(t, "weight"))
			backends, total = append(backends, b), total+float64(b.Weight)
		}
		got, _ := weights(backends)
		var sum float64
		for _, w := range got {
			sum += float64(w)
		}
		for i, b := range backends {
			if got[i] < 0 || got[i] > maxWeight || (got[i] == 0) != (b.Weight == 0) {
				t.Fatalf("%d becomes %d", b.Weight, got[i])
			}
			if sum > 0 && b.Weight > 0 {
				if off := float64(got[i])/sum - float64(b.Weight)/total; off > 17e-6 || off < -17e-6 {
					t.Fatalf("the share of %d is off by %g", b.Weight, off)
				}
			}
		}
	})
}

// A share without a Service fails whatever comes to exist: only one that is just
// missing is named as a Service.
func TestInvalidBackendsFail(t *testing.T) {
	missing, broken := backendTo("gone", 1), backendTo("odd", 2)
	missing.Invalid, broken.Invalid = "Service shop/gone does not exist", "ServiceImport shop/odd is no Service"
	r := route("r", ir.MatchAll(ref("r", "")))
	r.Backends = append(r.Backends, missing, broken)
	out, _ := made(t, reviews(ir.HTTP, r))
	wants(t, rulesOf(out)[0]["backendRefs"], `
- {group: "", kind: Service, name: r, port: 9080, weight: 1}
- {group: "", kind: Service, name: gone, port: 9080, weight: 1}
- {group: meshknot.io, kind: InvalidBackend, name: odd, port: 9080, weight: 2}
`)
}

func TestTooManyBackendsFail(t *testing.T) {
	r := route("r", ir.MatchAll(ref("r", "")))
	for i := range 16 {
		r.Backends = append(r.Backends, backendTo(fmt.Sprintf("b%d", i), 1))
	}
	out, found := made(t, reviews(ir.HTTP, r))
	if rulesOf(out)[0]["backendRefs"] != nil || len(found) != 1 || found[0].Class != report.Narrowed {
		t.Errorf("%v %v", rulesOf(out), found)
	}
	r.Backends[16].Weight = 0
	if out, found = made(t, reviews(ir.HTTP, r)); len(list(rulesOf(out)[0], "backendRefs")) != 16 || len(found) > 0 {
		t.Errorf("%v %v", rulesOf(out), found)
	}
}

func TestGRPC(t *testing.T) {
	s := reviews(ir.GRPC, route("one", onPath(ir.MatchExact, "/shop.Reviews/Get"), onPath(ir.MatchPrefix, "/shop.Ratings/")), route("two", withHeader("h1", "1")))
	out, found := made(t, s)
	if len(out) != 1 || out[0].ID.Type != "gateway.networking.k8s.io/v1/GRPCRoute" || len(found) > 0 {
		t.Fatalf("%v %v", out, found)
	}
	wants(t, rulesOf(out)[0]["matches"], `
- method: {type: Exact, service: shop.Reviews, method: Get}
- method: {type: Exact, service: shop.Ratings}
`)
	for _, m := range []ir.Match{onPath(ir.MatchPrefix, "/shop."), onPath(ir.MatchExact, "/healthz"), {Path: ir.StringMatch{Kind: ir.MatchAny}, Methods: []string{"GET"}}} {
		if out, _ := made(t, reviews(ir.GRPC, route("one", m))); out[0].ID.Type != "gateway.networking.k8s.io/v1/HTTPRoute" {
			t.Errorf("%v cannot be said by a GRPCRoute: %v", m, out)
		}
	}
	slow := route("slow", onPath(ir.MatchExact, "/shop.Reviews/Get"))
	slow.Timeout = &ir.Timeout{Request: time.Second}
	if out, _ := made(t, reviews(ir.GRPC, slow)); out[0].ID.Type != "gateway.networking.k8s.io/v1/HTTPRoute" {
		t.Errorf("a GRPCRoute has no timeouts: %v", out)
	}
}

func TestTCP(t *testing.T) {
	r := route("r", ir.MatchAll(ref("r", "")))
	r.Backends = append(r.Backends, backendTo("other", 3))
	out, _ := made(t, reviews(ir.TCP, r))
	wants(t, out[0].Payload.(object)["spec"], `
parentRefs: [{group: "", kind: Service, name: reviews, port: 9080}]
rules:
- backendRefs:
  - {group: "", kind: Service, name: r, port: 9080, weight: 1}
  - {group: "", kind: Service, name: other, port: 9080, weight: 3}
`)
	r.Backends, r.Status = nil, 500
	out, _ = made(t, reviews(ir.TCP, r))
	wants(t, rulesOf(out), `[{backendRefs: [{group: meshknot.io, kind: InvalidBackend, name: reviews, port: 9080, weight: 1}]}]`)
}

// Callers of a namespace get their own routes, all of them and in their namespace.
func TestViews(t *testing.T) {
	s := reviews(ir.HTTP, route("r", withHeader("h1", "1")))
	s.Ports[0].Views = []ir.View{{Namespace: "front", Routes: []ir.Route{route("reviews", ir.MatchAll(ref("v", "")))}}}
	out, _ := made(t, s)
	if len(out) != 2 || out[1].ID.Name != "front/reviews-9080-"+manifest.Hash("shop", "reviews", "9080") {
		t.Fatalf("%v", out)
	}
	wants(t, out[1].Payload.(object)["spec"], `
parentRefs: [{group: "", kind: Service, name: reviews, namespace: shop, port: 9080}]
rules:
- name: reviews
  matches: [{path: {type: PathPrefix, value: /}}]
  backendRefs: [{group: "", kind: Service, name: reviews, namespace: shop, port: 9080, weight: 1}]
`)
}

func TestFilters(t *testing.T) {
	r := route("r", onPath(ir.MatchSegments, "/a"))
	r.RequestHeaders = &ir.HeaderEdit{Set: []ir.Header{{Name: "x", Value: "1"}}, Remove: []string{"y"}}
	r.ResponseHeaders = &ir.HeaderEdit{Add: []ir.Header{{Name: "z", Value: "2"}, {Name: "bad", Value: ""}}}
	r.Rewrite = &ir.Rewrite{Host: "other.example", Path: &ir.PathEdit{Prefix: true, Value: "/b"}}
	r.Mirrors = []ir.Mirror{{Backend: backendTo("all", 1), Numerator: 1, Denominator: 1}, {Backend: backendTo("half", 1), Numerator: 50, Denominator: 100},
		{Backend: backendTo("few", 1), Numerator: 1, Denominator: 1000}}
	r.Timeout = &ir.Timeout{Request: 90*time.Second + 5*time.Millisecond, Backend: 1500 * time.Microsecond}
	out, found := made(t, reviews(ir.HTTP, r))
	if len(found) != 2 { // the empty value, and half a millisecond
		t.Errorf("found %v", found)
	}
	rule := rulesOf(out)[0]
	wants(t, rule["filters"], `
- {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: "1"}], remove: ["y"]}}
- {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: z, value: "2"}]}}
- {type: URLRewrite, urlRewrite: {hostname: other.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}
- {type: RequestMirror, requestMirror: {backendRef: {group: "", kind: Service, name: all, port: 9080}}}
- {type: RequestMirror, requestMirror: {percent: 50, backendRef: {group: "", kind: Service, name: half, port: 9080}}}
- {type: RequestMirror, requestMirror: {fraction: {numerator: 1, denominator: 1000}, backendRef: {group: "", kind: Service, name: few, port: 9080}}}
`)
	wants(t, rule["timeouts"], `{request: 1m30s5ms, backendRequest: 2ms}`)
}

// What replaces the prefix of its match must not get another one.
func TestPrefixEditsKeepTheirMatch(t *testing.T) {
	r := route("moved", onPath(ir.MatchSegments, "/a"), onPath(ir.MatchSegments, "/b"))
	r.Backends, r.Redirect = nil, &ir.Redirect{Status: 308, Path: &ir.PathEdit{Prefix: true, Value: "/c"}}
	out, found := made(t, reviews(ir.HTTP, r, route("deep", onPath(ir.MatchSegments, "/a/b"))))
	for _, rule := range rulesOf(out) {
		if text, _ := json.Marshal(rule); strings.Contains(string(text), "ReplacePrefixMatch") && len(list(rule, "matches")) != 1 {
			t.Errorf("a rule that replaces a prefix has one: %s", text)
		}
	}
	if len(found) != 1 {
		t.Errorf("%v: /a/b goes to the second, and that has to be said", found)
	}
}

func TestMethodsAreOneEach(t *testing.T) {
	m := onPath(ir.MatchExact, "/a")
	m.Methods = []string{"GET", "PUT"}
	odd := m
	odd.Methods = []string{"PURGE"}
	out, found := made(t, reviews(ir.HTTP, route("r", m), route("odd", odd)))
	wants(t, rulesOf(out)[0]["matches"], `[{path: {type: Exact, value: /a}, method: GET}, {path: {type: Exact, value: /a}, method: PUT}]`)
	if len(found) != 1 || found[0].Class != report.Dropped {
		t.Errorf("PURGE: %v", found)
	}
}
