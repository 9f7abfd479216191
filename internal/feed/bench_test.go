package feed_test

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/scale"
	"github.com/meshknot/meshknot/translators/input"
)

// BenchmarkSync reads 10,000 objects of a real API server: the time to have them
// all, decoded, what each takes in the heap, and how large the process was at most.
func BenchmarkSync(b *testing.B) {
	_, k := lab.KubeForTest(b)
	must(b, k.Define(lab.OurCRDs))
	fill(b, k, 10_000)
	c, err := k.Config()
	must(b, err)
	before := heap()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600) // the peak is counted from here
	known := map[input.ID]feed.Change{}
	for b.Loop() {
		known = map[input.ID]feed.Change{}
		f, err := feed.New(c, pipeline())
		must(b, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		for _, change := range (<-f.Batches()).Changes {
			known[change.ID] = change
		}
		b.StopTimer()
		b.ReportMetric(float64(int64(heap())-int64(before))/float64(len(known)), "B/object")
		cancel()
		must(b, <-done)
		b.StartTimer()
	}
	b.ReportMetric(float64(len(known)), "objects")
	b.ReportMetric(peak(b), "MiB-peak")
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// peak is how large the process was, in MiB.
func peak(tb testing.TB) float64 {
	text, err := os.ReadFile("/proc/self/status")
	must(tb, err)
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	must(tb, err)
	return float64(n) / 1024
}

// fill writes a mesh of so many objects.
func fill(tb testing.TB, k *lab.Kube, many int) {
	tb.Helper()
	documents := scale.Mesh{Services: many / 7, Splits: true}.Documents()
	namespaces := map[string]bool{}
	for _, d := range documents {
		namespaces[d.Namespace] = true
	}
	for n := range namespaces {
		must(tb, k.Apply(lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": n}}))
	}
	var g errgroup.Group
	g.SetLimit(8)
	for _, d := range documents {
		g.Go(func() error {
			var o lab.Object
			if err := yaml.Unmarshal([]byte(d.Text), &o); err != nil {
				return err
			}
			_, err := k.Create(o)
			return err
		})
	}
	must(tb, g.Wait())
}
