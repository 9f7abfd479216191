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
	for _, set := range []string{"osm", "traefik-mesh", "adapter-istio", "controller-sdk"} {
		w.submit(filepath.Join(dir, set), &refused)
		if set == "controller-sdk" {
			w.unplaced()
		}
		made := w.exact("after " + set)
		t.Logf("%s: %d artifacts", set, len(made))
		w.reported(made)
	}
	w.record(dir, refused.String())
	w.announced()
	w.edited()
	w.foreign()
}

// unplaced takes away a grant to an account that no pod has, once it is reported on. A
// translation by itself withholds all output for Linkerd then, for it cannot close what
// it does not know; in a cluster the rest goes on, for there is nobody to close.
func (w *world) unplaced() {
	w.t.Helper()
	w.reported(nil)
	w.delete(targetVersion, "TrafficTarget", "default", "path-specific")
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
		rel, _ := filepath.Rel(filepath.Dir(dir), path)
		for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var o lab.Object
			if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil { // which no client would send
				fmt.Fprintf(refused, "%s: %v\n", filepath.ToSlash(rel), err)
				return nil
			}
			if o == nil {
				continue
			}
			if cluster.Dig(o, "metadata", "namespace") == nil {
				o["metadata"].(lab.Object)["namespace"] = "default"
			}
			if err := w.Apply(o); err != nil {
				why, _, _ := strings.Cut(err.Error(), "\n")
				fmt.Fprintf(refused, "%s: %v %v: %s\n", filepath.ToSlash(rel), o["apiVersion"], o["kind"], why)
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
// condition, and until what the reports say is written is among what is, if that is
// given.
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
			if made != nil && made[placeKey(kind, at)].Digest == "" && strings.HasPrefix(r.Conditions[v1alpha1.ConditionProgrammed], "True/") {
				return what + " speaks of " + a + ", which is not there"
			}
		}
	}
	return ""
}

// announced waits until every finding that is worth it has an Event about its source,
// some of which are errors and some warnings.
func (w *world) announced() {
	w.t.Helper()
	seen := map[string]bool{}
	w.eventually("an event for each warning and each error of the reports", func() (bool, any) {
		events := w.events()
		reports, err := w.List("meshknot.io/v1alpha1", v1alpha1.KindTranslationReport, "")
		if err != nil {
			return false, err
		}
		for _, r := range reports {
			for _, f := range loud(r) {
				if seen[f.severity] = true; !events[f.event] {
					return false, fmt.Sprint("no event ", f.event)
				}
			}
		}
		return seen["error"] && seen["warning"], seen
	})
}

// event is what tells an Event of ours: about what, for which reason, how its note
// begins.
type event struct{ namespace, kind, name, reason, note string }

func (w *world) events() map[event]bool {
	w.t.Helper()
	list, err := w.List("events.k8s.io/v1", "Event", "")
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[event]bool{}
	text := func(o lab.Object, path ...string) string {
		s, _ := cluster.Dig(o, path...).(string)
		return s
	}
	for _, e := range list {
		if e["type"] == "Warning" && e["reportingController"] == "meshknot.io/controller" {
			note, _, _ := strings.Cut(text(e, "note"), ": ")
			out[event{text(e, "metadata", "namespace"), text(e, "regarding", "kind"), text(e, "regarding", "name"), text(e, "reason"), note}] = true
		}
	}
	return out
}

// finding is one of a report that people are to hear of.
type finding struct {
	event
	severity string
}

func loud(r lab.Object) []finding {
	namespace, _ := cluster.Dig(r, "metadata", "namespace").(string)
	kind, _ := cluster.Dig(r, "status", "source", "kind").(string)
	name, _ := cluster.Dig(r, "status", "source", "name").(string)
	var out []finding
	note := func(list any, before string) {
		findings, _ := list.([]any)
		for _, f := range findings {
			code, _ := cluster.Dig(f, "code").(string)
			severity, _ := cluster.Dig(f, "severity").(string)
			field, _ := cluster.Dig(f, "field").(string)
			if field != "" && severity != "info" && code != "" { // else the note begins with the message
				out = append(out, finding{event{namespace, kind, name, code, before + field}, severity})
			}
		}
	}
	note(cluster.Dig(r, "status", "findings"), "")
	backends, _ := cluster.Dig(r, "status", "backends").([]any)
	for _, b := range backends {
		note(cluster.Dig(b, "findings"), fmt.Sprintf("[%v] ", cluster.Dig(b, "backend")))
	}
	return out
}

// gone reports whether an object is not there.
func (w *world) gone(o lab.Object) bool {
	_, err := w.Get(o)
	return lab.IsStatus(err, http.StatusNotFound)
}
