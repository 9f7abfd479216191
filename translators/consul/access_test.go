package consul

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// The rest is denied by a permission and by a source of their own, so that the
// agents' default decides nothing.
func TestIntentions(t *testing.T) {
	get := method("GET")
	get.Path = ir.StringMatch{Kind: ir.MatchSegments, Value: "/v2"}
	get.Headers = []ir.HeaderMatch{{Name: "host", Value: ir.StringMatch{Kind: ir.MatchExact, Value: ""}}, {Name: "x", Value: ir.StringMatch{Kind: ir.MatchAny}}}
	out, found := made(t, translators.Target{}, workload("bookstore", ir.HTTP, []string{"books"},
		grant("web", get), grant("admin", all()), grant("web", onPath(ir.MatchPrefix, "/a"))))
	if len(found) > 0 {
		t.Error(found)
	}
	is(t, only(t, out, "service-intentions", "books"), `
Kind: service-intentions
Name: books
Meta: {managed-by: meshknot}
Sources:
- {Name: admin, Description: account shop/admin-account, Action: allow}
- Name: web
  Description: account shop/web-account
  Permissions:
  - {Action: allow, HTTP: {PathExact: /v2, Methods: [GET], Header: [{Name: ':authority', Regex: ()}, {Name: x, Present: true}]}}
  - {Action: allow, HTTP: {PathPrefix: /v2/, Methods: [GET], Header: [{Name: ':authority', Regex: ()}, {Name: x, Present: true}]}}
  - {Action: allow, HTTP: {PathPrefix: /a}}
  - {Action: deny, HTTP: {PathPrefix: /}}
- {Name: '*', Action: deny}`)
	is(t, only(t, out, "service-defaults", "books")["Protocol"], "http")
	if got := kinds(out); !slices.Equal(got, []string{"service-defaults books", "service-intentions books"}) {
		t.Errorf("in this order: %v", got)
	}
}

func TestNothingGrantedIsDenied(t *testing.T) {
	web := grant("web", onPath(ir.MatchExact, "/"))
	dead := grant("web", all())
	dead.Ports = nil
	foreign := grant("web", all())
	foreign.Sources = []ir.Source{{Identity: ir.Identity{SPIFFE: "spiffe://elsewhere/x"}}}
	odd := grant("web", method("BREW"))
	for name, u := range map[string]ir.Unit{
		"no grants":                 workload("bookstore", ir.HTTP, []string{"books"}),
		"no port":                   workload("bookstore", ir.HTTP, []string{"books"}, dead),
		"another trust domain":      workload("bookstore", ir.HTTP, []string{"books"}, foreign),
		"a method without standard": workload("bookstore", ir.HTTP, []string{"books"}, odd),
		"requests on TCP":           workload("bookstore", ir.TCP, []string{"books"}, web),
	} {
		out, _ := made(t, translators.Target{}, u)
		is(t, only(t, out, "service-intentions", "books")["Sources"], `[{Name: '*', Action: deny}]`)
		if len(out) != 1 {
			t.Errorf("%s: %v", name, kinds(out))
		}
	}
	open := workload("bookstore", ir.HTTP, []string{"books"})
	open.Workload.Enforced = false
	if out, _ := made(t, translators.Target{}, open); len(out) > 0 {
		t.Errorf("an open workload gets %v", kinds(out))
	}
}

// An account is the Services that select its pods, and its own name without any.
func TestIdentity(t *testing.T) {
	g := grant("web", all())
	g.Sources = append(g.Sources, ir.Source{Identity: ir.Identity{Namespace: "other", Account: "batch"}},
		ir.Source{Identity: ir.Identity{Namespace: "shop", Account: "two"}, Services: []ir.Name{shop("two-a"), shop("two-b")}})
	g.Ports = []ir.GrantPort{{Number: ir.AnyPort}}
	u := workload("lonely", ir.HTTP, nil, g)
	names := func(target translators.Target, entry string) string {
		out, _ := made(t, target, u)
		var all []string
		for _, s := range only(t, out, "service-intentions", entry)["Sources"].([]any) {
			all = append(all, s.(object)["Name"].(string))
		}
		return strings.Join(all, " ")
	}
	if got := names(translators.Target{}, "lonely"); got != "batch two-a two-b web *" {
		t.Error(got)
	}
	mapped := translators.Target{Options: map[string]string{"service.shop/lonely": "alone", "service.other/batch": "jobs", "service.shop/web": "front"}}
	if got := names(mapped, "alone"); got != "front jobs two-a two-b *" {
		t.Error(got)
	}
	// Where no Service is known, neither is the one port that Consul leads to.
	g.Ports = []ir.GrantPort{{Number: 8080}}
	u = workload("lonely", ir.HTTP, nil, g)
	if got := names(translators.Target{}, "lonely"); got != "*" {
		t.Error(got)
	}
}

