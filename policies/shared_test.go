package policies

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshknot/meshknot/translators/report"
)

// crowd is a mesh with routes, each object of which takes the place of another one.
func crowd() []Object {
	objects := slices.Concat(world(300), edge(8), meshRoutes())
	for i, o := range objects {
		old := maps.Clone(o.Value)
		switch before := objects[(i+5)%len(objects)]; {
		case before.Ref.Kind == o.Ref.Kind && o.Ref.Group != "":
			old["spec"] = before.Value["spec"]
			objects[i].Previous = old
		case o.Ref.Kind == "TrafficSplit":
			old["spec"] = map[string]any{"service": "x", "backends": []any{}}
			objects[i].Previous = old
		}
	}
	return objects
}

// meshRoutes are routes of each kind, of two namespaces, attached to Services of both
// that splits share requests of, too.
func meshRoutes() []Object {
	var out []Object
	for i, kind := range []string{"HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute", "HTTPRoute"} {
		for _, home := range []string{"ns0", "ns1"} {
			var parents []any
			for app := range 3 {
				parents = append(parents, map[string]any{"group": "", "kind": "Service", "name": fmt.Sprintf("app%d", 20*app+i), "namespace": fmt.Sprint("ns", i)},
					map[string]any{"group": "", "kind": "Service", "name": "app0"})
			}
			out = append(out, NewObject(map[string]any{"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
				"metadata": map[string]any{"name": fmt.Sprint("r", i), "namespace": home},
				"spec":     map[string]any{"parentRefs": parents, "rules": []any{map[string]any{"backendRefs": []any{map[string]any{"name": "app0-v1", "weight": i}}}}}}))
		}
	}
	return out
}

// TestRulesTogether: what rules find that share what they found out is what each finds
// alone, of many objects.
func TestRulesTogether(t *testing.T) {
	e, objects := New(Shipped()...), crowd()
	p, inv := e.plan(), NewInventory()
	if err := inv.Put(objects...); err != nil {
		t.Fatal(err)
	}
	parsed := make([]inputs, len(objects))
	for i, o := range objects {
		var err error
		if parsed[i], err = parse(o, p.entries); err != nil {
			t.Fatal(err)
		}
	}
	run, err := p.begin(t.Context(), e.limits(), objects, parsed, p.entries)
	if err != nil {
		t.Fatal(err)
	}
	together, some := e.Check(t.Context(), objects), 0
	for i, o := range objects {
		var want report.Report
		for _, en := range p.entries {
			if run.shared = nil; en.rule.concerns(o.Ref) {
				want = append(want, run.findings(t.Context(), en, o.Ref, parsed[i])...)
			}
		}
		want = want.Sorted()
		some += len(want)
		if d := cmp.Diff(want, about(together, o.Ref), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s, checked (-alone +together):\n%s", o.Ref, d)
		}
		if d := cmp.Diff(want, e.Review(t.Context(), inv, o), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s, reviewed (-alone +together):\n%s", o.Ref, d)
		}
	}
	if some < 100 {
		t.Errorf("%d findings are few", some)
	}
}

// theLongWay says what route_and_split says by looking at every route.
const theLongWay = `package team.long

import data.lib.meshknot as lib
import data.lib.route

violation contains msg if {
	lib.is_a("split.smi-spec.io", "TrafficSplit")
	some home, versions in data.inventory.namespace
	some version, kinds in versions
	startswith(version, "gateway.networking.k8s.io/")
	some kind in (route.kinds - {"UDPRoute"})
	some found in kinds[kind]
	some service in route.services(found, home)
	service == {"namespace": lib.namespace, "name": lib.service_name(lib.spec.service)}
	msg := sprintf("%s %s of namespace %s routes Service %s too", [kind, found.metadata.name, home, service.name])
}
`

// TestRoutedIsTheLongWay: the routes that are remembered by the namespace of their
// Services are those that a walk over all of them finds.
func TestRoutedIsTheLongWay(t *testing.T) {
	objects := crowd()
	long := New(Module{File: "long.rego", Source: []byte(theLongWay)}).Check(t.Context(), objects)
	messages := func(found report.Report, code report.Code, cut string) []string {
		var out []string
		for _, f := range found {
			if f.Code == code {
				out = append(out, f.Source.Object().String()+" "+f.Message[len(cut):])
			}
		}
		slices.Sort(out)
		return out
	}
	want := messages(long, report.PolicyViolation, "team.long: ")
	if len(want) < 20 {
		t.Fatalf("%d findings are few: %v", len(want), long)
	}
	if d := cmp.Diff(want, messages(New(Shipped()...).Check(t.Context(), objects), "MKR019", "")); d != "" {
		t.Errorf("-long +short:\n%s", d)
	}
}

// TestFormsAreNotMixed: what rules find out of the object itself is not taken for what
// others find out of Gatekeeper's form of it, and the other way round.
func TestFormsAreNotMixed(t *testing.T) {
	module := func(name, source string) Module { return Module{File: name, Source: []byte(source)} }
	const said = "deny contains msg if {\n\tmsg := sprintf(\"%d keys\", [data.helper.keys])\n"
	e := New(module("helper.rego", "package helper\n\nkeys := count(input)\n"), module("a.rego", "package a\n\n"+said+"}\n"),
		module("b.rego", "package b\n\n"+said+"\tinput.review.object.kind == \"TrafficSplit\"\n}\n"), module("c.rego", "package c\n\n"+said+"}\n"))
	var got []string
	for _, f := range e.Check(t.Context(), []Object{split("a")}) {
		got = append(got, f.Message)
	}
	keys := fmt.Sprintf("%d keys", len(split("a").Value))
	if d := cmp.Diff([]string{"a: " + keys, "b: 2 keys", "c: " + keys}, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
