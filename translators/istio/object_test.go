package istio

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// Each class of pods has policies of its own; one class given twice has them once.
func TestPodClasses(t *testing.T) {
	w := bookstore(grant([]int32{8080}, all()))
	w.Pods = append(w.Pods, ir.PodClass{Labels: map[string]string{"app": "bookstore", "tier": "front"}}, w.Pods[0], ir.PodClass{})
	out, _ := made(t, ir.Unit{Workload: &w}, translators.Target{})
	var selectors []any
	for _, s := range specs(out, "AuthorizationPolicy") {
		selectors = append(selectors, s.(object)["selector"])
	}
	same(t, selectors, `[{matchLabels: {app: bookstore, tier: back}}, {matchLabels: {app: bookstore, tier: back}},
	  {matchLabels: {app: bookstore, tier: front}}, {matchLabels: {app: bookstore, tier: front}}, null, null]`)
	unique(t, out)
}

func unique(t *testing.T, out []translators.Artifact) {
	t.Helper()
	seen := map[translators.ID]bool{}
	for _, a := range out {
		if seen[a.ID] {
			t.Errorf("two of %v", a.ID)
		}
		seen[a.ID] = true
	}
}

// However names are cut, no two keys share one, and every name is valid.
func TestNames(t *testing.T) {
	long := strings.Repeat("a", 253)
	dots := strings.Repeat("a.", 126) + "a"
	tests := []struct {
		name    string
		account string
		granted ir.Name
	}{
		{"a", "a", ir.Name{Namespace: "shop", Name: "b-c"}},
		{"the same with another cut", "a-b", ir.Name{Namespace: "shop", Name: "c"}},
		{"a namespace with a dash", "a", ir.Name{Namespace: "a-b", Name: "c"}},
		{"a name with a dash", "a", ir.Name{Namespace: "a", Name: "b-c"}},
		{"long", long, ir.Name{Namespace: "shop", Name: long}},
		{"long, with another end", long[:252] + "b", ir.Name{Namespace: "shop", Name: long}},
		{"long grant, with another end", long, ir.Name{Namespace: "shop", Name: long[:252] + "b"}},
		{"long, cut before the names differ", long, ir.Name{Namespace: "a", Name: "aa"}},
		{"long, cut before the names differ in another way", long, ir.Name{Namespace: "aa", Name: "a"}},
		{"dots where it is cut", dots, ir.Name{Namespace: "shop", Name: dots}},
		{"dots where it is cut, by one more", "bb" + dots[:251], ir.Name{Namespace: "shop", Name: dots}},
	}
	owners := map[translators.ID]string{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := grant([]int32{8080}, all())
			g.Name = tt.granted
			w := bookstore(g)
			w.Account = tt.account
			out, _ := made(t, ir.Unit{Workload: &w}, translators.Target{})
			for _, a := range out {
				owner := tt.account
				if a.Rank == rankAllow {
					owner += " " + tt.granted.String()
				}
				if other, ok := owners[a.ID]; ok && other != owner {
					t.Errorf("%s is of %s and of %s", a.ID.Name, other, owner)
				}
				owners[a.ID] = owner
			}
		})
	}
	if want := len(tests) + 2*6; len(owners) != want { // six accounts
		t.Errorf("%d objects, want %d", len(owners), want)
	}
}

// Two objects that grant make two policies; one that grants twice makes one.
func TestPolicyPerObject(t *testing.T) {
	a, b, c := grant([]int32{8080}, method("GET")), grant([]int32{6379}, all()), grant([]int32{8080}, method("PUT"))
	c.Name.Name = "auditors"
	w := bookstore(a, b, c)
	out, _ := made(t, ir.Unit{Workload: &w}, translators.Target{})
	var rules []any
	for _, s := range specs(out, "AuthorizationPolicy") {
		rules = append(rules, s.(object)["rules"])
	}
	same(t, rules, `[null,
	  [{from: `+web+`, to: [{operation: {ports: ["8080"], methods: [GET]}}]}, {from: `+web+`, to: [{operation: {ports: ["6379"]}}]}],
	  [{from: `+web+`, to: [{operation: {ports: ["8080"], methods: [PUT]}}]}]]`)
	for _, a := range out[2:] {
		if a.Rank <= out[0].Rank {
			t.Errorf("%s is not applied after the deny", a.ID.Name)
		}
	}
}

