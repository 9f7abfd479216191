package gitops

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

type object = map[string]any

// writer is a controller of canaries as it writes TrafficSplits.
type writer struct {
	name string
	// split is what it writes for a share of the canary, and of an experiment.
	split func(version string, canary, experiment int64) object
	// root is called; canary, stable and experiment stand behind it.
	root, canary, stable, experiment string
	// versions in which it writes.
	versions []string
	steps    [][2]int64
}

// weight is how clients of a version write it: Quantities of v1alpha1 are texts.
func weight(version string, n int64) any {
	if version == "v1alpha1" {
		return resource.NewQuantity(n, resource.DecimalExponent).String()
	}
	return n
}

func split(version, name, root string, metadata object, backends ...any) object {
	m := object{"name": name, "namespace": "test", "creationTimestamp": nil}
	maps.Copy(m, metadata)
	return object{"apiVersion": "split.smi-spec.io/" + version, "kind": "TrafficSplit", "metadata": m,
		"spec": object{"service": root, "backends": backends}}
}

func backend(version, service string, n int64) object {
	return object{"service": service, "weight": weight(version, n)}
}

func controlledBy(apiVersion, kind, name string) object {
	return object{"ownerReferences": []any{object{"apiVersion": apiVersion, "kind": kind, "name": name,
		"uid": "0dd6c2bc-0b3b-4a5a-8ac6-4ad2b7ef6c01", "controller": true, "blockOwnerDeletion": true}}}
}

// What the two write was read in their sources: Flagger's pkg/router/smi*.go names
// the canary first and fills to 100 with the primary; Argo Rollouts'
// rollout/trafficrouting/smi names the canary, experiments, and the stable Service
// last, which is the root too where none is named. Both write up to v1alpha3; in
// v1alpha4 the same fields mean the same.
func writers() []writer {
	all := []string{"v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"}
	flagger := func(host string, extra object) func(string, int64, int64) object {
		return func(version string, canary, _ int64) object {
			m := controlledBy("flagger.app/v1beta1", "Canary", "podinfo")
			maps.Copy(m, extra)
			return split(version, "podinfo", host, m,
				backend(version, "podinfo-canary", canary), backend(version, "podinfo-primary", 100-canary))
		}
	}
	rollouts := func(root string) func(string, int64, int64) object {
		return func(version string, canary, experiment int64) object {
			backends := []any{backend(version, "rollout-canary", canary)}
			if experiment > 0 {
				backends = append(backends, backend(version, "rollout-experiment", experiment))
			}
			return split(version, "rollout", root, controlledBy("argoproj.io/v1alpha1", "Rollout", "rollout"),
				append(backends, backend(version, "rollout-stable", 100-canary-experiment))...)
		}
	}
	// Forward in steps, back at once, and through again to the end, after which
	// the canary is the primary.
	analysis := [][2]int64{{0, 0}, {10, 0}, {20, 0}, {30, 0}, {0, 0}, {1, 0}, {33, 0}, {50, 0}, {99, 0}, {100, 0}, {0, 0}}
	experiments := [][2]int64{{0, 0}, {5, 0}, {5, 5}, {25, 25}, {40, 0}, {100, 0}, {0, 0}}
	return []writer{
		{"flagger", flagger("podinfo", object{"annotations": object{}}), "podinfo", "podinfo-canary", "podinfo-primary", "", all, analysis},
		{"flagger with gateways", flagger("podinfo", object{"annotations": object{
			"VirtualService.v1alpha3.networking.istio.io/spec.gateways": `["public-gateway.istio-system.svc.cluster.local","mesh"]`}}),
			"podinfo", "podinfo-canary", "podinfo-primary", "", all, analysis[:3]},
		{"rollouts", rollouts("rollout"), "rollout", "rollout-canary", "rollout-stable", "rollout-experiment", all, experiments},
		{"rollouts without a root", rollouts("rollout-stable"), "rollout-stable", "rollout-canary", "rollout-stable", "rollout-experiment", all, experiments},
	}
}

// TestCanaries replays what writers of canaries write, on a running engine: what each
// back end makes has the shares that were written, and nothing fails.
func TestCanaries(t *testing.T) {
	for _, w := range writers() {
		for _, version := range w.versions {
			t.Run(w.name+" "+version, func(t *testing.T) { w.replay(t, version) })
		}
	}
}

func targets() []translators.Target {
	var out []translators.Target
	for _, b := range all.Pipeline().Backends {
		to := translators.Target{Backend: b.Name(), TrustDomain: "cluster.local", Options: map[string]string{}}
		if b.Name() == "gateway-api" {
			to.Options["authorization"] = "istio"
		}
		out = append(out, to)
	}
	return out
}

