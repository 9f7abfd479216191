package admission

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/webhook"
)

const known = `
{apiVersion: v1, kind: Service, metadata: {name: reviews, namespace: shop}, spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: reviews-v1, namespace: shop}, spec: {selector: {app: reviews, v: "1"}, ports: [{name: http, port: 9080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: reviews-v2, namespace: shop}, spec: {selector: {app: reviews, v: "2"}, ports: [{name: http, port: 9080}]}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: reviews, namespace: shop}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web, namespace: shop}}
---
{apiVersion: v1, kind: Pod, metadata: {name: reviews-1, namespace: shop, labels: {app: reviews, v: "1"}}, spec: {serviceAccountName: reviews, containers: [{name: c, image: i, ports: [{containerPort: 9080}]}]}}
---
{apiVersion: specs.smi-spec.io/v1alpha4, kind: HTTPRouteGroup, metadata: {name: routes, namespace: shop}, spec: {matches: [{name: read, methods: [GET], pathRegex: "/reviews/.*"}]}}
---
{apiVersion: access.smi-spec.io/v1alpha3, kind: TrafficTarget, metadata: {name: web-reviews, namespace: shop}, spec: {destination: {kind: ServiceAccount, name: reviews, namespace: shop}, sources: [{kind: ServiceAccount, name: web, namespace: shop}], rules: [{kind: HTTPRouteGroup, name: routes, matches: [read]}]}}
`

func objects(t testing.TB, text string) []lab.Object {
	t.Helper()
	var out []lab.Object
	for _, d := range strings.Split(text, "\n---\n") {
		out = append(out, object(t, d))
	}
	return out
}

const split = `{apiVersion: split.smi-spec.io/v1alpha4, kind: TrafficSplit, metadata: {name: reviews, namespace: shop}, spec: {service: reviews, backends: [{service: reviews-v1, weight: 90}, {service: reviews-v2, weight: 10}]}}`

func with(text string, replace ...string) string {
	return strings.NewReplacer(replace...).Replace(text)
}

// TestVerdicts: what the API server says to a user for each verdict, and that a dry
// run is judged as the real thing is and changes nothing.
func TestVerdicts(t *testing.T) {
	w := newWorld(t, bound("mesh", "linkerd", report.Dropped, "shop"), bound("gated", "consul", report.Relocated, "tight"))
	p := start(t, w, webhook.Options{}, webhook.Registration{Foreign: "Fail"})
	for _, o := range append(objects(t, known), objects(t, strings.ReplaceAll(known, "namespace: shop", "namespace: tight"))[:3]...) {
		if err := p.kube.Apply(o); err != nil {
			t.Fatal(err)
		}
		w.know(t, o)
	}
	cases := []struct {
		name, object string
		warns        []string // parts of warnings; empty: none
		denies       []string // parts of the message, empty: allowed
	}{
		{"allowed", split, nil, nil},
		{"all weights zero", with(split, "weight: 90", "weight: 0", "weight: 10", "weight: 0"), nil, []string{"spec.backends", "(MK2005)"}},
		{"rule warns", with(split, "weight: 90", "weight: 7"), []string{"MKR004"}, nil},
		{"rule denies", with(split, "reviews-v2,", "reviews-v9,"), nil, []string{"spec.backends[1].service", "there is no Service reviews-v9", "(MKR006)"}},
		{"nothing there yet", with(grant, "name: routes", "name: later"), []string{"(MK2012)"}, nil},
		{"beyond the gate", with(split, "namespace: shop", "namespace: tight"), nil, []string{"gated: ", "the gate is relocated", "(MK3017)"}},
		{"report", "{apiVersion: meshknot.io/v1alpha1, kind: TranslationReport, metadata: {name: r, namespace: shop}}", nil, []string{"only the controller writes reports"}},
		{"binding without such a version", meshBinding("7.9"), nil, []string{"spec.backend.version"}},
		{"binding", meshBinding("1.31"), nil, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			warnings, err := p.kube.DryRun(object(t, c.object))
			said := strings.Join(warnings, "\n")
			for _, part := range c.warns {
				if !strings.Contains(said, part) {
					t.Errorf("warnings %q do not say %s", warnings, part)
				}
			}
			if len(c.warns) == 0 && len(c.denies) == 0 && len(warnings) > 0 {
				t.Errorf("warnings %q", warnings)
			}
			for _, warning := range warnings {
				if len(warning) > 120 {
					t.Errorf("a warning of %d bytes: %s", len(warning), warning)
				}
			}
			if (err != nil) != (len(c.denies) > 0) {
				t.Fatalf("got %v", err)
			}
			for _, part := range c.denies {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v does not say %s", err, part)
				}
			}
		})
	}
	if _, err := p.kube.Get(object(t, split)); !lab.IsStatus(err, 404) {
		t.Errorf("a dry run left something: %v", err)
	}
}

