package sink

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/manifest"
)

type object = map[string]any

// virtualService makes an artifact of one route.
func virtualService(namespace, name, to string) translators.Artifact {
	return manifest.New("networking.istio.io/v1", "VirtualService", namespace, name, object{
		"hosts": []any{name}, "http": []any{object{"route": []any{object{"destination": object{"host": to}, "weight": 100}}}},
	}, nil)
}

// httpRoute makes one most of whose fields the server sets.
func httpRoute(namespace, name, to string) translators.Artifact {
	return manifest.New("gateway.networking.k8s.io/v1", "HTTPRoute", namespace, name, object{
		"parentRefs": []any{object{"group": "", "kind": "Service", "name": name}},
		"rules":      []any{object{"backendRefs": []any{object{"name": to, "port": 80}}}},
	}, nil)
}

func TestCluster(t *testing.T) {
	k := startKube(t)
	k.define(t)
	for _, c := range []struct {
		name string
		run  func(t *testing.T, k *kube)
	}{
		{"a second time nothing is written", clusterTwice},
		{"an edit is undone", clusterDrift},
		{"foreign", clusterForeign},
		{"foreign under a race", clusterRace},
		{"take-over", clusterTakeOver},
		{"hand-over", clusterHandOver},
		{"prune", clusterPrune},
		{"another version", clusterVersion},
		{"crash", clusterCrash},
		{"conflicts", clusterConflicts},
		{"refused", clusterRefused},
		{"namespace", clusterNamespace},
		{"kind", clusterKind},
		{"parent", clusterParent},
		{"webhook", clusterMutated},
		{"orphans", clusterOrphans},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, k) })
	}
}

func mustPut(t *testing.T, s writing, owner Owner, a translators.Artifact, want bool) {
	t.Helper()
	written, err := s.Put(t.Context(), owner, a)
	if err != nil {
		t.Fatal(err)
	}
	if written != want {
		t.Errorf("%s: written is %v", a.ID.Name, written)
	}
}

func mustDelete(t *testing.T, s writing, owner Owner, id translators.ID, want bool) {
	t.Helper()
	deleted, err := s.Delete(t.Context(), owner, id)
	if err != nil {
		t.Fatal(err)
	}
	if deleted != want {
		t.Errorf("%s: deleted is %v", id.Name, deleted)
	}
}

// mustList lists what is an owner's, "name" or "name drifted".
func mustList(t *testing.T, s writing, owner Owner, want ...string) {
	t.Helper()
	stored, err := s.List(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range stored {
		line := named(o.ID)
		if o.Drifted {
			line += " drifted"
		}
		got = append(got, line)
	}
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("listed (-want +got):\n%s", d)
	}
}

