package linkerd_test

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/linkerd"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// world has the Services shop/{reviews,v1,v2} on port 80, and the pods of two
// accounts that share a label.
func world() interpret.World {
	w := interpret.World{Services: map[ir.Name]ir.Service{}, Workloads: map[ir.Name]ir.Workload{}}
	for _, n := range []string{"reviews", "v1", "v2"} {
		w.Services[ir.Name{Namespace: "shop", Name: n}] = ir.Service{Namespace: "shop", Name: n, Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP}}}
	}
	w.Workloads[ir.Name{Namespace: "shop", Name: "api"}] = ir.Workload{Namespace: "shop", Account: "api",
		Ports:  []ir.WorkloadPort{{Number: 8080, Protocol: ir.HTTP}},
		Probes: []ir.Probe{{Port: 8080, Protocol: ir.HTTP, Path: "/healthz"}, {Port: 8080, Protocol: ir.GRPC}}}
	return w
}

// mesh reads objects, of which each is a YAML document.
func mesh(t *testing.T, options map[string]string, documents string) (interpret.Mesh, error) {
	t.Helper()
	var artifacts []translators.Artifact
	for _, text := range strings.Split(documents, "\n---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		if o != nil {
			artifacts = append(artifacts, translators.Artifact{ID: translators.ID{Type: fmt.Sprint(o["apiVersion"], "/", o["kind"]),
				Name: fmt.Sprint(o["metadata"].(map[string]any)["namespace"], "/", o["metadata"].(map[string]any)["name"])}, Payload: o})
		}
	}
	return linkerd.New(world(), translators.Target{Options: options}, artifacts)
}

