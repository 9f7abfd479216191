package feed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
)

// cluster is one API server for all tests, which keep to kinds of their own.
var cluster struct {
	once sync.Once
	lab  *lab.Lab
	kube *lab.Kube
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if cluster.lab != nil {
		cluster.lab.Close()
	}
	os.Exit(code)
}

func kubeOf(tb testing.TB) *lab.Kube {
	tb.Helper()
	lab.Need(tb, lab.KubeAPIServer, lab.Etcd)
	cluster.once.Do(func() {
		if cluster.lab, cluster.err = lab.Open(); cluster.err != nil {
			return
		}
		if cluster.kube, cluster.err = cluster.lab.StartKube(); cluster.err != nil {
			return
		}
		cluster.err = cluster.kube.Define(lab.OurCRDs, lab.GatewayAPICRDs)
	})
	if cluster.err != nil {
		tb.Fatal(cluster.err)
	}
	return cluster.kube
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	if err := cluster.lab.Eventually(what, 60*time.Second, ok); err != nil {
		tb.Fatal(err)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// way is what stands between a feed and the API server.
type way struct {
	*lab.Way
	admin *rest.Config
}

func wayTo(tb testing.TB, k *lab.Kube) *way {
	tb.Helper()
	admin, err := k.Config()
	must(tb, err)
	w, err := k.Way()
	must(tb, err)
	tb.Cleanup(w.Cut)
	return &way{w, admin}
}

// set has the server gone, or other answers given, and breaks what is under way.
// Instead answers a request and reports true, or leaves it alone.
func (w *way) set(down bool, instead func(http.ResponseWriter, *http.Request) bool) {
	w.Set(down, func(a http.ResponseWriter, r *http.Request, pass http.HandlerFunc) {
		if instead == nil || !instead(a, r) {
			pass(a, r)
		}
	})
}

// as is how a user reaches the server; nobody is the administrator.
func (w *way) as(user string) *rest.Config {
	c := rest.CopyConfig(w.admin)
	c.Host = w.URL
	if user != "" {
		c.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	}
	return c
}

// taker takes batches, if it is told to.
type taker struct {
	*feed.Feed
	mu      sync.Mutex
	known   map[input.ID]feed.Change
	batches []feed.Batch
	// deleted are the objects handed out as gone, in order.
	deleted []string
}

// run runs a feed for as long as the test does.
func run(tb testing.TB, c *rest.Config, o feed.Options) *taker {
	tb.Helper()
	t := held(tb, c, o)
	t.take(tb)
	return t
}

// held is run, and takes nothing yet.
func held(tb testing.TB, c *rest.Config, o feed.Options) *taker {
	tb.Helper()
	f, err := feed.New(c, o)
	must(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t := &taker{Feed: f, known: map[input.ID]feed.Change{}}
	tb.Cleanup(func() {
		cancel()
		must(tb, <-done)
		if tb.Failed() {
			tb.Logf("%+v", f.State().Troubled())
		}
	})
	return t
}

func (t *taker) take(tb testing.TB) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := range t.Batches() {
			t.mu.Lock()
			t.batches = append(t.batches, b)
			for _, c := range b.Changes {
				if t.known[c.ID] = c; c.Deleted {
					delete(t.known, c.ID)
					t.deleted = append(t.deleted, c.ID.Name)
				}
			}
			t.mu.Unlock()
		}
	}()
}

// names lists the objects known of a kind.
func (t *taker) names(kind string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for id := range t.known {
		if id.Kind == kind {
			out = append(out, id.Name)
		}
	}
	slices.Sort(out)
	return out
}

func (t *taker) gone() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.deleted)
}

func (t *taker) change(kind, name string) feed.Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, c := range t.known {
		if id.Kind == kind && id.Name == name {
			return c
		}
	}
	return feed.Change{}
}

func (t *taker) synced(tb testing.TB) *taker {
	tb.Helper()
	eventually(tb, "feed that is synced", func() bool { return t.State().Synced })
	return t
}

