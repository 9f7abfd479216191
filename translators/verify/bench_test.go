package verify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/envoy"
	"github.com/meshknot/meshknot/translators/verify"
)

// mesh writes n Services, each with an account of its own that some others may
// call by some paths, and each split with the next.
func mesh(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, block, i, i%50, i/50*50+(i+1)%50, i/250, i%250+1)
	}
	return []byte(b.String())
}

const block = `---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {clusterIP: 10.0.%[4]d.%[5]d, selector: {app: s%[1]d}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: s%[1]d, namespace: n%[2]d}
spec:
  selector: {matchLabels: {app: s%[1]d}}
  template:
    metadata: {labels: {app: s%[1]d}}
    spec: {serviceAccountName: s%[1]d, containers: [{name: app, image: app}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: s%[1]d, namespace: n%[2]d}
spec:
  parentRefs: [{group: "", kind: Service, name: s%[1]d, port: 80}]
  rules:
  - matches: [{path: {value: /api}, headers: [{name: x-canary, value: "yes"}]}, {path: {value: /next}}]
    backendRefs: [{name: s%[1]d, port: 80, weight: 4}, {name: s%[1]d-next, port: 80}]
  - backendRefs: [{name: s%[1]d, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d-next, namespace: n%[2]d}
spec: {clusterIP: 10.1.%[4]d.%[5]d, selector: {app: s%[1]d}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {matches: [{name: api, pathRegex: "/api/v[0-9]+/.*", methods: [GET, POST]}, {name: own, headers: [{x-own: "1"}]}]}
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: s%[1]d, namespace: n%[2]d}
spec:
  destination: {kind: ServiceAccount, name: s%[1]d, namespace: n%[2]d}
  rules: [{kind: HTTPRouteGroup, name: s%[1]d, matches: [api, own]}]
  sources: [{kind: ServiceAccount, name: web, namespace: front}, {kind: ServiceAccount, name: s%[3]d, namespace: n%[2]d}]
`

// BenchmarkVerify compares what it takes to make the configuration of 1,000
// Services, each of them with a second one for its canary, with what it takes to
// decide on it.
func BenchmarkVerify(b *testing.B) {
	set, found := input.ReadFiles([]input.File{{Name: "mesh.yaml", Data: mesh(1000)}}, input.Options{Schemas: all.Pipeline().Schemas()})
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
