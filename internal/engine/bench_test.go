package engine_test

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/test/scale"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
)

// read returns the objects of documents, of which all have to be understood.
func read(tb testing.TB, text []byte) []input.Object {
	tb.Helper()
	set, found := input.ReadFiles([]input.File{{Name: "mesh.yaml", Data: text}},
		input.Options{Schemas: all.Pipeline().Schemas(), Limits: input.Limits{FileBytes: 1 << 30, TotalBytes: 1 << 30, Objects: 1 << 20, Values: 1 << 30}})
	if len(found) > 0 || len(set.Rejected) > 0 {
		tb.Fatal(found)
	}
	return set.Objects
}

// cpu is the time that all processors have spent on the process.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkEdit is B6: one HTTPRoute of many on a Gateway gets other weights, until
// Envoy's new resources are there. Reading the text is not in it.
func BenchmarkEdit(b *testing.B) {
	for _, n := range []int{1000, 10_000, 50_000} {
		for _, c := range []struct {
			name  string
			hosts int
		}{{"50-routes-per-host", n / 50}, {"5-hosts", 5}} {
			b.Run(fmt.Sprintf("%d-routes/%s", n, c.name), func(b *testing.B) {
				if testing.Short() && n > 1000 {
					b.Skip("takes minutes to be made")
				}
				benchmarkEdit(b, scale.Edge{Routes: n, Hosts: c.hosts})
			})
		}
	}
}

func benchmarkEdit(b *testing.B, mesh scale.Edge) {
	text := string(mesh.YAML())
	e := engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy"}}, nil)
	e.Update(input.StoreOf(read(b, []byte(text)), input.Settings{}))
	var forms [2]input.Object
	for i, weight := range []string{"weight: 90", "weight: 91"} {
		at := strings.Index(text, "kind: HTTPRoute\nmetadata: {name: r7,")
		end := at + strings.Index(text[at:], "\n---")
		doc := "apiVersion: gateway.networking.k8s.io/v1\n" + strings.Replace(text[at:end], "weight: 90", weight, 1)
		forms[i] = read(b, []byte(doc))[0]
	}
	runtime.GC() // of what reading left
	i, start := 0, cpu()
	b.ReportAllocs()
	for b.Loop() {
		i++
		o := forms[i%2]
		if s := e.Apply([]input.Edit{{ID: o.ID, Objects: []input.Object{o}}}); i > 1 && len(s.Changed) != 1 {
			b.Fatalf("%+v", s)
		}
	}
	b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "cpu-us/op")
}
