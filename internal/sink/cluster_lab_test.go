package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
)

// kube is an API server with the definitions of every mesh, and what is done to it
// by others than us.
type kube struct {
	*lab.Kube
	lab    *lab.Lab
	config *rest.Config
	other  *Cluster // for its client
}

func startKube(t *testing.T) *kube {
	t.Helper()
	l, k := lab.KubeForTest(t)
	config, err := clientcmd.BuildConfigFromFlags("", k.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewCluster(config, ClusterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &kube{k, l, config, other}
}

func (k *kube) define(t *testing.T, meshes ...string) {
	t.Helper()
	if err := k.Define(lab.IstioCRDs, lab.GatewayAPICRDs); err != nil {
		t.Fatal(err)
	}
	objects := []lab.Object{meshBindings}
	for _, m := range meshes {
		objects = append(objects, definitions(t, m)...)
	}
	k.apply(t, objects...)
	for _, o := range objects {
		if err := k.lab.Eventually("a definition", time.Minute, func() bool {
			got, err := k.Get(o)
			text, _ := yaml.Marshal(got["status"])
			return err == nil && bytes.Contains(text, []byte("  status: \"True\"\n  type: Established"))
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// definitions are those of a mesh that lie beside the project, as test/corpus does.
func definitions(t *testing.T, mesh string) []lab.Object {
	t.Helper()
	dir := os.Getenv("MESHKNOT_CRDS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "crds")
	}
	files, err := filepath.Glob(filepath.Join(dir, mesh, "*.yaml"))
	if len(files) == 0 {
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatalf("no definitions of %s in %s (set MESHKNOT_CRDS): %v", mesh, dir, err)
		}
		t.Skipf("LOUD SKIP: no definitions of %s in %s (set MESHKNOT_CRDS): what the API server says to its objects was not tried", mesh, dir)
	}
	var out []lab.Object
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range strings.Split("\n"+string(text), "\n---") {
			var o lab.Object
			if err := yaml.Unmarshal([]byte(document), &o); err != nil {
				t.Fatal(f, err)
			}
			if o["kind"] == "CustomResourceDefinition" {
				delete(o, "status")
				out = append(out, o)
			}
		}
	}
	return out
}

// meshBindings is as much of the definition as an ApplySet's parent takes.
var meshBindings = lab.Object{
	"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": lab.Object{"name": "meshbindings.meshknot.io"},
	"spec": lab.Object{"group": "meshknot.io", "scope": "Cluster", "names": lab.Object{"plural": "meshbindings", "singular": "meshbinding", "kind": "MeshBinding"},
		"versions": []any{lab.Object{"name": "v1alpha1", "served": true, "storage": true,
			"schema": lab.Object{"openAPIV3Schema": lab.Object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}},
}

func (k *kube) apply(t *testing.T, objects ...lab.Object) {
	t.Helper()
	for _, o := range objects {
		if err := k.Apply(o); err != nil {
			t.Fatal(err)
		}
	}
}

func (k *kube) namespaces(t *testing.T, names ...string) {
	t.Helper()
	for _, n := range names {
		k.apply(t, lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": n}})
	}
}

// live returns the object that an artifact makes, or nil.
func (k *kube) live(t *testing.T, id translators.ID) *unstructured.Unstructured {
	t.Helper()
	client, _, err := k.other.at(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	_, name := placeOf(id)
	o, err := client.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return o
}

// edit changes an object as somebody does who is not us.
func (k *kube) edit(t *testing.T, id translators.ID, patch string) {
	t.Helper()
	client, _, err := k.other.at(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	_, name := placeOf(id)
	if _, err := client.Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
		t.Fatal(err)
	}
}

// writer is a sink of the server whose requests are counted.
func (k *kube) writer(t *testing.T, backends ...string) (*Cluster, *requests) {
	t.Helper()
	r := &requests{}
	config := rest.CopyConfig(k.config)
	config.Wrap(r.wrap)
	c, err := NewCluster(config, ClusterOptions{Backends: backends, Version: "0.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	return c, r
}

// requests counts requests, and has something done before one.
type requests struct {
	next http.RoundTripper
	mu   sync.Mutex
	n    map[string]int
	// before is called before a request is sent; its error is what becomes of it.
	before func(*http.Request) error
}

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	r.next = next
	return r
}

func (r *requests) RoundTrip(q *http.Request) (*http.Response, error) {
	r.mu.Lock()
	if r.n == nil {
		r.n = map[string]int{}
	}
	r.n[q.Method]++
	before := r.before
	r.mu.Unlock()
	if before != nil {
		if err := before(q); err != nil {
			return nil, err
		}
	}
	return r.next.RoundTrip(q)
}

// writes tells how many requests there were that are no reads, and starts anew.
func (r *requests) writes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for method, count := range r.n {
		if method != http.MethodGet {
			n += count
		}
	}
	r.n = nil
	return n
}

// meanwhile has something done before each write but not before what it does itself.
func (r *requests) meanwhile(do func(*http.Request) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = nil
	if do != nil {
		r.before = func(q *http.Request) error {
			if q.Method == http.MethodGet {
				return nil
			}
			return do(q)
		}
	}
}

// writing is what the controller asks of a sink.
type writing interface {
	List(ctx context.Context, owner Owner) ([]Stored, error)
	Put(ctx context.Context, owner Owner, a translators.Artifact) (bool, error)
	Delete(ctx context.Context, owner Owner, id translators.ID) (bool, error)
}

// reconcile does what the controller does: what is new is put in the order of rank,
// and then what is the owner's and not wanted goes, in reverse. It returns how many
// writes that took.
func reconcile(ctx context.Context, s writing, owner Owner, artifacts []translators.Artifact) (int, error) {
	stored, err := s.List(ctx, owner)
	if err != nil {
		return 0, err
	}
	n, wanted := 0, map[translators.ID]bool{}
	var failed []error
	for _, a := range artifacts {
		wanted[a.ID] = true
		written, err := s.Put(ctx, owner, a)
		if err != nil {
			failed = append(failed, err)
		}
		if written {
			n++
		}
	}
	slices.Reverse(stored)
	for _, old := range stored {
		if wanted[old.ID] {
			continue
		}
		deleted, err := s.Delete(ctx, owner, old.ID)
		if err != nil {
			failed = append(failed, err)
		}
		if deleted {
			n++
		}
	}
	return n, errors.Join(failed...)
}

// owner makes a MeshBinding.
func (k *kube) owner(t *testing.T, name string) Owner {
	t.Helper()
	o := lab.Object{"apiVersion": "meshknot.io/v1alpha1", "kind": "MeshBinding", "metadata": lab.Object{"name": name}}
	k.apply(t, o)
	got, err := k.Get(o)
	if err != nil {
		t.Fatal(err)
	}
	return Owner{Binding: name, UID: fmt.Sprint(metadataOf(got)["uid"])}
}
