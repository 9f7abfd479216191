package migrate

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

const split = `
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: web, namespace: shop}
spec:
  service: web
  matches: [{kind: HTTPRouteGroup, name: beta}]
  backends: [{service: web-v1, weight: 1}, {service: web-v2, weight: 3}]
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: beta, namespace: shop}
spec: {matches: [{name: beta, headers: [{x-beta: "1"}]}]}
`

const target = `
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: read, namespace: shop}
spec:
  destination: {kind: ServiceAccount, name: web, namespace: shop}
  sources: [{kind: ServiceAccount, name: front, namespace: shop}]
  rules: [{kind: HTTPRouteGroup, name: beta, matches: [beta]}]
`

func of(authorization string, texts ...string) *Migration {
	var files []input.File
	for i, text := range texts {
		files = append(files, input.File{Name: string(rune('a'+i)) + ".yaml", Data: []byte(text)})
	}
	return parse(input.Settings{}, authorization, files...)
}

func names(refs []report.Ref) string {
	var out []string
	for _, r := range refs {
		out = append(out, r.Kind+"/"+r.Name)
	}
	return strings.Join(out, " ")
}

// A route that is not what it should be is found, with a request that shows it.
func TestABrokenConversionIsFound(t *testing.T) {
	spoil := map[string]func(rule map[string]any){
		"a weight":  func(r map[string]any) { r["backendRefs"].([]any)[0].(map[string]any)["weight"] = int64(2) },
		"a backend": func(r map[string]any) { r["backendRefs"].([]any)[0].(map[string]any)["name"] = "web" },
		"a match":   func(r map[string]any) { r["matches"] = []any{map[string]any{}} },
		"a timeout": func(r map[string]any) { r["timeouts"] = map[string]any{"request": "1s"} },
		"a filter": func(r map[string]any) {
			r["filters"] = []any{map[string]any{"type": "RequestHeaderModifier", "requestHeaderModifier": map[string]any{"remove": []any{"x-beta"}}}}
		},
		"an answer": func(r map[string]any) { delete(r, "backendRefs") },
	}
	for what, do := range spoil {
		m := of("", services, split)
		c := m.Convert()
		if proof, err := m.Verify(c); err != nil || !proof.Holds() {
			t.Fatalf("%v %+v", err, proof)
		}
		do(c.Routes[0].Payload.(map[string]any)["spec"].(map[string]any)["rules"].([]any)[0].(map[string]any))
		proof, err := m.Verify(c)
		if err != nil {
			t.Fatal(err)
		}
		if proof.Holds() || !strings.Contains(Line(proof.Differ[0].Request), "-> shop/web:80") {
			t.Errorf("%s was changed, and nothing was noticed", what)
		}
	}
	m := of("", services, split)
	c := m.Convert()
	c.Routes = nil
	if proof, _ := m.Verify(c); proof.Holds() {
		t.Error("nothing was converted, and nothing was noticed")
	}
}

// What a grant names stays as long as the grant does.
func TestWhatIsNamedStays(t *testing.T) {
	m := of("", services, split, target)
	c := m.Convert()
	if got := names(c.Replaced); got != "TrafficSplit/web" {
		t.Errorf("replaced are %s: the group is named by the grant that is left", got)
	}
	if !c.Denies || len(c.ByHand()) != 1 || c.ByHand()[0].Severity != report.Error {
		t.Errorf("by hand: %v", c.ByHand())
	}
}

// A mesh that cannot deny what is to be denied writes nothing, and that is left.
func TestAccessThatCannotBeKeptIsLeft(t *testing.T) {
	c := of("istio", services, target).Convert() // no pod of the account is known
	if len(c.Access) > 0 || !slices.ContainsFunc(c.ByHand(), func(f report.Finding) bool {
		return f.Source.Kind == "TrafficTarget" && strings.Contains(f.Message, "istio cannot deny")
	}) {
		t.Errorf("%d objects; by hand: %v", len(c.Access), c.ByHand())
	}
}

// An object of the name that a route would have is not written over.
func TestNamesThatAreTakenAreLeft(t *testing.T) {
	const other = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web-80, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: web-v1}]
  rules: [{backendRefs: [{name: web-v2, port: 80}]}]
`
	c := of("", services, split, other).Convert()
	for _, a := range c.Routes {
		if a.ID.Name == "shop/web-80" {
			t.Errorf("%s is written over", a.ID.Name)
		}
	}
	if !slices.ContainsFunc(c.ByHand(), func(f report.Finding) bool { return strings.Contains(f.Message, "is there already") }) {
		t.Errorf("by hand: %v", c.ByHand())
	}
}

// What routes a Service that was not given may route one that is there: it is not
// said to be replaced by nothing.
func TestWhatRoutesAnUnknownServiceStays(t *testing.T) {
	const lost = `
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: lost, namespace: shop}
spec:
  service: elsewhere
  backends: [{service: web-v1, weight: 1}]
`
	c := of("", services, split, lost).Convert()
	if got := names(c.Replaced); got != "HTTPRouteGroup/beta TrafficSplit/web" {
		t.Errorf("replaced are %s", got)
	}
	if all := c.ByHand(); len(all) != 1 || all[0].Source.Name != "lost" {
		t.Errorf("by hand: %v", all)
	}
}

// Routes that are no SMI are not written again.
func TestRoutesOfGatewayAPIStay(t *testing.T) {
	const other = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: own, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: web-v1}]
  rules: [{backendRefs: [{name: web-v2, port: 80}]}]
`
	m := of("", services, split, other)
	c := m.Convert()
	for _, a := range c.Routes {
		if strings.HasPrefix(a.ID.Name, "shop/web-v1") {
			t.Errorf("%s is there already", a.ID.Name)
		}
	}
	if proof, err := m.Verify(c); err != nil || !proof.Holds() {
		t.Errorf("%v %+v", err, proof)
	}
	kept := m.Inventory().Kept
	if !slices.ContainsFunc(kept, func(c Count) bool { return c.Kind == "HTTPRoute" && c.Objects == 1 }) {
		t.Errorf("kept are %v", kept)
	}
}
