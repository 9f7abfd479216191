// Package traffic holds what users apply against what real Envoys do, which the
// controller serves: weights that shift, refusals that come back to the user's
// field, and an API server that is away.
package traffic

import (
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/conformance/smi"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// cart is a caller beside web, which the bookstore does not know.
const cart = "cart"

// world is the bookstore on Envoy.
type world struct {
	testing.TB
	*cluster.Cluster
	shop       *cluster.Shop
	controller *cluster.Controller
}

func newWorld(t testing.TB) *world {
	t.Helper()
	c := cluster.ForTest(t, lab.KubeOptions{}, lab.Envoy)
	w := &world{TB: t, Cluster: c}
	var err error
	w.shop, err = c.Shop(cart)
	w.must(err)
	text, err := os.ReadFile(cluster.Path("examples", "bookstore", "access.yaml"))
	w.must(err)
	w.must(c.ApplyYAML(string(text)))
	// Later, a grant would have Envoy close connections that calls are on.
	w.must(c.Apply(granted()))
	w.must(c.Apply(w.shop.Binding()))
	w.controller, err = c.Controller("--leader-elect")
	w.must(err)
	return w
}

// granted lets cart read reviews, as the bookstore lets web.
func granted() lab.Object {
	o := cluster.Object("access.smi-spec.io/v1alpha3", "TrafficTarget", cluster.ShopNamespace, "cart-reads-reviews")
	o["spec"] = lab.Object{"destination": lab.Object{"kind": "ServiceAccount", "name": "reviews", "namespace": cluster.ShopNamespace},
		"rules":   []any{lab.Object{"kind": "HTTPRouteGroup", "name": "reviews-api"}},
		"sources": []any{lab.Object{"kind": "ServiceAccount", "name": cart, "namespace": cluster.ShopNamespace}}}
	return o
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// apply applies an object and returns its generation.
func (w *world) apply(o lab.Object) int64 {
	w.Helper()
	w.must(w.Apply(o))
	now, err := w.Get(o)
	w.must(err)
	return int64(cluster.Dig(now, "metadata", "generation").(float64))
}

// reported waits until the split's report says something.
func (w *world) reported(what string, ok func(cluster.Report) bool) {
	w.Helper()
	w.must(w.Eventually(what, func() (bool, any) { r := w.SplitReport(); return ok(r), r }))
}

// shifted applies weights, waits until they are said to be in force, and holds a
// thousand calls against them.
func (w *world) shifted(caller *cluster.Caller, v1, v2 int) {
	w.Helper()
	generation := w.apply(cluster.Split(v1, v2))
	w.reported("split that is in force", func(r cluster.Report) bool { return r.Programmed(generation) })
	w.observe(caller, v1, v2)
}

func (w *world) observe(caller *cluster.Caller, v1, v2 int) {
	w.Helper()
	const n, alpha = 1000, 1e-6
	got, err := caller.Count(n)
	w.must(err)
	for i, weight := range []int{v1, v2} {
		low, high := smi.Bounds(n, float64(weight)/float64(v1+v2), alpha)
		if k := got[cluster.Versions[i]]; k < low || k > high {
			w.Errorf("%d/%d: %s answered %d of %d calls, want %d to %d", v1, v2, cluster.Versions[i], k, n, low, high)
		}
	}
	for other := range got {
		if !slices.Contains(cluster.Versions, other) {
			w.Errorf("%d/%d: %s: %v", v1, v2, other, got)
		}
	}
}

// What is applied is in force once it is said to be, and not said to be before.
func TestTraffic(t *testing.T) {
	w := newWorld(t)
	w.must(w.Apply(cluster.Split(90, 10)))
	w.reported("report that nobody is there", func(r cluster.Report) bool {
		return r.Conditions["Programmed"] == "Unknown/NoProxies" && r.Conditions["Accepted"] == "True/Accepted"
	})
	w.must(w.shop.StartProxies(w.controller))
	w.reported("split that is in force", func(r cluster.Report) bool { return r.Programmed(1) })
	web := w.shop.Caller(cluster.Web)
	w.must(w.AwaitCaller(web))
	w.observe(web, 90, 10)
	for _, weights := range [][2]int{{50, 50}, {0, 100}} {
		w.shifted(web, weights[0], weights[1])
	}
	for _, c := range []struct{ method, path string }{{http.MethodPost, "/reviews"}, {http.MethodGet, "/reviews/latest"}} {
		if got, err := web.Call(c.method, c.path); got != "403" || err != nil {
			t.Errorf("%s %s: %s, %v", c.method, c.path, got, err)
		}
	}
	// What follows is about the same cluster, for it takes its time to start.
	t.Run("Refused", func(t *testing.T) { (&world{t, w.Cluster, w.shop, w.controller}).refused() })
	t.Run("Away", func(t *testing.T) { (&world{t, w.Cluster, w.shop, w.controller}).away() })
}

// heavy is an expression that an Envoy of an ordinary bootstrap does not take.
const heavy = "/reviews/[a-z]{1,60}/[0-9]{1,60}"

// routed is the split for the calls of a group of routes only.
func routed(v1, v2 int) lab.Object {
	o := cluster.Split(v1, v2)
	o["spec"].(lab.Object)["matches"] = []any{lab.Object{"kind": "HTTPRouteGroup", "name": "some"}}
	return o
}

func routes(expression string) lab.Object {
	o := cluster.Object("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup", cluster.ShopNamespace, "some")
	o["spec"] = lab.Object{"matches": []any{lab.Object{"name": "some", "pathRegex": expression, "methods": []any{"GET"}}}}
	return o
}

// refused: what a proxy refuses is not in force, in its words and at the user's
// field; meanwhile it goes on as before, and once it is mended all is well.
func (w *world) refused() {
	bare := func(b map[string]any) { delete(b, "layered_runtime") } // which makes room for long expressions
	p, err := w.shop.StartProxy(cart, w.controller, bare)
	w.must(err)
	defer p.Stop()
	w.must(w.Apply(routes("/reviews/1")))
	generation := w.apply(routed(0, 100))
	w.reported("split that is in force", func(r cluster.Report) bool { return r.Programmed(generation) })

	w.must(w.Apply(routes(heavy)))
	group := func() cluster.Report {
		return w.Report("specs.smi-spec.io", "HTTPRouteGroup", cluster.ShopNamespace, "some", cluster.ShopBinding)
	}
	for of, report := range map[string]func() cluster.Report{"split": w.SplitReport, "routes": group} {
		w.must(w.Eventually("refusal on the "+of, func() (bool, any) {
			r := report()
			return r.Conditions["Programmed"] == "False/Rejected" && strings.Contains(r.Messages["Programmed"], "sidecar~shop/cart") &&
				strings.Contains(r.Messages["Programmed"], "program size"), r
		}))
	}
	if said := group().Messages["Programmed"]; !strings.HasPrefix(said, "spec.matches[0]") {
		w.Errorf("no field of the user's: %s", said)
	}
	if got, err := w.shop.Caller(cluster.Web).Count(20); err != nil || got[cluster.Versions[1]] == 0 {
		w.Errorf("a proxy that took it: %v, %v", got, err)
	}

	w.must(w.Apply(routes("/reviews/2")))
	w.must(w.Eventually("routes that are in force", func() (bool, any) { r := group(); return r.Programmed(1), r }))
	w.reported("split that is in force", func(r cluster.Report) bool { return r.Programmed(generation) })
}

// away: for half a minute there is no API server. Calls go on without one that fails,
// a proxy that starts now gets what the others have, and edits reach all of them
// afterwards.
func (w *world) away() {
	split := cluster.Split(0, 100)
	split["spec"].(lab.Object)["matches"] = []any{}
	generation := w.apply(split)
	w.reported("split that is in force", func(r cluster.Report) bool { return r.Programmed(generation) })
	web := w.shop.Caller(cluster.Web)
	w.observe(web, 0, 100)

	w.Kube.Stop()
	_, err := w.shop.StartProxy(cart, w.controller, nil)
	w.must(err)
	late := w.shop.Caller(cart)
	seen := map[string]int{}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		got, err := web.Count(20)
		w.must(err)
		for outcome, n := range got {
			seen[outcome] += n
		}
	}
	if only := slices.Collect(maps.Keys(seen)); len(only) != 1 || only[0] != cluster.Versions[1] {
		w.Errorf("while the API server was away: %v", seen)
	}
	w.must(w.AwaitCaller(late))
	w.observe(late, 0, 100)
	if _, err := w.Get(cluster.Split(0, 100)); err == nil {
		w.Error("the API server was there")
	}

	w.must(w.Kube.Start())
	w.shifted(web, 100, 0)
	w.observe(late, 100, 0)
}

// BenchmarkApplyToResponse measures from the moment at which a user applies a split
// to the first response that it changes.
func BenchmarkApplyToResponse(b *testing.B) {
	w := newWorld(b)
	w.must(w.Apply(cluster.Split(100, 0)))
	w.must(w.shop.StartProxies(w.controller))
	w.reported("split that is in force", func(r cluster.Report) bool { return r.Programmed(1) })
	web := w.shop.Caller(cluster.Web)
	w.must(w.AwaitCaller(web))
	to := 0
	for b.Loop() {
		to = 1 - to
		w.must(w.Apply(cluster.Split(100*(1-to), 100*to)))
		for {
			got, err := web.Call(http.MethodGet, "/reviews/1")
			w.must(err)
			if got == cluster.Versions[to] {
				break
			}
		}
	}
}
