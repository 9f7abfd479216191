package consul_test

import (
	"maps"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/consul"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// world has Services of namespace shop with port 80, of which each has pods of an
// account of its name, but that those of client run behind two, and db, which
// speaks TCP; and reviews in namespace blue.
func world() interpret.World {
	w := interpret.World{Services: map[ir.Name]ir.Service{}, Workloads: map[ir.Name]ir.Workload{},
		Servers: map[ir.ServicePort][]ir.Identity{}, Namespaces: []string{"blue", "shop"}}
	add := func(ns, name, account string, protocol ir.Protocol) {
		s, a := ir.Name{Namespace: ns, Name: name}, ir.Name{Namespace: ns, Name: account}
		at := ir.ServicePort{Service: s, Port: 80}
		w.Services[s] = ir.Service{Namespace: ns, Name: name, Ports: []ir.Port{{Number: 80, Protocol: protocol}}}
		w.Servers[at] = []ir.Identity{{Namespace: ns, Account: account}}
		l := w.Workloads[a]
		l.Namespace, l.Account = ns, account
		l.Ports = append(l.Ports, ir.WorkloadPort{Number: 8080, Protocol: protocol, Services: []ir.ServicePort{at}})
		w.Workloads[a] = l
	}
	for _, name := range []string{"web", "v1", "v2", "next"} {
		add("shop", name, name, ir.HTTP)
	}
	add("shop", "front", "client", ir.HTTP)
	add("shop", "back", "client", ir.HTTP)
	add("shop", "db", "db", ir.TCP)
	add("shop", "reviews", "reviews", ir.HTTP)
	add("blue", "reviews", "reviews", ir.HTTP)
	return w
}

// entries makes artifacts of entries, one in each document; all speak HTTP.
func entries(t *testing.T, text string) []translators.Artifact {
	t.Helper()
	out := []translators.Artifact{{ID: translators.ID{Type: "consul/proxy-defaults", Name: "global"},
		Payload: map[string]any{"Kind": "proxy-defaults", "Name": "global", "Config": map[string]any{"protocol": "http"}}}}
	for _, doc := range strings.Split(text, "---") {
		var e map[string]any
		if err := yaml.Unmarshal([]byte(doc), &e); err != nil {
			t.Fatal(err)
		}
		name, _ := e["Name"].(string)
		if e != nil {
			out = append(out, translators.Artifact{ID: translators.ID{Type: "consul/" + e["Kind"].(string), Name: name}, Payload: e})
		}
	}
	return out
}

func ask(t *testing.T, options map[string]string, call string, artifacts []translators.Artifact) string {
	t.Helper()
	m, err := consul.New(world(), translators.Target{Options: options}, artifacts)
	if err != nil {
		return "refused: " + err.Error()
	}
	q, err := semantics.ParseRequest(call)
	if err != nil {
		t.Fatal(err)
	}
	if q.Workload != (ir.Name{}) {
		return map[bool]string{true: "allow", false: "deny"}[m.Admit(interpret.Arrival{Request: q, Workload: q.Workload, Port: q.Port}).Allowed]
	}
	d := m.Route(q).Decision
	return strings.TrimSpace(semantics.Outcome(d) + " " + d.Sent.Path + " " + d.Timeout.Request.String())
}

const routes = `
Kind: service-defaults
Name: db
Protocol: tcp
---
Kind: service-router
Name: web
Routes:
- {Match: {HTTP: {PathExact: /exact}}, Destination: {Service: v1, RequestTimeout: -1s}}
- {Match: {HTTP: {PathPrefix: /pre}}, Destination: {Service: v1, RequestTimeout: 3s, PrefixRewrite: /new}}
- {Match: {HTTP: {PathRegex: "/r[0-9]+", Methods: [GET]}}, Destination: {Service: v1}}
- {Match: {HTTP: {Header: [{Name: x-a, Exact: a}]}}, Destination: {Service: v2}}
- {Match: {HTTP: {Header: [{Name: x-b, Exact: b, Invert: true}]}}, Destination: {Service: v2}}
- {Match: {HTTP: {QueryParam: [{Name: q, Exact: "1"}]}}, Destination: {Service: v2}}
- {Match: {HTTP: {PathPrefix: /split}}, Destination: {Service: v2}}
- {Match: {HTTP: {PathPrefix: /gone}}, Destination: {Service: gone}}
- {Match: {HTTP: {PathPrefix: /twice}}, Destination: {Service: reviews}}
---
Kind: service-splitter
Name: v2
Splits: [{Weight: 50, Service: v2}, {Weight: 50, Service: next}]
---
Kind: service-splitter
Name: next
Splits: [{Weight: 40, Service: next}, {Weight: 60, Service: v1}]
---
Kind: service-router
Name: v1
Routes: [{Match: {HTTP: {PathPrefix: /}}, Destination: {Service: v2}}]
`

// A chain: the router of the service that is called and no other, then splitters
// from one service to the next, by the rules of the facts.
func TestRoutes(t *testing.T) {
	split := "shop/next:80 20%, shop/v1:80 30%, shop/v2:80 50%"
	for call, want := range map[string]string{
		// without a time it is fifteen seconds; a negative one is none
		"GET /exact": "shop/v1:80 100% /exact 0s", "GET /exact/": "shop/web:80 100% /exact/ 15s",
		// a prefix is one of strings, and what is rewritten too; the query stays
		"GET /prefix?a=b": "shop/v1:80 100% /newfix?a=b 3s",
		// an expression is for the whole path, methods are listed
		"GET /r12": "shop/v1:80 100% /r12 15s", "GET /r12/x": "shop/web:80 100% /r12/x 15s", "POST /r1": "shop/web:80 100% /r1 15s",
		// a caller's proxy compares what is sent
		"GET //exact": "shop/web:80 100% //exact 15s", "GET /x/../exact": "shop/web:80 100% /x/../exact 15s",
		// splitters of services that are routed to count; a share of itself is not split again
		"GET /split": split + " /split 15s", "GET / -H 'x-a: a'": split + " / 15s",
		// the lines of a header are joined; one that is absent fulfils nothing turned around
		"GET / -H 'x-a: a' -H 'x-a: b'": "shop/web:80 100% / 15s", "GET / -H 'x-b: c'": split + " / 15s",
		// of a parameter the first occurrence counts
		"GET /?q=1&q=2": split + " /?q=1&q=2 15s", "GET /?q=2&q=1": "shop/web:80 100% /?q=2&q=1 15s",
		// what nobody is, fails; what two are, is both
		"GET /gone": "0 100% (fails) /gone 15s", "GET /twice": "blue/reviews:80 50%, shop/reviews:80 50% /twice 15s",
	} {
		got := ask(t, nil, "sa:shop/client -> svc:shop/web:80 "+call, entries(t, routes))
		if !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", call, got, want)
		}
	}
}

