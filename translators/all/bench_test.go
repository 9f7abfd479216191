package all

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
)

// shop writes n Services, each split in two, each with a grant of its own.
func shop(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, block, i, i%50)
	}
	return []byte(b.String())
}

const block = `---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {selector: {app: s%[1]d}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d-v1, namespace: n%[2]d}
spec: {selector: {app: s%[1]d, v: "1"}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d-v2, namespace: n%[2]d}
spec: {selector: {app: s%[1]d, v: "2"}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: s%[1]d-v1, namespace: n%[2]d}
spec:
  selector: {matchLabels: {app: s%[1]d, v: "1"}}
  template:
    metadata: {labels: {app: s%[1]d, v: "1"}}
    spec: {serviceAccountName: s%[1]d, containers: [{name: app, image: app}]}
---
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: s%[1]d, namespace: n%[2]d}
spec:
  service: s%[1]d
  backends: [{service: s%[1]d-v1, weight: 80}, {service: s%[1]d-v2, weight: 20}]
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {matches: [{name: api, pathRegex: /api, methods: [GET]}]}
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: s%[1]d, namespace: n%[2]d}
spec:
  destination: {kind: ServiceAccount, name: s%[1]d, namespace: n%[2]d}
  rules: [{kind: HTTPRouteGroup, name: s%[1]d, matches: [api]}]
  sources: [{kind: ServiceAccount, name: web, namespace: front}]
`

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
		b.Run(fmt.Sprint(n), func(b *testing.B) {
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
		})
	}
}

func BenchmarkTranslate(b *testing.B) {
	for _, n := range sizes {
		units, _ := Pipeline().Lower(read(b, shop(n)))
		for _, backend := range Pipeline().Backends {
			b.Run(fmt.Sprintf("%s/%d", backend.Name(), n), func(b *testing.B) {
				b.ReportAllocs()
				t := translators.Target{Backend: backend.Name()}
				for b.Loop() {
					pieces := make([]translators.Piece, 0, len(units))
					for _, u := range units {
						pieces = append(pieces, translators.Translate(u, backend, t, nil))
					}
					if out := translators.Assemble(backend, t, pieces, nil); len(out.Artifacts) < n || out.Refused() {
						b.Fatal("the benchmark's own policy is not translated")
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(units)), "ns/unit")
			})
		}
	}
}
