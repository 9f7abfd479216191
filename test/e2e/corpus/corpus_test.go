package corpus_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

var update = flag.Bool("update", false, "write refused.txt anew")

// corpus is the directory of the manifests: see test/corpus.
func corpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("MESHKNOT_CORPUS")
	if dir == "" {
		dir = cluster.Path("..", "shared", "corpus", "smi")
	}
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if os.Getenv("REQUIRE_REAL") == "1" {
		t.Fatalf("no corpus at %s (set MESHKNOT_CORPUS)", dir)
	}
	t.Skipf("SKIPPED, NOTHING PROVEN: no corpus at %s (set MESHKNOT_CORPUS): manifests of other projects were not tried", dir)
	return ""
}

// meshes says which namespaces of the corpus are on which mesh.
var meshes = map[string][]string{
	"on-istio":   {"bookstore", "bookbuyer", "bookthief", "bookwarehouse"},
	"on-linkerd": {"default"},
	"on-gateway": {"test"},
	"on-consul":  {"httpbin"},
	"in-consul":  {"tcp-demo"},
}

const everyMesh = `
apiVersion: meshknot.io/v1alpha1
kind: MeshBinding
metadata: {name: on-istio}
spec: {namespaceSelector: {matchLabels: {mesh: on-istio}}, backend: {name: istio}}
---
apiVersion: meshknot.io/v1alpha1
kind: MeshBinding
metadata: {name: on-linkerd}
spec: {namespaceSelector: {matchLabels: {mesh: on-linkerd}}, backend: {name: linkerd}}
---
apiVersion: meshknot.io/v1alpha1
kind: MeshBinding
metadata: {name: on-gateway}
spec: {namespaceSelector: {matchLabels: {mesh: on-gateway}}, backend: {name: gateway-api, options: {authorization: istio}}}
---
apiVersion: meshknot.io/v1alpha1
kind: MeshBinding
metadata: {name: on-consul}
spec: {namespaceSelector: {matchLabels: {mesh: on-consul}}, backend: {name: consul, options: {form: kubernetes}}}
---
apiVersion: meshknot.io/v1alpha1
kind: MeshBinding
metadata: {name: in-consul}
spec: {namespaceSelector: {matchLabels: {mesh: in-consul}}, backend: {name: consul, options: {form: config}}}
`

// Manifests of other projects, on five bindings at once: step by step what is in force
// is what a translation from scratch makes, every source is reported on, and what the
// API server itself refuses is known.
func TestCorpus(t *testing.T) {
	dir := corpus(t)
	w := newWorld(t, lab.Consul)
	for mesh, namespaces := range meshes {
		for _, n := range namespaces {
			w.apply("{apiVersion: v1, kind: Namespace, metadata: {name: " + n + ", labels: {mesh: " + mesh + "}}}")
		}
	}
	w.apply(everyMesh)
	w.grant("linkerd", "consul")
	w.controller("--consul-address=" + w.consul.HTTP)
	var refused strings.Builder
	for _, set := range []string{"osm", "traefik-mesh", "controller-sdk", "adapter-istio"} {
		w.submit(filepath.Join(dir, set), &refused)
		made := w.exact("after " + set)
		t.Logf("%s: %d artifacts", set, len(made))
		w.reported(made)
	}
	w.record(dir, refused.String())
	w.announced()
	w.edited()
	w.foreign()
}

