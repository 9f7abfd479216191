package semantics

import (
	"slices"
	"testing"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

func TestWitnessFulfils(t *testing.T) {
	for _, expr := range []string{"/api", "/v[0-9]+/x", ".*a-book.*new", "/(a|b){2,3}", "[^/]+x?", `\d+\.png`, "(?i)abc"} {
		for _, a := range []ir.Anchor{ir.AnchorWhole, ir.AnchorStart, ir.AnchorNone} {
			alts, err := ir.ParsePattern(expr, a)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range alts {
				if w := Witness(m, "/fallback"); !m.Matches(w) {
					t.Errorf("%q anchored %d: %v does not match its witness %q", expr, a, m, w)
				}
			}
		}
	}
}

// A request that names two hosts is no request: no class is one, also where a match
// asks for the host and lines are repeated, as those of other headers are.
func TestOneHost(t *testing.T) {
	asks := func(header string) ir.Unit {
		m := ir.MatchAll(report.Ref{})
		m.Headers = []ir.HeaderMatch{{Name: header, Value: ir.StringMatch{Kind: ir.MatchExact, Value: "a"}}}
		return ir.Unit{Service: &ir.Service{Namespace: "ns", Name: "s", Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP,
			Routes: []ir.Route{{Name: "r", Matches: []ir.Match{m}}}}}}}
	}
	for header, want := range map[string]bool{"host": false, "x-host": true} {
		lines := 0
		for _, q := range RouteClasses(asks(header)) {
			lines = max(lines, len(q.Headers[header]))
		}
		if lines == 0 || lines > 1 != want {
			t.Errorf("%s comes in %d lines", header, lines)
		}
	}
}

// Where two conditions that follow each other can hold at once, some class meets
// both, so that their order shows; what cannot be is not asked.
func TestBoth(t *testing.T) {
	path := func(kind ir.MatchKind, value string) ir.Match {
		m := ir.MatchAll(report.Ref{})
		m.Path = ir.StringMatch{Kind: kind, Value: value}
		return m
	}
	header := func(m ir.Match, name, value string) ir.Match {
		m.Headers = append(m.Headers, ir.HeaderMatch{Name: name, Value: ir.StringMatch{Kind: ir.MatchExact, Value: value}})
		return m
	}
	method := func(m ir.Match, methods ...string) ir.Match { m.Methods = methods; return m }
	all := ir.MatchAll(report.Ref{})
	for name, c := range map[string]struct {
		a, b ir.Match
		want bool
	}{
		"a path and a header":         {path(ir.MatchPrefix, "/a"), header(all, "x", "1"), true},
		"a prefix and what is longer": {path(ir.MatchPrefix, "/a"), path(ir.MatchPrefix, "/a/b"), true},
		"what is longer and a prefix": {path(ir.MatchExact, "/a/b"), path(ir.MatchPrefix, "/a"), true},
		"headers of two names":        {header(all, "x", "1"), header(all, "y", "1"), true},
		"two values of a header":      {header(all, "x", "1"), header(all, "x", "2"), false},
		"methods in common":           {method(path(ir.MatchPrefix, "/a"), "GET", "PUT"), method(header(all, "x", "1"), "PUT", "POST"), true},
		"no method in common":         {method(path(ir.MatchPrefix, "/a"), "GET"), method(header(all, "x", "1"), "POST"), false},
		"two paths":                   {path(ir.MatchExact, "/a"), path(ir.MatchExact, "/b"), false},
	} {
		u := ir.Unit{Service: &ir.Service{Namespace: "ns", Name: "s", Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP,
			Routes: []ir.Route{{Name: "a", Matches: []ir.Match{c.a}}, {Name: "b", Matches: []ir.Match{c.b}}}}}}}
		got := slices.ContainsFunc(RouteClasses(u), func(q Request) bool { return Fulfils(q, c.a) && Fulfils(q, c.b) })
		if got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
