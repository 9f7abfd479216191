package istio

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/test/schema"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/interpret"
	reader "github.com/meshknot/meshknot/translators/interpret/istio"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

func ref(kind, name, field string) report.Ref {
	return report.Ref{Kind: kind, Namespace: "shop", Name: name, Field: field}
}

func all() ir.Match { return ir.MatchAll(report.Ref{}) }

func path(kind ir.MatchKind, value string) ir.Match {
	m := all()
	m.Path = ir.StringMatch{Kind: kind, Value: value}
	return m
}

func method(names ...string) ir.Match {
	m := all()
	m.Methods = names
	return m
}

func header(name string, kind ir.MatchKind, value string) ir.Match {
	m := all()
	m.Headers = []ir.HeaderMatch{{Name: name, Value: ir.StringMatch{Kind: kind, Value: value}}}
	return m
}

func to(name string, port int32, weight uint32) ir.Backend {
	return ir.Backend{Service: ir.Name{Namespace: "shop", Name: name}, Port: port, Weight: weight}
}

func missing(name string, weight uint32) ir.Backend {
	b := to(name, 9080, weight)
	b.Invalid = "there is no Service shop/" + name
	return b
}

func route(name string, matches []ir.Match, backends ...ir.Backend) ir.Route {
	return ir.Route{Name: name, Ref: ref("TrafficSplit", name, "spec"), Matches: matches, Backends: backends}
}

// reviews is a Service with a port; its last route leads to itself.
func reviews(port int32, p ir.Protocol, routes ...ir.Route) ir.Service {
	return ir.Service{Namespace: "shop", Name: "reviews", Ref: ref("Service", "reviews", ""), Ports: []ir.Port{{
		Number: port, Protocol: p, Routes: append(routes, route("default", []ir.Match{all()}, to("reviews", port, 1))),
	}}}
}

// bookstore is a workload with one class of pods that denies what is not granted.
func bookstore(grants ...ir.Grant) ir.Workload {
	return ir.Workload{
		Namespace: "shop", Account: "bookstore", Ref: ref("ServiceAccount", "bookstore", ""), Enforced: true,
		Pods: []ir.PodClass{{Labels: map[string]string{"app": "bookstore", "tier": "back"}}},
		Ports: []ir.WorkloadPort{
			{Number: 8080, Protocol: ir.HTTP, Services: []ir.ServicePort{{Service: ir.Name{Namespace: "shop", Name: "bookstore"}, Port: 80}}},
			{Number: 6379, Protocol: ir.TCP, Services: []ir.ServicePort{{Service: ir.Name{Namespace: "shop", Name: "cache"}, Port: 6379}}},
		},
		Because: []report.Ref{ref("TrafficTarget", "buyers", "spec.destination")},
		Grants:  grants,
	}
}

func caller(account string) ir.Source {
	return ir.Source{Identity: ir.Identity{Namespace: "front", Account: account}}
}

func grant(ports []int32, matches ...ir.Match) ir.Grant {
	g := ir.Grant{
		Name: ir.Name{Namespace: "shop", Name: "buyers"}, Ref: ref("TrafficTarget", "buyers", "spec"),
		Sources: []ir.Source{caller("web")}, Matches: matches,
	}
	for _, p := range ports {
		g.Ports = append(g.Ports, ir.GrantPort{Number: p})
	}
	return g
}

// made translates a unit as it stands, holds every object against Istio's
// definitions, and checks that the unit was left alone.
func made(t *testing.T, u ir.Unit, target translators.Target) ([]translators.Artifact, report.Report) {
	t.Helper()
	before := encode(t, u)
	out, found := New().Translate(u, target)
	for _, a := range out {
		if err := schema.Istio(a.Payload.(object)); err != nil {
			t.Errorf("%s %s: %v\n%s", a.ID.Type, a.ID.Name, err, encode(t, a.Payload))
		}
		identified(t, a)
	}
	if encode(t, u) != before {
		t.Errorf("the unit was changed")
	}
	return out, found
}

// identified checks that an artifact is named as the object in it.
func identified(t *testing.T, a translators.Artifact) {
	t.Helper()
	o := a.Payload.(object)
	meta := o["metadata"].(object)
	kind, name := o["apiVersion"].(string)+"/"+o["kind"].(string), meta["namespace"].(string)+"/"+meta["name"].(string)
	if (a.ID != translators.ID{Type: kind, Name: name}) {
		t.Errorf("ID %v of object %s %s", a.ID, kind, name)
	}
}

// reading is what was made of a unit, as Istio reads it. The Services that routes
// lead to are there.
func reading(t *testing.T, target translators.Target, out []translators.Artifact, u ir.Unit) interpret.Mesh {
	t.Helper()
	w := interpret.WorldOf([]ir.Unit{u})
	for _, name := range []string{"v1", "v2", "copies"} {
		port := ir.Port{Number: 9080, Protocol: ir.HTTP}
		w.Services[ir.Name{Namespace: "shop", Name: name}] = ir.Service{Namespace: "shop", Name: name, Ports: []ir.Port{port}}
	}
	mesh, err := reader.New(w, target, out)
	if err != nil {
		t.Fatal(err)
	}
	return mesh
}

// checked translates what the table leaves of a unit.
func checked(t *testing.T, u ir.Unit, target translators.Target) ([]translators.Artifact, feature.Verdict) {
	t.Helper()
	b := New()
	v := feature.Check(u, b.Name(), b.Supports(target), nil)
	out, found := made(t, v.Unit, target)
	v.Findings = append(v.Findings, found...)
	return out, v
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// specs lists the specifications of the artifacts of a kind.
func specs(out []translators.Artifact, kind string) []any {
	var found []any
	for _, a := range out {
		if o := a.Payload.(object); o["kind"] == kind {
			found = append(found, o["spec"])
		}
	}
	return found
}

// same compares a value with YAML.
func same(t *testing.T, got any, want string) {
	t.Helper()
	var w any
	if err := yaml.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("bad expectation: %v", err)
	}
	if g, w := encode(t, got), encode(t, w); g != w {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}

func names(out []translators.Artifact) []string {
	var n []string
	for _, a := range out {
		n = append(n, a.ID.Type[strings.LastIndex(a.ID.Type, "/")+1:]+" "+a.ID.Name)
	}
	slices.Sort(n)
	return n
}

func codes(found report.Report) []report.Code {
	var out []report.Code
	for _, f := range found {
		out = append(out, f.Code)
	}
	return out
}

// renamed changes every name in a workload.
func renamed(t *testing.T, w ir.Workload, names *strings.Replacer) ir.Workload {
	t.Helper()
	var out ir.Workload
	if err := json.Unmarshal([]byte(names.Replace(encode(t, w))), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func list(o object, field string) []object {
	in, _ := o[field].([]any)
	out := make([]object, len(in))
	for i := range in {
		out[i] = in[i].(object)
	}
	return out
}
