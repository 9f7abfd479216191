package corpus_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

const edge = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: ours}
spec: {controllerName: meshknot.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: theirs}
spec: {controllerName: example.com/gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ours, namespace: shop}
spec: {gatewayClassName: ours, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: theirs, namespace: shop}
spec: {gatewayClassName: theirs, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: both, namespace: shop}
spec:
  parentRefs: [{name: ours}, {name: theirs}]
  rules: [{backendRefs: [{name: api, port: 80}]}]
`

// theirs is what another controller says of a route.
func theirs(message string) lab.Object {
	return lab.Object{"controllerName": "example.com/gateway", "parentRef": lab.Object{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "theirs"},
		"conditions": []any{lab.Object{"type": "Accepted", "status": "True", "reason": "Accepted", "message": message, "observedGeneration": float64(1), "lastTransitionTime": "2026-01-01T00:00:00Z"}}}
}

// parents are the entries of a route's status by their controller.
func (w *world) parents(route lab.Object) map[string][]any {
	w.t.Helper()
	o, err := w.Get(route)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string][]any{}
	all, _ := cluster.Dig(o, "status", "parents").([]any)
	for _, p := range all {
		name, _ := cluster.Dig(p, "controllerName").(string)
		out[name] = append(out[name], p)
	}
	return out
}

// say has another controller write its entry, and no other, as it should.
func (w *world) say(route lab.Object, message string) {
	w.t.Helper()
	w.eventually("another controller's turn", func() (bool, any) {
		o, err := w.Get(route)
		if err != nil {
			return false, err
		}
		all, _ := cluster.Dig(o, "status", "parents").([]any)
		all = slices.DeleteFunc(slices.Clone(all), func(p any) bool { return cluster.Dig(p, "controllerName") == "example.com/gateway" })
		o["status"] = lab.Object{"parents": append([]any{theirs(message)}, all...)}
		_, err = w.UpdateStatus(o)
		return err == nil, err
	})
}

// Gateway API's conditions: of a route with two parents we speak of ours. What another
// controller says beside it stays, and however often it says something new, we write
// nothing for that.
func TestStatusOfOthers(t *testing.T) {
	w := newWorld(t)
	w.apply(shop("shop", "envoy"))
	w.apply(edge)
	w.bind("envoy", "{name: envoy}", "")
	w.controller()
	route := cluster.Object("gateway.networking.k8s.io/v1", "HTTPRoute", "shop", "both")
	const us, them = "meshknot.io/gateway-controller", "example.com/gateway"
	w.eventually("our entry", func() (bool, any) {
		p := w.parents(route)
		return len(p[us]) == 1 && cluster.Dig(p[us][0], "parentRef", "name") == "ours", p
	})
	w.eventually("conditions of our Gateway", func() (bool, any) {
		o, err := w.Get(cluster.Object("gateway.networking.k8s.io/v1", "Gateway", "shop", "ours"))
		if err != nil {
			return false, err
		}
		text := fmt.Sprint(cluster.Dig(o, "status"))
		return strings.Contains(text, "reason:Accepted") && strings.Contains(text, "attachedRoutes:1"), text
	})
	ours := w.parents(route)[us]
	written := func() (out []string) {
		for _, s := range w.writes(0) {
			if strings.HasSuffix(s, "/httproutes/both/status") {
				out = append(out, s)
			}
		}
		return out
	}
	before := len(written())
	for i := range 5 {
		message := fmt.Sprint("said ", i)
		w.say(route, message)
		// The spec is edited now and then, so that there is something for us to say, too.
		if i == 3 {
			w.edit(route, lab.Object{"spec": lab.Object{"hostnames": []any{"shop.example"}}})
			w.eventually("our entry of the edit", func() (bool, any) {
				p := w.parents(route)
				list, _ := cluster.Dig(p[us][0], "conditions").([]any)
				return cluster.Dig(list[0], "observedGeneration") == float64(2), p
			})
			ours = w.parents(route)[us]
		}
		p := w.parents(route)
		if d := cmp.Diff([]any{theirs(message)}, p[them]); d != "" {
			t.Errorf("the other controller's entry (-said +is):\n%s", d)
		}
		if d := cmp.Diff(ours, p[us]); d != "" {
			t.Errorf("our entry (-before +is):\n%s", d)
		}
	}
	if n := len(written()) - before; n != 1 {
		t.Errorf("we wrote the status %d times, want once, for the edit", n)
	}
	o, err := w.Get(cluster.Object("gateway.networking.k8s.io/v1", "Gateway", "shop", "theirs"))
	if err != nil || strings.Contains(fmt.Sprint(cluster.Dig(o, "status")), "meshknot") {
		t.Errorf("the other Gateway's status: %v, %v", err, cluster.Dig(o, "status"))
	}
}
