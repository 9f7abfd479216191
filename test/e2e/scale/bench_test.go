package scale_test

import (
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/scale"
)

// within is how long a process may take to end, settling how long everything to be written.
const (
	within   = 30 * time.Second
	settling = 3 * time.Minute
)

// many is a mesh of 10,000 objects.
var many = scale.Mesh{Services: 1250, Splits: true}

// BenchmarkStart starts the controller in a cluster of 10,000 objects: the seconds
// until it is ready and until everything is written, and the memory that it took at
// most; first where nothing is written yet, then where everything is.
func BenchmarkStart(b *testing.B) {
	w := newWorld(b, many, "istio")
	for _, state := range []string{"unwritten", "written"} {
		b.Run(state, func(b *testing.B) {
			for b.Loop() {
				before := len(w.wrote())
				r := w.start()
				ready, cpu := r.peak(), r.cpu()
				b.ReportMetric(cpu, "cpu-s-ready")
				r.settle()
				b.ReportMetric(r.cpu(), "cpu-s-settled")
				b.ReportMetric(r.ready.Seconds(), "s-ready")
				b.ReportMetric(time.Since(r.started).Seconds(), "s-settled")
				b.ReportMetric(ready, "MiB-ready")
				b.ReportMetric(r.peak(), "MiB-peak")
				b.ReportMetric(float64(len(w.wrote())-before), "writes")
				b.ReportMetric(float64(w.objects), "objects")
				w.must(r.Terminate(within))
			}
		})
	}
}
