package istio_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/istio"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// world has the Services web, v1 and v2 with port 80, two with ports 80 and 81, and
// db with a TCP port, all in namespace shop, and pods of the account v1.
func world() interpret.World {
	w := interpret.World{Services: map[ir.Name]ir.Service{}, Workloads: map[ir.Name]ir.Workload{}, Namespaces: []string{"front", "shop"}}
	for name, ports := range map[string][]ir.Port{
		"web": {{Number: 80, Protocol: ir.HTTP}}, "v1": {{Number: 80, Protocol: ir.HTTP}}, "v2": {{Number: 80, Protocol: ir.HTTP}},
		"two": {{Number: 80, Protocol: ir.HTTP}, {Number: 81, Protocol: ir.HTTP}}, "db": {{Number: 5432, Protocol: ir.TCP}},
	} {
		w.Services[ir.Name{Namespace: "shop", Name: name}] = ir.Service{Namespace: "shop", Name: name, Ports: ports}
	}
	v1 := ir.Name{Namespace: "shop", Name: "v1"}
	w.Workloads[v1] = ir.Workload{Namespace: "shop", Account: "v1", Pods: []ir.PodClass{{Labels: map[string]string{"app": "v1"}}},
		Ports: []ir.WorkloadPort{{Number: 8080, Protocol: ir.HTTP}, {Number: 5432, Protocol: ir.TCP}}}
	return w
}

// object makes an artifact of the text of a specification.
func object(t *testing.T, kind, namespace, name, spec string) translators.Artifact {
	t.Helper()
	group := map[bool]string{true: "networking.istio.io/v1", false: "security.istio.io/v1"}[kind == "VirtualService" || kind == "DestinationRule"]
	var s map[string]any
	if err := yaml.Unmarshal([]byte(spec), &s); err != nil {
		t.Fatal(err)
	}
	return translators.Artifact{ID: translators.ID{Type: group + "/" + kind, Name: namespace + "/" + name}, Payload: map[string]any{
		"apiVersion": group, "kind": kind, "metadata": map[string]any{"name": name, "namespace": namespace}, "spec": s}}
}

func ask(t *testing.T, target translators.Target, call string, artifacts ...translators.Artifact) string {
	t.Helper()
	m, err := istio.New(world(), target, artifacts)
	if err != nil {
		return "refused: " + err.Error()
	}
	q, err := semantics.ParseRequest(call)
	if err != nil {
		t.Fatal(err)
	}
	if q.Workload != (ir.Name{}) {
		a := interpret.Arrival{Request: q, Workload: q.Workload, Port: q.Port, Pod: map[string]string{"app": q.Workload.Name}}
		return map[bool]string{true: "allow", false: "deny"}[m.Admit(a).Allowed]
	}
	d := m.Route(q).Decision
	text := semantics.Outcome(d)
	if len(d.Shares) > 0 && d.Shares[0].Invalid == "" && !q.Raw {
		text += " " + d.Sent.Path
	}
	return text
}

const routes = `
hosts: [web]
http:
- match: [{uri: {exact: /exact}}, {uri: {prefix: /pre}}, {uri: {regex: "/r[0-9]+"}}]
  route: [{destination: {host: v1}}]
- match: [{headers: {x-a: {exact: a}}, withoutHeaders: {x-b: {}}}]
  route: [{destination: {host: v2}}]
- match: [{queryParams: {q: {exact: "1"}}}]
  rewrite: {uri: /q}
  route: [{destination: {host: v2}}]
- match: [{sourceNamespace: front, uri: {prefix: /front}}]
  route: [{destination: {host: v2.shop.svc.cluster.local}}]
- match: [{port: 81}]
  route: [{destination: {host: v2}}]
- match: [{uri: {prefix: /strip/}}]
  rewrite: {uri: /}
  route: [{destination: {host: v1, port: {number: 80}}, weight: 3}, {destination: {host: v2}, weight: 1}, {destination: {host: db}, weight: 0}]
- match: [{uri: {prefix: /subset}}]
  route: [{destination: {host: v1, subset: s}}]
- match: [{uri: {prefix: /abort}}]
  fault: {abort: {httpStatus: 500, percentage: {value: 20}}}
  route: [{destination: {host: v1}, weight: 1}, {destination: {host: v2}, weight: 1}]
- match: [{uri: {prefix: /fault}}]
  fault: {abort: {httpStatus: 500}}
  route: [{destination: {host: v1}}]
- match: [{uri: {prefix: /nowhere}}]
  route: [{destination: {host: gone.example}}]
- match: [{uri: {prefix: /moved}}]
  redirect: {uri: /new, redirectCode: 302, port: 8443}
`

