package feed_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/all"
)

func split(namespace string, weight int) lab.Object {
	return lab.Object{"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit", "metadata": lab.Object{"name": "web", "namespace": namespace},
		"spec": lab.Object{"service": "web", "backends": []any{lab.Object{"service": "web-v1", "weight": weight}}}}
}

// What the pipeline reads is handed out decoded, what is Raw as JSON, and what
// changes as a change.
func TestFollow(t *testing.T) {
	k := kubeOf(t)
	must(t, k.Apply(lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": "follow"}}))
	must(t, k.Apply(split("follow", 1)))
	binding := lab.Object{"apiVersion": "meshknot.io/v1alpha1", "kind": "MeshBinding", "metadata": lab.Object{"name": "follow"},
		"spec": lab.Object{"namespaceSelector": lab.Object{}, "backend": lab.Object{"name": "envoy"}}}
	must(t, k.Apply(binding))
	o := pipeline()
	for i := range o.Kinds {
		o.Kinds[i].KeepJSON = o.Kinds[i].Kind == "Namespace"
	}
	f := run(t, wayTo(t, k).as(""), o).synced(t)
	eventually(t, "first batch", func() bool { return len(f.names("TrafficSplit")) == 1 })

	for _, s := range f.State().Kinds {
		if !s.Served || !s.Synced || s.Trouble != "" {
			t.Errorf("%+v", s)
		}
	}
	if got := f.state("TrafficSplit").Version; got != "v1alpha4" {
		t.Errorf("TrafficSplits are read in %s", got)
	}
	c := f.change("TrafficSplit", "web")
	if c.Object == nil || c.Object.Rejected || len(c.Findings) > 0 || c.Meta.Generation != 1 || c.Meta.UID == "" || c.JSON != nil {
		t.Errorf("the split is %+v", c)
	}
	n := f.change("Namespace", "follow")
	if n.ID.Namespace != "" || n.Object == nil || !strings.Contains(string(n.JSON), `"apiVersion":"v1"`) || strings.Contains(string(n.JSON), "status") {
		t.Errorf("the namespace is %+v: %s", n, n.JSON)
	}
	b := f.change("MeshBinding", "follow")
	if b.Object != nil || !strings.Contains(string(b.JSON), `"envoy"`) || strings.Contains(string(b.JSON), "managedFields") {
		t.Errorf("the binding is %+v: %s", b, b.JSON)
	}

	must(t, k.Apply(split("follow", 2)))
	eventually(t, "edit", func() bool { return f.change("TrafficSplit", "web").Meta.Generation == 2 })
	must(t, k.Delete(split("follow", 2)))
	must(t, k.Delete(binding))
	eventually(t, "deletions", func() bool { return slices.Contains(f.gone(), "web") && slices.Contains(f.gone(), "follow") })
	if s := f.State(); len(s.Troubled()) > 0 {
		t.Errorf("%+v", s.Troubled())
	}
}

// Every kind has its plural, which is the one that a server serves.
func TestKinds(t *testing.T) {
	schemas := all.Pipeline().Schemas()
	kinds := feed.Kinds(schemas)
	for _, s := range schemas {
		apart := s.Kind == "Endpoints" || s.Kind == "ReplicaSet"
		i := slices.IndexFunc(kinds, func(k feed.Kind) bool { return k.Group == s.Group && k.Kind == s.Kind })
		if apart != (i < 0) {
			t.Errorf("%s %s has no row", s.Group, s.Kind)
		} else if i >= 0 && kinds[i].Cluster != s.Cluster {
			t.Errorf("%s: namespaces", s.Kind)
		}
	}
	var own []string
	for _, k := range kinds {
		if k.Raw {
			own = append(own, fmt.Sprint(k.Group, " ", k.Version, " ", k.Resource, " ", k.Cluster))
		}
	}
	if d := cmp.Diff([]string{"meshknot.io v1alpha1 meshbindings true", "meshknot.io v1alpha1 translationreports false"}, own); d != "" {
		t.Error(d)
	}
}

// What nobody takes is joined: of each object the newest state, once.
func TestJoined(t *testing.T) {
	x := thingFor(t, "joined")
	for _, name := range []string{"a", "b"} {
		must(t, x.kube.Apply(x.object(name, 0)))
	}
	f := held(t, wayTo(t, x.kube).as(""), x.options()).synced(t)
	for n := range 50 {
		must(t, x.kube.Apply(x.object("a", n)))
	}
	must(t, x.kube.Delete(x.object("b", 0)))
	for _, name := range []string{"c", "d"} { // so that there never were as many before
		must(t, x.kube.Apply(x.object(name, 7)))
	}
	eventually(t, "storm that has arrived", func() bool { return f.state(x.kind).Objects == 3 })
	f.take(t)
	eventually(t, "newest state", func() bool { return number(f.change(x.kind, "a")) == 49 && number(f.change(x.kind, "c")) == 7 })
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.batches) != 1 || len(f.batches[0].Changes) != 4 || f.batches[0].At.IsZero() {
		t.Errorf("%d batches, %d changes in the first", len(f.batches), len(f.batches[0].Changes))
	}
}

// A kind that is defined late is listed then; one that is not defined holds nobody up.
func TestLateKind(t *testing.T) {
	k := kubeOf(t)
	for _, user := range []string{"", "late-sightless"} {
		t.Run("user "+user, func(t *testing.T) {
			x := undefined(t, "late"+fmt.Sprint(len(user)))
			o := x.options()
			o.Survey = 200e6
			if user != "" { // may not see definitions
				may(t, k, user, []string{"get", "list", "watch"}, x.resource+"."+x.group)
			}
			f := run(t, wayTo(t, k).as(user), o).synced(t)
			if s := f.state(x.kind); s.Served || s.Synced || s.Trouble != "" {
				t.Fatalf("%+v", s)
			}
			must(t, x.define())
			must(t, x.kube.Apply(x.object("a", 1)))
			eventually(t, "late kind", func() bool { return number(f.change(x.kind, "a")) == 1 })
			if s := f.state(x.kind); !s.Served || !s.Synced || s.Version != "v1" {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A server that does not stream lists is listed page by page.
func TestPages(t *testing.T) {
	x := thingFor(t, "page")
	const many = 620
	for i := range many {
		must(t, x.kube.Apply(x.object(fmt.Sprintf("o%03d", i), i)))
	}
	w := wayTo(t, x.kube)
	w.set(false, func(a http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("sendInitialEvents") {
			refuse(a, http.StatusUnprocessableEntity, "Invalid", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
			return true
		}
		return false
	})
	f := run(t, w.as(""), x.options()).synced(t)
	eventually(t, "all of them", func() bool { return len(f.names(x.kind)) == many })
	if n := w.Count("GET " + x.path()); n != 2 {
		t.Errorf("%d pages", n)
	}
	if c := f.change(x.kind, "o007"); number(c) != 7 || !strings.Contains(string(c.JSON), `"kind":"Page"`) {
		t.Errorf("%s", c.JSON)
	}
	must(t, x.kube.Apply(x.object("o007", 8)))
	eventually(t, "edit", func() bool { return number(f.change(x.kind, "o007")) == 8 })
}

// refuse answers as an API server does that refuses something.
func refuse(a http.ResponseWriter, code int, reason, message string) {
	a.Header().Set("Content-Type", "application/json")
	a.WriteHeader(code)
	fmt.Fprintf(a, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,"reason":%q,"code":%d}`, message, reason, code)
}

// A feed leaves nothing behind.
func TestLeaks(t *testing.T) {
	x := thingFor(t, "leak")
	must(t, x.kube.Apply(x.object("a", 1)))
	before := goleak.IgnoreCurrent()
	c, err := x.kube.Config()
	must(t, err)
	f, err := feed.New(c, pipeline())
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	if b := <-f.Batches(); len(b.Changes) == 0 {
		t.Error("an empty batch")
	}
	cancel()
	must(t, <-done)
	if _, open := <-f.Batches(); open {
		t.Error("a batch after the end")
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
