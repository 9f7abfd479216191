// Package scale_test holds the controller, as a process against a real API server,
// against what a large cluster asks of it: how long until it is ready, how much memory
// that takes, that nothing is written where nothing changed, and that an edit costs
// what it touches.
package scale_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/scale"
)

// world is a cluster with a mesh in it, all of whose namespaces are bound.
type world struct {
	testing.TB
	*cluster.Cluster
	mesh    scale.Mesh
	objects int
}

// newWorld makes a cluster of a mesh that is bound to a back end.
func newWorld(tb testing.TB, mesh scale.Mesh, backend string) *world {
	tb.Helper()
	w := &world{tb, cluster.ForTest(tb, lab.KubeOptions{Audit: true}), mesh, 0}
	documents := mesh.Documents()
	namespaces := map[string]bool{"front": true}
	for _, d := range documents {
		namespaces[d.Namespace] = true
	}
	for n := range namespaces {
		w.must(w.Apply(lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": n, "labels": lab.Object{"mesh": "here"}}}))
	}
	w.objects = len(documents) + len(namespaces)
	var g errgroup.Group
	g.SetLimit(8)
	for _, d := range documents {
		g.Go(func() error {
			_, err := w.Create(w.object(d))
			return err
		})
	}
	w.must(g.Wait())
	b := cluster.Object("meshknot.io/v1alpha1", "MeshBinding", "", "everything")
	b["spec"] = lab.Object{"namespaceSelector": lab.Object{"matchLabels": lab.Object{"mesh": "here"}}, "backend": lab.Object{"name": backend}}
	w.must(w.Apply(b))
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) object(d scale.Document) (o lab.Object) {
	w.Helper()
	if err := yaml.Unmarshal([]byte(d.Text), &o); err != nil {
		w.Fatal(err)
	}
	return o
}

// reports is how many objects of the mesh are reported on.
func (w *world) reports() (n int) {
	for _, d := range w.mesh.Documents() {
		switch d.Kind {
		case "TrafficSplit", "HTTPRouteGroup", "TrafficTarget", "HTTPRoute":
			n++
		}
	}
	return n
}

// replica is a process of the controller.
type replica struct {
	*cluster.Controller
	world *world
	// started is when it was, and ready how long after that it was ready.
	started time.Time
	ready   time.Duration
}

// start starts a controller and waits until it is ready.
func (w *world) start(args ...string) *replica {
	w.Helper()
	if _, err := w.Lab.Meshknot(); err != nil { // built before anything is measured
		w.Fatal(err)
	}
	r := &replica{world: w, started: time.Now()}
	var err error
	r.Controller, err = w.Controller(args...)
	w.must(err)
	r.ready = time.Since(r.started)
	return r
}

// settle waits until the controller has nothing left to do.
func (r *replica) settle() {
	r.world.Helper()
	r.world.must(r.world.Lab.Eventually("controller that has written everything", settling, func() bool { return r.Metric("meshknot_settled") == "1" }))
}

// peak is the most memory that the process had resident, in MiB.
func (r *replica) peak() float64 {
	r.world.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID()))
	r.world.must(err)
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	r.world.must(err)
	return float64(n) / 1024
}

// cpu is the processor time that the process has taken, in seconds.
func (r *replica) cpu() float64 {
	r.world.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.PID()))
	r.world.must(err)
	_, rest, _ := strings.Cut(string(text), ") ")
	ticks := 0
	for _, field := range strings.Fields(rest)[11:13] { // of itself and of the kernel for it
		n, err := strconv.Atoi(field)
		r.world.must(err)
		ticks += n
	}
	return float64(ticks) / 100
}

// numbers are the values of the metrics whose names begin so.
func (r *replica) numbers(prefix string) map[string]float64 {
	r.world.Helper()
	answer, err := http.Get("http://" + lab.Local(r.Metrics) + "/metrics")
	r.world.must(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	r.world.must(err)
	out := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, prefix) {
			n, err := strconv.ParseFloat(value, 64)
			r.world.must(err)
			out[name] = n
		}
	}
	return out
}

// wrote are the requests of controllers that changed something, oldest first, but for
// those about who leads.
func (w *world) wrote() (out []string) {
	w.Helper()
	all, err := w.Audited()
	w.must(err)
	for _, e := range all {
		agent, _ := e["userAgent"].(string)
		uri, _ := e["requestURI"].(string)
		if !strings.HasPrefix(agent, "meshknot/") || strings.Contains(uri, "/leases") || strings.Contains(uri, ".k8s.io/") && strings.Contains(uri, "reviews") {
			continue
		}
		path, _, _ := strings.Cut(uri, "?")
		out = append(out, fmt.Sprint(e["verb"], " ", path))
	}
	return out
}