func clusterTwice(t *testing.T, k *kube) {
	k.namespaces(t, "twice")
	owner := k.owner(t, "twice")
	c, sent := k.writer(t, "istio", "gateway-api")
	all := []translators.Artifact{virtualService("twice", "web", "v1"), httpRoute("twice", "web", "v1")}
	for _, a := range all {
		mustPut(t, c, owner, a, true)
		mustPut(t, c, owner, a, false)
		if n := sent.writes(); n != 1 {
			t.Errorf("%d writes", n)
		}
	}
	mustList(t, c, owner, "HTTPRoute twice/web", "VirtualService twice/web")
	fresh, sent := k.writer(t, "istio", "gateway-api")
	mustPut(t, fresh, owner, all[0], false) // not listed before
	mustList(t, fresh, owner, "HTTPRoute twice/web drifted", "VirtualService twice/web")
	mustPut(t, fresh, owner, all[1], false)
	mustList(t, fresh, owner, "HTTPRoute twice/web", "VirtualService twice/web")
	if n := sent.writes(); n != 0 {
		t.Errorf("%d writes of what is there", n)
	}
	stored, err := fresh.List(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range []translators.Artifact{all[1], all[0]} {
		if want, err := Digest(a); err != nil || stored[i].ID != a.ID || stored[i].Digest != want {
			t.Errorf("listed %v, want digest %s %v", stored[i], want, err)
		}
	}
	mustPut(t, fresh, owner, virtualService("twice", "web", "v2"), true)
	if n := sent.writes(); n != 1 {
		t.Errorf("%d writes of a change", n)
	}
}

func clusterDrift(t *testing.T, k *kube) {
	k.namespaces(t, "drift")
	owner := k.owner(t, "drift")
	for _, c := range []struct {
		name, edit string
		drifts     bool
	}{
		{"value", `{"spec":{"hosts":["evil"]}}`, true},
		{"taken away", `{"spec":{"hosts":null}}`, true},
		{"item added", `{"spec":{"hosts":["web","evil"]}}`, true},
		{"deep", `{"spec":{"http":[{"route":[{"destination":{"host":"evil"},"weight":100}]}]}}`, true},
		{"added within a list", `{"spec":{"http":[{"fault":{"abort":{"httpStatus":500,"percentage":{"value":100}}},"route":[{"destination":{"host":"v1"},"weight":100}]}]}}`, true},
		{"label", `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"meshknot","applyset.kubernetes.io/part-of":null}}}`, false}, // that disowns it
		{"digest", `{"metadata":{"annotations":{"meshknot.io/digest":"0"}}}`, true},
		{"beside", `{"metadata":{"annotations":{"a":"b"},"labels":{"c":"d"}},"spec":{"exportTo":["."]}}`, false},
	} {
		name := strings.ReplaceAll(c.name, " ", "-")
		a := virtualService("drift", name, "v1")
		w, sent := k.writer(t, "istio")
		mustPut(t, w, owner, a, true)
		before := k.live(t, a.ID)
		k.edit(t, a.ID, c.edit)
		edited := k.live(t, a.ID)
		sent.writes()
		if c.name == "label" {
			mustList(t, w, owner)
			if _, err := w.Put(t.Context(), owner, a); !errors.As(err, new(*Foreign)) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		line := "VirtualService drift/" + name
		if c.drifts {
			line += " drifted"
		}
		mustList(t, w, owner, line)
		mustPut(t, w, owner, a, c.drifts)
		mustList(t, w, owner, "VirtualService drift/"+name)
		want := before
		if !c.drifts {
			want = edited
		}
		if d := cmp.Diff(content(want), content(k.live(t, a.ID))); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
		mustDelete(t, w, owner, a.ID, true)
	}
}

// content is what an object says, whoever owns it.
func content(o *unstructured.Unstructured) object {
	if o == nil {
		return nil
	}
	return object{"labels": o.GetLabels(), "annotations": o.GetAnnotations(), "spec": o.Object["spec"]}
}

func clusterPrune(t *testing.T, k *kube) {
	k.namespaces(t, "prune", "prune-b")
	owner, other := k.owner(t, "prune"), k.owner(t, "prune-other")
	w, _ := k.writer(t, "istio", "gateway-api")
	stays := []translators.Artifact{virtualService("prune", "stays", "v1"), httpRoute("prune-b", "stays", "v1")}
	goes := []translators.Artifact{virtualService("prune", "goes", "v1"), httpRoute("prune-b", "goes", "v1")}
	theirs := virtualService("prune", "theirs", "v1")
	mustPut(t, w, other, theirs, true)
	foreigner := virtualService("prune", "foreign", "v1")
	k.apply(t, foreign(foreigner, "theirs", object{PartOfLabel: ApplySetID(owner.Binding)}))
	if n, err := reconcile(t.Context(), w, owner, slices.Concat(stays, goes)); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	fresh, _ := k.writer(t, "istio", "gateway-api")
	if n, err := reconcile(t.Context(), fresh, owner, stays); n != 2 || err != nil {
		t.Errorf("%d writes to prune two: %v", n, err)
	}
	for _, a := range slices.Concat(stays, goes, []translators.Artifact{theirs, foreigner}) {
		if there := k.live(t, a.ID) != nil; there == strings.HasSuffix(a.ID.Name, "goes") {
			t.Errorf("%s is there: %v", a.ID.Name, there)
		}
	}
}

// An object that is written in another version is one and the same: it is listed
// once, and does not go with its old name.
func clusterVersion(t *testing.T, k *kube) {
	k.namespaces(t, "version")
	owner := k.owner(t, "version")
	w, sent := k.writer(t, "gateway-api", "linkerd")
	spec := object{"parentRefs": []any{object{"group": "", "kind": "Service", "name": "web"}},
		"rules": []any{object{"backendRefs": []any{object{"name": "web", "port": 80}}}}}
	old := manifest.New("gateway.networking.k8s.io/v1alpha2", "TCPRoute", "version", "web", spec, nil)
	now := manifest.New("gateway.networking.k8s.io/v1", "TCPRoute", "version", "web", spec, nil)
	mustPut(t, w, owner, old, true)
	if n, err := reconcile(t.Context(), w, owner, []translators.Artifact{now}); n != 1 || err != nil || sent.writes() != 2 {
		t.Error(n, err)
	}
	if k.live(t, now.ID) == nil {
		t.Error("it went with its old version")
	}
	mustList(t, w, owner, "TCPRoute version/web")
}

func clusterParent(t *testing.T, k *kube) {
	owner := k.owner(t, "parent")
	ids := []translators.ID{virtualService("b", "x", "").ID, virtualService("a", "x", "").ID, httpRoute("a", "y", "").ID}
	w, sent := k.writer(t, "istio")
	said := func(c *Cluster, members []translators.ID, writes int, kinds, namespaces string) {
		t.Helper()
		if err := c.Parent(t.Context(), owner, members); err != nil {
			t.Fatal(err)
		}
		got, err := k.Get(lab.Object{"apiVersion": "meshknot.io/v1alpha1", "kind": "MeshBinding", "metadata": lab.Object{"name": owner.Binding}})
		if err != nil {
			t.Fatal(err)
		}
		m := metadataOf(got)
		want := []any{object{applySetIDLabel: ApplySetID(owner.Binding)},
			object{toolingAnnotation: "meshknot/v0.1.0", groupKindsAnnotation: kinds, namespacesAnnotation: namespaces}}
		if d := cmp.Diff(want, []any{m["labels"], m["annotations"]}); d != "" {
			t.Errorf("the parent (-want +got):\n%s", d)
		}
		if n := sent.writes(); n != writes {
			t.Errorf("%d writes", n)
		}
	}
	const both = "HTTPRoute.gateway.networking.k8s.io,VirtualService.networking.istio.io"
	said(w, ids, 1, both, "a,b")
	said(w, ids, 0, both, "a,b")
	w, sent = k.writer(t, "istio")
	said(w, ids, 0, both, "a,b")
	said(w, ids[:1], 1, "VirtualService.networking.istio.io", "b")
	if err := w.Parent(t.Context(), Owner{Binding: owner.Binding, UID: "another"}, ids); err == nil {
		t.Error("the parent of another was written")
	}
	if err := w.Parent(t.Context(), Owner{Binding: "nobody", UID: "another"}, ids); err == nil {
		t.Error("a parent was made")
	}
	sent.writes()
	sent.meanwhile(func(*http.Request) error { // a binding that is made anew while it is written
		sent.meanwhile(nil)
		o := lab.Object{"apiVersion": "meshknot.io/v1alpha1", "kind": "MeshBinding", "metadata": lab.Object{"name": owner.Binding}}
		return errors.Join(k.Delete(o), k.Apply(o))
	})
	if err := w.Parent(t.Context(), owner, ids); err == nil {
		t.Error("the parent of another was written")
	}
}

// Somebody at admission who changes a field of ours each time is written against
// once, and not for ever.
func clusterMutated(t *testing.T, k *kube) {
	k.namespaces(t, "mutated")
	owner := k.owner(t, "mutated")
	k.apply(t, lab.Object{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": lab.Object{"name": "mutated"},
		"spec": lab.Object{
			"matchConstraints": lab.Object{"resourceRules": []any{lab.Object{"apiGroups": []any{"networking.istio.io"}, "apiVersions": []any{"*"},
				"operations": []any{"CREATE", "UPDATE"}, "resources": []any{"virtualservices"}}}},
			"matchConditions": []any{lab.Object{"name": "here", "expression": "object.metadata.namespace == 'mutated'"}},
			"failurePolicy":   "Fail", "reinvocationPolicy": "Never",
			"mutations": []any{lab.Object{"patchType": "JSONPatch", "jsonPatch": lab.Object{
				"expression": "[JSONPatch{op: 'replace', path: '/spec/hosts', value: ['mutated']}]"}}}}},
		lab.Object{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": lab.Object{"name": "mutated"},
			"spec": lab.Object{"policyName": "mutated"}})
	a := virtualService("mutated", "web", "v1")
	probe := virtualService("mutated", "probe", "v1")
	if err := k.lab.Eventually("a policy that is in force", time.Minute, func() bool {
		k.apply(t, foreign(probe, "theirs", nil))
		return strings.Contains(fmt.Sprint(k.live(t, probe.ID).Object["spec"]), "mutated")
	}); err != nil {
		t.Fatal(err)
	}
	w, sent := k.writer(t, "istio")
	mustPut(t, w, owner, a, true)
	for range 3 {
		if n, err := reconcile(t.Context(), w, owner, []translators.Artifact{a}); n != 0 || err != nil {
			t.Errorf("%d writes: %v", n, err)
		}
	}
	mustList(t, w, owner, "VirtualService mutated/web")
	if n := sent.writes(); n != 1 {
		t.Errorf("%d writes", n)
	}
	k.edit(t, a.ID, `{"spec":{"http":null}}`)
	mustPut(t, w, owner, a, false) // not listed yet
	mustList(t, w, owner, "VirtualService mutated/web drifted")
	mustPut(t, w, owner, a, true)
	mustList(t, w, owner, "VirtualService mutated/web")
}

func TestApplySetID(t *testing.T) {
	// printf 'default..MeshBinding.meshknot.io' | openssl dgst -sha256 -binary | base64
	if got := ApplySetID("default"); got != "applyset-q8_edDZJu_cBnI1Th2UiZq0v9OT7n2k_FJOQJTvJTcw-v1" {
		t.Error(got)
	}
}
