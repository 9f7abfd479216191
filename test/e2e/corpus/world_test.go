// Package corpus_test runs the built controller against a real API server that has
// the definitions of every mesh: what becomes of other people's manifests, of
// bindings that move, and of what others wrote.
package corpus_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/deploy"
	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
)

// world is an API server with the definitions of every mesh, and perhaps a Consul.
type world struct {
	*cluster.Cluster
	t      *testing.T
	consul *lab.ConsulAgent
	// followed are the kinds that are translated, in a version each.
	followed []schema.GroupVersionKind
}

func newWorld(t *testing.T, programs ...string) *world {
	t.Helper()
	lab.Need(t, append(programs, lab.KubeAPIServer, lab.Etcd)...)
	lab.NeedCRDs(t, lab.LinkerdCRDs, lab.ConsulCRDs)
	l := lab.ForTest(t)
	c, err := cluster.Start(l, lab.KubeOptions{Audit: true}, lab.GatewayAPICRDs, lab.IstioCRDs, lab.LinkerdCRDs, lab.ConsulCRDs)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Cluster: c, t: t}
	if slices.Contains(programs, lab.Consul) {
		if w.consul, err = l.StartConsul("deny"); err != nil {
			t.Fatal(err)
		}
	}
	w.follow()
	return w
}