// submit applies the files below a directory, one after the other, and writes down what
// is refused.
func (w *world) submit(dir string, refused io.Writer) {
	w.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var o lab.Object
			if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if o == nil {
				continue
			}
			if cluster.Dig(o, "metadata", "namespace") == nil {
				o["metadata"].(lab.Object)["namespace"] = "default"
			}
			if err := w.Apply(o); err != nil {
				rel, _ := filepath.Rel(filepath.Dir(dir), path)
				fmt.Fprintf(refused, "%s: %v %v: %v\n", filepath.ToSlash(rel), o["apiVersion"], o["kind"], err)
			}
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// record holds what the API server refused against the reviewed file.
func (w *world) record(dir, got string) {
	w.t.Helper()
	got = strings.ReplaceAll(got, dir, "")
	if *update {
		if err := os.WriteFile("refused.txt", []byte(got), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	want, err := os.ReadFile("refused.txt")
	if err != nil {
		w.t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		w.t.Errorf("what the API server refuses differs from refused.txt (-want +got); review it and run this with -update:\n%s", d)
	}
}

// sources are the objects that are reported on.
func (w *world) sources() []lab.Object {
	w.t.Helper()
	var out []lab.Object
	for _, k := range w.followed {
		if !strings.HasSuffix(k.Group, ".smi-spec.io") {
			continue
		}
		list, err := w.List(k.GroupVersion().String(), k.Kind, "")
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, list...)
	}
	return out
}

var conditionTypes = []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionTranslated, v1alpha1.ConditionProgrammed, v1alpha1.ConditionLossFree}

// reported waits until every source has a report of its own generation with every
// condition, and until what the reports say is written is.
func (w *world) reported(made map[string]placed) {
	w.t.Helper()
	w.eventually("a report with all conditions about every source", func() (bool, any) {
		for _, o := range w.sources() {
			if missing := w.unreported(o, made); missing != "" {
				return false, missing
			}
		}
		return true, nil
	})
}

// unreported says what is missing of what is reported of a source.
func (w *world) unreported(o lab.Object, made map[string]placed) string {
	group, _, _ := strings.Cut(o["apiVersion"].(string), "/")
	namespace, name := cluster.Dig(o, "metadata", "namespace").(string), cluster.Dig(o, "metadata", "name").(string)
	what := fmt.Sprintf("%v %s/%s", o["kind"], namespace, name)
	for binding, namespaces := range meshes {
		if !slices.Contains(namespaces, namespace) {
			continue
		}
		r := w.Report(group, o["kind"].(string), namespace, name, binding)
		if generation, _ := cluster.Dig(o, "metadata", "generation").(float64); r.Generation != int64(generation) {
			return what + ": " + r.String()
		}
		for _, kind := range conditionTypes {
			if c := r.Conditions[kind]; c == "" || strings.HasSuffix(c, "/Pending") {
				return what + ": " + r.String()
			}
		}
		for _, a := range r.Artifacts {
			kind, at, _ := strings.Cut(a, " ")
			if made[placeKey(kind, at)].Digest == "" && strings.HasPrefix(r.Conditions[v1alpha1.ConditionProgrammed], "True/") {
				return what + " speaks of " + a + ", which is not there"
			}
		}
	}
	return ""
}

// announced holds the Events of two sources against what there is to be said of them.
func (w *world) announced() {
	w.t.Helper()
	for _, want := range []struct{ namespace, kind, name, reason, note string }{
		{"bookstore", "HTTPRouteGroup", "bookstore-service-routes", "MK3002", "[istio] "},
		{"test", "TrafficSplit", "server-split", "MK3001", "[gateway-api] "},
	} {
		w.eventually(fmt.Sprintf("an event %s about %s", want.reason, want.name), func() (bool, any) {
			list, err := w.List("events.k8s.io/v1", "Event", want.namespace)
			if err != nil {
				return false, err
			}
			var seen []string
			for _, e := range list {
				if cluster.Dig(e, "regarding", "kind") != want.kind || cluster.Dig(e, "regarding", "name") != want.name {
					continue
				}
				note, _ := e["note"].(string)
				seen = append(seen, fmt.Sprint(e["reason"], " ", note))
				if e["reason"] == want.reason && strings.HasPrefix(note, want.note) && e["type"] == "Warning" && e["reportingController"] == "meshknot.io/controller" {
					return true, nil
				}
			}
			return false, strings.Join(seen, "\n")
		})
	}
}

// gone reports whether an object is not there.
func (w *world) gone(o lab.Object) bool {
	_, err := w.Get(o)
	return lab.IsStatus(err, http.StatusNotFound)
}
