package consul

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/test/schema"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var asObjects = translators.Target{Options: map[string]string{"form": "kubernetes", "namespace": "mesh"}}

// made translates units as they stand, joins the parts, and holds every entry
// against Consul's own client and, as an object, against its definitions.
func made(t *testing.T, target translators.Target, units ...ir.Unit) ([]translators.Artifact, report.Report) {
	t.Helper()
	before := encode(t, units)
	out := assembled(target, units...)
	for _, a := range out.Artifacts {
		if err := schema.ConsulEntry(a.Payload.(object)); err != nil {
			t.Errorf("%s %s: %v\n%s", a.ID.Type, a.ID.Name, err, encode(t, a.Payload))
		}
		if want := "consul/" + a.Payload.(object)["Kind"].(string); a.ID.Type != want {
			t.Errorf("ID %v of %s", a.ID, encode(t, a.Payload))
		}
	}
	objects := translators.Target{Options: maps.Clone(asObjects.Options)}
	maps.Copy(objects.Options, target.Options)
	again := assembled(objects, units...)
	if len(again.Artifacts) != len(out.Artifacts) {
		t.Errorf("%d entries and %d objects", len(out.Artifacts), len(again.Artifacts))
	}
	if definitions() {
		for _, a := range again.Artifacts {
			if err := schema.Consul(a.Payload.(object)); err != nil {
				t.Errorf("%s %s: %v\n%s", a.ID.Type, a.ID.Name, err, encode(t, a.Payload))
			}
		}
	}
	if encode(t, units) != before {
		t.Errorf("the units were changed")
	}
	return out.Artifacts, out.Findings
}

// definitions reports whether Consul's definitions of objects are there.
var definitions = sync.OnceValue(func() bool { _, ok := schema.Folder(); return ok })

func assembled(target translators.Target, units ...ir.Unit) translators.Output {
	b := New()
	var pieces []translators.Piece
	for _, u := range units {
		artifacts, found := b.Translate(u, target)
		for i := range artifacts {
			artifacts[i].Unit = u.Key()
		}
		pieces = append(pieces, translators.Piece{Artifacts: artifacts, Findings: found})
	}
	target.Backend = b.Name()
	return translators.Assemble(b, target, pieces, nil)
}

// left is what the table leaves of a unit.
func left(u ir.Unit, target translators.Target) (ir.Unit, report.Report) {
	v := feature.Check(u, "consul", New().Supports(target), nil)
	return v.Unit, v.Findings
}

func kinds(out []translators.Artifact) []string {
	var names []string
	for _, a := range out {
		names = append(names, strings.TrimPrefix(a.ID.Type, "consul/")+" "+a.ID.Name)
	}
	return names
}

// only returns the one entry of a kind and name.
func only(t *testing.T, out []translators.Artifact, kind, name string) object {
	t.Helper()
	i := slices.IndexFunc(out, func(a translators.Artifact) bool { return a.ID.Type == "consul/"+kind && a.ID.Name == name })
	if i < 0 {
		t.Fatalf("no %s %s in %v", kind, name, kinds(out))
	}
	return out[i].Payload.(object)
}

// is compares a value with YAML.
func is(t *testing.T, got any, want string) {
	t.Helper()
	var w any
	if err := yaml.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("bad expectation: %v", err)
	}
	if g, w := encode(t, got), encode(t, w); g != w {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}

func ref(kind, name, field string) report.Ref {
	return report.Ref{Kind: kind, Namespace: "shop", Name: name, Field: field}
}

func shop(name string) ir.Name { return ir.Name{Namespace: "shop", Name: name} }

func all() ir.Match { return ir.MatchAll(report.Ref{}) }

func onPath(kind ir.MatchKind, value string) ir.Match {
	m := all()
	m.Path = ir.StringMatch{Kind: kind, Value: value}
	return m
}

func method(names ...string) ir.Match {
	m := all()
	m.Methods = names
	return m
}

func withHeader(name string, kind ir.MatchKind, value string) ir.Match {
	m := all()
	m.Headers = []ir.HeaderMatch{{Name: name, Value: ir.StringMatch{Kind: kind, Value: value}}}
	return m
}

func to(name string, weight uint32) ir.Backend {
	return ir.Backend{Service: shop(name), Port: 80, Weight: weight}
}

func nowhere(name string, weight uint32) ir.Backend {
	b := to(name, weight)
	b.Invalid = "there is no Service shop/" + name
	return b
}

func route(name string, matches []ir.Match, backends ...ir.Backend) ir.Route {
	return ir.Route{Name: name, Ref: ref("TrafficSplit", name, "spec"), Matches: matches, Backends: backends}
}

// reviews is a Service with one port; its last route leads to itself.
func reviews(p ir.Protocol, routes ...ir.Route) ir.Unit {
	return ir.Unit{Service: &ir.Service{Namespace: "shop", Name: "reviews", Ref: ref("Service", "reviews", ""), Ports: []ir.Port{{
		Number: 80, Protocol: p, Routes: append(routes, route("default", []ir.Match{all()}, to("reviews", 1))),
	}}}}
}

// workload denies what is not granted. Its pods are behind Services of a port each.
func workload(account string, p ir.Protocol, services []string, grants ...ir.Grant) ir.Unit {
	w := &ir.Workload{
		Namespace: "shop", Account: account, Ref: ref("ServiceAccount", account, ""), Enforced: true, Grants: grants,
		Pods: []ir.PodClass{{Labels: map[string]string{"app": account}}},
	}
	for i, s := range services {
		w.Ports = append(w.Ports, ir.WorkloadPort{Number: int32(8080 + i), Protocol: p, Services: []ir.ServicePort{{Service: shop(s), Port: 80}}})
	}
	return ir.Unit{Workload: w}
}

func caller(name string) ir.Source {
	return ir.Source{Identity: ir.Identity{Namespace: "shop", Account: name + "-account"}, Services: []ir.Name{shop(name)}}
}

// grant opens port 8080 to a caller.
func grant(from string, matches ...ir.Match) ir.Grant {
	return ir.Grant{
		Name: shop("grant-" + from), Ref: ref("TrafficTarget", "grant-"+from, "spec"),
		Sources: []ir.Source{caller(from)}, Ports: []ir.GrantPort{{Number: 8080}}, Matches: matches,
	}
}