// Each field of a grant that changes who may do what changes what is made.
func TestGrantFieldsCount(t *testing.T) {
	base := func() ir.Workload {
		m := path(ir.MatchExact, "/a")
		m.Methods = []string{"GET"}
		m.Headers = header("x-a", ir.MatchExact, "v").Headers
		return bookstore(grant([]int32{8080}, m))
	}
	tests := []struct {
		name   string
		mutate func(*ir.Workload, *ir.Grant)
	}{
		{"source namespace", func(_ *ir.Workload, g *ir.Grant) { g.Sources[0].Identity.Namespace = "back" }},
		{"source account", func(_ *ir.Workload, g *ir.Grant) { g.Sources[0].Identity.Account = "app" }},
		{"source identity", func(_ *ir.Workload, g *ir.Grant) { g.Sources[0].Identity = ir.Identity{SPIFFE: "spiffe://x/y"} }},
		{"one more source", func(_ *ir.Workload, g *ir.Grant) { g.Sources = append(g.Sources, caller("app")) }},
		{"port", func(_ *ir.Workload, g *ir.Grant) { g.Ports[0].Number = 8081 }},
		{"one more port", func(_ *ir.Workload, g *ir.Grant) { g.Ports = append(g.Ports, ir.GrantPort{Number: 8081}) }},
		{"any port", func(_ *ir.Workload, g *ir.Grant) { g.Ports[0].Number = ir.AnyPort }},
		{"path", func(_ *ir.Workload, g *ir.Grant) { g.Matches[0].Path.Value = "/b" }},
		{"path kind", func(_ *ir.Workload, g *ir.Grant) { g.Matches[0].Path.Kind = ir.MatchPrefix }},
		{"any path", func(_ *ir.Workload, g *ir.Grant) { g.Matches[0].Path = ir.StringMatch{Kind: ir.MatchAny} }},
		{"method", func(_ *ir.Workload, g *ir.Grant) { g.Matches[0].Methods[0] = "PUT" }},
		{"any method", func(_ *ir.Workload, g *ir.Grant) { g.Matches[0].Methods[0] = ir.AnyMethod }},
		{"header name", func(_ *ir.Workload, g *ir.Grant) { g.Matches[0].Headers[0].Name = "x-b" }},
		{"header value", func(_ *ir.Workload, g *ir.Grant) { g.Matches[0].Headers[0].Value.Value = "w" }},
		{"header kind", func(_ *ir.Workload, g *ir.Grant) { g.Matches[0].Headers[0].Value.Kind = ir.MatchSuffix }},
		{"no header", func(_ *ir.Workload, g *ir.Grant) { g.Matches[0].Headers = nil }},
		{"one more match", func(_ *ir.Workload, g *ir.Grant) { g.Matches = append(g.Matches, all()) }},
		{"no match", func(_ *ir.Workload, g *ir.Grant) { g.Matches = nil }},
		{"labels", func(w *ir.Workload, _ *ir.Grant) { w.Pods[0].Labels = map[string]string{"app": "x"} }},
		{"namespace", func(w *ir.Workload, _ *ir.Grant) { w.Namespace = "other" }},
		{"enforced", func(w *ir.Workload, _ *ir.Grant) { w.Enforced = false }},
	}
	meaning := func(w ir.Workload) (parts []any) {
		out, _ := made(t, ir.Unit{Workload: &w}, translators.Target{})
		for _, a := range out {
			o := a.Payload.(object)
			parts = append(parts, o["kind"], o["metadata"].(object)["namespace"], o["spec"])
		}
		return parts
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := base()
			tt.mutate(&w, &w.Grants[0])
			if reflect.DeepEqual(meaning(w), meaning(base())) {
				t.Error("nothing changed")
			}
		})
	}
}

// What is made names every place in the input that it says.
func TestRefs(t *testing.T) {
	target, group := ref("TrafficTarget", "buyers", ""), ref("HTTPRouteGroup", "books", "spec.matches[0]")
	m := all()
	m.Ref = group
	g := grant([]int32{8080}, m)
	g.Sources[0].Ref, g.Ports[0].Ref = target.At("spec.sources[0]"), target.At("spec.rules[1]")
	w := bookstore(g)
	out, _ := made(t, ir.Unit{Workload: &w}, translators.Target{})
	deny := []report.Ref{w.Ref, w.Because[0]}
	if !slices.Equal(out[0].Refs, deny) || !slices.Equal(out[1].Refs, deny) {
		t.Errorf("the deny is of %v", out[0].Refs)
	}
	if want := []report.Ref{g.Ref, g.Sources[0].Ref, g.Ports[0].Ref, group}; !slices.Equal(out[2].Refs, want) {
		t.Errorf("the grant is of %v, want %v", out[2].Refs, want)
	}
	same(t, out[2].Payload.(object)["metadata"].(object)["annotations"],
		`{meshknot.io/source: "HTTPRouteGroup/shop/books,TrafficTarget/shop/buyers"}`)
	r := route("s", []ir.Match{m}, to("v1", 9080, 1))
	r.Backends[0].Ref = r.Ref.At("spec.backends[0]")
	s := reviews(9080, ir.HTTP, r)
	out, _ = made(t, ir.Unit{Service: &s}, translators.Target{})
	if want := []report.Ref{s.Ref, r.Ref, group, r.Backends[0].Ref, ref("TrafficSplit", "default", "spec")}; !slices.Equal(out[0].Refs, want) {
		t.Errorf("the routes are of %v, want %v", out[0].Refs, want)
	}
}

// Other names make the same objects under other names.
func TestRenaming(t *testing.T) {
	rename := strings.NewReplacer("bookstore", "library", "shop", "town", "front", "north", "web", "readers", "buyers", "members")
	w := bookstore(grant([]int32{8080}, path(ir.MatchPrefix, "/a"), header("x-a", ir.MatchExact, "v")))
	before, _ := made(t, ir.Unit{Workload: &w}, translators.Target{})
	other := renamed(t, w, rename)
	after, _ := made(t, ir.Unit{Workload: &other}, translators.Target{})
	hash := len(manifest.Hash(""))
	for i := range before {
		b, a := before[i].Payload.(object), after[i].Payload.(object)
		if got, want := encode(t, a["spec"]), rename.Replace(encode(t, b["spec"])); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if got, want := after[i].ID.Name, rename.Replace(before[i].ID.Name); got[:len(got)-hash] != want[:len(want)-hash] {
			t.Errorf("named %s, want %s", got, want)
		}
	}
}
