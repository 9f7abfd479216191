package sink

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/manifest"
)

// Whichever write is the last one of a process, the next process comes to the same.
func clusterCrash(t *testing.T, k *kube) {
	k.namespaces(t, "crash")
	owner := k.owner(t, "crash")
	before := []translators.Artifact{virtualService("crash", "a", "v1"), virtualService("crash", "b", "v1"), httpRoute("crash", "c", "v1")}
	after := []translators.Artifact{virtualService("crash", "a", "v2"), httpRoute("crash", "c", "v1"), httpRoute("crash", "d", "v1"), virtualService("crash", "e", "v1")}
	const writes = 4 // a, d, e, and b goes
	for last := range writes + 1 {
		for _, lost := range []bool{false, true} {
			clean, _ := k.writer(t, "istio", "gateway-api")
			if _, err := reconcile(t.Context(), clean, owner, before); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			w, sent := k.writer(t, "istio", "gateway-api")
			n := 0
			sent.meanwhile(func(q *http.Request) error {
				if n++; n <= last {
					return nil
				}
				if cancel(); lost || n > last+1 {
					return context.Canceled
				}
				_, err := sent.next.RoundTrip(q.Clone(t.Context())) // it is done, and nobody hears of it
				return errors.Join(err, context.Canceled)
			})
			_, err := reconcile(ctx, w, owner, after)
			cancel()
			if (err == nil) != (last == writes) {
				t.Errorf("stopped after %d writes: %v", last, err)
			}
			fresh, sent := k.writer(t, "istio", "gateway-api")
			n, err = reconcile(t.Context(), fresh, owner, after)
			left := writes - last
			if !lost && left > 0 {
				left--
			}
			if sent := sent.writes(); n != left || sent != left || err != nil {
				t.Errorf("stopped after %d writes (lost %v): %d more, %d sent: %v", last, lost, n, sent, err)
			}
			mustList(t, fresh, owner, "HTTPRoute crash/c", "HTTPRoute crash/d", "VirtualService crash/a", "VirtualService crash/e")
		}
	}
}

func clusterConflicts(t *testing.T, k *kube) {
	k.namespaces(t, "conflicts")
	owner := k.owner(t, "conflicts")
	w, sent := k.writer(t, "istio")
	a := virtualService("conflicts", "web", "v1")
	mustPut(t, w, owner, a, true)
	n, most := 0, attempts-1
	storm := func(*http.Request) error {
		if n++; n <= most {
			k.edit(t, a.ID, fmt.Sprintf(`{"metadata":{"annotations":{"storm":"%d"}}}`, n))
		}
		return nil
	}
	sent.meanwhile(storm)
	mustPut(t, w, owner, virtualService("conflicts", "web", "v2"), true)
	n, most = 0, 1000
	_, err := w.Put(t.Context(), owner, virtualService("conflicts", "web", "v3"))
	if err == nil || errors.As(err, new(*Refused)) || errors.As(err, new(*Foreign)) || n != attempts {
		t.Errorf("after %d attempts: %v", n, err)
	}
	n = 0
	if _, err := w.Delete(t.Context(), owner, a.ID); err == nil || errors.As(err, new(*Refused)) || n != attempts {
		t.Errorf("after %d attempts: %v", n, err)
	}
	sent.meanwhile(nil)
	mustDelete(t, w, owner, a.ID, true)
}

func clusterRefused(t *testing.T, k *kube) {
	k.namespaces(t, "refused")
	owner := k.owner(t, "refused")
	for name, c := range map[string]struct {
		spec object
		says string
	}{
		"invalid":         {object{"hosts": []any{strings.Repeat("a", 300)}, "http": "none"}, "http"},
		"unknown field":   {object{"hosts": []any{"a"}, "meshknot": true}, "meshknot"},
		"unknown in list": {object{"hosts": []any{"a"}, "http": []any{object{"meshknot": true}}}, "meshknot"},
	} {
		w, _ := k.writer(t, "istio")
		a := manifest.New("networking.istio.io/v1", "VirtualService", "refused", "web", c.spec, nil)
		var r *Refused
		if _, err := w.Put(t.Context(), owner, a); !errors.As(err, &r) || r.ID != a.ID || !strings.Contains(r.Message, c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if k.live(t, a.ID) != nil {
			t.Errorf("%s is there", name)
		}
	}
}

// What a namespace is not ready for is tried again: nothing is wrong with it.
func clusterNamespace(t *testing.T, k *kube) {
	owner := k.owner(t, "namespace")
	w, _ := k.writer(t, "istio")
	a := virtualService("later", "web", "v1")
	again := func(what string) {
		t.Helper()
		_, err := w.Put(t.Context(), owner, a)
		if err == nil || errors.As(err, new(*Refused)) || errors.As(err, new(*Missing)) {
			t.Errorf("%s: %v", what, err)
		}
	}
	again("no namespace")
	k.namespaces(t, "later")
	mustPut(t, w, owner, a, true)
	k.edit(t, a.ID, `{"metadata":{"finalizers":["meshknot.io/test"]}}`)
	mustDelete(t, w, owner, a.ID, true)
	mustDelete(t, w, owner, a.ID, false)
	again("an object on its way out")
	k.edit(t, a.ID, `{"metadata":{"finalizers":null}}`)
	if err := k.Delete(lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": "later"}}); err != nil {
		t.Fatal(err)
	}
	again("a namespace on its way out")
}

func clusterKind(t *testing.T, k *kube) {
	k.namespaces(t, "kind")
	owner := k.owner(t, "kind")
	w, _ := k.writer(t, "linkerd")
	a := manifest.New("policy.linkerd.io/v1alpha1", "NetworkAuthentication", "kind", "web", object{"networks": []any{object{"cidr": "10.0.0.0/8"}}}, nil)
	missing := func(what string) {
		t.Helper()
		var m *Missing
		if _, err := w.Put(t.Context(), owner, a); !errors.As(err, &m) || m.ID != a.ID {
			t.Errorf("%s: %v", what, err)
		}
		mustList(t, w, owner)
		mustDelete(t, w, owner, a.ID, false)
	}
	missing("before it is defined")
	crd := lab.Object{}
	for _, o := range definitions(t, "linkerd") {
		if metadataOf(o)["name"] == "networkauthentications.policy.linkerd.io" {
			crd = o
		}
	}
	eventually := func(what string, ok func(err error) bool) {
		t.Helper()
		if err := k.lab.Eventually(what, time.Minute, func() bool {
			_, err := w.Put(t.Context(), owner, a)
			return ok(err)
		}); err != nil {
			t.Fatal(err)
		}
	}
	k.apply(t, crd)
	eventually("an object of a late kind", func(err error) bool { return err == nil })
	mustList(t, w, owner, "NetworkAuthentication kind/web")
	if err := k.Delete(crd); err != nil {
		t.Fatal(err)
	}
	eventually("a kind that is gone", func(err error) bool {
		w.forget(place{kindOf(a.ID.Type).GroupKind(), a.ID.Name})
		return errors.As(err, new(*Missing))
	})
	missing("after it is gone")
	k.apply(t, crd)
	eventually("an object of a kind that is back", func(err error) bool { return err == nil })
}
