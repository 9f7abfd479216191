package corpus_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// spanning is a policy whose callers are in a namespace on another mesh.
const spanning = `
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: spanning, namespace: right}
spec:
  destination: {kind: ServiceAccount, name: api, namespace: right}
  sources: [{kind: ServiceAccount, name: web, namespace: left}]
  rules: [{kind: HTTPRouteGroup, name: api, matches: [read]}]
`

// on are those of what is in force that are of a binding.
func on(all map[string]placed, binding string) (out []string) {
	for key, p := range all {
		if p.Binding == binding {
			out = append(out, key)
		}
	}
	return out
}

// edit is a JSON merge patch of an object.
func (w *world) edit(o lab.Object, patch lab.Object) {
	w.t.Helper()
	if _, err := w.Patch(o, patch); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) binding(name string) lab.Object {
	return cluster.Object("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", name)
}

// Two namespaces are on two meshes, and a policy spans them. One of them moves to the
// other mesh by its label. A binding that is paused reports, and writes nothing.
func TestTwoMeshes(t *testing.T) {
	w := newWorld(t)
	w.grant("linkerd")
	w.apply(shop("left", "istio"))
	w.apply(shop("right", "linkerd"))
	w.apply(spanning)
	w.bind("istio", "{name: istio}", "")
	w.bind("linkerd", "{name: linkerd}", "")
	w.controller()
	made := w.exact("on two meshes")
	for _, b := range []string{"istio", "linkerd"} {
		if len(on(made, b)) == 0 {
			t.Errorf("%s has nothing", b)
		}
	}
	w.eventually("a report on the policy that spans the meshes", func() (bool, any) {
		r := w.Report("access.smi-spec.io", "TrafficTarget", "right", "spanning", "linkerd")
		return r.Programmed(1), r
	})

	before := len(w.writes(0))
	w.edit(cluster.Object("v1", "Namespace", "", "right"), lab.Object{"metadata": lab.Object{"labels": lab.Object{"mesh": "istio"}}})
	made = w.exact("after a namespace moved")
	if left := on(made, "linkerd"); len(left) > 0 {
		t.Errorf("linkerd still has %v", left)
	}
	w.inOrder(w.writes(before))
	w.eventually("a report of the other mesh", func() (bool, any) {
		r := w.Report("access.smi-spec.io", "TrafficTarget", "right", "spanning", "istio")
		return r.Programmed(1) && w.Report("access.smi-spec.io", "TrafficTarget", "right", "spanning", "linkerd").Backend == "", r
	})

	w.edit(w.binding("istio"), lab.Object{"spec": lab.Object{"paused": true}})
	w.saysOf("istio", v1alpha1.ConditionProgrammed, "Unknown/Paused")
	w.delete(splitVersion, "TrafficSplit", "left", "api")
	w.edit(cluster.Object(splitVersion, "TrafficSplit", "right", "api"), lab.Object{"spec": lab.Object{"backends": []any{lab.Object{"service": "api-v2", "weight": 1}}}})
	w.eventually("a report on the edit", func() (bool, any) {
		r := w.Report("split.smi-spec.io", "TrafficSplit", "right", "api", "istio")
		return r.Generation == 2 && r.Conditions[v1alpha1.ConditionProgrammed] == "Unknown/Paused", r
	})
	if d := cmp.Diff(made, w.live()); d != "" {
		t.Errorf("a paused binding changed what is in force (-before +now):\n%s", d)
	}
	w.edit(w.binding("istio"), lab.Object{"spec": lab.Object{"paused": false}})
	if after := w.exact("once it goes on"); cmp.Equal(made, after) {
		t.Error("nothing came of what was edited meanwhile")
	}
}

// odd is a route that Istio cannot tell by its path alone.
const odd = `
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: api, namespace: shop}
spec: {matches: [{name: read, pathRegex: "/a/(b|c)/[0-9]+", methods: [GET]}]}
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: api, namespace: shop}
spec:
  destination: {kind: ServiceAccount, name: api, namespace: shop}
  sources: [{kind: ServiceAccount, name: web, namespace: shop}]
  rules: [{kind: HTTPRouteGroup, name: api, matches: [read]}]
`

// What a mesh cannot say is refused, and a waiver lets it pass until it expires.
func TestWaiver(t *testing.T) {
	w := newWorld(t)
	w.apply(shop("shop", "istio"))
	w.apply(odd)
	w.bind("istio", "{name: istio}", "")
	w.controller()
	translated := func() string {
		r := w.Report("specs.smi-spec.io", "HTTPRouteGroup", "shop", "api", "istio")
		return r.Conditions[v1alpha1.ConditionTranslated]
	}
	refused := func(what string) {
		t.Helper()
		w.eventually(what, func() (bool, any) {
			got := translated()
			return got == "False/Refused" || got == "False/LastGood", got
		})
	}
	refused("a refusal")
	waived := func(until time.Time) {
		w.edit(w.binding("istio"), lab.Object{"spec": lab.Object{"waivers": []any{lab.Object{"code": "MK3002", "kind": "HTTPRouteGroup", "namespace": "shop", "name": "api",
			"reason": "for the test", "expires": until.UTC().Format(time.RFC3339)}}}})
	}
	waived(time.Now().Add(time.Hour))
	w.eventually("a refusal that is waived", func() (bool, any) {
		got := translated()
		return strings.HasPrefix(got, "True/"), got
	})
	waived(time.Now().Add(5 * time.Second)) // after which nothing happens but that
	refused("a refusal once the waiver has expired")

	w.delete("access.smi-spec.io/v1alpha3", "TrafficTarget", "shop", "api")
	w.delete("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup", "shop", "api")
	w.exact("without what cannot be said")
}

// What is lost more of than the gate of the binding allows is not put in force, but what
// denies is. It is, once the gate is wider.
func TestGate(t *testing.T) {
	w := newWorld(t)
	w.grant("consul")
	w.apply(shop("shop", "consul"))
	w.bind("consul", "{name: consul, options: {form: kubernetes}}", "  lossGate: relocated\n")
	w.controller()
	w.eventually("a report that the gate keeps it out", func() (bool, any) {
		r := w.Report("split.smi-spec.io", "TrafficSplit", "shop", "api", "consul")
		return strings.HasPrefix(r.Conditions[v1alpha1.ConditionTranslated], "False/") && w.finds("shop", "api", "MK3017"), r
	})
	w.eventually("what denies, and no routes", func() (bool, any) {
		var kinds []string
		for key := range w.live() {
			kind, _, _ := strings.Cut(key, " ")
			kinds = append(kinds, kind)
		}
		return slices.Contains(kinds, "consul.hashicorp.com/ServiceIntentions") && !slices.Contains(kinds, "consul.hashicorp.com/ServiceSplitter"), kinds
	})
	w.edit(w.binding("consul"), lab.Object{"spec": lab.Object{"lossGate": "approximated"}})
	w.exact("with a wider gate")
	w.eventually("a report that it is in force", func() (bool, any) {
		r := w.Report("split.smi-spec.io", "TrafficSplit", "shop", "api", "consul")
		return r.Programmed(1) && r.Conditions[v1alpha1.ConditionLossFree] == "False/Approximated", r
	})
}