// A Consul service has one port: what is granted on some ports of a Service
// only, or through another one, is not granted.
func TestPorts(t *testing.T) {
	web, both := grant("web", all()), grant("admin", all())
	both.Ports = append(both.Ports, ir.GrantPort{Number: 9090})
	u := workload("bookstore", ir.HTTP, []string{"books"}, web, both)
	u.Workload.Ports = append(u.Workload.Ports, ir.WorkloadPort{Number: 9090, Protocol: ir.HTTP, Services: []ir.ServicePort{{Service: shop("books"), Port: 90}}})
	out, _ := made(t, translators.Target{}, u)
	is(t, only(t, out, "service-intentions", "books")["Sources"],
		`[{Name: admin, Description: account shop/admin-account, Action: allow}, {Name: '*', Action: deny}]`)

	web.Ports[0].Also = []ir.ServicePort{{Service: shop("metrics"), Port: 80}}
	u = workload("bookstore", ir.HTTP, []string{"books"}, web)
	u.Workload.Ports[0].Services = append(u.Workload.Ports[0].Services, web.Ports[0].Also...)
	out, _ = made(t, translators.Target{}, u)
	is(t, only(t, out, "service-intentions", "books")["Sources"],
		`[{Name: web, Description: account shop/web-account, Action: allow}, {Name: '*', Action: deny}]`)
	is(t, only(t, out, "service-intentions", "metrics")["Sources"], `[{Name: '*', Action: deny}]`)
}

// Consul refuses an entry with permissions for a service that speaks no HTTP, and the
// deny with it: where ports speak different protocols nothing is told apart.
func TestMixedProtocols(t *testing.T) {
	some, whole := grant("web", onPath(ir.MatchExact, "/a")), grant("admin", all())
	for _, other := range []ir.Protocol{ir.GRPC, ir.HTTP2, ir.TCP} {
		g, h := some, whole
		g.Ports = append(slices.Clone(g.Ports), ir.GrantPort{Number: 9090})
		h.Ports = append(slices.Clone(h.Ports), ir.GrantPort{Number: 9090})
		rest := grant("web", all())
		rest.Ports = []ir.GrantPort{{Number: 9090}}
		u := workload("bookstore", ir.HTTP, []string{"books"}, g, h, rest)
		u.Workload.Ports = append(u.Workload.Ports, ir.WorkloadPort{Number: 9090, Protocol: other, Services: []ir.ServicePort{{Service: shop("books"), Port: 90}}})
		out, found := made(t, translators.Target{}, u)
		is(t, only(t, out, "service-intentions", "books")["Sources"],
			`[{Name: admin, Description: account shop/admin-account, Action: allow}, {Name: '*', Action: deny}]`)
		if len(out) != 1 || len(found) != 1 || found[0].Class != report.Narrowed {
			t.Errorf("%s: %v %v", other, kinds(out), found)
		}
	}
	// Two Services of one name that speak different protocols are an error; until it
	// is corrected the permissions stand.
	http := workload("one", ir.HTTP, []string{"books"}, some)
	tcp := ir.Unit{Service: &ir.Service{Namespace: "a", Name: "books", Ports: []ir.Port{{Number: 80, Protocol: ir.TCP}}}}
	out, found := made(t, translators.Target{}, tcp, http)
	is(t, only(t, out, "service-defaults", "books")["Protocol"], "http")
	if len(found) != 1 || found[0].Code != report.Claimed {
		t.Error(found)
	}
}

