// Package controller_test runs the controller against a real API server: what users
// apply becomes what meshes read, and is reported on.
package controller_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshknot/meshknot/internal/controller"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/all"
)

// world is an API server with everybody's definitions.
type world struct {
	*testing.T
	lab     *lab.Lab
	kube    *lab.Kube
	cluster *cluster.Cluster
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c := cluster.ForTest(t, lab.KubeOptions{Audit: true})
	return &world{t, c.Lab, c.Kube, c}
}

// start runs a controller; stop ends it and waits for that.
func (c *world) start(server *xds.Server) (running *controller.Controller, stop func()) {
	c.Helper()
	return c.startWith(func(o *controller.Options) {
		if server != nil {
			o.Server = server
		}
	})
}

// startWith runs a controller with other options than the usual.
func (c *world) startWith(change func(*controller.Options)) (running *controller.Controller, stop func()) {
	c.Helper()
	cfg, err := c.kube.Config()
	if err != nil {
		c.Fatal(err)
	}
	metrics, err := telemetry.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		c.Fatal(err)
	}
	objects, err := sink.NewCluster(cfg, sink.ClusterOptions{Backends: []string{"istio", "gateway-api"}, Version: "test"})
	if err != nil {
		c.Fatal(err)
	}
	o := controller.Options{Pipeline: all.Pipeline(), Status: all.StatusOf, LastGood: all.LastGood, Sinks: map[string]controller.Sink{controller.SinkCluster: objects},
		Writes: true, Metrics: metrics, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	change(&o)
	running, err = controller.New(cfg, o)
	if err != nil {
		c.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			c.Errorf("the controller ended with %v", err)
		}
	}
	c.Cleanup(stop)
	return running, stop
}

func (c *world) apply(text string) {
	c.Helper()
	if err := c.kube.ApplyYAML(text); err != nil {
		c.Fatal(err)
	}
}

// eventually waits until ok holds, and shows what there was where it never does.
func (c *world) eventually(what string, ok func() (bool, any)) {
	c.Helper()
	if err := c.cluster.Eventually(what, ok); err != nil {
		c.Fatal(err)
	}
}

// condition is "Status/Reason" of a condition in a list.
func condition(list any, kind string) string {
	all, _ := list.([]any)
	for _, c := range all {
		if cluster.Dig(c, "type") == kind {
			return cluster.Dig(c, "status").(string) + "/" + cluster.Dig(c, "reason").(string)
		}
	}
	return ""
}

// said is what a report says of an object on a binding.
func (c *world) said(report, binding string) (conditions string, whole any) {
	o, err := c.kube.Get(cluster.Object("meshknot.io/v1alpha1", "TranslationReport", "shop", report))
	if err != nil {
		return "", err
	}
	backends, _ := cluster.Dig(o, "status", "backends").([]any)
	for _, b := range backends {
		if cluster.Dig(b, "binding") == binding {
			list := cluster.Dig(b, "conditions")
			return strings.Join([]string{condition(list, "Accepted"), condition(list, "Translated"), condition(list, "Programmed"), condition(list, "LossFree")}, " "), o
		}
	}
	return "", o
}

// writes counts what the controller changed at the API server so far.
func (c *world) writes() []string {
	c.Helper()
	events, err := c.kube.Audited()
	if err != nil {
		c.Fatal(err)
	}
	var out []string
	for _, e := range events {
		agent, _ := e["userAgent"].(string)
		if strings.Contains(agent, ".test/") {
			uri, _ := e["requestURI"].(string)
			out = append(out, e["verb"].(string)+" "+uri)
		}
	}
	return out
}

