package all

import (
	"testing"

	"github.com/meshknot/meshknot/test/scale"
	"github.com/meshknot/meshknot/translators"
)

var crowds = []struct {
	name  string
	hosts int
}{{"own-hosts", 0}, {"five-hosts", 5}, {"one-host", 1}}

// BenchmarkGateway lowers 1,000 HTTPRoutes on one Gateway, and makes Envoy's
// configuration of them.
func BenchmarkGateway(b *testing.B) {
	envoy, _ := Pipeline().Backend("envoy")
	for _, c := range crowds {
		text := scale.Edge{Routes: 1000, Hosts: c.hosts}.YAML()
		b.Run("lower/"+c.name, func(b *testing.B) { lowered(b, text) })
		units, _ := Pipeline().Lower(read(b, text))
		b.Run("envoy/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, u := range units {
					translators.Translate(u, envoy, translators.Target{Backend: "envoy"}, nil)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(units)), "ns/unit")
		})
	}
}