// grant gives the controller what the chart does where more back ends are enabled than
// by default.
func (w *world) grant(names ...string) {
	w.t.Helper()
	for _, g := range deploy.Grants() {
		if !slices.Contains(names, g.Name) {
			continue
		}
		role := cluster.Object("rbac.authorization.k8s.io/v1", "ClusterRole", "", "test-"+g.Name)
		role["rules"] = g.Rules
		bound := cluster.Object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", "test-"+g.Name)
		bound["roleRef"] = lab.Object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "test-" + g.Name}
		bound["subjects"] = []any{lab.Object{"kind": "ServiceAccount", "namespace": cluster.Namespace, "name": cluster.Account}}
		for _, o := range []lab.Object{role, bound} {
			if err := w.Apply(o); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// follow finds in which version each kind is read: the one that is preferred of those
// that the translation knows.
func (w *world) follow() {
	for _, k := range feed.Kinds(all.Pipeline().Schemas()) {
		if k.Raw && k.Kind != v1alpha1.KindMeshBinding {
			continue
		}
		versions := []string{k.Version}
		if k.Version == "" {
			versions = []string{"v1", "v1beta1", "v1alpha4", "v1alpha3", "v1alpha2"}
		}
		for _, v := range versions {
			if w.serves(schema.GroupVersion{Group: k.Group, Version: v}.String(), k.Kind) {
				w.followed = append(w.followed, schema.GroupVersionKind{Group: k.Group, Version: v, Kind: k.Kind})
				break
			}
		}
	}
}

// serves reports whether a kind is served in a version, once that can be told: a server
// whose definitions are new asks for patience.
func (w *world) serves(apiVersion, kind string) bool {
	w.t.Helper()
	var err error
	w.eventually("an answer about "+kind, func() (bool, any) {
		_, err = w.List(apiVersion, kind, "")
		return !lab.IsStatus(err, http.StatusTooManyRequests), err
	})
	return err == nil
}

// controller starts a replica that judges nothing.
func (w *world) controller(args ...string) *cluster.Controller {
	w.t.Helper()
	r, err := w.Controller(append([]string{"--roles=xds,writer"}, args...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) apply(text string) {
	w.t.Helper()
	if err := w.ApplyYAML(text); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) delete(apiVersion, kind, namespace, name string) {
	w.t.Helper()
	if err := w.Delete(cluster.Object(apiVersion, kind, namespace, name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) eventually(what string, ok func() (bool, any)) {
	w.t.Helper()
	if err := w.Eventually(what, ok); err != nil {
		w.t.Fatal(err)
	}
}

// bind makes a MeshBinding of the namespaces that have the label mesh=NAME. One is
// never as old as the one before: the API server counts in seconds.
func (w *world) bind(name, backend, more string) {
	w.t.Helper()
	w.apply("apiVersion: meshknot.io/v1alpha1\nkind: MeshBinding\nmetadata: {name: " + name + "}\nspec:\n  namespaceSelector: {matchLabels: {mesh: " + name +
		"}}\n  backend: " + backend + "\n" + more)
}

// placed is an artifact where it is: the binding that it is of, and its digest.
type placed struct{ Binding, Digest string }

// expected is what a translation from scratch makes of everything that the API server
// has, by kind and name. Where two bindings make the same, the older has it.
func (w *world) expected() map[string]placed {
	w.t.Helper()
	file, ages := w.dump()
	if len(ages) == 0 {
		return map[string]placed{}
	}
	binary, err := w.Lab.Meshknot()
	if err != nil {
		w.t.Fatal(err)
	}
	var said bytes.Buffer
	run := exec.Command(binary, "translate", "--complete", "--verify=false", "-o", "json", "-f", file)
	run.Stderr = &said
	text, _ := run.Output() // status 1 is that something is refused
	var d struct {
		Backends []struct {
			Name      string
			Withheld  bool
			Artifacts []struct {
				Type, Name string
				Payload    any
			}
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		w.t.Fatalf("%v\n%s", err, said.String())
	}
	out := map[string]placed{}
	for _, b := range d.Backends {
		_, name, _ := strings.Cut(strings.TrimSuffix(b.Name, ")"), " (")
		if b.Withheld {
			w.t.Fatalf("the output of %s is withheld:\n%s", name, said.String())
		}
		for _, a := range b.Artifacts {
			digest, err := sink.Digest(translators.Artifact{Payload: a.Payload})
			if err != nil {
				w.t.Fatal(err)
			}
			key := placeKey(a.Type, a.Name)
			if other, taken := out[key]; !taken || slices.Index(ages, name) < slices.Index(ages, other.Binding) {
				out[key] = placed{name, digest}
			}
		}
	}
	return out
}

// placeKey names an artifact without its version.
func placeKey(kind, name string) string {
	if parts := strings.Split(kind, "/"); len(parts) == 3 {
		kind = parts[0] + "/" + parts[2]
	}
	return kind + " " + name
}

// dump writes everything that is translated into a file, without what we wrote
// ourselves. It returns the bindings too, the oldest first.
func (w *world) dump() (file string, bindings []string) {
	w.t.Helper()
	type aged struct{ created, name string }
	var ages []aged
	var items []any
	for _, k := range w.followed {
		list, err := w.List(k.GroupVersion().String(), k.Kind, "")
		if err != nil {
			w.t.Fatal(err)
		}
		for _, o := range list {
			if cluster.Dig(o, "metadata", "labels", sink.ManagedByLabel) == sink.ManagedBy {
				continue
			}
			meta, _ := o["metadata"].(map[string]any)
			if k.Kind == v1alpha1.KindMeshBinding {
				if meta["deletionTimestamp"] != nil {
					continue
				}
				ages = append(ages, aged{meta["creationTimestamp"].(string), meta["name"].(string)})
			}
			delete(meta, "managedFields")
			items = append(items, o)
		}
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		w.t.Fatal(err)
	}
	dir, err := w.Lab.NewDir("dump")
	if err != nil {
		w.t.Fatal(err)
	}
	file = filepath.Join(dir, "all.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	slices.SortFunc(ages, func(a, b aged) int { return slices.Compare([]string{a.created, a.name}, []string{b.created, b.name}) })
	for _, a := range ages {
		bindings = append(bindings, a.name)
	}
	return file, bindings
}

// live is what the sinks hold of ours, by kind and name.
func (w *world) live() map[string]placed {
	w.t.Helper()
	names := map[string]string{}
	bindings, err := w.List("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range bindings {
		name, _ := cluster.Dig(b, "metadata", "name").(string)
		names[sink.ApplySetID(name)] = name
	}
	out := map[string]placed{}
	for _, k := range sink.AllKinds() {
		list, err := w.List(k.GroupVersion().String(), k.Kind, "")
		if err != nil {
			continue // this version is not served: another one is
		}
		for _, o := range list {
			if cluster.Dig(o, "metadata", "labels", sink.ManagedByLabel) != sink.ManagedBy {
				continue
			}
			part := fmt.Sprint(cluster.Dig(o, "metadata", "labels", sink.PartOfLabel))
			if names[part] != "" {
				part = names[part]
			}
			digest, _ := cluster.Dig(o, "metadata", "annotations", sink.DigestAnnotation).(string)
			name := fmt.Sprintf("%v/%v", cluster.Dig(o, "metadata", "namespace"), cluster.Dig(o, "metadata", "name"))
			out[k.Group+"/"+k.Kind+" "+name] = placed{part, digest}
		}
	}
	maps.Copy(out, w.entries())
	return out
}

var entryKinds = []string{"mesh", "service-defaults", "service-intentions", "service-resolver", "service-router", "service-splitter"}

// entries are the configuration entries of ours that Consul has.
func (w *world) entries() map[string]placed {
	w.t.Helper()
	out := map[string]placed{}
	if w.consul == nil {
		return out
	}
	for _, kind := range entryKinds {
		var list []struct {
			Name string
			Meta map[string]string
		}
		if err := w.consul.Get("/v1/config/"+kind, &list); err != nil {
			w.t.Fatal(err)
		}
		for _, e := range list {
			if e.Meta["managed-by"] != sink.ManagedBy {
				continue
			}
			if kind == "mesh" {
				e.Name = kind
			}
			out["consul/"+kind+" "+e.Name] = placed{e.Meta["meshknot.io/binding"], e.Meta[sink.DigestAnnotation]}
		}
	}
	return out
}

// exact waits until what is in force is what a translation from scratch makes, no more
// and no less.
func (w *world) exact(when string) map[string]placed {
	w.t.Helper()
	want := w.expected()
	w.eventually("exactly what a translation from scratch makes "+when, func() (bool, any) {
		d := cmp.Diff(want, w.live())
		return d == "", "(-want +got)\n" + d
	})
	return want
}

// writes are the requests of the controller that changed something since the first
// from, as "verb uri".
func (w *world) writes(from int) []string {
	w.t.Helper()
	events, err := w.Audited()
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		agent, _ := e["userAgent"].(string)
		uri, _ := e["requestURI"].(string)
		if strings.HasPrefix(agent, "meshknot/") && !strings.Contains(uri, "/leases/") {
			path, _, _ := strings.Cut(uri, "?")
			out = append(out, fmt.Sprint(e["verb"], " ", path))
		}
	}
	return out[min(from, len(out)):]
}

// condition is "Status/Reason" of a condition of a binding, for its generation.
func (w *world) condition(binding, kind string) string {
	o, err := w.Get(cluster.Object("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", binding))
	if err != nil {
		return err.Error()
	}
	list, _ := cluster.Dig(o, "status", "conditions").([]any)
	for _, c := range list {
		if cluster.Dig(c, "type") == kind && cluster.Dig(c, "observedGeneration") == cluster.Dig(o, "metadata", "generation") {
			return fmt.Sprintf("%v/%v", cluster.Dig(c, "status"), cluster.Dig(c, "reason"))
		}
	}
	return "not said yet"
}

func (w *world) saysOf(binding, kind, want string) {
	w.t.Helper()
	w.eventually(binding+" that is "+kind+" "+want, func() (bool, any) {
		got := w.condition(binding, kind)
		return got == want, got
	})
}
