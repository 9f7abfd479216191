package scale_test

import (
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/scale"
)

// within is how long a process may take to end, settling how long until everything
// is written.
const (
	within   = 30 * time.Second
	settling = 5 * time.Minute
)

// large is a mesh of 10,000 objects.
var large = scale.Mesh{Services: 1420, Splits: true}

// BenchmarkLarge runs the controller, with all its roles, in a cluster of 10,000
// objects that are bound to Istio. A start is measured where nothing is written yet,
// and where everything is: the seconds until the controller is ready and until
// everything is written, those of a processor, the most memory that it had, and what it
// wrote. Of an edit it is how long after the event at the API server the writing of the
// artifact and of the report began, and how many writes that was.
func BenchmarkLarge(b *testing.B) {
	w := newWorld(b, large, "istio")
	for _, state := range []string{"unwritten", "written"} {
		measured := w.measure()
		b.Run("start/"+state, func(b *testing.B) { // which is there to show it
			for b.Loop() {
			}
			b.ReportMetric(0, "ns/op")
			for unit, n := range measured {
				b.ReportMetric(n, unit)
			}
		})
	}
	r := w.start()
	r.settle()
	n := 0
	b.Run("edit", func(b *testing.B) {
		before, was := len(w.wrote()), r.numbers("meshknot_event_to_write_seconds")
		edits := 0
		for b.Loop() {
			n++
			edits++
			w.must(w.Apply(w.object(w.mesh.Edited("TrafficSplit", n%w.mesh.Services, 1+n/w.mesh.Services))))
			w.must(w.Lab.Eventually("report on the edit", within, func() bool {
				now := r.numbers("meshknot_event_to_write_seconds_count")
				return now[count("report")]-was[count("report")] == float64(edits)
			}))
		}
		b.StopTimer()
		r.settle()
		now := r.numbers("meshknot_event_to_write_seconds")
		for _, write := range []string{"artifact", "report"} {
			b.ReportMetric(1000*(now[sum(write)]-was[sum(write)])/float64(edits), "ms-to-"+write)
		}
		b.ReportMetric(float64(len(w.wrote())-before)/float64(edits), "writes/edit")
	})
	w.must(r.Terminate(within))
}

func count(write string) string {
	return `meshknot_event_to_write_seconds_count{write="` + write + `"}`
}

func sum(write string) string { return `meshknot_event_to_write_seconds_sum{write="` + write + `"}` }

// measure starts a controller, waits until everything is written, and ends it.
func (w *world) measure() map[string]float64 {
	w.Helper()
	before := len(w.wrote())
	r := w.start()
	out := map[string]float64{"s-ready": r.ready.Seconds(), "cpu-s-ready": r.cpu(), "MiB-ready": r.peak()}
	r.settle()
	out["s-settled"], out["cpu-s-settled"], out["MiB-peak"] = time.Since(r.started).Seconds(), r.cpu(), r.peak()
	out["writes"], out["objects"] = float64(len(w.wrote())-before), float64(w.objects)
	w.must(r.Terminate(within))
	return out
}
