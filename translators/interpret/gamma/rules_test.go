package gamma_test

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/gamma"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// read reads routes to shop/reviews, each given as "NAMESPACE/NAME: RULE...".
func read(t *testing.T, routes ...string) (interpret.Mesh, error) {
	t.Helper()
	w := interpret.World{Services: map[ir.Name]ir.Service{}}
	for _, n := range []string{"reviews", "v1", "v2"} {
		w.Services[ir.Name{Namespace: "shop", Name: n}] = ir.Service{Namespace: "shop", Name: n, Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP}}}
	}
	var artifacts []translators.Artifact
	for _, r := range routes {
		name, rules, _ := strings.Cut(r, ": ")
		namespace, name, _ := strings.Cut(name, "/")
		var o map[string]any
		text := fmt.Sprintf("{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: %s, namespace: %s}, spec: {"+
			"parentRefs: [{group: '', kind: Service, name: reviews, namespace: shop, port: 80}], rules: [%s]}}", name, namespace, rules)
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		artifacts = append(artifacts, translators.Artifact{ID: translators.ID{Type: "HTTPRoute", Name: namespace + "/" + name}, Payload: o})
	}
	return gamma.New(nil)(w, translators.Target{}, artifacts)
}

const (
	v1 = "backendRefs: [{name: v1, namespace: shop, port: 80}]"
	v2 = "backendRefs: [{name: v2, namespace: shop, port: 80}]"
)

// The numbers are those of the sections of Gateway API's facts.
func TestRoutes(t *testing.T) {
	rule := func(match, rest string) string { return "{matches: [" + match + "], " + rest + "}" }
	for _, c := range []struct {
		why    string
		routes []string
		call   string
		want   string
	}{
		{"6: nothing is attached", nil, "sa:x/y -> svc:shop/reviews:80 GET /", "shop/reviews:80 100%"},
		{"6: nothing is matched", []string{"shop/r: " + rule("{path: {value: /a}}", v1)}, "sa:x/y -> svc:shop/reviews:80 GET /ab", "status 404"},
		{"6: exact before prefix", []string{"shop/r: " + rule("{path: {value: /a}, method: GET}", v1) + "," + rule("{path: {type: Exact, value: /a}}", v2)}, "sa:x/y -> svc:shop/reviews:80 GET /a", "shop/v2:80 100%"},
		{"6: the longest prefix", []string{"shop/r: " + rule("{path: {value: /a}, method: GET}", v1) + "," + rule("{path: {value: /a/b}}", v2)}, "sa:x/y -> svc:shop/reviews:80 GET /a/b/c", "shop/v2:80 100%"},
		{"6: method before headers", []string{"shop/r: " + rule("{headers: [{name: x, value: v}]}", v1) + "," + rule("{method: GET}", v2)}, "sa:x/y -> svc:shop/reviews:80 GET / -H 'x: v'", "shop/v2:80 100%"},
		{"6: headers before parameters", []string{"shop/r: " + rule("{queryParams: [{name: q, value: v}]}", v1) + "," + rule("{headers: [{name: x, value: v}]}", v2)}, "sa:x/y -> svc:shop/reviews:80 GET /?q=v -H 'x: v'", "shop/v2:80 100%"},
		{"6: ties by name, then the first rule", []string{"shop/s: " + rule("{}", v2), "shop/r: " + rule("{}", v1) + "," + rule("{}", v2)}, "sa:x/y -> svc:shop/reviews:80 GET /", "shop/v1:80 100%"},
		{"6: an expression matches the whole value", []string{"shop/r: " + rule("{path: {type: RegularExpression, value: '/a|/ab'}}", v1)}, "sa:x/y -> svc:shop/reviews:80 GET /ab", "shop/v1:80 100%"},
		{"6: and does not stop halfway", []string{"shop/r: " + rule("{path: {type: RegularExpression, value: '/a'}}", v1)}, "sa:x/y -> svc:shop/reviews:80 GET /ab", "status 404"},
		{"6: a consumer's routes replace the producer's", []string{"shop/r: " + rule("{path: {value: /a}}", v1), "front/r: " + rule("{path: {value: /b}}", v2)}, "sa:front/y -> svc:shop/reviews:80 GET /a", "status 404"},
		{"6: for the callers there alone", []string{"shop/r: " + rule("{path: {value: /a}}", v1), "front/r: " + rule("{path: {value: /b}}", v2)}, "sa:x/y -> svc:shop/reviews:80 GET /a", "shop/v1:80 100%"},
		{"6: no backends", []string{"shop/r: {matches: [{}]}"}, "sa:x/y -> svc:shop/reviews:80 GET /", "status 500"},
		{"6: weights of nothing", []string{"shop/r: {backendRefs: [{name: v1, port: 80, weight: 0}]}"}, "sa:x/y -> svc:shop/reviews:80 GET /", "status 500"},
		{"6: a backend that is not there", []string{"shop/r: {backendRefs: [{name: v1, port: 80, weight: 3}, {name: v3, port: 80}]}"}, "sa:x/y -> svc:shop/reviews:80 GET /", "shop/v1:80 75%, shop/v3:80 25% (fails)"},
		{"1: a redirect's status, and the port of its scheme", []string{"shop/r: {filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: h}}]}"}, "sa:x/y -> svc:shop/reviews:80 GET /a?q=1", "302 to https://h/a?q=1"},
		{"1: a prefix that is replaced", []string{"shop/r: " + rule("{path: {value: /a}}", "filters: [{type: RequestRedirect, requestRedirect: {hostname: h, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]")}, "sa:x/y -> svc:shop/reviews:80 GET /a/b", "302 to http://h/b"},
	} {
		m, err := read(t, c.routes...)
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		q, err := semantics.ParseRequest(c.call)
		if err != nil {
			t.Fatal(err)
		}
		if text := semantics.Outcome(m.Route(q).Decision); text != c.want {
			t.Errorf("%s: %s: %s instead of %s", c.why, c.call, text, c.want)
		}
	}
}

// 1: what the API server refuses.
func TestRefusals(t *testing.T) {
	for _, r := range []string{
		"shop/r: " + strings.TrimSuffix(strings.Repeat("{}, ", 17), ", "),
		"shop/r: {matches: [" + strings.TrimSuffix(strings.Repeat("{}, ", 65), ", ") + "]}",
		"shop/r: {matches: [{path: {type: RegularExpression, value: '('}}]}",
		"shop/r: {matches: [{path: {value: a}}]}",
		"shop/r: {matches: [{method: PURGE}]}",
		"shop/r: {matches: [{headers: [{name: x, value: a}, {name: X, value: b}]}]}",
		"shop/r: {backendRefs: [{name: v1}]}",
		"shop/r: {backendRefs: [{name: v1, port: 80, weight: 1000001}]}",
		"shop/r: {filters: [{type: URLRewrite, urlRewrite: {hostname: h}}, {type: URLRewrite, urlRewrite: {hostname: h}}]}",
		"shop/r: {filters: [{type: URLRewrite, urlRewrite: {hostname: h}}, {type: RequestRedirect, requestRedirect: {hostname: h}}]}",
		"shop/r: {filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}], matches: [{}, {path: {value: /a}}]}",
		"shop/r: {timeouts: {request: 1s, backendRequest: 2s}}",
		"shop/r: {filters: [{type: CORS, cors: {}}]}",
	} {
		if _, err := read(t, r); err == nil {
			t.Errorf("it is taken: %s", r)
		}
	}
}