func read(t *testing.T, options map[string]string, documents string) interpret.Mesh {
	t.Helper()
	m, err := mesh(t, options, documents)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func request(t *testing.T, call string) semantics.Request {
	t.Helper()
	q, err := semantics.ParseRequest(call)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// route is an HTTPRoute in a namespace, with rules that lead to one backend each:
// "MATCH => BACKEND".
func route(namespace, name string, rules ...string) string {
	text := fmt.Sprintf("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: %s, namespace: %s}\nspec:\n"+
		"  parentRefs: [{group: '', kind: Service, name: reviews, namespace: shop, port: 80}]\n  rules:\n", name, namespace)
	for _, r := range rules {
		match, backend, _ := strings.Cut(r, " => ")
		text += fmt.Sprintf("  - matches: [%s]\n    backendRefs: [{group: '', kind: Service, name: %s, namespace: shop, port: 80, weight: 1}]\n", match, backend)
	}
	return text
}

const (
	prefixA   = "{path: {type: PathPrefix, value: /a}}"
	prefixB   = "{path: {type: PathPrefix, value: /a/b}}"
	exactB    = "{path: {type: Exact, value: /a/b}}"
	regexA    = "{path: {type: RegularExpression, value: '^(?:/a.*)$'}}"
	lazy      = "{path: {type: RegularExpression, value: '/re/a|/re/ab'}}"
	digit     = `{path: {type: RegularExpression, value: '/\d'}}`
	methodB   = "{path: {type: PathPrefix, value: /a/b}, method: GET}"
	headerB   = "{path: {type: PathPrefix, value: /a/b}, headers: [{type: Exact, name: x, value: v}]}"
	parameter = "{queryParams: [{type: Exact, name: q, value: 'a b'}]}"
)

func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		why, objects, call, want string
	}{
		{"no route: the Service itself", "", "sa:x/y -> svc:shop/reviews:80 GET /", "shop/reviews:80 100%"},
		{"trap 7: a route is attached and nothing matches", route("shop", "r", prefixA+" => v1"), "sa:x/y -> svc:shop/reviews:80 GET /z", "status 404"},
		{"1.1: by segments", route("shop", "r", prefixA+" => v1"), "sa:x/y -> svc:shop/reviews:80 GET /ab", "status 404"},
		{"1.1: the slash at the end of a request does not count", route("shop", "r", prefixB+" => v1"), "sa:x/y -> svc:shop/reviews:80 GET /a/b/", "shop/v1:80 100%"},
		{"1.1: an exact path has no slash too many", route("shop", "r", exactB+" => v1"), "sa:x/y -> svc:shop/reviews:80 GET /a/b/", "status 404"},
		{"as it was sent", route("shop", "r", prefixA+" => v1"), "sa:x/y -> svc:shop/reviews:80 GET //a", "status 404"},
		{"fact 17: an expression counts as the whole path", route("shop", "r", prefixB+" => v1", regexA+" => v2"), "sa:x/y -> svc:shop/reviews:80 GET /a/b/c", "shop/v2:80 100%"},
		{"fact 17: and ties with an exact one, so the first is taken", route("shop", "r", regexA+" => v1", exactB+" => v2"), "sa:x/y -> svc:shop/reviews:80 GET /a/b", "shop/v1:80 100%"},
		{"fact 17: the method counts last", route("shop", "r", methodB+" => v1", headerB+" => v2"), "sa:x/y -> svc:shop/reviews:80 GET /a/b -H 'x: v'", "shop/v2:80 100%"},
		{"trap 2: the first alternative is found and does not span", route("shop", "r", lazy+" => v1"), "sa:x/y -> svc:shop/reviews:80 GET /re/ab", "status 404"},
		{"trap 2: digits are Unicode's", route("shop", "r", digit+" => v1"), "sa:x/y -> svc:shop/reviews:80 GET /٤", "shop/v1:80 100%"},
		{"trap 14: any line of a header", route("shop", "r", headerB+" => v1"), "sa:x/y -> svc:shop/reviews:80 GET /a/b -H 'x: w' -H 'x: v'", "shop/v1:80 100%"},
		{"trap 14: any occurrence, decoded", route("shop", "r", parameter+" => v1"), "sa:x/y -> svc:shop/reviews:80 GET /?q=c&q=a+b", "shop/v1:80 100%"},
		{"1.2: another namespace's routes are its own callers'", route("front", "r", prefixA+" => v1"), "sa:x/y -> svc:shop/reviews:80 GET /a", "shop/reviews:80 100%"},
		{"1.2: who have those of everybody besides", route("front", "r", prefixA+" => v1") + "\n---\n" + route("shop", "s", prefixB+" => v2"), "sa:front/y -> svc:shop/reviews:80 GET /a/b", "shop/v2:80 100%"},
		{"the oldest of equals by name", route("shop", "b", prefixA+" => v2") + "\n---\n" + route("shop", "a", prefixA+" => v1"), "sa:x/y -> svc:shop/reviews:80 GET /a", "shop/v1:80 100%"},
		{"a backend that is not there", route("shop", "r", prefixA+" => nobody"), "sa:x/y -> svc:shop/reviews:80 GET /a", "shop/nobody:80 100% (fails)"},
		{"trap 20: a GRPCRoute hides HTTPRoutes", route("shop", "r", prefixA+" => v1") + "\n---\n" + strings.ReplaceAll(route("shop", "g", "{method: {service: s, method: m}} => v2"), "HTTPRoute", "GRPCRoute"), "sa:x/y -> svc:shop/reviews:80 GET /a", "status 404"},
		{"trap 20: a ServiceProfile hides all", route("shop", "r", prefixA+" => v1") + "\n---\napiVersion: linkerd.io/v1alpha2\nkind: ServiceProfile\nmetadata: {name: reviews.shop.svc.cluster.local, namespace: shop}\nspec: {}", "sa:x/y -> svc:shop/reviews:80 GET /a", "shop/reviews:80 100%"},
	} {
		got := read(t, nil, c.objects).Route(request(t, c.call)).Decision
		if text := semantics.Outcome(got); text != c.want {
			t.Errorf("%s: %s: %s instead of %s", c.why, c.call, text, c.want)
		}
	}
}