// Of weights what follows the hundredths of a percent is cut off, as float32 has it.
func TestWeights(t *testing.T) {
	text := "Kind: service-splitter\nName: web\nSplits: [{Weight: 0.53, Service: v1}, {Weight: 99.47, Service: v2}]"
	if got := ask(t, nil, "sa:shop/client -> svc:shop/web:80 GET /", entries(t, text)); !strings.HasPrefix(got, "shop/v1:80 0.52%, shop/v2:80 99.48%") {
		t.Error(got)
	}
}

// Connections are led on by resolvers alone.
func TestConnections(t *testing.T) {
	text := "Kind: service-defaults\nName: db\nProtocol: tcp\n---\nKind: service-defaults\nName: v1\nProtocol: tcp\n---\nKind: service-resolver\nName: db\nRedirect: {Service: v1}"
	if got := ask(t, nil, "sa:shop/client -> svc:shop/db:80", entries(t, text)); got != "shop/v1:80 100%  0s" {
		t.Error(got)
	}
}

const intentions = `
Kind: service-intentions
Name: web
Sources:
- {Name: next, Action: allow}
- {Name: v2, Action: deny}
- {Name: front, Action: allow}
- Name: v1
  Permissions:
  - {Action: deny, HTTP: {PathExact: /ok/not}}
  - {Action: allow, HTTP: {PathPrefix: /ok, Methods: [GET]}}
- {Name: "*", Action: deny}
---
Kind: service-intentions
Name: "*"
Sources: [{Name: v2, Action: allow}, {Name: jobs, Action: allow}]
`