// What is asked of a VirtualService, by the rules of the facts.
func TestRoutes(t *testing.T) {
	vs := object(t, "VirtualService", "shop", "web", routes)
	rule := object(t, "DestinationRule", "shop", "v1", "{host: v1, subsets: [{name: s, labels: {version: a}}]}")
	for call, want := range map[string]string{
		// exact is exact, a prefix is one of strings, an expression matches the whole path
		"GET /exact": "shop/v1:80 100% /exact", "GET /exact/": "status 404", "GET /prefix": "shop/v1:80 100% /prefix",
		"GET /r12": "shop/v1:80 100% /r12", "GET /r12/x": "status 404",
		// BASE resolves dots and decodes what needs no escape; slashes stay
		"GET /x/../%65xact": "shop/v1:80 100% /exact", "GET //exact": "status 404", "GET /exact?a=b": "shop/v1:80 100% /exact?a=b",
		// an absent header does not fulfil headers, and does not hinder withoutHeaders
		"GET / -H 'x-a: a'": "shop/v2:80 100% /", "GET / -H 'x-a: a' -H 'x-b: '": "status 404",
		// each line of a repeated header is compared alone since Envoy 1.39
		"GET / -H 'x-a: b' -H 'x-a: a'": "shop/v2:80 100% /",
		// of a parameter the first occurrence counts; without a uri the root is what is rewritten
		"GET /z?q=1&q=2": "shop/v2:80 100% /qz?q=1&q=2", "GET /z?q=2&q=1": "status 404",
		// a weight of zero among several is none; a rewritten prefix is a string
		"GET /strip/a": "shop/v1:80 75%, shop/v2:80 25% /a",
		// faults are drawn apart from weights; without a percentage there are none
		"GET /abort": ":0 20% (fails), shop/v1:80 40%, shop/v2:80 40%", "GET /fault": "shop/v1:80 100% /fault",
		// what is no Service of the cluster fails
		"GET /nowhere": "0 100% (fails)", "GET /moved": "302 to http://:8443/new",
		// a host that is none of the Service's is passed on unrouted, its port does not count
		"GET /exact -H 'host: web.shop:99'": "shop/v1:80 100% /exact", "GET /exact -H 'host: other.example'": "shop/web:80 100% /exact",
		"GET /exact -H 'host: v2.shop'": "shop/v2:80 100% /exact",
		// a match for a namespace is left out for all others
		"GET /front": "status 404",
	} {
		if got := ask(t, translators.Target{}, "sa:shop/x -> svc:shop/web:80 "+call, vs); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", call, got, want)
		}
	}
	for call, want := range map[string]string{
		"sa:front/x -> svc:shop/web:80 GET /front": "shop/v2:80 100% /front",
		"sa:shop/x -> svc:shop/v1:80 GET /a":       "shop/v1:80 100% /a", // no VirtualService
		"sa:shop/x -> svc:shop/web:81 GET /a":      "no such port",
		"sa:shop/x -> svc:shop/web:80 GET /subset": "shop/v1:80 100% /subset",
		"external -> gw:shop/gate:80 GET /":        "no such port", // nothing makes a gateway listen
	} {
		if got := ask(t, translators.Target{}, call, vs, rule); got != want {
			t.Errorf("%s: %s, want %s", call, got, want)
		}
	}
	// a subset that no DestinationRule knows
	if got := ask(t, translators.Target{}, "sa:shop/x -> svc:shop/web:80 GET /subset", vs); !strings.Contains(got, "fails") {
		t.Error(got)
	}
	// before 1.31 the lines are one
	if got := ask(t, translators.Target{Version: "1.26"}, "sa:shop/x -> svc:shop/web:80 GET / -H 'x-a: b' -H 'x-a: a'", vs); got != "status 404" {
		t.Error(got)
	}
}

