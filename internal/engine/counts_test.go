package engine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/test/scale"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

const shop = `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: a}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.0.0.1, selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.1.0.1], conditions: {ready: true}}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {serviceAccountName: web, containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
status: {podIP: 10.1.0.1, startTime: "2024-01-01T00:00:00Z"}
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: web, namespace: shop}
spec:
  destination: {kind: ServiceAccount, name: web, namespace: shop}
  rules: [{kind: HTTPRouteGroup, name: web}]
  sources: [{kind: ServiceAccount, name: edge, namespace: shop}]
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: web, namespace: shop}
spec: {matches: [{name: api, pathRegex: /api, methods: [GET]}]}
`

// written are the places that a step writes, or empties.
func written(s engine.Step) (out []string) {
	for _, c := range s.Changed {
		for _, a := range c.Put {
			out = append(out, c.Target.Backend+" "+a.ID.Name)
		}
		for _, slot := range c.Remove {
			out = append(out, c.Target.Backend+" -"+slot.ID.Name)
		}
	}
	return out
}

// An edit compiles what it concerns and writes what says something else: mostly nothing.
func TestEditsThatSayNothing(t *testing.T) {
	for _, test := range []struct {
		name, old, text     string
		recompiled, written []string
	}{
		{"a comment", "kind: Namespace", "# moved\nkind: Namespace", nil, nil},
		{"a pod restart in its place", `startTime: "2024-01-01`, `startTime: "2024-01-02`, nil, nil},
		{"a namespace label that nobody asks for", "team: a", "team: b", nil, nil},
		{"a pod at another address", "endpoints: [{addresses: [10.1.0.1]", "endpoints: [{addresses: [10.1.0.9]",
			[]string{"Endpoints shop/web"}, []string{"envoy service|web.shop|80", "grpc service|web.shop|80"}},
		{"a grant", "methods: [GET]", "methods: [PUT]", []string{"Workload shop/web"}, []string{"envoy workload"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy"}, {Backend: "grpc"}}, nil)
			first := e.Update(input.StoreOf(read(t, []byte(shop)), input.Settings{}))
			if len(first.Recompiled) < 4 || len(written(first)) < 4 {
				t.Fatalf("at first %v compiled, %v written", first.Recompiled, written(first))
			}
			docs := strings.Split(strings.Replace(shop, test.old, test.text, 1), "---\n")
			slices.Reverse(docs) // every document moves, too
			for i, d := range docs {
				docs[i] = strings.TrimSpace(d) + "\n"
			}
			step := e.Update(input.StoreOf(read(t, []byte(strings.Join(docs, "---\n"))), input.Settings{}))
			var keys []string
			for _, k := range step.Recompiled {
				keys = append(keys, k.String())
			}
			if !slices.Equal(keys, test.recompiled) {
				t.Errorf("compiled %v, want %v", keys, test.recompiled)
			}
			if got := written(step); len(got) < len(test.written) || len(test.written) == 0 && len(got) > 0 {
				t.Errorf("wrote %v, want %v", got, test.written)
			}
		})
	}
}

// What an edit costs does not hang on what else there is: as many questions are asked
// and as many units compiled in a mesh of ten times the size.
func TestCostFollowsTheChange(t *testing.T) {
	var compiled []int
	for _, n := range []int{100, 1000} {
		mesh := scale.Edge{Routes: n, Hosts: n / 10}
		text := string(mesh.YAML())
		e := engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy"}}, nil)
		e.Update(input.StoreOf(read(t, []byte(text)), input.Settings{}))
		step := e.Apply([]input.Edit{edited(t, text)})
		compiled = append(compiled, len(step.Recompiled))
		if got := written(step); len(got) != 1 {
			t.Errorf("%d routes: wrote %v", n, got)
		}
	}
	if compiled[0] != compiled[1] || compiled[0] > 5 {
		t.Errorf("compiled %v units", compiled)
	}
}

// edited is an edit of a route in the text of a scale.Edge.
func edited(tb testing.TB, text string) input.Edit {
	tb.Helper()
	at := strings.Index(text, "kind: HTTPRoute\nmetadata: {name: r7,")
	end := at + strings.Index(text[at:], "\n---")
	o := read(tb, []byte("apiVersion: gateway.networking.k8s.io/v1\n"+strings.Replace(text[at:end], "weight: 90", "weight: 91", 1)))[0]
	return input.Edit{ID: o.ID, Objects: []input.Object{o}}
}

// crashing is a front end that panics at a Service of a name.
type crashing struct{ translators.Frontend }

func (c crashing) Lower(r input.Reader, u *ir.Unit) report.Report {
	if u.Workload != nil {
		if o, _ := r.Get(input.ID{Kind: "ServiceAccount", Namespace: u.Workload.Namespace, Name: u.Workload.Account}); o.Labels["crash"] != "" {
			panic("a defect")
		}
	}
	return c.Frontend.Lower(r, u)
}

// A defect that shows in one unit ends nothing: what was made of the unit stays, and
// it is made again when what it asked for changes. One that was never made, and says
// who may call, withholds the output.
func TestDefectInOneUnit(t *testing.T) {
	p := all.Pipeline()
	p.Frontends = slices.Clone(p.Frontends)
	p.Frontends[0] = crashing{p.Frontends[0]}
	objects := read(t, []byte(shop))
	i := slices.IndexFunc(objects, func(o input.Object) bool { return o.Kind == "ServiceAccount" })
	good := objects[i]
	bad := good
	bad.Labels = map[string]string{"crash": "yes"}
	targets := []translators.Target{{Backend: "envoy"}}
	e := engine.New(p, targets, nil)
	want := e.Run(input.StoreOf(objects, input.Settings{})).Outputs[0].Artifacts
	crashed := func(r engine.Result) bool {
		return slices.ContainsFunc(r.Findings, func(f report.Finding) bool { return f.Code == report.Crashed && f.Source == good.Ref("") })
	}
	if s := e.Apply([]input.Edit{{ID: bad.ID, Objects: []input.Object{bad}}}); len(s.Changed) > 0 || !crashed(e.Result()) {
		t.Errorf("changed %v, found %v", s.Changed, e.Result().Findings)
	}
	if got := e.Result().Outputs[0].Artifacts; len(got) != len(want) {
		t.Errorf("%d artifacts, want %d", len(got), len(want))
	}
	if e.Apply([]input.Edit{{ID: good.ID, Objects: []input.Object{good}}}); crashed(e.Result()) {
		t.Error("the defect is said to be there still")
	}
	objects[i] = bad
	fresh := engine.New(p, targets, nil)
	if r := fresh.Run(input.StoreOf(objects, input.Settings{})); !crashed(r) || !r.Outputs[0].Withheld {
		t.Errorf("withheld: %v, found %v", r.Outputs[0].Withheld, r.Findings)
	}
	fresh.Apply([]input.Edit{{ID: good.ID, Objects: []input.Object{good}}})
	if r := fresh.Result(); crashed(r) || r.Outputs[0].Withheld || len(r.Outputs[0].Artifacts) != len(want) {
		t.Errorf("after the defect: %v", r.Outputs[0])
	}
}
