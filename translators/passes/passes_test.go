package passes_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/passes"
	"github.com/meshknot/meshknot/translators/report"
)

func run(u *ir.Unit) report.Report {
	var found report.Report
	for _, p := range passes.List() {
		found = append(found, p.Run(u)...)
	}
	return found
}

func ref(name string) report.Ref { return report.Ref{Kind: "TrafficSplit", Name: name} }

func path(value string) ir.Match {
	m := ir.MatchAll(ref(value))
	m.Path = ir.StringMatch{Kind: ir.MatchExact, Value: value}
	return m
}

func to(name string) ir.Backend {
	return ir.Backend{Service: ir.Name{Namespace: "shop", Name: name}, Port: 80, Weight: 1}
}

func TestEveryPassSaysWhy(t *testing.T) {
	for _, p := range passes.List() {
		if p.Name == "" || p.Why == "" || p.Run == nil {
			t.Errorf("%+v", p)
		}
	}
}

func TestDefault(t *testing.T) {
	at := report.Ref{Kind: "Service", Name: "s", Field: "spec.ports[0]"}
	own := ir.Route{Name: "default", Matches: []ir.Match{ir.MatchAll(at)}, Backends: []ir.Backend{to("s")}}
	u := ir.Unit{Service: &ir.Service{Namespace: "shop", Name: "s", Ports: []ir.Port{
		{Number: 80, Ref: at}, {Number: 81, Protocol: ir.GRPC, Routes: []ir.Route{own}},
	}}}
	if found := run(&u); found != nil {
		t.Errorf("findings %v", found)
	}
	self := ir.Backend{Service: ir.Name{Namespace: "shop", Name: "s"}, Port: 80, Weight: 1, Ref: at}
	want := []ir.Port{
		{Number: 80, Protocol: ir.TCP, Ref: at, Routes: []ir.Route{{Name: "default", Ref: at, Matches: []ir.Match{ir.MatchAll(at)}, Backends: []ir.Backend{self}}}},
		{Number: 81, Protocol: ir.GRPC, Routes: []ir.Route{own}},
	}
	if !reflect.DeepEqual(u.Service.Ports, want) {
		t.Errorf("got %+v\nwant %+v", u.Service.Ports, want)
	}
	named := ir.Unit{Service: &ir.Service{Namespace: "shop", Name: "s", Ports: []ir.Port{{Number: 80, Routes: []ir.Route{
		{Name: "default", Matches: []ir.Match{path("/a")}, Backends: []ir.Backend{to("s")}},
	}}}}}
	if run(&named); len(named.Service.Ports[0].Routes) != 2 {
		t.Errorf("a split named default is no default: %+v", named.Service.Ports[0].Routes)
	}
	w := ir.Unit{Workload: &ir.Workload{Ports: []ir.WorkloadPort{{Number: 1}, {Number: 2, Protocol: ir.HTTP}}}}
	run(&w)
	if w.Workload.Ports[0].Protocol != ir.TCP || w.Workload.Ports[1].Protocol != ir.HTTP {
		t.Errorf("ports %+v", w.Workload.Ports)
	}
}

func TestPrune(t *testing.T) {
	route := func(name string, matches ...ir.Match) ir.Route {
		return ir.Route{Name: name, Ref: ref(name), Matches: matches, Backends: []ir.Backend{to(name)}}
	}
	all := ir.MatchAll(ref("any"))
	for _, c := range []struct {
		name     string
		in       []ir.Route
		want     []string
		findings int
	}{
		{"nothing to prune", []ir.Route{route("a", path("/a")), route("b", all)}, []string{"a", "b", "default"}, 0},
		{"behind everything", []ir.Route{route("a", path("/a"), all), route("b", path("/b")), route("c", all)}, []string{"a", "default"}, 2},
		{"a match for nothing", []ir.Route{route("a"), route("b", all)}, []string{"a", "b", "default"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := ir.Unit{Service: &ir.Service{Namespace: "shop", Name: "s", Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP, Routes: c.in}}}}
			found := run(&u)
			var got []string
			for _, r := range u.Service.Ports[0].Routes {
				got = append(got, r.Name)
			}
			if !reflect.DeepEqual(got, c.want) || len(found) != c.findings {
				t.Errorf("got %v and %v, want %v and %d findings", got, found, c.want, c.findings)
			}
			for _, f := range found {
				if f.Code != report.NoEffect || len(f.Related) != 1 || f.Related[0] != ref("a") {
					t.Errorf("finding %+v", f)
				}
			}
		})
	}
}