// Routes that a proxy is not told, by port or by where they are exported to, leave
// the Service alone; connections are shared by weight.
func TestVisibility(t *testing.T) {
	on81 := object(t, "VirtualService", "shop", "two", `{hosts: [two.shop.svc.cluster.local], http: [{match: [{port: 81}], route: [{destination: {host: v1}}]}]}`)
	own := object(t, "VirtualService", "shop", "web", `{hosts: [web], exportTo: ["."], http: [{route: [{destination: {host: v1}}]}]}`)
	gate := object(t, "VirtualService", "shop", "gate", `{hosts: [web], gateways: [shop/gate], http: [{route: [{destination: {host: v2}}]}]}`)
	db := object(t, "VirtualService", "shop", "db", `{hosts: [db], tcp: [{route: [{destination: {host: db, port: {number: 5432}}, weight: 1}, {destination: {host: none.invalid}, weight: 1}]}]}`)
	for call, want := range map[string]string{
		"sa:shop/x -> svc:shop/two:80 GET /":  "shop/two:80 100% /",
		"sa:shop/x -> svc:shop/two:81 GET /":  "shop/v1:80 100% /", // one port, so it is that
		"sa:shop/x -> svc:shop/web:80 GET /":  "shop/v1:80 100% /",
		"sa:front/x -> svc:shop/web:80 GET /": "shop/web:80 100% /",
		"sa:shop/x -> svc:shop/db:5432":       ":0 50% (fails), shop/db:5432 50%",
	} {
		if got := ask(t, translators.Target{}, call, on81, own, gate, db); got != want {
			t.Errorf("%s: %s, want %s", call, got, want)
		}
	}
}