// The intention of the most exact names counts, the callee's first; of permissions
// the first that holds, and where none does the agents' default.
func TestIntentions(t *testing.T) {
	deny, allow := map[string]string{}, map[string]string{"default": "allow"}
	for _, tt := range []struct {
		call    string
		options map[string]string
		want    string
	}{
		{"sa:shop/next -> pod:shop/web:8080 GET /", deny, "allow"},
		{"sa:shop/v2 -> pod:shop/web:8080 GET /", deny, "deny"},
		{"sa:shop/v2 -> pod:shop/next:8080 GET /", deny, "allow"}, // * for the callee
		{"sa:shop/jobs -> pod:shop/web:8080 GET /", deny, "deny"}, // * for the caller, of the exact callee
		{"sa:shop/jobs -> pod:shop/next:8080 GET /", deny, "allow"},
		{"sa:shop/nobody -> pod:shop/next:8080 GET /", deny, "deny"},
		{"sa:shop/nobody -> pod:shop/next:8080 GET /", allow, "allow"},
		{"sa:shop/v1 -> pod:shop/web:8080 GET /okx", deny, "allow"}, // a prefix of strings
		{"sa:shop/v1 -> pod:shop/web:8080 GET /ok/not", deny, "deny"},
		{"sa:shop/v1 -> pod:shop/web:8080 GET /ok/x/../not", deny, "deny"}, // normalised inbound
		{"sa:shop/v1 -> pod:shop/web:8080 GET /ok%2f..%2fsecret", deny, "allow"},
		{"sa:shop/v1 -> pod:shop/web:8080 PUT /ok", deny, "deny"},
		{"sa:shop/v1 -> pod:shop/web:8080 GET /other", allow, "allow"}, // the default, though there is an intention
		// the account client is front, who may, and back, of whom nothing is said
		{"sa:shop/client -> pod:shop/web:8080 GET /", deny, "deny"},
		{"external -> pod:shop/next:8080 GET /", allow, "deny"},
		{"spiffe:spiffe://other/next -> pod:shop/web:8080 GET /", allow, "deny"},
		{"sa:shop/next -> pod:shop/web:1 GET /", deny, "deny"},       // no service leads there
		{"sa:nowhere/next -> pod:shop/web:8080 GET /", deny, "deny"}, // nobody there is next
		{"sa:blue/next -> pod:shop/web:8080 GET /", deny, "allow"},   // an account without a Service goes by its name
		{"sa:blue/next -> pod:shop/web:8080 GET /", map[string]string{"service.blue/next": "other"}, "deny"},
	} {
		if got := ask(t, tt.options, tt.call, entries(t, intentions)); got != tt.want {
			t.Errorf("%s, %v: %s, want %s", tt.call, tt.options, got, tt.want)
		}
	}
}

// Objects say the same as entries.
func TestObjects(t *testing.T) {
	o := translators.Artifact{ID: translators.ID{Type: "consul.hashicorp.com/v1alpha1/ServiceIntentions", Name: "consul/x"}, Payload: map[string]any{
		"apiVersion": "consul.hashicorp.com/v1alpha1", "kind": "ServiceIntentions", "metadata": map[string]any{"name": "x", "namespace": "consul"},
		"spec": map[string]any{"destination": map[string]any{"name": "web"}, "sources": []any{map[string]any{"name": "v1", "action": "allow"}}}}}
	options := map[string]string{"form": "kubernetes"}
	if got := ask(t, options, "sa:shop/v1 -> pod:shop/web:8080 GET /", []translators.Artifact{o}); got != "allow" {
		t.Error(got)
	}
	bad := maps.Clone(o.Payload.(map[string]any))
	bad["kind"] = "ServiceIntention"
	o.Payload = bad
	if got := ask(t, options, "sa:shop/v1 -> pod:shop/web:8080 GET /", []translators.Artifact{o}); !strings.HasPrefix(got, "refused") {
		t.Error(got)
	}
}

