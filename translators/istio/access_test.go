package istio

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	securityv1 "istio.io/api/security/v1"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

const web = `[{source: {principals: [cluster.local/ns/front/sa/web]}}]`

func TestRules(t *testing.T) {
	http := []int32{8080}
	two := path(ir.MatchExact, "/a")
	two.Headers = []ir.HeaderMatch{
		{Name: "x-a", Value: ir.StringMatch{Kind: ir.MatchPrefix, Value: "v"}},
		{Name: "x-a", Value: ir.StringMatch{Kind: ir.MatchSuffix, Value: "z"}},
	}
	tests := []struct {
		name  string
		grant ir.Grant
		want  string // of spec.rules
	}{
		{"everything on two ports", grant([]int32{6379, 8080}, all()),
			`[{from: ` + web + `, to: [{operation: {ports: ["6379", "8080"]}}]}]`},
		{"path exact", grant(http, path(ir.MatchExact, "/a*b")), `[{from: ` + web + `, to: [{operation: {ports: ["8080"], paths: ["/a*b"]}}]}]`},
		{"path prefix", grant(http, path(ir.MatchPrefix, "/a")), `[{from: ` + web + `, to: [{operation: {ports: ["8080"], paths: ["/a*"]}}]}]`},
		{"path suffix", grant(http, path(ir.MatchSuffix, ".css")), `[{from: ` + web + `, to: [{operation: {ports: ["8080"], paths: ["*.css"]}}]}]`},
		{"path segments", grant(http, path(ir.MatchSegments, "/a")), `[{from: ` + web + `, to: [{operation: {ports: ["8080"], paths: ["/a", "/a/*"]}}]}]`},
		{"methods", grant(http, method("GET", "PUT")), `[{from: ` + web + `, to: [{operation: {ports: ["8080"], methods: [GET, PUT]}}]}]`},
		{"matches without headers share a rule", grant(http, path(ir.MatchExact, "/a"), method("GET")),
			`[{from: ` + web + `, to: [{operation: {ports: ["8080"], paths: [/a]}}, {operation: {ports: ["8080"], methods: [GET]}}]}]`},
		{"a header of any value", grant(http, header("x-a", ir.MatchAny, "")),
			`[{from: ` + web + `, to: [{operation: {ports: ["8080"]}}], when: [{key: "request.headers[x-a]", values: ["*"]}]}]`},
		{"host", grant(http, header("host", ir.MatchExact, "shop.example")),
			`[{from: ` + web + `, to: [{operation: {ports: ["8080"]}}], when: [{key: "request.headers[:authority]", values: [shop.example]}]}]`},
		{"two conditions on one header, and a path", grant(http, two),
			`[{from: ` + web + `, to: [{operation: {ports: ["8080"], paths: [/a]}}],
			   when: [{key: "request.headers[x-a]", values: ["v*"]}, {key: "request.headers[x-a]", values: ["*z"]}]}]`},
		{"any HTTP port", grant([]int32{ir.AnyPort}, all()), `[{from: ` + web + `, to: [{operation: {methods: ["*"]}}]}]`},
		{"any HTTP port, some requests", grant([]int32{ir.AnyPort}, path(ir.MatchExact, "/a"), method("GET")),
			`[{from: ` + web + `, to: [{operation: {methods: ["*"], paths: [/a]}}, {operation: {methods: [GET]}}]}]`},
		{"any HTTP port and one more", grant([]int32{ir.AnyPort, 6379}, all()),
			`[{from: ` + web + `, to: [{operation: {methods: ["*"]}}, {operation: {ports: ["6379"]}}]}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := bookstore(tt.grant)
			out, found := made(t, ir.Unit{Workload: &w}, translators.Target{})
			if len(found) > 0 || len(out) != 3 {
				t.Fatalf("%d artifacts, findings %v", len(out), found)
			}
			spec := specs(out, "AuthorizationPolicy")[1].(object)
			same(t, spec["rules"], tt.want)
			same(t, spec["selector"], `{matchLabels: {app: bookstore, tier: back}}`)
			if err := json.Unmarshal([]byte(encode(t, spec)), &securityv1.AuthorizationPolicy{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// What cannot be said never becomes a rule, even if nobody took it out before.
func TestUnsayable(t *testing.T) {
	http := []int32{8080}
	tests := []struct {
		name  string
		grant ir.Grant
	}{
		{"path regex", grant(http, path(ir.MatchRegex, "/[a-z]+"))},
		{"path contains", grant(http, path(ir.MatchContains, "a"))},
		{"path with a star at its end", grant(http, path(ir.MatchExact, "/a*"))},
		{"path prefix with a star at its start", grant(http, path(ir.MatchPrefix, "*a"))},
		{"path with braces", grant(http, path(ir.MatchExact, "/{*}"))},
		{"empty path", grant(http, path(ir.MatchExact, ""))},
		{"header regex", grant(http, header("x-a", ir.MatchRegex, "[a-z]+"))},
		{"header contains", grant(http, header("x-a", ir.MatchContains, "a"))},
		{"empty header", grant(http, header("x-a", ir.MatchExact, ""))},
		{"header that is a star", grant(http, header("x-a", ir.MatchExact, "*"))},
		{"header with a star at its start", grant(http, header("accept", ir.MatchExact, "*/plain"))},
		{"segments with braces", grant(http, path(ir.MatchSegments, "/{*}"))},
		{"a query parameter", grant(http, func() ir.Match {
			m := all()
			m.Query = []ir.QueryMatch{{Name: "a", Value: ir.StringMatch{Kind: ir.MatchExact, Value: "1"}}}
			return m
		}())},
		{"no ports", grant(nil, all())},
		{"no matches", grant(http)},
		{"no sources", func() ir.Grant { g := grant(http, all()); g.Sources = nil; return g }()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := bookstore(tt.grant)
			out, _ := made(t, ir.Unit{Workload: &w}, translators.Target{})
			closed(t, out, 1)
			out, v := checked(t, ir.Unit{Workload: &w}, translators.Target{})
			closed(t, out, 1)
			said := slices.Contains(codes(v.Findings), report.Refused)
			if nothing := len(tt.grant.Sources) == 0 || len(tt.grant.Ports) == 0 || len(tt.grant.Matches) == 0; said == nothing {
				t.Errorf("findings %v", codes(v.Findings))
			}
		})
	}
}

// closed checks that what is made denies everything to n classes of pods.
func closed(t *testing.T, out []translators.Artifact, n int) {
	t.Helper()
	policies := specs(out, "AuthorizationPolicy")
	if len(policies) != n || len(specs(out, "PeerAuthentication")) != n {
		t.Fatalf("made %v", names(out))
	}
	for _, p := range policies {
		if p.(object)["rules"] != nil || p.(object)["action"] != "ALLOW" {
			t.Errorf("allows %s", encode(t, p))
		}
	}
}

func TestDeny(t *testing.T) {
	tests := []struct {
		name string
		unit ir.Unit
		want []string // kind, name and specification, in order
	}{
		{"not enforced", ir.Unit{Workload: &ir.Workload{Namespace: "shop", Account: "a", Pods: bookstore().Pods}}, nil},
		{"no pods known", ir.Unit{Workload: &ir.Workload{Namespace: "shop", Account: "a", Enforced: true, NamespaceDenies: true}}, nil},
		{"enforced without a grant", func() ir.Unit { w := bookstore(); return ir.Unit{Workload: &w} }(), []string{
			`AuthorizationPolicy meshknot-deny-bookstore- {selector: {matchLabels: {app: bookstore, tier: back}}, action: ALLOW}`,
			`PeerAuthentication meshknot-strict-bookstore- {selector: {matchLabels: {app: bookstore, tier: back}}, mtls: {mode: STRICT}}`}},
		{"namespace", ir.Unit{Namespace: &ir.Namespace{Name: "shop", Enforced: true}}, []string{
			`AuthorizationPolicy meshknot-deny {action: ALLOW}`, `PeerAuthentication meshknot-strict {mtls: {mode: STRICT}}`}},
		{"namespace that is open", ir.Unit{Namespace: &ir.Namespace{Name: "shop"}}, nil},
		{"mesh", ir.Unit{Mesh: &ir.Mesh{Access: ir.AccessStrict}}, nil},
		{"endpoints", ir.Unit{Endpoints: &ir.Endpoints{Namespace: "shop", Name: "reviews"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, found := made(t, tt.unit, translators.Target{})
			if len(out) != len(tt.want) || len(found) > 0 {
				t.Fatalf("made %v, findings %v", names(out), found)
			}
			for i, a := range out {
				part := strings.SplitN(tt.want[i], " ", 3)
				o := a.Payload.(object)
				if o["kind"] != part[0] || !strings.HasPrefix(a.ID.Name, "shop/"+part[1]) || a.Rank != rankDeny || a.Audience.Namespace != "shop" {
					t.Errorf("artifact %+v", a)
				}
				same(t, o["spec"], part[2])
			}
		})
	}
}

// A policy in the root namespace reaches the whole mesh: nothing is granted
// there, and no namespace-wide deny is made.
func TestRootNamespace(t *testing.T) {
	target := translators.Target{Options: map[string]string{"root-namespace": "shop"}}
	w := bookstore(grant([]int32{8080}, all()))
	out, found := made(t, ir.Unit{Workload: &w}, target)
	closed(t, out, 1)
	if !slices.Equal(codes(found), []report.Code{report.Refused}) {
		t.Errorf("findings %v", found)
	}
	w.Grants = nil
	if _, found := made(t, ir.Unit{Workload: &w}, target); len(found) != 1 {
		t.Errorf("findings without a grant: %v", found)
	}
	out, found = made(t, ir.Unit{Namespace: &ir.Namespace{Name: "shop", Enforced: true}}, target)
	if len(out) > 0 || !slices.Equal(codes(found), []report.Code{report.Withheld}) {
		t.Errorf("made %v, findings %v", names(out), found)
	}
}

func TestPrincipals(t *testing.T) {
	spiffe := func(id string) ir.Identity { return ir.Identity{SPIFFE: id} }
	tests := []struct {
		name        string
		trustDomain string
		identity    ir.Identity
		want        string // empty: it cannot be named
	}{
		{"account", "", ir.Identity{Namespace: "front", Account: "web"}, "cluster.local/ns/front/sa/web"},
		{"account in a trust domain", "corp.example", ir.Identity{Namespace: "front", Account: "web"}, "corp.example/ns/front/sa/web"},
		{"foreign", "corp.example", spiffe("spiffe://other.example/ns/front/sa/web"), "other.example/ns/front/sa/web"},
		{"foreign, of another form", "", spiffe("spiffe://other.example/web"), "other.example/web"},
		{"foreign, but what Istio reads as its own", "corp.example", spiffe("spiffe://cluster.local/ns/front/sa/web"), ""},
		{"named in full, of the mesh's own", "", spiffe("spiffe://cluster.local/ns/front/sa/web"), "cluster.local/ns/front/sa/web"},
		{"no SPIFFE identity", "", spiffe("other.example/web"), ""},
		{"a star at its end", "", spiffe("spiffe://other.example/*"), ""},
		{"a star at its start", "", spiffe("spiffe://*/ns/front/sa/web"), ""},
		{"nothing but the scheme", "", spiffe("spiffe://"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := grant([]int32{8080}, all())
			g.Sources = []ir.Source{{Identity: tt.identity}}
			w := bookstore(g)
			out, found := made(t, ir.Unit{Workload: &w}, translators.Target{TrustDomain: tt.trustDomain})
			if tt.want == "" {
				closed(t, out, 1)
				if !slices.Equal(codes(found), []report.Code{report.Refused}) {
					t.Errorf("findings %v", found)
				}
				return
			}
			same(t, specs(out, "AuthorizationPolicy")[1].(object)["rules"],
				`[{from: [{source: {principals: ["`+tt.want+`"]}}], to: [{operation: {ports: ["8080"]}}]}]`)
		})
	}
}

// Istio takes 512 rules in a policy; what is over is denied, and said.
func TestTooManyRules(t *testing.T) {
	g := grant([]int32{8080})
	for i := range maxRules + 3 {
		g.Matches = append(g.Matches, header("x-a", ir.MatchExact, fmt.Sprint("v", i)))
	}
	w := bookstore(g)
	out, found := made(t, ir.Unit{Workload: &w}, translators.Target{})
	if n := len(specs(out, "AuthorizationPolicy")[1].(object)["rules"].([]any)); n != maxRules {
		t.Errorf("%d rules", n)
	}
	if !slices.Equal(codes(found), []report.Code{report.Refused}) {
		t.Errorf("findings %v", found)
	}
}