func (w writer) replay(t *testing.T, version string) {
	targets := targets()
	live := engine.New(all.Pipeline(), targets, nil)
	store := input.NewStore(read(t, w.services()), input.Settings{Access: "selected", Dialect: "spec"})
	live.Run(store)
	id := input.ID{Group: "split.smi-spec.io", Kind: "TrafficSplit", Namespace: "test", Name: w.splitName()}
	for _, step := range w.steps {
		set := read(t, append(w.services(), w.split(version, step[0], step[1])))
		live.Apply([]input.Edit{{ID: id, Objects: input.NewStore(set, input.Settings{}).Under(id)}})
		result := live.Result()
		for _, o := range result.Outputs {
			w.holds(t, step, o, interpret.WorldOf(result.Units))
		}
	}
}

func (w writer) splitName() string {
	return w.split("v1alpha4", 0, 0)["metadata"].(object)["name"].(string)
}

// holds demands that a back end makes the shares of a step, and refuses nothing.
func (w writer) holds(t *testing.T, step [2]int64, live translators.Output, world interpret.World) {
	t.Helper()
	at := fmt.Sprintf("%s at %v", live.Target.Backend, step)
	for _, f := range live.Findings {
		if f.Severity == report.Error {
			t.Errorf("%s: %s %s", at, f.Code, f.Message)
		}
	}
	reader, ok := all.Interpreter(live.Target.Backend)
	if !ok || live.Withheld {
		t.Fatalf("%s: nothing can be read", at)
	}
	mesh, err := reader(world, live.Target, live.Artifacts)
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	q := semantics.Request{From: &ir.Identity{Namespace: "test", Account: "loader"}, Service: ir.Name{Namespace: "test", Name: w.root}, Port: 80, Method: "GET", Path: "/"}
	d, _ := interpret.Decide(world, mesh, q)
	got := map[string]float64{}
	for _, s := range d.Shares {
		if s.Invalid != "" || !s.Allowed {
			t.Errorf("%s: the share of %s fails: %s", at, s.Service.Name, s.Invalid)
		}
		got[s.Service.Name] += s.Percent
	}
	want := map[string]float64{}
	for service, percent := range map[string]int64{w.canary: step[0], w.experiment: step[1], w.stable: 100 - step[0] - step[1]} {
		if percent > 0 {
			want[service] = float64(percent)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("%s: shares are %v, want %v", at, got, want)
	}
}

// services are what exists: the Services, the pods behind them, and one who may
// call them all.
func (w writer) services() []object {
	out := []object{{"apiVersion": "specs.smi-spec.io/v1alpha4", "kind": "HTTPRouteGroup", "metadata": object{"name": "all", "namespace": "test"},
		"spec": object{"matches": []any{object{"name": "all", "pathRegex": "/.*", "methods": []any{"*"}}}}}}
	names := map[string]bool{}
	for _, name := range []string{w.root, w.canary, w.stable, w.experiment, "loader"} {
		if name == "" || names[name] {
			continue
		}
		names[name] = true
		labels := object{"app": name}
		if name == w.root {
			labels = object{"app": w.stable}
		}
		metadata := object{"name": name, "namespace": "test"}
		out = append(out, object{"apiVersion": "v1", "kind": "Service", "metadata": metadata,
			"spec": object{"selector": labels, "ports": []any{object{"name": "http", "port": 80, "targetPort": 9898}}}})
		if name == w.root && name != w.stable {
			continue // no pods of its own
		}
		out = append(out,
			object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
			object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": object{"selector": object{"matchLabels": object{"app": name}},
				"template": object{"metadata": object{"labels": object{"app": name}}, "spec": object{"serviceAccountName": name,
					"containers": []any{object{"name": "app", "image": "app", "ports": []any{object{"containerPort": 9898}}}}}}}},
			object{"apiVersion": "access.smi-spec.io/v1alpha3", "kind": "TrafficTarget", "metadata": metadata, "spec": object{
				"destination": object{"kind": "ServiceAccount", "name": name, "namespace": "test"},
				"rules":       []any{object{"kind": "HTTPRouteGroup", "name": "all", "matches": []any{"all"}}},
				"sources":     []any{object{"kind": "ServiceAccount", "name": "loader", "namespace": "test"}}}})
	}
	return out
}

func read(t *testing.T, objects []object) *input.Set {
	t.Helper()
	var files []input.File
	for i, o := range objects {
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, input.File{Name: fmt.Sprintf("%d.json", i), Data: text})
	}
	set, found := input.ReadFiles(files, input.Options{Schemas: all.Pipeline().Schemas()})
	if found.Worst(report.Error) > 0 {
		t.Fatal(found)
	}
	return set
}
