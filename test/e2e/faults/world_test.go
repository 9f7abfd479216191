// Package faults holds the controller, as a process, against everything that can go
// wrong around it: it is killed between any two writes, sees the past, loses its API
// server, its rights, definitions and its lead. Whatever happens, no policy in force
// is taken away by it, nothing older is written over something newer, and in the end
// everything is as if nothing had happened.
package faults

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// TestMain builds the program once for all tests, each of which has a lab of its own.
func TestMain(m *testing.M) {
	l, err := lab.Open()
	if err == nil {
		var path string
		if path, err = l.Meshknot(); err == nil {
			err = os.Setenv("MESHKNOT_BIN", path)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	l.Close()
	os.Exit(code)
}

const (
	shop    = cluster.ShopNamespace
	binding = "mesh"

	splitGroup   = "split.smi-spec.io"
	specsGroup   = "specs.smi-spec.io"
	accessGroup  = "access.smi-spec.io"
	networking   = "networking.istio.io/v1"
	security     = "security.istio.io/v1"
	gatewayGroup = "gateway.networking.k8s.io/v1"
)

// world is a cluster with the bookstore's Services and workloads, of which nothing
// runs, and a controller that reaches the API server over a gate.
type world struct {
	*testing.T
	*cluster.Cluster
	gate *gate
	// kubeconfig is that of the controller's account, over the gate.
	kubeconfig string
}

func newWorld(t *testing.T, o lab.KubeOptions, definitions ...lab.CRDs) *world {
	t.Helper()
	lab.Need(t, lab.KubeAPIServer, lab.Etcd)
	lab.NeedCRDs(t, definitions...)
	c, err := cluster.Start(lab.ForTest(t), o, definitions...)
	w := &world{T: t, Cluster: c}
	w.must(err)
	w.bookstore()
	own, err := c.ServiceAccount(cluster.Namespace, cluster.Account)
	w.must(err)
	w.gate, err = newGate(c.Kube)
	w.must(err)
	w.kubeconfig, err = w.gate.Kubeconfig(own)
	w.must(err)
	return w
}

// everything is what most worlds have.
var everything = []lab.CRDs{lab.GatewayAPICRDs, lab.IstioCRDs}

// bookstore applies who is there.
func (w *world) bookstore() {
	w.Helper()
	text, err := os.ReadFile(cluster.Path("examples", "bookstore", "shop.yaml"))
	w.must(err)
	w.must(w.ApplyYAML(accounts + string(text)))
}

const accounts = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {mesh: here}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reviews, namespace: shop}
---
`

// administrator is a client for what the lab has no method for.
func (w *world) administrator() *http.Client {
	w.Helper()
	cfg, err := w.Config()
	w.must(err)
	client, err := rest.HTTPClientFor(cfg)
	w.must(err)
	w.Cleanup(client.CloseIdleConnections)
	return client
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// replica starts a controller that goes through the gate.
func (w *world) replica(args ...string) *cluster.Controller {
	w.Helper()
	return w.direct(append([]string{"--kubeconfig=" + w.kubeconfig}, args...)...)
}

// direct starts a controller that reaches the API server without a gate.
func (w *world) direct(args ...string) *cluster.Controller {
	w.Helper()
	r, err := w.Controller(args...)
	if err != nil {
		w.Fatalf("%v; not allowed was %v", err, w.gate.forbidden(0))
	}
	w.Cleanup(func() {
		if w.Failed() {
			w.Logf("%s said, probes left out:\n%s", r.Process.Log, said(r))
		}
	})
	return r
}

// said is what a replica said that is of interest.
func said(r *cluster.Controller) string {
	lines := strings.SplitAfter(r.Said(2000), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "healthz check failed") })
	return strings.Join(lines[max(0, len(lines)-40):], "")
}

// eventually waits until ok holds.
func (w *world) eventually(what string, ok func() (bool, any)) {
	w.Helper()
	w.must(w.Eventually(what, ok))
}

// apply applies an object and returns its generation.
func (w *world) apply(o lab.Object) int64 {
	w.Helper()
	w.must(w.Apply(o))
	now, err := w.Get(o)
	w.must(err)
	return int64(cluster.Dig(now, "metadata", "generation").(float64))
}

// bound is a binding of the namespaces with the label mesh=here.
func bound(name string, backend lab.Object) lab.Object {
	o := cluster.Object("meshknot.io/v1alpha1", "MeshBinding", "", name)
	o["spec"] = lab.Object{"namespaceSelector": lab.Object{"matchLabels": lab.Object{"mesh": "here"}}, "backend": backend}
	return o
}

var (
	onIstio   = lab.Object{"name": "istio"}
	onGateway = lab.Object{"name": "gateway-api", "options": lab.Object{"authorization": "istio"}}
)

// group is what may be asked of reviews, and target that web may.
func group(methods ...any) lab.Object {
	o := cluster.Object(specsGroup+"/v1alpha4", "HTTPRouteGroup", shop, "reviews-api")
	o["spec"] = lab.Object{"matches": []any{lab.Object{"name": "read", "pathRegex": "/reviews/.*", "methods": methods}}}
	return o
}

func target() lab.Object {
	account := func(name string) lab.Object {
		return lab.Object{"kind": "ServiceAccount", "name": name, "namespace": shop}
	}
	o := cluster.Object(accessGroup+"/v1alpha3", "TrafficTarget", shop, "web-reads-reviews")
	o["spec"] = lab.Object{"destination": account("reviews"), "sources": []any{account("web")},
		"rules": []any{lab.Object{"kind": "HTTPRouteGroup", "name": "reviews-api", "matches": []any{"read"}}}}
	return o
}

// split is the TrafficSplit of reviews, with a weight of 100 for version 1.
func split(v1 int) lab.Object { return cluster.Split(v1, 100-v1) }

// reduced is what back ends make of its weights.
func reduced(v1 int) string {
	a, b := v1, 100-v1
	for b != 0 {
		a, b = b, a%b
	}
	return fmt.Sprint(v1/a, "/", (100-v1)/a)
}

// regroup applies the group with other methods, and waits until it was read, and with
// it all that was before it.
func (w *world) regroup(methods ...any) {
	w.Helper()
	generation := w.apply(group(methods...))
	w.eventually("edit of another kind", func() (bool, any) {
		said := w.Report(specsGroup, "HTTPRouteGroup", shop, "reviews-api", binding)
		return said.Generation == generation, said
	})
}

// splitReport is what is said of it on a binding.
func (w *world) splitReport(of string) cluster.Report {
	return w.Report(splitGroup, "TrafficSplit", shop, "reviews", of)
}

// inForce waits until the split is said to be in force at a generation.
func (w *world) inForce(of string, generation int64) {
	w.Helper()
	w.eventually(fmt.Sprintf("split that is in force at generation %d", generation), func() (bool, any) {
		r := w.splitReport(of)
		return r.Programmed(generation), r
	})
}

// weight applies the split with a weight, and waits until Istio has them.
func (w *world) weight(n int) {
	w.Helper()
	generation := w.apply(split(n))
	w.inForce(binding, generation)
	if got := w.weights(); got != reduced(n) {
		w.Errorf("said to be in force is %d of 100, there are %s", n, got)
	}
}

// weights are those that the VirtualService of reviews has, "90/10".
func (w *world) weights() string {
	return w.weightsOf(networking, "VirtualService", "http", "route")
}

// weightsOf are those of the objects of a kind in the shop, in lists of lists.
func (w *world) weightsOf(version, kind, rules, targets string) string {
	list, err := w.List(version, kind, shop)
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, o := range list {
		routes, _ := cluster.Dig(o, "spec", rules).([]any)
		for _, r := range routes {
			to, _ := cluster.Dig(r, targets).([]any)
			for _, d := range to {
				if n := cluster.Dig(d, "weight"); n != nil && len(to) > 1 {
					out = append(out, fmt.Sprint(n))
				}
			}
		}
	}
	return strings.Join(out, "/")
}

// condition is "Status/Reason" of a condition of the binding, and its message.
func (w *world) condition(of, kind string) (state, message string) {
	o, err := w.Get(cluster.Object("meshknot.io/v1alpha1", "MeshBinding", "", of))
	if err != nil {
		return "", err.Error()
	}
	all, _ := cluster.Dig(o, "status", "conditions").([]any)
	for _, c := range all {
		if cluster.Dig(c, "type") == kind {
			return fmt.Sprint(cluster.Dig(c, "status"), "/", cluster.Dig(c, "reason")), fmt.Sprint(cluster.Dig(c, "message"))
		}
	}
	return "", ""
}

// trouble waits until a replica says whether it has trouble with a kind.
func (w *world) trouble(r *cluster.Controller, kind string, want bool) {
	w.Helper()
	value := map[bool]string{true: "1", false: "0"}[want]
	w.eventually(fmt.Sprintf("trouble %v with %s", want, kind), func() (bool, any) {
		got := r.Metric(fmt.Sprintf("meshknot_feed_trouble{kind=%q}", kind))
		return got == value || got == "" && !want, got
	})
}

// settled waits until a replica has nothing left to write or to say.
func (w *world) settled(r *cluster.Controller) {
	w.Helper()
	w.eventually("replica that is done", func() (bool, any) { got := r.Metric("meshknot_settled"); return got == "1", got })
}

// ready fails the test where a replica is not ready.
func (w *world) ready(r *cluster.Controller) {
	w.Helper()
	if err := w.Lab.Ready(r.Process, "http://"+lab.Local(r.Health)+"/readyz", 0); err != nil {
		w.Error(err)
	}
}
