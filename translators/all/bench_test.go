package all

import (
	"fmt"
	"testing"

	"github.com/meshknot/meshknot/test/scale"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
)

// shop has n Services, each split in two, each with a grant of its own.
func shop(n int) []byte { return scale.Mesh{Services: n, Splits: true}.YAML() }

func read(tb testing.TB, text []byte) *input.Store {
	tb.Helper()
	set, found := input.ReadFiles([]input.File{{Name: "shop.yaml", Data: text}}, input.Options{Schemas: Pipeline().Schemas()})
	if len(found) > 0 {
		tb.Fatal(found[0])
	}
	return input.NewStore(set, input.Settings{})
}

var sizes = []int{100, 1000, 10000}

func BenchmarkRead(b *testing.B) {
	for _, n := range sizes {
		text := shop(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				read(b, text)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*7), "ns/object")
		})
	}
}

func BenchmarkLower(b *testing.B) {
	for _, n := range sizes {
		text := shop(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) { lowered(b, text) })
	}
}

// lowered measures how long it takes to lower what a text says.
func lowered(b *testing.B, text []byte) {
	b.ReportAllocs()
	units := 0
	for b.Loop() {
		b.StopTimer()
		s := read(b, text) // a new store: its indexes are part of the cost
		b.StartTimer()
		u, _ := Pipeline().Lower(s)
		units = len(u)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*units), "ns/unit")
}

func BenchmarkTranslate(b *testing.B) {
	for _, n := range sizes {
		units, _ := Pipeline().Lower(read(b, shop(n)))
		for _, backend := range Pipeline().Backends {
			b.Run(fmt.Sprintf("%s/%d", backend.Name(), n), func(b *testing.B) {
				b.ReportAllocs()
				t := translators.Target{Backend: backend.Name()}
				if t.Backend == "gateway-api" { // else it is withheld
					t.Options = map[string]string{"authorization": "istio"}
				}
				for b.Loop() {
					if out, _ := translators.Make(units, backend, t, nil); len(out.Artifacts) < n || out.Refused() {
						b.Fatal("the benchmark's own policy is not translated")
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(units)), "ns/unit")
			})
		}
	}
}