// 1.4: what keeps a route from being taken at all, and what the API server refuses.
func TestRefusals(t *testing.T) {
	with := func(rule string) string {
		return "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec:\n" +
			"  parentRefs: [{group: '', kind: Service, name: reviews, port: 80}]\n  rules: [" + rule + "]\n"
	}
	for _, objects := range []string{
		with("{filters: [{type: URLRewrite, urlRewrite: {hostname: x}}]}"),
		with("{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: v1, port: 80}}}]}"),
		with("{filters: [{type: ExtensionRef}]}"),
		with("{filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}]}"),
		with("{backendRefs: [{name: v1, port: 80, weight: 0}]}"),
		with("{backendRefs: [{name: v1, port: 80, weight: 1000001}]}"),
		with("{matches: [{path: {type: RegularExpression, value: '(?=x)'}}]}"),
		with(`{matches: [{path: {type: RegularExpression, value: '\Qx\E'}}]}`),
		with("{matches: [{path: {type: RegularExpression, value: '[a&&b]'}}]}"),
		with("{matches: [{path: {type: Exact, value: x}}]}"),
		with(strings.TrimSuffix(strings.Repeat("{matches: [{method: GET}]}, ", 17), ", ")),
		with("{unknown: 1}"),
		"apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {name: s, namespace: shop}\nspec: {podSelector: {}, port: http}",
		"apiVersion: policy.linkerd.io/v1alpha1\nkind: MeshTLSAuthentication\nmetadata: {name: s, namespace: shop}\nspec: {identities: []}",
		server("one", "8080", "deny", "unknown") + "\n---\n" + server("two", "8080", "deny", "unknown"),
	} {
		if _, err := mesh(t, nil, objects); err == nil {
			t.Errorf("it is taken:\n%s", objects)
		}
	}
}

func server(name, port, access, protocol string) string {
	return fmt.Sprintf("apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {name: %s, namespace: shop}\n"+
		"spec: {podSelector: {matchLabels: {app: api}}, port: %s, accessPolicy: %s, proxyProtocol: %s}", name, port, access, protocol)
}

// granted names web by its certificate, and lets it through to a target.
func granted(kind, name string) string {
	group := map[string]string{"Server": "policy.linkerd.io", "HTTPRoute": "gateway.networking.k8s.io"}[kind]
	return "\n---\napiVersion: policy.linkerd.io/v1alpha1\nkind: MeshTLSAuthentication\nmetadata: {name: web, namespace: shop}\n" +
		"spec: {identities: [web.shop.serviceaccount.identity.linkerd.cluster.local]}\n" +
		fmt.Sprintf("---\napiVersion: policy.linkerd.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\n"+
			"spec: {targetRef: {group: '%s', kind: %s, name: %s}, requiredAuthenticationRefs: [{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: web}]}", group, kind, name)
}

func atServer(name, match string) string {
	return fmt.Sprintf("\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: %s, namespace: shop}\n"+
		"spec: {parentRefs: [{group: policy.linkerd.io, kind: Server, name: s}], rules: [{matches: [%s]}]}", name, match)
}