const grant = `{apiVersion: access.smi-spec.io/v1alpha3, kind: TrafficTarget, metadata: {name: web-reviews, namespace: shop}, spec: {destination: {kind: ServiceAccount, name: reviews, namespace: shop}, sources: [{kind: ServiceAccount, name: web, namespace: shop}], rules: [{kind: HTTPRouteGroup, name: routes, matches: [read]}]}}`

func meshBinding(version string) string {
	b, _ := json.Marshal(map[string]any{"apiVersion": "meshknot.io/v1alpha1", "kind": "MeshBinding", "metadata": map[string]any{"name": "b"},
		"spec": map[string]any{"namespaceSelector": map[string]any{}, "backend": map[string]any{"name": "istio", "version": version}}})
	return string(b)
}

// TestDeletions: what a deletion comes to is said: it opens a workload, or somebody
// else referred to the object. Configured so, what opens is denied; what clears a
// namespace never is, nor is what the controller itself does.
func TestDeletions(t *testing.T) {
	w := newWorld(t, bound("mesh", "istio", report.Dropped, "shop"))
	p := start(t, w, webhook.Options{DenyOpening: true}, webhook.Registration{Foreign: "Fail"})
	for _, o := range objects(t, known) {
		if err := p.kube.Apply(o); err != nil {
			t.Fatal(err)
		}
		w.know(t, o)
	}
	err := p.kube.Delete(object(t, grant))
	if err == nil || !strings.Contains(err.Error(), "opens the workload of account shop/reviews") || !strings.Contains(err.Error(), "MK2033") {
		t.Errorf("a deletion that opens: %v", err)
	}
	moved := with(grant, "destination: {kind: ServiceAccount, name: reviews", "destination: {kind: ServiceAccount, name: web")
	if _, err := p.kube.DryRun(object(t, moved)); err == nil || !strings.Contains(err.Error(), "opens the workload of account shop/reviews") {
		t.Errorf("an update that opens: %v", err)
	}
	if _, err := p.kube.DryRun(object(t, with(grant, "name: web-reviews", "name: second"))); err != nil {
		t.Errorf("a second grant: %v", err)
	}
	if err := p.kube.Delete(object(t, `{apiVersion: specs.smi-spec.io/v1alpha4, kind: HTTPRouteGroup, metadata: {name: routes, namespace: shop}}`)); err != nil {
		t.Errorf("what somebody refers to may go, for that lets nothing through: %v", err)
	}
	controller := user(t, p, p.account)
	if err := controller.Delete(object(t, grant)); err != nil {
		t.Errorf("the controller is denied: %v", err)
	}
	p.apply(t, grant)
	clearing := user(t, p, "system:serviceaccount:kube-system:namespace-controller", "system:serviceaccounts:kube-system")
	if err := clearing.Delete(object(t, grant)); err != nil {
		t.Errorf("a namespace that ends is held: %v", err)
	}
}

// user is somebody else with all rights.
func user(t *testing.T, p *place, name string, groups ...string) *lab.Kube {
	t.Helper()
	k, err := p.kube.User(name, append(groups, "system:masters")...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
