package lab_test

import (
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/lab"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func virtualService(name string, http ...any) lab.Object {
	return lab.Object{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
		"metadata": lab.Object{"name": name, "namespace": "shop"},
		"spec":     lab.Object{"hosts": []any{"a.shop.svc.cluster.local"}, "http": http}}
}

// The API server refuses what Istio's schema does, istiod what only it knows.
func TestIstiod(t *testing.T) {
	lab.Need(t, lab.Etcd, lab.KubeAPIServer, lab.Istiod)
	l := lab.ForTest(t)
	k, err := l.StartKube()
	must(t, err)
	must(t, k.Define(lab.IstioCRDs, lab.GatewayAPICRDs))
	i, err := l.StartIstiod(k)
	must(t, err)
	must(t, k.Apply(lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": "shop"}}))

	route := func(weight int64) lab.Object {
		return lab.Object{"route": []any{lab.Object{"destination": lab.Object{"host": "a.shop.svc.cluster.local"}, "weight": weight}}}
	}
	good := virtualService("good", route(100))
	must(t, k.Apply(good))
	must(t, i.Validate(good))
	got, err := k.Get(good)
	must(t, err)
	if got["spec"] == nil {
		t.Error("the object has no spec")
	}
	if err := k.Apply(virtualService("bad", lab.Object{"timeout": "0s", "route": route(1)["route"]})); err == nil || !strings.Contains(err.Error(), "VirtualService bad: status 422") {
		t.Errorf("a timeout of zero: %v", err)
	}
	if err := i.Validate(virtualService("worse", lab.Object{"match": []any{lab.Object{"uri": lab.Object{"regex": "("}}}, "route": route(1)["route"]})); err == nil {
		t.Error("istiod takes a broken expression")
	}
	must(t, k.Delete(good))
	must(t, k.Delete(good))
	if _, err := k.Get(good); err == nil {
		t.Error("a deleted object is still there")
	}
}
