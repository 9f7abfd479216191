package scale

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

func lower(t *testing.T, text []byte) map[ir.Key]ir.Unit {
	t.Helper()
	p := all.Pipeline()
	set, found := input.ReadFiles([]input.File{{Name: "mesh.yaml", Data: text}}, input.Options{Schemas: p.Schemas()})
	units, more := p.Lower(input.NewStore(set, input.Settings{}))
	for _, f := range append(found, more...) {
		if f.Severity == report.Error {
			t.Fatalf("%s: %s", f.Source, f.Message)
		}
	}
	out := map[ir.Key]ir.Unit{}
	for _, u := range units {
		out[u.Key()] = u
	}
	return out
}

var full = Mesh{Services: 60, Splits: true, Routes: 2, Neighbours: 1, Addressed: true, Endpoints: 3}

// TestMeshes: the front ends find no error in any mesh, and each
// Service of it is called, called by somebody and, where it is said, answered for.
func TestMeshes(t *testing.T) {
	for _, m := range []Mesh{
		{Services: 3}, {Services: 3, Splits: true}, {Services: 3, Routes: 2, Expressions: true, Neighbours: 49, Addressed: true}, {Services: 3, Endpoints: 16}, full,
	} {
		units := lower(t, m.YAML())
		for i := range m.Services {
			at := ir.Key{Kind: ir.KindService, Namespace: fmt.Sprint("n", i%namespaces), Name: fmt.Sprint("s", i)}
			s := units[at].Service
			if s == nil {
				t.Fatalf("%+v: no %s", m, at)
			}
			shared := slices.ContainsFunc(s.Ports[0].Routes, func(r ir.Route) bool { return len(r.Backends) == 2 })
			if shared != (m.Splits || m.Routes > 0) {
				t.Errorf("%+v: %s is shared out: %v", m, at, shared)
			}
			at.Kind = ir.KindEndpoints
			if e := units[at].Endpoints; (e != nil) != (m.Endpoints > 0) || e != nil && len(e.Ports[0].Endpoints) != m.Endpoints {
				t.Errorf("%+v: endpoints of s%d: %v", m, i, e)
			}
			at.Kind = ir.KindWorkload
			if w := units[at].Workload; w == nil || len(w.Grants) != 1 || len(w.Grants[0].Sources) != m.Neighbours+1 {
				t.Errorf("%+v: grants of s%d: %v", m, i, w)
			}
		}
	}
	if units := lower(t, Edge{Routes: 10, Hosts: 5}.YAML()); len(units) < 5+20 {
		t.Errorf("%d units at the edge", len(units))
	}
}

// TestEdits: an edit changes what is lowered of its own Service, each one in
// another way, and nothing else.
func TestEdits(t *testing.T) {
	before := full.Documents()
	was := lower(t, Join(before))
	for kind, unit := range map[string]ir.UnitKind{"TrafficSplit": ir.KindService, "HTTPRoute": ir.KindService,
		"TrafficTarget": ir.KindWorkload, "EndpointSlice": ir.KindEndpoints} {
		i := 6
		if kind == "HTTPRoute" {
			i = 7
		}
		var texts []string
		for edits := range 16 {
			texts = append(texts, full.Edited(kind, i, edits).Text)
		}
		slices.Sort(texts)
		if n := len(slices.Compact(texts)); n != 16 {
			t.Errorf("%s: %d of 16 edits differ", kind, n)
		}
		if full.Edited(kind, i, 16) != full.Edited(kind, i, 0) {
			t.Errorf("%s: it does not come back", kind)
		}
		own := ir.Key{Kind: unit, Namespace: fmt.Sprint("n", i), Name: fmt.Sprint("s", i)}
		now := lower(t, Join(Replace(before, full.Edited(kind, i, 1))))
		if reflect.DeepEqual(was[own], now[own]) {
			t.Errorf("%s: %s stays as it was", kind, own)
		}
		for k := range was {
			if k != own && !reflect.DeepEqual(was[k], now[k]) {
				t.Errorf("%s: %s changes", kind, k)
			}
		}
	}
}