const shop = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {mesh: here}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {ports: [{name: http, port: 80}], selector: {app: reviews}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews-v1, namespace: shop}
spec: {ports: [{name: http, port: 80}], selector: {app: reviews, version: v1}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews-v2, namespace: shop}
spec: {ports: [{name: http, port: 80}], selector: {app: reviews, version: v2}}
`

const binding = `
apiVersion: meshknot.io/v1alpha1
kind: MeshBinding
metadata: {name: shop-mesh}
spec: {namespaceSelector: {matchLabels: {mesh: here}}, backend: BACKEND}
`

func split(v1, v2 string) string {
	return `
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: reviews, namespace: shop}
spec: {service: reviews, backends: [{service: reviews-v1, weight: ` + v1 + `}, {service: reviews-v2, weight: ` + v2 + `}]}
`
}

const splitReport = "trafficsplit.split.reviews"

// weights are those of the routes of the VirtualService of a split.
func (c *world) weights() (out []any) {
	list, err := c.kube.List("networking.istio.io/v1", "VirtualService", "shop")
	if err != nil {
		return []any{err}
	}
	for _, o := range list {
		for _, r := range asList(cluster.Dig(o, "spec", "http")) {
			for _, d := range asList(cluster.Dig(r, "route")) {
				out = append(out, cluster.Dig(d, "destination", "host"), cluster.Dig(d, "weight"))
			}
		}
	}
	return out
}

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}

func has(list []any, want ...any) bool {
	for i := 0; i+len(want) <= len(list); i++ {
		same := true
		for j, w := range want {
			if f, ok := w.(int); ok {
				same = same && list[i+j] == float64(f)
			} else {
				s, _ := list[i+j].(string)
				same = same && strings.HasPrefix(s, w.(string))
			}
		}
		if same {
			return true
		}
	}
	return false
}

const inForce = "True/Accepted True/Translated True/Programmed True/LossFree"

func TestLifeOfASplit(t *testing.T) {
	c := newWorld(t)
	c.apply(shop)
	c.apply(strings.ReplaceAll(binding, "BACKEND", "{name: istio}"))
	_, stop := c.start(nil)
	c.apply(split("9", "1"))
	c.eventually("a VirtualService with the weights", func() (bool, any) {
		w := c.weights()
		return has(w, "reviews-v1", 9, "reviews-v2", 1), w
	})
	c.eventually("a report that says so", func() (bool, any) {
		said, o := c.said(splitReport, "shop-mesh")
		return said == inForce, o
	})
	c.eventually("conditions on the object itself", func() (bool, any) {
		o, err := c.kube.Get(cluster.Object("split.smi-spec.io/v1alpha4", "TrafficSplit", "shop", "reviews"))
		return err == nil && condition(cluster.Dig(o, "status", "conditions"), "Programmed") == "True/Programmed", o
	})
	c.eventually("a binding that says so", func() (bool, any) {
		o, err := c.kube.Get(cluster.Object("meshknot.io/v1alpha1", "MeshBinding", "", "shop-mesh"))
		return err == nil && condition(cluster.Dig(o, "status", "conditions"), "Accepted") == "True/Accepted" &&
			condition(cluster.Dig(o, "status", "conditions"), "Programmed") == "True/Programmed" && cluster.Dig(o, "status", "namespaces") == float64(1), o
	})

	before := len(c.writes())
	c.apply(split("3", "4"))
	c.eventually("the edited weights", func() (bool, any) {
		w := c.weights()
		return has(w, "reviews-v1", 3, "reviews-v2", 4), w
	})
	c.eventually("a report about the edited object", func() (bool, any) {
		said, o := c.said(splitReport, "shop-mesh")
		return said == inForce && cluster.Dig(o, "status", "observedGeneration") == float64(2), o
	})
	t.Logf("one edit: %s", strings.Join(c.writes()[before:], "\n"))

	stop()
	before = len(c.writes())
	running, stop := c.start(nil)
	<-running.Compiled()
	c.eventually("a controller that has compared everything", func() (bool, any) { return running.Settled(), nil })
	stop()
	if w := c.writes()[before:]; len(w) > 0 {
		t.Errorf("nothing changed, and a controller that started anew wrote:\n%s", strings.Join(w, "\n"))
	}

	c.start(nil)
	c.apply(strings.ReplaceAll(binding, "BACKEND", "{name: gateway-api, options: {authorization: istio}}"))
	c.eventually("the same as an HTTPRoute, and no VirtualService", func() (bool, any) {
		list, err := c.kube.List("gateway.networking.k8s.io/v1", "HTTPRoute", "shop")
		return err == nil && len(list) > 0 && len(c.weights()) == 0, list
	})
	c.eventually("a report about the other back end", func() (bool, any) {
		said, o := c.said(splitReport, "shop-mesh")
		return strings.HasPrefix(said, "True/Accepted True/Translated True/Programmed"), o
	})
	if err := c.kube.Delete(cluster.Object("split.smi-spec.io/v1alpha4", "TrafficSplit", "shop", "reviews")); err != nil {
		t.Fatal(err)
	}
	c.eventually("no HTTPRoute and no report", func() (bool, any) {
		list, err := c.kube.List("gateway.networking.k8s.io/v1", "HTTPRoute", "shop")
		_, gone := c.kube.Get(cluster.Object("meshknot.io/v1alpha1", "TranslationReport", "shop", splitReport))
		return err == nil && len(list) == 0 && lab.IsStatus(gone, 404), list
	})
}
