package faults

import (
	"net/http"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// definition names the definition of a kind.
func definition(name string) lab.Object {
	return cluster.Object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name)
}

// undefine takes a definition away, and waits until it is gone, with all its objects.
func (w *world) undefine(name string) {
	w.Helper()
	w.must(w.Delete(definition(name)))
	w.eventually("end of "+name, func() (bool, any) {
		o, err := w.Get(definition(name))
		return lab.IsStatus(err, http.StatusNotFound), o
	})
}

// Definitions come late, of what is written and of what is read, and both are taken up
// when they do. Those that go take no policy along.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.KubeOptions{}, lab.GatewayAPICRDs)
	w.undefine(splitsKind)
	w.must(w.Apply(bound(binding, onIstio)))
	w.must(w.Apply(group("GET")))
	w.must(w.Apply(target()))
	r := w.replica("--roles=writer")

	// Istio's are missing.
	targetReport := func() cluster.Report {
		return w.Report(accessGroup, "TrafficTarget", shop, "web-reads-reviews", binding)
	}
	w.eventually("report that says what is missing", func() (bool, any) {
		said := targetReport()
		return said.Conditions["Programmed"] == "False/KindNotServed" && strings.Contains(said.Messages["Programmed"], "security.istio.io"), said
	})
	w.ready(r)
	w.must(w.Define(lab.IstioCRDs))
	w.eventually("target that is in force", func() (bool, any) { said := targetReport(); return said.Programmed(1), said })

	// SMI's TrafficSplit is.
	w.must(w.Define(lab.OurCRDs))
	w.weight(1)

	// TrafficSplit goes, and the splits with it.
	w.undefine(splitsKind)
	w.trouble(r, splitsKind, true)
	w.regroup("GET", "HEAD")
	if got := w.weights(); got != reduced(1) {
		t.Errorf("without the definition of splits there are %q", got)
	}
	if said := w.splitReport(binding); !said.Programmed(1) {
		t.Errorf("without the definition of splits it is said: %s", said)
	}
	for _, q := range w.gate.written("") {
		if q.method == http.MethodDelete {
			t.Errorf("%s: nobody asked for that", q)
		}
	}
	w.ready(r)

	// It comes back, with the split as it was and then as it never was.
	w.must(w.Define(lab.OurCRDs))
	w.must(w.Apply(split(1)))
	w.trouble(r, splitsKind, false)
	w.must(w.Apply(split(2)))
	w.inForce(binding, 2)
	if got := w.weights(); got != reduced(2) {
		t.Errorf("with the definition again there are %q", got)
	}
	for _, q := range w.gate.written("") {
		if q.method == http.MethodDelete {
			t.Errorf("%s: nobody asked for that", q)
		}
	}
}
