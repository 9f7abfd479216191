package istio

import (
	"flag"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/sidecar"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

var (
	paths       = []string{"/", "/a", "/ab", "/a/b", "b", "/a*", "*", "//", "/a//b", "/{*}", "/a/%2Fb", ""}
	kinds       = []ir.MatchKind{ir.MatchAny, ir.MatchExact, ir.MatchPrefix, ir.MatchSuffix, ir.MatchContains, ir.MatchRegex}
	headerNames = []string{"x-a", "x-b", "host", ":path", "grpc-x"}
	values      = []string{"v", "w", "v*", "*", ""}
	verbs       = []string{"GET", "PUT", "POST"}
)

// A failure says how to repeat it; it leaves no file behind.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.checks": "400"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}

func drawString(t *rapid.T, label string, from []string) ir.StringMatch {
	m := ir.StringMatch{Kind: rapid.SampledFrom(kinds).Draw(t, label+" kind")}
	switch m.Kind {
	case ir.MatchAny:
	case ir.MatchRegex:
		m.Value = "/[a-z]+"
	default:
		m.Value = rapid.SampledFrom(from).Draw(t, label)
	}
	return m
}

func drawMatch(t *rapid.T) ir.Match {
	m := all()
	if rapid.IntRange(0, 3).Draw(t, "segments") == 0 {
		m.Path = ir.StringMatch{Kind: ir.MatchSegments, Value: rapid.SampledFrom([]string{"/a", "/a/b", "/{*}", "/a*"}).Draw(t, "path")}
	} else {
		m.Path = drawString(t, "path", paths)
	}
	if rapid.Bool().Draw(t, "some methods") {
		m.Methods = rapid.SliceOfNDistinct(rapid.SampledFrom(verbs), 1, 2, rapid.ID[string]).Draw(t, "methods")
	}
	for range rapid.IntRange(0, 2).Draw(t, "headers") {
		m.Headers = append(m.Headers, ir.HeaderMatch{
			Name: rapid.SampledFrom(headerNames).Draw(t, "header"), Value: drawString(t, "value", values)})
	}
	return m
}

func drawGrant(t *rapid.T) ir.Grant {
	g := ir.Grant{Name: ir.Name{Namespace: "shop", Name: rapid.SampledFrom([]string{"one", "two"}).Draw(t, "grant")}}
	for _, account := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"web", "app", "spiffe://x/y"}), 0, 2, rapid.ID[string]).Draw(t, "sources") {
		s := caller(account)
		if strings.HasPrefix(account, "spiffe:") {
			s.Identity = ir.Identity{SPIFFE: account}
		}
		g.Sources = append(g.Sources, s)
	}
	ports := []int32{8080, 8081}
	if rapid.Bool().Draw(t, "everything") {
		g.Matches, ports = []ir.Match{all()}, []int32{8080, 8081, 6379}
	} else {
		g.Matches = rapid.SliceOfN(rapid.Custom(drawMatch), 0, 3).Draw(t, "matches")
	}
	for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(ports), 0, 2, rapid.ID[int32]).Draw(t, "ports") {
		g.Ports = append(g.Ports, ir.GrantPort{Number: p})
	}
	return g
}

// After what cannot be said is taken out, nothing is allowed that the model
// denies, and nothing is denied that it allows, but for slashes that Istio does
// not merge: the one thing that the table calls narrowed.
func TestSameAccess(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := bookstore(rapid.SliceOfN(rapid.Custom(drawGrant), 0, 3).Draw(rt, "grants")...)
		w.Ports = append(w.Ports, ir.WorkloadPort{Number: 8081, Protocol: ir.GRPC})
		if rapid.Bool().Draw(rt, "services unknown") {
			w.Ports = nil
			for i := range w.Grants {
				w.Grants[i].Ports = []ir.GrantPort{{Number: ir.AnyPort}}
			}
		}
		u := ir.Unit{Workload: &w}
		out, v := checked(t, u, translators.Target{})
		if v.Withheld {
			rt.Fatal("withheld")
		}
		written, mesh := semantics.New([]ir.Unit{v.Unit}), reading(t, translators.Target{}, out, v.Unit)
		for _, q := range semantics.Classes([]ir.Unit{u}) {
			want := written.Decide(q).Verdict == semantics.Allow
			got := mesh.Admit(interpret.Arrival{Request: q, Workload: q.Workload, Pod: w.Pods[0].Labels, Port: q.Port}).Allowed
			if got == want || want && unmerged(q) || !sent(q) {
				continue
			}
			rt.Fatalf("%+v from %v: made %v, model %v\n%s", q, q.From, got, want, encode(t, out))
		}
	})
}

// unmerged reports whether slashes stay in a path that the model merges.
func unmerged(q semantics.Request) bool {
	path, _ := sidecar.Reading{Normal: true}.Path(q.Path)
	return strings.Contains(path, "//")
}

// sent reports whether a proxy takes a request at all: a path starts with a slash.
func sent(q semantics.Request) bool { return q.Raw || strings.HasPrefix(q.Path, "/") }
