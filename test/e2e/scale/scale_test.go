package scale_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/test/scale"
)

// A controller that starts where everything is written already writes nothing, and an
// edit writes what it changes: the object of the mesh, and one report.
func TestWritesAreWhatChanged(t *testing.T) {
	w := newWorld(t, scale.Mesh{Services: 12, Splits: true}, "istio")
	r := w.start()
	r.settle()
	list, err := w.List("meshknot.io/v1alpha1", "TranslationReport", "")
	w.must(err)
	if len(list) != w.reports() {
		t.Errorf("%d reports on %d objects", len(list), w.reports())
	}

	w.must(r.Terminate(within))
	before := w.wrote()
	r = w.start()
	r.settle()
	if d := cmp.Diff(before, w.wrote()); d != "" {
		t.Errorf("nothing changed, and a controller that started anew wrote (+):\n%s", d)
	}

	was := r.numbers("meshknot_event_to_write_seconds_count")
	w.must(w.Apply(w.object(w.mesh.Edited("TrafficSplit", 7, 1))))
	r.awaitReport(7, 2)
	r.settle()
	got := w.wrote()[len(before):]
	slices.Sort(got)
	const n7 = "/namespaces/n7/"
	want := []string{
		"patch /apis/networking.istio.io/v1" + n7 + "virtualservices/",
		"update /apis/meshknot.io/v1alpha1" + n7 + "translationreports/trafficsplit.split.s7",
		"update /apis/split.smi-spec.io/v1alpha4" + n7 + "trafficsplits/s7/status",
	}
	if len(got) != len(want) {
		t.Fatalf("one edit wrote\n%s", strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("one edit wrote %s, want %s", got[i], want[i])
		}
	}
	now := r.numbers("meshknot_event_to_write_seconds_count")
	for _, write := range []string{"artifact", "report"} {
		if name := count(write); now[name]-was[name] != 1 {
			t.Errorf("%s was %v and is %v", name, was[name], now[name])
		}
	}
}

// awaitReport waits until the report on the split of a Service speaks of a generation.
func (r *replica) awaitReport(service int, generation int64) {
	r.world.Helper()
	d := r.world.mesh.Edited("TrafficSplit", service, 0)
	r.world.must(r.world.Eventually("report on the edit", func() (bool, any) {
		s := r.world.Report("split.smi-spec.io", "TrafficSplit", d.Namespace, d.Name, "everything")
		return s.Programmed(generation), s
	}))
}