// Policies: what selects the pod, its namespace's and the root namespace's; CUSTOM
// and DENY before ALLOW; where there is an ALLOW policy, one must allow.
func TestPolicies(t *testing.T) {
	policy := func(ns, name, spec string) translators.Artifact {
		return object(t, "AuthorizationPolicy", ns, name, spec)
	}
	v1 := `selector: {matchLabels: {app: v1}}`
	tests := []struct {
		name, call, want string
		artifacts        []translators.Artifact
	}{
		{"no policy", "sa:shop/web -> pod:shop/v1:8080 GET /", "allow", nil},
		{"nothing allowed", "sa:shop/web -> pod:shop/v1:8080 GET /", "deny", []translators.Artifact{policy("shop", "a", v1)}},
		{"of another pod", "sa:shop/web -> pod:shop/v2:8080 GET /", "allow", []translators.Artifact{policy("shop", "a", v1)}},
		{"of the root namespace", "sa:shop/web -> pod:shop/v1:8080 GET /", "deny", []translators.Artifact{policy("istio-system", "a", "{}")}},
		{"everything allowed", "external -> pod:shop/v1:8080 GET /", "allow", []translators.Artifact{policy("shop", "a", "{rules: [{}]}")}},
		{"a denial counts first", "sa:shop/web -> pod:shop/v1:8080 GET /no/x", "deny", []translators.Artifact{
			policy("shop", "a", "{rules: [{}]}"), policy("shop", "b", `{action: DENY, rules: [{to: [{operation: {paths: ["/no/*"]}}]}]}`)}},
		{"a provider that is not there", "sa:shop/web -> pod:shop/v1:8080 GET /", "deny", []translators.Artifact{
			policy("shop", "a", "{rules: [{}]}"), policy("shop", "b", `{action: CUSTOM, provider: {name: p}, rules: [{}]}`)}},
		{"by principal", "sa:shop/web -> pod:shop/v1:8080 GET /", "allow", []translators.Artifact{
			policy("shop", "a", `{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}`)}},
		{"by another's principal", "sa:shop/webx -> pod:shop/v1:8080 GET /", "deny", []translators.Artifact{
			policy("shop", "a", `{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}`)}},
		{"nobody is somebody", "external -> pod:shop/v1:8080 GET /", "deny", []translators.Artifact{
			policy("shop", "a", `{rules: [{from: [{source: {principals: ["*"]}}]}]}`)}},
		{"by namespace", "sa:shop/web -> pod:shop/v1:8080 GET /", "allow", []translators.Artifact{
			policy("shop", "a", `{rules: [{from: [{source: {namespaces: [shop]}}]}]}`)}},
		{"ports are the pods'", "sa:shop/web -> pod:shop/v1:8080 GET /", "deny", []translators.Artifact{
			policy("shop", "a", `{rules: [{to: [{operation: {ports: ["80"]}}]}]}`)}},
		{"a template", "sa:shop/web -> pod:shop/v1:8080 GET /a/1/b", "allow", []translators.Artifact{
			policy("shop", "a", `{rules: [{to: [{operation: {paths: ["/a/{*}/b"]}}]}]}`)}},
		{"an empty header is there", "sa:shop/web -> pod:shop/v1:8080 GET / -H 'x-a: '", "allow", []translators.Artifact{
			policy("shop", "a", `{rules: [{when: [{key: "request.headers[x-a]", values: ["*"]}]}]}`)}},
		{"an ALLOW rule about requests is void for connections", "sa:shop/web -> pod:shop/v1:5432", "deny", []translators.Artifact{
			policy("shop", "a", `{rules: [{to: [{operation: {methods: ["*"]}}]}]}`)}},
		{"a DENY rule about requests holds for all connections", "sa:shop/web -> pod:shop/v1:5432", "deny", []translators.Artifact{
			policy("shop", "a", `{action: DENY, rules: [{to: [{operation: {methods: [PUT]}}]}]}`)}},
	}
	for _, tt := range tests {
		if got := ask(t, translators.Target{}, tt.call, tt.artifacts...); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Mutual TLS: the ports of a pod, the pod, its namespace, the mesh.
func TestPeers(t *testing.T) {
	mesh := object(t, "PeerAuthentication", "istio-system", "a", "{mtls: {mode: STRICT}}")
	ns := object(t, "PeerAuthentication", "shop", "b", "{mtls: {mode: PERMISSIVE}}")
	pod := object(t, "PeerAuthentication", "shop", "c", "{selector: {matchLabels: {app: v1}}, mtls: {mode: STRICT}, portLevelMtls: {'8080': {mode: PERMISSIVE}}}")
	for _, tt := range []struct {
		call, want string
		artifacts  []translators.Artifact
	}{
		{"external -> pod:shop/v1:8080 GET /", "allow", nil},
		{"external -> pod:shop/v1:8080 GET /", "deny", []translators.Artifact{mesh}},
		{"sa:shop/web -> pod:shop/v1:8080 GET /", "allow", []translators.Artifact{mesh}},
		{"external -> pod:shop/v1:8080 GET /", "allow", []translators.Artifact{mesh, ns}},
		{"external -> pod:shop/v1:5432", "deny", []translators.Artifact{ns, pod}},
		{"external -> pod:shop/v1:8080 GET /", "allow", []translators.Artifact{ns, pod}},
	} {
		if got := ask(t, translators.Target{}, tt.call, tt.artifacts...); got != tt.want {
			t.Errorf("%s by %d: %s, want %s", tt.call, len(tt.artifacts), got, tt.want)
		}
	}
}

// What Istio's validation refuses, and what nobody here could decide.
func TestRefused(t *testing.T) {
	for kind, specs := range map[string][]string{
		"VirtualService": {
			`{hosts: [web]}`, `{hosts: [web], http: [{}]}`, `{hosts: [web], http: [{route: [{destination: {host: v1}}], timeout: 0s}]}`,
			`{hosts: [web], http: [{match: [{uri: {prefix: ""}}], route: [{destination: {host: v1}}]}]}`,
			`{hosts: [web], http: [{match: [{uri: {regex: "("}}], route: [{destination: {host: v1}}]}]}`,
			`{hosts: [web], http: [{route: [{destination: {host: v1}}, {destination: {host: v2}}]}]}`,
			`{hosts: [web], http: [{headers: {response: {set: {":status": "1"}}}, route: [{destination: {host: v1}}]}]}`,
			`{hosts: [web], http: [{headers: {request: {set: {x: "%REQ(y)%"}}}, route: [{destination: {host: v1}}]}]}`,
			`{hosts: [web], http: [{redirect: {prefixRewrite: /a}}]}`, `{hosts: [web], http: [{delegate: {name: x}}]}`,
		},
		"AuthorizationPolicy": {`{action: DENY}`, `{rules: [{when: [{key: source.ip, values: [1.2.3.4]}]}]}`, `{rules: [{to: [{operation: {ports: [http]}}]}]}`},
		"PeerAuthentication":  {`{mtls: {mode: MAYBE}}`, `{portLevelMtls: {'80': {mode: STRICT}}}`},
		"Sidecar":             {`{}`},
	} {
		for _, spec := range specs {
			if got := ask(t, translators.Target{}, "external -> svc:shop/web:80 GET /", object(t, kind, "shop", "a", spec)); !strings.HasPrefix(got, "refused") {
				t.Errorf("%s %s: %s", kind, spec, got)
			}
		}
	}
}
