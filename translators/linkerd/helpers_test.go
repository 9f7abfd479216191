package linkerd

import (
	"cmp"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/test/schema"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// made holds every artifact against the definitions, and joins the parts.
func made(t interface {
	Helper()
	Errorf(string, ...any)
}, artifacts []translators.Artifact) []translators.Artifact {
	t.Helper()
	var out []translators.Artifact
	for _, a := range artifacts {
		check := schema.Linkerd
		if strings.HasPrefix(a.ID.Type, gatewayGroup) {
			check = schema.GatewayAPI
		}
		if err := check(a.Payload.(object)); err != nil {
			t.Errorf("%s: %v\n%v", a.ID.Name, err, a.Payload)
		}
		if i := slices.IndexFunc(out, func(o translators.Artifact) bool { return o.ID == a.ID }); i >= 0 {
			if a.Part == "" || out[i].Part == "" {
				t.Errorf("%v is made twice", a.ID)
			}
			continue
		}
		out = append(out, a)
	}
	return out
}

var (
	somePaths = []ir.StringMatch{
		{Kind: ir.MatchAny},
		{Kind: ir.MatchExact, Value: "/"},
		{Kind: ir.MatchExact, Value: "/a"},
		{Kind: ir.MatchExact, Value: "/a/b"},
		{Kind: ir.MatchPrefix, Value: "/"},
		{Kind: ir.MatchPrefix, Value: "/a"},
		{Kind: ir.MatchPrefix, Value: "/a/"},
		{Kind: ir.MatchSegments, Value: "/a"},
		{Kind: ir.MatchSegments, Value: "/a/b"},
		{Kind: ir.MatchSuffix, Value: "b"},
		{Kind: ir.MatchSuffix, Value: "/b"},
		{Kind: ir.MatchContains, Value: "ab"},
		{Kind: ir.MatchRegex, Value: `/a/[ab]+`},
		{Kind: ir.MatchRegex, Value: `/re/a|/re/ab`},
		{Kind: ir.MatchRegex, Value: `/a/.*?`},
		{Kind: ir.MatchRegex, Value: `/\d+/\w*`},
		{Kind: ir.MatchRegex, Value: `(?i)/A/\Qb.\E?`},
	}
	someValues = []ir.StringMatch{
		{Kind: ir.MatchAny},
		{Kind: ir.MatchExact, Value: "x"},
		{Kind: ir.MatchExact, Value: "xy"},
		{Kind: ir.MatchExact, Value: ""},
		{Kind: ir.MatchPrefix, Value: "x"},
		{Kind: ir.MatchRegex, Value: "x|xy"},
	}
	sentPaths = []string{"/", "/a", "/a/", "/a/b", "/a/bb", "/a/b/c", "/ab", "/b", "/re/a", "/re/ab", "/1/_", "/A/B", "/A/B.", "/c"}
	// nastyPaths are not in their normal form, or nearly not.
	nastyPaths = []string{"/a/../b", "/a/./b", "//a/b", "/a//b", "/a/%2e%2e/b", "/a/%2E./b", "/a/.%2e", `/a\b`, "/a/%62", "/%61/b", "/a/b%2Fb",
		"/a/...", "/a/.b", "/a/b/..", "/a/b/.", "/a/x/..", "/.", "/..", "/ab/../a/b", "/a/%%2e%2e/b", "/a/%2", "/a/%2e%2", "/re/a/..", "/a;/../b"}
)

func sample[T any](t *rapid.T, label string, from []T) T {
	return rapid.SampledFrom(from).Draw(t, label)
}

func drawMatch(t *rapid.T, n string, query bool) ir.Match {
	m := ir.Match{Path: sample(t, n+" path", somePaths), Methods: []string{ir.AnyMethod}, Ref: report.Ref{Kind: "Match", Name: n}}
	switch rapid.IntRange(0, 3).Draw(t, n+" methods") {
	case 0:
		m.Methods = []string{"GET"}
	case 1:
		m.Methods = []string{"GET", "POST"}
	}
	for _, name := range []string{"h1", "h2"} {
		if rapid.IntRange(0, 3).Draw(t, n+" "+name) == 0 {
			m.Headers = append(m.Headers, ir.HeaderMatch{Name: name, Value: sample(t, n+" value", someValues)})
		}
	}
	if query && rapid.IntRange(0, 5).Draw(t, n+" query") == 0 {
		m.Query = append(m.Query, ir.QueryMatch{Name: "q", Value: sample(t, n+" parameter", someValues)})
	}
	return m
}

func drawRequest(t *rapid.T, paths []string) semantics.Request {
	q := semantics.Request{Method: sample(t, "method", []string{"GET", "POST", "PURGE"}), Path: sample(t, "path", paths), Headers: map[string][]string{}}
	for _, name := range []string{"h1", "h2"} {
		if value := sample(t, name, []string{"none", "", "x", "xy", "z"}); value != "none" {
			q.Headers[name] = []string{value}
		}
	}
	if value := sample(t, "q", []string{"none", "", "x", "xy"}); value != "none" {
		q.Path += "?q=" + value
	}
	return q
}

// older draws an order of age for routes.
func older(t *rapid.T) func(a, b string) int {
	seed := rapid.IntRange(0, 1<<20).Draw(t, "ages")
	age := func(name string) int {
		n := seed
		for _, r := range name {
			n = (n*31 + int(r)) % 1000003
		}
		return n
	}
	return func(a, b string) int { return cmp.Or(cmp.Compare(age(a), age(b)), strings.Compare(a, b)) }
}

func refusals(found report.Report) report.Report {
	return slices.DeleteFunc(slices.Clone(found), func(f report.Finding) bool { return f.Code == report.WeightRounded })
}