func TestRepeatedMatches(t *testing.T) {
	again := path("/a")
	again.Name, again.Ref = "again", ref("again")
	u := ir.Unit{Workload: &ir.Workload{Grants: []ir.Grant{{Matches: []ir.Match{path("/a"), path("/b"), again}}}}}
	run(&u)
	if got := u.Workload.Grants[0].Matches; !reflect.DeepEqual(got, []ir.Match{path("/a"), path("/b")}) {
		t.Errorf("got %+v", got)
	}
}

// However the front ends find things, the unit is the same.
func TestOrder(t *testing.T) {
	id := func(account string) ir.Source {
		return ir.Source{Identity: ir.Identity{Namespace: "shop", Account: account}}
	}
	grant := func(name string, sources ...ir.Source) ir.Grant {
		return ir.Grant{Name: ir.Name{Namespace: "shop", Name: name}, Sources: sources, Ports: []ir.GrantPort{{Number: 2}, {Number: 1}, {Number: 2}}}
	}
	class := func(app string) ir.PodClass { return ir.PodClass{Labels: map[string]string{"z": "1", "app": app}} }
	made := func(swap bool) ir.Unit {
		w := &ir.Workload{
			Pods: []ir.PodClass{class("a"), class("b")}, Because: []report.Ref{ref("a"), ref("b"), ref("a")},
			Grants: []ir.Grant{grant("a", id("x"), id("y"), id("x")), grant("b", id("y"))},
		}
		if swap {
			w.Pods[0], w.Pods[1] = w.Pods[1], w.Pods[0]
			w.Because = []report.Ref{ref("b"), ref("a"), ref("b")}
			w.Grants = []ir.Grant{grant("b", id("y")), grant("a", id("y"), id("x"))}
		}
		u := ir.Unit{Workload: w}
		run(&u)
		return u
	}
	a, b := made(false), made(true)
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a.Workload, b.Workload)
	}
	if g := a.Workload.Grants[0]; len(g.Sources) != 2 || len(g.Ports) != 2 || g.Ports[0].Number != 1 {
		t.Errorf("grant %+v", g)
	}
	s := ir.Unit{Service: &ir.Service{Ports: []ir.Port{{Number: 2}, {Number: 1, Routes: []ir.Route{{Name: "r", Matches: []ir.Match{path("/b"), path("/a")}, Backends: []ir.Backend{to("b"), to("a")}}}}}}}
	run(&s)
	first := s.Service.Ports[0]
	if first.Number != 1 || first.Routes[0].Backends[0].Service.Name != "a" || first.Routes[0].Matches[0].Path.Value != "/b" {
		t.Errorf("service %+v", first)
	}
}

// Passes change nothing when they run again.
func TestIdempotent(t *testing.T) {
	u := ir.Unit{Service: &ir.Service{Namespace: "shop", Name: "s", Ports: []ir.Port{{Number: 80, Routes: []ir.Route{
		{Name: "a", Matches: []ir.Match{path("/a"), path("/a")}, Backends: []ir.Backend{to("b"), to("a")}},
	}}}}}
	run(&u)
	once, _ := json.Marshal(u)
	run(&u)
	if again, _ := json.Marshal(u); string(again) != string(once) {
		t.Errorf("once %s\nagain %s", once, again)
	}
}
