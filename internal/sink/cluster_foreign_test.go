package sink

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
)

// foreign is an artifact as somebody else has it.
func foreign(a translators.Artifact, to string, labels object) lab.Object {
	o := virtualService("", "", to).Payload.(object)
	namespace, name := placeOf(a.ID)
	return lab.Object{"apiVersion": o["apiVersion"], "kind": o["kind"], "spec": o["spec"],
		"metadata": lab.Object{"name": name, "namespace": namespace, "labels": labels}}
}

func clusterForeign(t *testing.T, k *kube) {
	k.namespaces(t, "foreign")
	owner := k.owner(t, "foreign")
	copied := object{ManagedByLabel: ManagedBy, PartOfLabel: ApplySetID(owner.Binding)}
	for _, c := range []struct {
		name, manager string
		labels        object
	}{
		{"bare", "lab", nil}, {"translated-by-hand", "lab", object{ManagedByLabel: ManagedBy}}, {"helm", "Helm", object{ManagedByLabel: "Helm"}},
		{"copied-labels", "lab", copied},
	} {
		a := virtualService("foreign", c.name, "v1")
		k.apply(t, foreign(a, "theirs", c.labels))
		before := k.live(t, a.ID)
		w, sent := k.writer(t, "istio")
		mustList(t, w, owner)
		var f *Foreign
		if _, err := w.Put(t.Context(), owner, a); !errors.As(err, &f) || f.ID != a.ID || f.Manager != c.manager {
			t.Errorf("%s: %v", c.name, err)
		}
		mustDelete(t, w, owner, a.ID, false)
		if n := sent.writes(); n != 0 {
			t.Errorf("%s: %d writes", c.name, n)
		}
		if d := cmp.Diff(before.Object, k.live(t, a.ID).Object); d != "" {
			t.Errorf("%s was touched:\n%s", c.name, d)
		}
	}
}

func clusterRace(t *testing.T, k *kube) {
	k.namespaces(t, "race")
	owner := k.owner(t, "race")
	w, sent := k.writer(t, "istio")
	t.Run("made meanwhile", func(t *testing.T) {
		a := virtualService("race", "made", "v1")
		sent.meanwhile(func(*http.Request) error {
			sent.meanwhile(nil)
			return k.Apply(foreign(a, "theirs", nil))
		})
		if _, err := w.Put(t.Context(), owner, a); !errors.As(err, new(*Foreign)) {
			t.Error(err)
		}
		k.untouched(t, a)
	})
	t.Run("made meanwhile without a field of ours", func(t *testing.T) { // so that none is in the way
		a := virtualService("race", "bare", "v1")
		o := foreign(a, "theirs", nil)
		o["spec"] = lab.Object{"exportTo": []any{"theirs"}}
		delete(o["metadata"].(lab.Object), "labels")
		sent.meanwhile(func(*http.Request) error {
			sent.meanwhile(nil)
			return k.Apply(o)
		})
		if _, err := w.Put(t.Context(), owner, a); !errors.As(err, new(*Foreign)) {
			t.Error(err)
		}
		k.untouched(t, a)
	})
	t.Run("replaced before it is changed", func(t *testing.T) {
		a := virtualService("race", "changed", "v1")
		mustPut(t, w, owner, a, true)
		sent.meanwhile(k.replace(sent, a))
		if _, err := w.Put(t.Context(), owner, virtualService("race", "changed", "v2")); !errors.As(err, new(*Foreign)) {
			t.Error(err)
		}
		k.untouched(t, a)
	})
	t.Run("replaced before it is deleted", func(t *testing.T) {
		a := virtualService("race", "deleted", "v1")
		mustPut(t, w, owner, a, true)
		sent.meanwhile(k.replace(sent, a))
		mustDelete(t, w, owner, a.ID, false)
		k.untouched(t, a)
	})
	t.Run("disowned before it is changed", func(t *testing.T) {
		a := virtualService("race", "disowned", "v1")
		mustPut(t, w, owner, a, true)
		sent.meanwhile(func(*http.Request) error {
			sent.meanwhile(nil)
			k.edit(t, a.ID, `{"metadata":{"labels":{"applyset.kubernetes.io/part-of":null}}}`)
			return nil
		})
		if _, err := w.Put(t.Context(), owner, virtualService("race", "disowned", "v2")); !errors.As(err, new(*Foreign)) {
			t.Error(err)
		}
	})
	t.Run("gone before it is changed", func(t *testing.T) {
		a := virtualService("race", "gone", "v1")
		mustPut(t, w, owner, a, true)
		sent.meanwhile(func(*http.Request) error {
			sent.meanwhile(nil)
			return k.Delete(foreign(a, "", nil))
		})
		mustPut(t, w, owner, virtualService("race", "gone", "v2"), true)
	})
}

// replace puts somebody else's object in the place of ours before the next write.
func (k *kube) replace(sent *requests, a translators.Artifact) func(*http.Request) error {
	return func(*http.Request) error {
		sent.meanwhile(nil)
		return errors.Join(k.Delete(foreign(a, "", nil)), k.Apply(foreign(a, "theirs", nil)))
	}
}

func (k *kube) untouched(t *testing.T, a translators.Artifact) {
	t.Helper()
	live := k.live(t, a.ID)
	if live == nil {
		t.Fatalf("%s is gone", a.ID.Name)
	}
	if _, ok := applied(live); ok || len(live.GetLabels()) > 0 || !strings.Contains(fmt.Sprint(live.Object["spec"]), "theirs") {
		t.Errorf("%s was touched: %v", a.ID.Name, live.Object)
	}
}

func clusterTakeOver(t *testing.T, k *kube) {
	k.namespaces(t, "take")
	owner := k.owner(t, "take")
	a := virtualService("take", "web", "v1")
	k.apply(t, foreign(a, "theirs", nil))
	k.edit(t, a.ID, `{"metadata":{"annotations":{"meshknot.io/take-over":"true"}}}`)
	before := k.live(t, a.ID)
	w, _ := k.writer(t, "istio")
	mustPut(t, w, owner, a, true)
	mustPut(t, w, owner, a, false)
	mustList(t, w, owner, "VirtualService take/web")
	if live := k.live(t, a.ID); live.GetUID() != before.GetUID() || !strings.Contains(fmt.Sprint(live.Object["spec"]), "v1") {
		t.Errorf("taken over as %v", live.Object)
	}
}

func clusterHandOver(t *testing.T, k *kube) {
	k.namespaces(t, "over")
	old, now := k.owner(t, "over-old"), k.owner(t, "over-new")
	w, sent := k.writer(t, "istio")
	same, next := virtualService("over", "same", "v1"), virtualService("over", "next", "v2")
	gone := virtualService("over", "gone", "v1")
	for _, a := range []translators.Artifact{same, virtualService("over", "next", "v1"), gone} {
		mustPut(t, w, old, a, true)
	}
	uid := k.live(t, same.ID).GetUID()
	sent.writes()
	mustPut(t, w, now, same, true)
	mustPut(t, w, now, next, true)
	mustList(t, w, old, "VirtualService over/gone")
	mustList(t, w, now, "VirtualService over/next", "VirtualService over/same")
	mustDelete(t, w, old, same.ID, false)
	mustDelete(t, w, old, gone.ID, true)
	if n := sent.writes(); n != 3 {
		t.Errorf("%d writes", n)
	}
	if live := k.live(t, same.ID); live == nil || live.GetUID() != uid {
		t.Error("there was a gap")
	}
}
