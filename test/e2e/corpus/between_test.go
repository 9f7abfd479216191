package corpus_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// between stands before Consul, and looks at each write whether the binding that it is
// of is guarded.
type between struct {
	address string
	mu      sync.Mutex
	seen    []string
}

func (w *world) between() *between {
	w.t.Helper()
	b := &between{}
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: w.consul.HTTP})
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		if in.Method != http.MethodGet {
			b.note(w.guarded("in-consul"))
		}
		forward.ServeHTTP(out, in)
	}))
	w.t.Cleanup(server.Close)
	b.address = server.Listener.Addr().String()
	return b
}

// guarded says whether a binding has our finalizer.
func (w *world) guarded(binding string) string {
	o, err := w.Get(cluster.Object("meshknot.io/v1alpha1", v1alpha1.KindMeshBinding, "", binding))
	list, _ := cluster.Dig(o, "metadata", "finalizers").([]any)
	if err != nil || !slices.Contains(list, any("meshknot.io/consul")) {
		return "unguarded"
	}
	return "guarded"
}

func (b *between) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, what)
}

func (b *between) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.seen)
}

// take takes a right from the controller, and returns what gives it back.
func (w *world) take(resource, verb string) (give func()) {
	w.t.Helper()
	name := cluster.Object("rbac.authorization.k8s.io/v1", "ClusterRole", "", "meshknot-controller")
	role, err := w.Get(name)
	if err != nil {
		w.t.Fatal(err)
	}
	had, _ := role["rules"].([]any)
	left := slices.DeleteFunc(slices.Clone(had), func(r any) bool {
		resources, _ := cluster.Dig(r, "resources").([]any)
		verbs, _ := cluster.Dig(r, "verbs").([]any)
		return slices.Equal(resources, []any{resource}) && slices.Equal(verbs, []any{verb})
	})
	if len(left) == len(had) {
		w.t.Fatalf("no rule of the controller is just %s of %s", verb, resource)
	}
	w.edit(name, lab.Object{"rules": left})
	return func() {
		w.t.Helper()
		w.edit(name, lab.Object{"rules": had})
	}
}
