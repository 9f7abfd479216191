package verify_test

import (
	"testing"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/test/scale"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/envoy"
	"github.com/meshknot/meshknot/translators/verify"
)

// mesh has 1,000 Services, each with an account of its own that some others may
// call by some paths, and each with a canary.
var mesh = scale.Mesh{Services: 1000, Routes: 1, Expressions: true, Neighbours: 1, Addressed: true}

// BenchmarkVerify compares what it takes to make the configuration of 1,000
// Services, each of them with a second one for its canary, with what it takes to
// decide on it.
func BenchmarkVerify(b *testing.B) {
	set, found := input.ReadFiles([]input.File{{Name: "mesh.yaml", Data: mesh.YAML()}}, input.Options{Schemas: all.Pipeline().Schemas()})
	if len(found) > 0 {
		b.Fatal(found[0])
	}
	targets := []translators.Target{{Backend: "envoy"}}
	run := func() engine.Result {
		return engine.New(all.Pipeline(), targets, nil).Run(input.NewStore(set, input.Settings{}))
	}
	b.Run("translate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			run()
		}
	})
	done := run()
	if done.Outputs[0].Refused() || len(done.Outputs[0].Artifacts) < 5000 {
		b.Fatal("the benchmark's own policy is not translated")
	}
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		w := interpret.WorldOf(done.Units)
		for b.Loop() {
			if _, err := envoy.New(w, targets[0], done.Outputs[0].Artifacts); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			result, err := verify.Check(interpret.WorldOf(done.Units), envoy.New, done.Outputs[0], done.Pieces[0])
			if err != nil || len(result.Differences) > 0 || result.Asked < 50_000 {
				b.Fatal(err, result.Asked, result.Differences[:min(3, len(result.Differences))])
			}
		}
	})
}
