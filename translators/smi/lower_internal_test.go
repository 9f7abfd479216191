package smi

import (
	"testing"

	"github.com/meshknot/meshknot/translators/ir"
)

func TestServiceName(t *testing.T) {
	for _, c := range []struct {
		written string
		want    ir.Name
		ok      bool
	}{
		{"svc", ir.Name{Namespace: "shop", Name: "svc"}, true},
		{"svc.ns", ir.Name{Namespace: "ns", Name: "svc"}, true},
		{"svc.ns.svc", ir.Name{Namespace: "ns", Name: "svc"}, true},
		{"svc.ns.svc.cluster.local", ir.Name{Namespace: "ns", Name: "svc"}, true},
		{"ns/svc", ir.Name{Namespace: "ns", Name: "svc"}, true},
		{"svc.ns.example.com", ir.Name{}, false},
		{"svc.", ir.Name{}, false},
		{"a/b/c", ir.Name{}, false},
		{"Svc", ir.Name{}, false},
		{"svc:80", ir.Name{}, false},
		{"", ir.Name{}, false},
	} {
		got, ok := serviceName("shop", c.written)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%q: got %v %v, want %v %v", c.written, got, ok, c.want, c.ok)
		}
	}
}

func TestOverlap(t *testing.T) {
	text := func(kind ir.MatchKind, value string) ir.StringMatch { return ir.StringMatch{Kind: kind, Value: value} }
	anything := text(ir.MatchAny, "")
	for _, c := range []struct {
		a, b                      ir.StringMatch
		aCoversB, bCoversA, apart bool
	}{
		{text("exact", "/a"), text("exact", "/a"), true, true, false},
		{text("exact", "/a"), text("exact", "/b"), false, false, true},
		{text("prefix", "/a"), text("exact", "/ab"), true, false, false},
		{text("prefix", "/a"), text("exact", "/b"), false, false, true},
		{text("prefix", "/a"), text("prefix", "/ab"), true, false, false},
		{text("prefix", "/a"), text("prefix", "/b"), false, false, true},
		{text("suffix", ".css"), text("suffix", "x.css"), true, false, false},
		{text("suffix", ".css"), text("suffix", ".js"), false, false, true},
		{text("prefix", "/a"), text("suffix", "b"), false, false, false},
		{text("contains", "b"), text("prefix", "/abc"), true, false, false},
		{text("prefix", "/a"), text("contains", "/a"), false, true, false},
		{text("regex", "/[a-c]+"), text("exact", "/b"), true, false, false},
		{text("regex", "/[a-c]+"), text("exact", "/x"), false, false, true},
		{text("regex", "/[a-c]+"), text("prefix", "/x"), false, false, false},
		{text("regex", "/[a-c]+"), text("regex", "/[a-c]+"), true, true, false},
		{anything, text("regex", "x"), true, false, false},
	} {
		if got := coversString(c.a, c.b); got != c.aCoversB {
			t.Errorf("%s covers %s: %v, want %v", c.a, c.b, got, c.aCoversB)
		}
		if got := coversString(c.b, c.a); got != c.bCoversA {
			t.Errorf("%s covers %s: %v, want %v", c.b, c.a, got, c.bCoversA)
		}
		if got := disjointString(c.a, c.b); got != c.apart || got != disjointString(c.b, c.a) {
			t.Errorf("%s and %s are disjoint: %v, want %v", c.a, c.b, got, c.apart)
		}
	}
}

func TestOverlapOfMatches(t *testing.T) {
	match := func(methods []string, headers ...string) ir.Match {
		m := ir.Match{Path: ir.StringMatch{Kind: ir.MatchAny}, Methods: methods}
		for i := 0; i < len(headers); i += 2 {
			m.Headers = append(m.Headers, ir.HeaderMatch{Name: headers[i], Value: ir.StringMatch{Kind: ir.MatchExact, Value: headers[i+1]}})
		}
		return m
	}
	star := []string{"*"}
	for _, c := range []struct {
		name                      string
		a, b                      ir.Match
		aCoversB, bCoversA, apart bool
	}{
		{"all and a method", match(star), match([]string{"GET"}), true, false, false},
		{"methods within", match([]string{"GET", "PUT"}), match([]string{"GET"}), true, false, false},
		{"methods apart", match([]string{"PUT"}), match([]string{"GET"}), false, false, true},
		{"methods across", match([]string{"PUT", "GET"}), match([]string{"GET", "HEAD"}), false, false, false},
		{"header and all", match(star, "a", "1"), match(star), false, true, false},
		{"two values", match(star, "a", "1"), match(star, "a", "2"), false, false, true},
		{"two headers", match(star, "a", "1"), match(star, "b", "1"), false, false, false},
		{"one header of two", match(star, "a", "1"), match(star, "b", "1", "a", "1"), true, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := covers(c.a, c.b); got != c.aCoversB {
				t.Errorf("a covers b: %v", got)
			}
			if got := covers(c.b, c.a); got != c.bCoversA {
				t.Errorf("b covers a: %v", got)
			}
			if got := disjoint(c.a, c.b); got != c.apart || got != disjoint(c.b, c.a) {
				t.Errorf("disjoint: %v", got)
			}
		})
	}
}

func TestCounterExample(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{"/metrics", "/metrics/x"},
		{"/metrics$", ""},
		{"^/metrics.*", ""},
		{"/", "/x"},
		{"/api/", "/api/x"},
		{"/items/[0-9]+", "/items/0/x"},
		{"/[a-z]+/.*", ""},
		{"/(a|b)", "/a/x"},
		{"metrics", ""}, // matches no path in any reading
		{"/(", ""},
	} {
		if got, ok := counterExample(c.expr); got != c.want || ok != (c.want != "") {
			t.Errorf("%q: got %q, want %q", c.expr, got, c.want)
		}
	}
}

func TestProducts(t *testing.T) {
	g := group{RouteGroup: &RouteGroup{}, dialect: dialectSpec}
	matches, _, ok := g.lowerMatch(HTTPMatch{
		PathRegex: "/(a|b|c|d)$",
		Headers:   []Header{{Name: "x", Value: "1|2|3"}, {Name: "y", Value: "p.*|.*s|.*c.*|12"}},
	})
	if !ok || len(matches) != 12 {
		t.Fatalf("%d matches, want 12", len(matches))
	}
	last := matches[0].Headers[1].Value
	for value, want := range map[string]bool{"pq": true, "qs": true, "acb": true, "12": true, "x": false} {
		if last.Matches(value) != want {
			t.Errorf("%s matches %q: %v, want %v", last, value, !want, want)
		}
	}
}

func TestConditionsOfMatchesAreTheirOwn(t *testing.T) {
	g := group{RouteGroup: &RouteGroup{}, dialect: dialectSpec}
	matches, _, _ := g.lowerMatch(HTTPMatch{Headers: []Header{{Name: "a", Value: "1"}, {Name: "b", Value: "1"}, {Name: "c", Value: "1"}, {Name: "d", Value: "1|2"}}})
	for i, want := range []string{"1", "2"} {
		if got := matches[i].Headers[3].Value.Value; got != want {
			t.Errorf("alternative %d is %s, want %s", i, got, want)
		}
	}
}
