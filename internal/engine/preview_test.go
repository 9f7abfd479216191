package engine_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/test/scale"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// boundTwice makes an engine in which namespaces are on different meshes and what is
// refused keeps what was good.
func boundTwice(targets []translators.Target) *engine.Engine {
	e := engine.New(all.Pipeline(), nil, nil)
	e.KeepGood(true)
	e.Bind(input.Settings{}, map[string]input.Settings{"shop": {Access: "strict"}}, []engine.Bound{
		{Target: targets[0], Scope: &engine.Scope{Own: map[string]bool{"shop": true}}, Gate: report.Approximated},
		{Target: targets[1], Scope: &engine.Scope{Own: map[string]bool{"default": true}, Calls: map[string]bool{"shop": true}}},
	})
	return e
}

// Whatever is edited: a preview tells which units are compiled and what they come to,
// as the step then does, and the engine is what it was.
func TestPreviewIsWhatApplyComesTo(t *testing.T) {
	p := loadPool(t)
	first := number(t, "MESHKNOT_SEED", 0)
	for seed := first; seed < first+number(t, "MESHKNOT_SEQUENCES", 30); seed++ {
		d := drawing{Rand: rand.New(rand.NewPCG(uint64(seed), 1)), pool: p}
		targets := pairs[seed%len(pairs)]
		e, bound := engine.New(all.Pipeline(), targets, nil), seed%3 == 0
		if bound {
			e = boundTwice(targets)
		}
		content := map[input.ID][]input.Object{}
		for i, c := range d.sequence(60) {
			for _, edit := range c.edits {
				content[edit.ID] = edit.Objects
			}
			if c.settings != nil && !bound {
				e.Update(storeOf(content, *c.settings))
				continue
			}
			before := e.Result()
			told := e.Preview(c.edits)
			if why := differs(e.Result(), before); why != "" {
				t.Fatalf("seed %d, step %d (%s): the preview changed the engine: %s", seed, i, c.name, why)
			}
			was := map[ir.Key]engine.Made{}
			for _, u := range told.Units {
				was[u.Key], _ = e.Made(u.Key)
			}
			step := e.Apply(c.edits)
			for _, u := range before.Units {
				_, stays := e.Made(u.Key())
				if said := slices.ContainsFunc(told.Units, func(c engine.UnitChange) bool { return c.Key == u.Key() }); !stays && !said {
					t.Fatalf("seed %d, step %d (%s: %s): nothing was told of it that %s is no more", seed, i, c.name, ids(c.edits), u.Key())
				}
			}
			if why := foretold(e, step, told, was); why != "" {
				t.Fatalf("seed %d, step %d (%s: %s): %s", seed, i, c.name, ids(c.edits), why)
			}
		}
	}
}

// foretold says in what a preview differs from what came.
func foretold(e *engine.Engine, step engine.Step, told engine.Preview, was map[ir.Key]engine.Made) string {
	var compiled []ir.Key
	for _, u := range told.Units {
		now, there := e.Made(u.Key)
		if there {
			compiled = append(compiled, u.Key)
		}
		if why := differ(u.Before, was[u.Key]); why != "" {
			return fmt.Sprintf("%s, before: %s", u.Key, why)
		}
		if why := differ(u.After, now); why != "" {
			return fmt.Sprintf("%s, after: %s", u.Key, why)
		}
	}
	if !slices.Equal(compiled, step.Recompiled) {
		return fmt.Sprintf("compiled are %v, and was told %v", step.Recompiled, compiled)
	}
	return ""
}

// differ says in what two outcomes of a unit differ.
func differ(got, want engine.Made) string {
	if !reflect.DeepEqual(got.Unit, want.Unit) || !reflect.DeepEqual(got.Findings, want.Findings) {
		return fmt.Sprintf("%+v\nwant\n%+v", got, want)
	}
	return cmpPieces(got.Pieces, want.Pieces)
}

func cmpPieces(got, want []engine.NamedPiece) string {
	equal := slices.EqualFunc(got, want, func(a, b engine.NamedPiece) bool {
		return a.Name == b.Name && a.Kept == b.Kept && a.Withheld == b.Withheld && reflect.DeepEqual(a.Unit, b.Unit) && reflect.DeepEqual(a.Findings, b.Findings) &&
			reflect.DeepEqual(a.Claims, b.Claims) &&
			slices.EqualFunc(a.Artifacts, b.Artifacts, func(x, y translators.Artifact) bool {
				return x.Slot() == y.Slot() && x.Rank == y.Rank && x.Part == y.Part && reflect.DeepEqual(x.Refs, y.Refs) && same(x.Payload, y.Payload)
			})
	})
	if equal {
		return ""
	}
	return fmt.Sprintf("pieces are\n%+v\nwant\n%+v", got, want)
}

// Previews may be made beside each other.
func TestPreviewsBesideEachOther(t *testing.T) {
	mesh := read(t, scale.Edge{Routes: 40, Hosts: 4}.YAML())
	e := engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy"}, {Backend: "istio"}}, nil)
	e.Update(input.StoreOf(mesh, input.Settings{}))
	var group sync.WaitGroup
	for _, o := range mesh {
		group.Go(func() {
			if o.Kind == "HTTPRoute" && len(e.Preview([]input.Edit{{ID: o.ID}}).Units) == 0 {
				t.Errorf("nothing comes of it that %s goes", o.Name)
			}
		})
	}
	group.Wait()
}

// BenchmarkPreview asks what one edit among 10,000 objects would come to.
func BenchmarkPreview(b *testing.B) {
	edge := string(scale.Edge{Routes: 2000, Hosts: 40}.YAML())
	services := string(scale.Join(scale.Mesh{Services: 1100, Splits: true, Routes: 1, Neighbours: 3, Addressed: true, Endpoints: 2}.Documents()))
	for _, c := range []struct{ name, text, kind, weight string }{
		{"HTTPRoute", edge, "kind: HTTPRoute\nmetadata: {name: r7,", "weight: 90"},
		{"TrafficSplit", services, "kind: TrafficSplit\n", "weight: "},
	} {
		b.Run(c.name, func(b *testing.B) {
			at := strings.Index(c.text, c.kind)
			start, end := strings.LastIndex(c.text[:at], "---")+3, at+strings.Index(c.text[at:], "\n---")
			doc := strings.TrimLeft(c.text[start:end], "\n")
			o := read(b, []byte(strings.Replace(doc, c.weight, c.weight+"1", 1)))[0]
			e := engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy"}}, nil)
			objects := read(b, []byte(c.text))
			e.Update(input.StoreOf(objects, input.Settings{}))
			edits, began := []input.Edit{{ID: o.ID, Objects: []input.Object{o}}}, cpu()
			b.ReportAllocs()
			for b.Loop() {
				if p := e.Preview(edits); len(p.Units) == 0 {
					b.Fatal("nothing comes of it")
				}
			}
			b.ReportMetric(float64((cpu()-began).Microseconds())/float64(b.N), "cpu-us/op")
			b.ReportMetric(float64(len(objects)), "objects")
		})
	}
}