// What Consul refuses when it is written, and what nobody here could decide.
func TestRefused(t *testing.T) {
	for _, text := range []string{
		"Kind: service-splitter\nName: web\nSplits: [{Weight: 50, Service: v1}, {Weight: 49.99, Service: v2}]",
		"Kind: service-splitter\nName: web\nSplits: [{Weight: 50, Service: v1}, {Weight: 50, Service: v1}]",
		"Kind: service-router\nName: web\nRoutes: [{Match: {HTTP: {PathExact: /a, PathPrefix: /a}}}]",
		"Kind: service-router\nName: web\nRoutes: [{Match: {HTTP: {PathPrefix: a}}}]",
		"Kind: service-router\nName: web\nRoutes: [{Match: {HTTP: {Methods: [get]}}}]",
		"Kind: service-router\nName: web\nRoutes: [{Match: {HTTP: {Header: [{Name: x, Exact: ''}]}}}]",
		"Kind: service-router\nName: web\nRoutes: [{Match: {HTTP: {QueryParam: [{Name: x, Prefix: a}]}}}]",
		"Kind: service-router\nName: web\nRoutes: [{Destination: {RequestHeaders: {Set: {host: x}}}}]",
		"Kind: service-router\nName: web\nRoutes: [{Destination: {NumRetries: 3}}]",
		"Kind: service-defaults\nName: v1\nProtocol: tcp\n---\nKind: service-router\nName: web\nRoutes: [{Destination: {Service: v1}}]",
		"Kind: service-defaults\nName: web\nProtocol: tcp\n---\nKind: service-splitter\nName: web\nSplits: [{Weight: 100, Service: web}]",
		"Kind: service-defaults\nName: v2\nProtocol: tcp\n---\nKind: service-defaults\nName: x\nProtocol: http\n---\nKind: service-splitter\nName: x\nSplits: [{Weight: 50, Service: v1}, {Weight: 50, Service: v2}]",
		"Kind: service-defaults\nName: web\nProtocol: smtp",
		"Kind: service-resolver\nName: web\nRedirect: {Service: web}",
		"Kind: service-resolver\nName: web\nRedirect: {Service: v1, ServiceSubset: none}",
		"Kind: service-intentions\nName: web\nSources: [{Name: v1}]",
		"Kind: service-intentions\nName: web\nSources: [{Name: v1, Action: allow}, {Name: v1, Action: deny}]",
		"Kind: service-intentions\nName: web\nSources: [{Name: v1, Permissions: [{Action: allow, HTTP: {}}]}]",
		"Kind: service-intentions\nName: '*'\nSources: [{Name: v1, Permissions: [{Action: allow, HTTP: {PathPrefix: /}}]}]",
		"Kind: service-defaults\nName: web\nProtocol: tcp\n---\nKind: service-intentions\nName: web\nSources: [{Name: v1, Permissions: [{Action: allow, HTTP: {PathPrefix: /}}]}]",
		"Kind: mesh\nHTTP: {Incoming: {RequestNormalization: {PathWithEscapedSlashesAction: UNESCAPE_AND_FORWARD}}}",
		"Kind: jwt-provider\nName: x",
	} {
		if got := ask(t, nil, "sa:shop/v1 -> svc:shop/web:80 GET /", entries(t, text)); !strings.HasPrefix(got, "refused") {
			t.Errorf("%s: %s", text, got)
		}
	}
}