func (t *taker) state(kind string) feed.KindState {
	for _, k := range t.State().Kinds {
		if k.Kind.Kind == kind {
			return k
		}
	}
	return feed.KindState{}
}

func (t *taker) troubled(tb testing.TB, kind, words string) {
	tb.Helper()
	eventually(tb, "trouble of "+kind+" with "+words, func() bool { return strings.Contains(t.state(kind).Trouble, words) })
}

func (t *taker) untroubled(tb testing.TB, kind string) {
	tb.Helper()
	eventually(tb, kind+" without trouble", func() bool { return t.state(kind).Trouble == "" })
}

// thing is a kind that a test has for itself.
type thing struct {
	kind, resource, group string
	kube                  *lab.Kube
}

// thingFor makes a kind for a test, and defines it.
func thingFor(tb testing.TB, name string) thing {
	tb.Helper()
	t := undefined(tb, name)
	must(tb, t.define())
	return t
}

func undefined(tb testing.TB, name string) thing {
	t := thing{strings.ToUpper(name[:1]) + name[1:], name + "s", name + ".example.com", kubeOf(tb)}
	tb.Cleanup(func() { must(tb, t.kube.Delete(t.crd())) })
	return t
}

func (t thing) crd() lab.Object {
	var o lab.Object
	text := fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"%[2]s.%[3]s"},"spec":{"group":"%[3]s","scope":"Namespaced",
		"names":{"kind":"%[1]s","plural":"%[2]s","singular":"%[4]s"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`,
		t.kind, t.resource, t.group, strings.ToLower(t.kind))
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	return o
}

// define defines the kind and waits until objects of it can be written.
func (t thing) define() error {
	if err := t.kube.Apply(t.crd()); err != nil {
		return err
	}
	return cluster.lab.Eventually("kind that is served", 60*time.Second, func() bool {
		if t.kube.Apply(t.object("probe", 0)) != nil {
			return false
		}
		return t.kube.Delete(t.object("probe", 0)) == nil
	})
}

func (t thing) object(name string, n int) lab.Object {
	return lab.Object{"apiVersion": t.group + "/v1", "kind": t.kind, "metadata": lab.Object{"name": name, "namespace": "default"}, "spec": lab.Object{"n": n}}
}

func (t thing) options() feed.Options {
	return feed.Options{Kinds: []feed.Kind{{Group: t.group, Version: "v1", Resource: t.resource, Kind: t.kind, Raw: true}}}
}

func (t thing) path() string { return "/apis/" + t.group + "/v1/" + t.resource }

// number is spec.n of an object that was handed out.
func number(c feed.Change) int {
	var o struct{ Spec struct{ N int } }
	if json.Unmarshal(c.JSON, &o) != nil {
		return -1
	}
	return o.Spec.N
}

// may lets a user read kinds, by verbs.
func may(tb testing.TB, k *lab.Kube, user string, verbs []string, kinds ...string) lab.Object {
	tb.Helper()
	var rules []any
	for _, kind := range kinds {
		resource, group, _ := strings.Cut(kind, ".")
		rules = append(rules, lab.Object{"apiGroups": []any{group}, "resources": []any{resource}, "verbs": verbs})
	}
	role := lab.Object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": lab.Object{"name": user}, "rules": rules}
	binding := lab.Object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": lab.Object{"name": user},
		"subjects": []any{lab.Object{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}},
		"roleRef":  lab.Object{"kind": "ClusterRole", "name": user, "apiGroup": "rbac.authorization.k8s.io"}}
	must(tb, k.Apply(role))
	must(tb, k.Apply(binding))
	return binding
}

// pipeline are the options of a feed of everything that is translated.
func pipeline() feed.Options {
	schemas := all.Pipeline().Schemas()
	return feed.Options{Kinds: feed.Kinds(schemas), Schemas: schemas}
}