func TestServers(t *testing.T) {
	closed := server("s", "8080", "deny", "unknown")
	denies := map[string]string{"default-inbound-policy": "deny"}
	for _, c := range []struct {
		why     string
		options map[string]string
		objects string
		call    string
		pod     map[string]string
		want    bool
	}{
		{"trap 4: no Server, the default lets everybody in", nil, "", "external -> pod:shop/api:8080 GET /", nil, true},
		{"trap 4: or nobody", denies, "", "sa:shop/web -> pod:shop/api:8080 GET /", nil, false},
		{"1.18: but for the probes of the pods", denies, "", "external -> pod:shop/api:8080 GET /healthz", nil, true},
		{"trap 4: a Server closes its port", nil, closed, "sa:shop/web -> pod:shop/api:8080 GET /", nil, false},
		{"and no other", nil, closed, "sa:shop/web -> pod:shop/api:8081 GET /", nil, true},
		{"and not for pods without its labels", nil, closed, "sa:shop/web -> pod:shop/api:8080 GET /", map[string]string{"app": "other"}, true},
		{"nor for pods of which nothing is known", nil, closed, "sa:shop/web -> pod:shop/api:8080 GET /", map[string]string{}, true},
		{"accessPolicy lets in who has an identity", nil, server("s", "8080", "all-authenticated", "unknown"), "sa:shop/any -> pod:shop/api:8080 GET /", nil, true},
		{"and nobody else", nil, server("s", "8080", "all-authenticated", "unknown"), "external -> pod:shop/api:8080 GET /", nil, false},
		{"1.18: HTTP probes pass a Server without routes", nil, closed, "external -> pod:shop/api:8080 GET /healthz", nil, true},
		{"1.18: and gRPC ones do not", nil, closed, "external -> pod:shop/api:8080 POST /grpc.health.v1.Health/Check", nil, false},
		{"1.18: nor any, once a route is attached", nil, closed + atServer("r", prefixA), "external -> pod:shop/api:8080 GET /healthz", nil, false},
		{"1.18: what is authorised at the Server passes", nil, closed + granted("Server", "s"), "sa:shop/web -> pod:shop/api:8080 GET /", nil, true},
		{"only for who is named", nil, closed + granted("Server", "s"), "sa:shop/other -> pod:shop/api:8080 GET /", nil, false},
		{"1.18: and at every route of it", nil, closed + granted("Server", "s") + atServer("r", prefixA), "sa:shop/web -> pod:shop/api:8080 GET /a", nil, true},
		{"1.18: but what no route speaks of is not found", nil, closed + granted("Server", "s") + atServer("r", prefixA), "sa:shop/web -> pod:shop/api:8080 GET /b", nil, false},
		{"1.18: what is authorised at a route passes there", nil, closed + granted("HTTPRoute", "r") + atServer("r", prefixA), "sa:shop/web -> pod:shop/api:8080 GET /a", nil, true},
		{"and not at a more specific one", nil, closed + granted("HTTPRoute", "r") + atServer("r", prefixA) + atServer("q", prefixB), "sa:shop/web -> pod:shop/api:8080 GET /a/b", nil, false},
		{"a connection sees no route", nil, closed + granted("HTTPRoute", "r") + atServer("r", "{}"), "sa:shop/web -> pod:shop/api:8080 TCP", nil, false},
		{"what is opaque neither", nil, server("s", "8080", "deny", "opaque") + granted("HTTPRoute", "r") + atServer("r", "{}"), "sa:shop/web -> pod:shop/api:8080 GET /", nil, false},
		{"1.15: a SPIFFE identity of the mesh is the account's", nil, closed + granted("Server", "s"), "spiffe:spiffe://cluster.local/ns/shop/sa/web -> pod:shop/api:8080 GET /", nil, true},
		{"1.15: and one of another is nobody's", nil, closed + granted("Server", "s"), "spiffe:spiffe://other/ns/shop/sa/web -> pod:shop/api:8080 GET /", nil, false},
	} {
		q := request(t, c.call)
		pod := c.pod
		if pod == nil {
			pod = map[string]string{"app": "api", "tier": "x"}
		}
		got := read(t, c.options, c.objects).Admit(interpret.Arrival{Request: q, Workload: q.Workload, Pod: pod, Port: q.Port})
		if got.Allowed != c.want {
			t.Errorf("%s: %s: allowed %v", c.why, c.call, got.Allowed)
		}
	}
}

// A mesh of 1,000 services is read in one pass, and asked by name.
func BenchmarkRoute(b *testing.B) {
	w := world()
	var artifacts []translators.Artifact
	for i := range 1000 {
		name := fmt.Sprint("s", i)
		w.Services[ir.Name{Namespace: "shop", Name: name}] = ir.Service{Namespace: "shop", Name: name, Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP}}}
		var o map[string]any
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(route("shop", name, regexA+" => v1"), "name: reviews", "name: "+name)), &o); err != nil {
			b.Fatal(err)
		}
		artifacts = append(artifacts, translators.Artifact{ID: translators.ID{Name: "shop/" + name}, Payload: o})
	}
	m, err := linkerd.New(w, translators.Target{}, artifacts)
	if err != nil {
		b.Fatal(err)
	}
	q := semantics.Request{Service: ir.Name{Namespace: "shop", Name: "s500"}, Port: 80, Method: "GET", Path: "/a/b"}
	for b.Loop() {
		if got := m.Route(q); got.Shares[0].Service.Name != "v1" {
			b.Fatal(got)
		}
	}
}
