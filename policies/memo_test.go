package policies

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// everyMemo is a rule that asks every function that is remembered, of two
// namespaces, so that whatever one of them gives is seen.
const everyMemo = `package team.all

import data.lib.inventory
import data.lib.route

violation contains msg if {
	some ns in {"a", "b"}
	msg := sprintf("%v", [[ns, inventory.targets(ns), inventory.guarded(ns), inventory.callers(ns, "x"), inventory.rules(ns),
		inventory.references(ns), inventory.variants(ns), inventory.pods(ns), inventory.accounts(ns), inventory.behind(ns, "x"),
		inventory.in_front(ns, "x"), inventory.everywhere("gateway.networking.k8s.io", "HTTPRoute"), route.attached(ns, "HTTPRoute"), route.routed(ns)]])
}
`

// TestEveryMemoIsKnown: what is remembered is in the library, and the rule above
// asks for it.
func TestEveryMemoIsKnown(t *testing.T) {
	c := compile(Shipped(), false).compiler
	for _, m := range memos {
		if len(c.GetRulesExact(m.path)) == 0 {
			t.Errorf("there is no %v", m.path)
		}
		if name := strings.TrimPrefix(m.path.String(), "data.lib."); !strings.Contains(everyMemo, name+"(") {
			t.Errorf("nothing asks for %s", name)
		}
		for _, r := range c.GetRulesExact(m.path) {
			if p := (&plan{compiler: c}); p.reads(append(r.Module.Rules[:0:0], r)).form {
				t.Errorf("%v reads the object under review", m.path)
			}
		}
	}
}

// TestMemosFollow: for every kind of object that is remembered of, in two namespaces
// and in two forms, a review of another form, and every review after a change, says
// what a check of everything says.
func TestMemosFollow(t *testing.T) {
	forms := []string{
		`{apiVersion: access.smi-spec.io/v1alpha3, kind: TrafficTarget, metadata: {name: t, namespace: NS}, spec: {destination: {name: x, namespace: OTHER}, sources: [{name: FORM, namespace: NS}], rules: [{kind: HTTPRouteGroup, name: g-FORM}]}}`,
		`{apiVersion: access.smi-spec.io/v1alpha3, kind: TrafficTarget, metadata: {name: u, namespace: NS}, spec: {destination: {name: d-FORM, namespace: OTHER}}}`,
		`{apiVersion: split.smi-spec.io/v1alpha4, kind: TrafficSplit, metadata: {name: s, namespace: NS}, spec: {service: x, backends: [{service: FORM, weight: 1}], matches: [{kind: HTTPRouteGroup, name: m-FORM}]}}`,
		`{apiVersion: v1, kind: Service, metadata: {name: x, namespace: NS}, spec: {selector: {app: FORM}}}`,
		`{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: NS, labels: {app: one}}, spec: {serviceAccountName: FORM}}`,
		`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: NS}, spec: {parentRefs: [{kind: Service, group: "", name: FORM}]}}`,
	}
	for _, w := range []struct{ version, kind, path string }{{"apps/v1", "Deployment", ""}, {"apps/v1", "StatefulSet", ""}, {"apps/v1", "DaemonSet", ""},
		{"batch/v1", "Job", ""}, {"batch/v1", "CronJob", "jobTemplate: {spec: {"}} {
		forms = append(forms, fmt.Sprintf(`{apiVersion: %s, kind: %s, metadata: {name: w, namespace: NS}, spec: {%stemplate: {metadata: {labels: {app: two}}, spec: {serviceAccountName: FORM}}}%s}`,
			w.version, w.kind, w.path, strings.Repeat("}", strings.Count(w.path, "{"))))
	}
	written := func(text, ns, form string) Object {
		other := map[string]string{"a": "b", "b": "a"}[ns]
		var value map[string]any
		if err := yaml.Unmarshal([]byte(strings.NewReplacer("NS", ns, "OTHER", other, "FORM", form).Replace(text)), &value); err != nil {
			t.Fatal(err)
		}
		return NewObject(value)
	}
	e := New(Module{File: "all.rego", Source: []byte(everyMemo)})
	if found := e.Problems(); len(found) > 0 {
		t.Fatal(found)
	}
	inv := NewInventory()
	var objects []Object
	for _, ns := range []string{"a", "b"} {
		for _, text := range forms {
			objects = append(objects, written(text, ns, "one"))
		}
	}
	if err := inv.Put(objects...); err != nil {
		t.Fatal(err)
	}
	same := func(o Object) {
		t.Helper()
		if d := cmp.Diff(about(e.Check(t.Context(), objects), o.Ref), e.Review(t.Context(), inv, o)); d != "" {
			t.Fatalf("%s (-Check +Review):\n%s", o.Ref, d)
		}
	}
	for i := range objects {
		old := objects[i]
		objects[i] = written(forms[i%len(forms)], old.Ref.Namespace, "two")
		same(objects[i]) // as it would be
		objects[i] = old
		same(objects[(i+1)%len(objects)]) // as it still is
		objects[i] = written(forms[i%len(forms)], old.Ref.Namespace, "two")
		if err := inv.Put(objects[i]); err != nil {
			t.Fatal(err)
		}
		same(objects[(i+1)%len(objects)]) // as it has become
		same(objects[i])
	}
}
