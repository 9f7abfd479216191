package ask

import (
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/semantics"
)

func program() Program { return Program{all.Pipeline(), all.Interpreter} }

// reading reads an input that must be without error.
func reading(tb testing.TB, s input.Settings, text string) (*input.Set, *input.Store) {
	tb.Helper()
	set, found := input.ReadFiles([]input.File{{Name: "in.yaml", Data: []byte(text)}}, input.Options{Schemas: program().Schemas()})
	for _, f := range found {
		tb.Fatalf("%s: %s", f.At, f.Message)
	}
	return set, input.NewStore(set, s)
}

func call(tb testing.TB, text string) semantics.Request {
	tb.Helper()
	q, err := semantics.ParseRequest(text)
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

// believer is a mesh that sends calls where they are addressed to and lets all in.
type believer struct{ refuse bool }

func (b believer) Route(q semantics.Request) interpret.Routed {
	return interpret.Routed{
		Decision: semantics.Decision{Verdict: semantics.Allow, Sent: semantics.Sent{Path: q.Path, Headers: q.Headers},
			Shares: []semantics.Share{{Service: q.Service, Port: q.Port, Percent: 100, Allowed: true}}},
		By: []translators.ID{{Type: "v1/Route", Name: "all"}},
	}
}

func (b believer) Admit(interpret.Arrival) interpret.Admission {
	return interpret.Admission{Allowed: !b.refuse, By: []translators.ID{{Type: "v1/Guard", Name: "all"}}}
}

// believing is a program whose back ends are all read as believers.
func believing(refuse bool) Program {
	p := program()
	p.Interpreter = func(string) (interpret.New, bool) {
		return func(interpret.World, translators.Target, []translators.Artifact) (interpret.Mesh, error) {
			return believer{refuse}, nil
		}, true
	}
	return p
}

const shop = `
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: reviews-v2, namespace: shop}
spec: {selector: {app: reviews, v: "2"}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews, v: "2"}}
  template:
    metadata: {labels: {app: reviews, v: "2"}}
    spec: {serviceAccountName: reviews, containers: [{name: app, image: app}]}
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: api, namespace: shop}
spec: {matches: [{name: read, pathRegex: /reviews, methods: [GET]}, {name: write, pathRegex: /reviews, methods: [PUT], headers: [{x-key: "1"}]}]}
---
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: reviews, namespace: shop}
spec:
  service: reviews
  backends: [{service: reviews, weight: 3}, {service: reviews-v2, weight: 1}]
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: web, namespace: shop}
spec:
  destination: {kind: ServiceAccount, name: reviews, namespace: shop}
  rules: [{kind: HTTPRouteGroup, name: api, matches: [read, write]}]
  sources: [{kind: ServiceAccount, name: web, namespace: shop}]
`

// without returns shop with some words replaced.
func without(old, replacement string) string { return strings.Replace(shop, old, replacement, 1) }