// What several accounts behind a service allow alike is allowed.
func TestIntersection(t *testing.T) {
	a, b := onPath(ir.MatchExact, "/a"), onPath(ir.MatchExact, "/b")
	one := workload("one", ir.HTTP, []string{"books"}, grant("web", a, b), grant("admin", all()), grant("batch", a), grant("rest", all()))
	two := workload("two", ir.HTTP, []string{"books"}, grant("web", b), grant("admin", a), grant("batch", b), grant("other", all()))
	for _, units := range [][]ir.Unit{{one, two}, {two, one}} {
		out, found := made(t, translators.Target{}, units...)
		is(t, only(t, out, "service-intentions", "books")["Sources"], `
- Name: admin
  Description: account shop/admin-account
  Permissions: [{Action: allow, HTTP: {PathExact: /a}}, {Action: deny, HTTP: {PathPrefix: /}}]
- Name: web
  Description: account shop/web-account
  Permissions: [{Action: allow, HTTP: {PathExact: /b}}, {Action: deny, HTTP: {PathPrefix: /}}]
- {Name: '*', Action: deny}`)
		if len(found) != 1 || found[0].Code != report.Lossy || found[0].Class != report.Narrowed {
			t.Error(found)
		}
	}
	closed := workload("two", ir.HTTP, []string{"books"})
	out, _ := made(t, translators.Target{}, one, closed)
	is(t, only(t, out, "service-intentions", "books")["Sources"], `[{Name: '*', Action: deny}]`)

	// The same name in two namespaces is one service.
	elsewhere := workload("one", ir.HTTP, []string{"books"})
	elsewhere.Workload.Namespace = "other"
	elsewhere.Workload.Ports[0].Services[0].Service.Namespace = "other"
	out, _ = made(t, translators.Target{}, one, elsewhere)
	is(t, only(t, out, "service-intentions", "books")["Sources"], `[{Name: '*', Action: deny}]`)

	// An object is joined as an entry is.
	var objects []any
	for _, a := range assembled(asObjects, one, two).Artifacts {
		if o := a.Payload.(object); o["kind"] == "ServiceIntentions" {
			objects = append(objects, o)
		}
	}
	is(t, objects, `
- apiVersion: consul.hashicorp.com/v1alpha1
  kind: ServiceIntentions
  metadata: {name: books, namespace: mesh, labels: {app.kubernetes.io/managed-by: meshknot}}
  spec:
    destination: {name: books}
    sources:
    - name: admin
      description: account shop/admin-account
      permissions: [{action: allow, http: {pathExact: /a}}, {action: deny, http: {pathPrefix: /}}]
    - name: web
      description: account shop/web-account
      permissions: [{action: allow, http: {pathExact: /b}}, {action: deny, http: {pathPrefix: /}}]
    - {name: '*', action: deny}`)
}

// Consul decides alike whatever its agents do by default.
func TestMesh(t *testing.T) {
	allow := translators.Target{Options: map[string]string{"default": "allow"}}
	strict, selected := ir.Unit{Mesh: &ir.Mesh{Access: ir.AccessStrict}}, ir.Unit{Mesh: &ir.Mesh{Access: ir.AccessSelected}}
	for _, c := range []struct {
		unit   ir.Unit
		target translators.Target
		want   string
		says   int
	}{
		{strict, allow, "mesh mesh service-intentions *", 1},
		{strict, translators.Target{Options: map[string]string{"default": "what"}}, "mesh mesh service-intentions *", 1},
		{strict, translators.Target{}, "mesh mesh", 0},
		{selected, allow, "mesh mesh", 0},
		{selected, translators.Target{}, "mesh mesh", 1},
		{ir.Unit{Mesh: &ir.Mesh{Access: ir.AccessOff}}, allow, "", 0},
		{ir.Unit{Namespace: &ir.Namespace{Name: "shop", Enforced: true}}, allow, "", 0},
	} {
		out, found := made(t, c.target, c.unit)
		if got := strings.Join(kinds(out), " "); got != c.want || len(found) != c.says {
			t.Errorf("%+v %v: %s, %v", c.unit.Mesh, c.target.Options, got, found)
		}
	}
	out, _ := made(t, allow, strict)
	is(t, only(t, out, "service-intentions", "*")["Sources"], `[{Name: '*', Action: deny}]`)
	is(t, only(t, out, "mesh", "mesh")["HTTP"], `{Incoming: {RequestNormalization: {MergeSlashes: true, PathWithEscapedSlashesAction: KEEP_UNCHANGED}}}`)
}

// What the table cannot say about who may call is refused, and the deny stays.
func TestRefused(t *testing.T) {
	lookalike, foreign := grant("web", all()), grant("web", all())
	lookalike.Sources[0].Lookalikes = []ir.Identity{{Namespace: "other", Account: "web"}}
	foreign.Sources[0] = ir.Source{Identity: ir.Identity{SPIFFE: "spiffe://elsewhere/x"}}
	for name, g := range map[string]ir.Grant{"lookalike": lookalike, "foreign": foreign} {
		u, found := left(workload("bookstore", ir.HTTP, []string{"books"}, g), translators.Target{})
		out, _ := made(t, translators.Target{}, u)
		is(t, only(t, out, "service-intentions", "books")["Sources"], `[{Name: '*', Action: deny}]`)
		if !slices.ContainsFunc(found, func(f report.Finding) bool { return f.Code == report.Refused }) {
			t.Errorf("%s: %v", name, found)
		}
	}
	udp := workload("bookstore", ir.UDP, []string{"books"})
	if _, found := left(udp, translators.Target{}); !slices.ContainsFunc(found, func(f report.Finding) bool { return f.Code == report.Withheld }) {
		t.Error("a port for UDP stays open, and nothing is withheld")
	}
}
