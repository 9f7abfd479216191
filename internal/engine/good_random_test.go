package engine_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// guarded are bounds with gates, so that much of what sequences do is held back.
var guarded = [][]engine.Bound{
	{{Target: translators.Target{Backend: "istio"}}, {Target: translators.Target{Backend: "envoy"}, Gate: report.Exact}},
	{{Target: translators.Target{Backend: "linkerd"}, Gate: report.Approximated}, {Target: translators.Target{Backend: "consul"}, Gate: report.Narrowed}},
	{{Target: translators.Target{Backend: "istio", Version: "1.30"}, Gate: report.Relocated}, {Target: translators.Target{Backend: "grpc"}}},
	{{Target: translators.Target{Backend: "gateway-api", Options: map[string]string{"authorization": "istio"}}, Gate: report.Exact}},
}

// watching holds what bounds have against what was good and what is asked for.
type watching struct {
	engine *engine.Engine
	good   map[string]map[ir.Key]ir.Unit
	// asked and held count requests that were compared, and pieces that were held back.
	asked, held int
}

// check looks at the units of a step.
func (w *watching) check(step engine.Step) string {
	for _, good := range w.good {
		for k := range good {
			if m, ok := w.engine.Made(k); !ok || len(m.Pieces) == 0 {
				delete(good, k) // it is gone, and begins anew
			}
		}
	}
	for _, k := range step.Recompiled {
		m, _ := w.engine.Made(k)
		for _, p := range m.Pieces {
			good, known := w.good[p.Name][k]
			if !p.Kept {
				if w.good[p.Name] == nil {
					w.good[p.Name] = map[ir.Key]ir.Unit{}
				}
				w.good[p.Name][k] = p.Unit
				continue
			}
			w.held++
			if why := w.compare(p.Unit, m.Unit, good, known); why != "" {
				return fmt.Sprintf("%v of %s: %s", k, p.Name, why)
			}
		}
	}
	return ""
}

// compare says where more is in force than the last good and what is asked for have in
// common; of routes, where something else is than the last good.
func (w *watching) compare(force, now, good ir.Unit, known bool) string {
	if now.Workload == nil {
		if want := good; !reflect.DeepEqual(force, want) {
			return fmt.Sprintf("in force is\n%+v\nwant\n%+v", force, want)
		}
		return ""
	}
	inForce, asked, was := semantics.New([]ir.Unit{force}), semantics.New([]ir.Unit{now}), semantics.New([]ir.Unit{good})
	name := ir.Name{Namespace: now.Workload.Namespace, Name: now.Workload.Account}
	classes := append(semantics.AdmitClasses(*force.Workload), semantics.AdmitClasses(*now.Workload)...)
	for _, q := range classes {
		w.asked++
		if ok, by := inForce.Admits(name, q.Port, ir.ServicePort{}, q); ok {
			if ok, _ := asked.Admits(name, q.Port, ir.ServicePort{}, q); !ok {
				return fmt.Sprintf("%+v is let in by %v, and nobody asks for it now", q, by)
			}
			if ok, _ := was.Admits(name, q.Port, ir.ServicePort{}, q); !ok && known && q.From != nil {
				return fmt.Sprintf("%+v is let in by %v, and was not before", q, by)
			}
		}
	}
	return ""
}

// grants is a pool of one workload: TrafficTargets, a group and a Service in forms some
// parts of which no mesh, or not every mesh, can be told.
func grants(t *testing.T) pool {
	t.Helper()
	base := read(t, []byte(shop))
	p := pool{forms: map[input.ID][]input.Object{}, cases: [][]input.Object{base}}
	add := func(text string) {
		for _, o := range read(t, []byte(text)) {
			p.forms[o.ID] = append(p.forms[o.ID], o)
			if !slices.Contains(p.ids, o.ID) {
				p.ids = append(p.ids, o.ID)
			}
		}
	}
	header := `{name: header, pathRegex: "/api", headers: [{a: "b.+c"}]}`
	subset := func(n int, of ...string) (out []string) {
		for i, one := range of {
			if n>>i&1 == 1 {
				out = append(out, one)
			}
		}
		return out
	}
	for n := 1; n < 8; n++ {
		sources := target(subset(n, "edge", "other", "third")...)
		add(sources)
		add(strings.ReplaceAll(sources, "metadata: {name: web,", "metadata: {name: second,"))
	}
	for n := 1; n < 16; n++ {
		add(group(subset(n, api, items, odd, header)...))
	}
	for _, ports := range []string{"{name: http, port: 80}", "{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}", "{name: tcp, port: 80}"} {
		add(strings.Split(strings.Replace(shop, "{name: http, port: 80}", ports, 1), "---\n")[1])
	}
	return p
}

// Whatever is edited: while the last good is kept nobody is let in whom the policy as
// it is does not let in, nor, by what is held back, whom the last good did not. What
// was good goes on to be what it is: an engine that keeps nothing agrees wherever
// nothing is held back.
func TestKeptAccessIsNeverMore(t *testing.T) {
	pools := []pool{loadPool(t), grants(t)}
	asked, held := 0, 0
	first := number(t, "MESHKNOT_SEED", 0)
	for seed := first; seed < first+number(t, "MESHKNOT_SEQUENCES", 64); seed++ {
		d := drawing{Rand: rand.New(rand.NewPCG(uint64(seed), 1)), pool: pools[seed/len(guarded)%2]}
		w := &watching{engine: engine.New(all.Pipeline(), nil, nil), good: map[string]map[ir.Key]ir.Unit{}}
		w.engine.KeepGood(true)
		bounds := guarded[seed%len(guarded)]
		w.engine.Bind(input.Settings{}, nil, bounds)
		plain := engine.New(all.Pipeline(), nil, nil)
		plain.Bind(input.Settings{}, nil, bounds)
		for i, c := range d.sequence(80) {
			var step engine.Step
			if c.settings != nil {
				step = w.engine.Bind(*c.settings, nil, bounds)
				plain.Bind(*c.settings, nil, bounds)
			} else {
				step = w.engine.Apply(c.edits)
				plain.Apply(c.edits)
			}
			if why := w.check(step); why != "" {
				t.Fatalf("seed %d, step %d, %s of %s: %s", seed, i, c.name, ids(c.edits), why)
			}
			for _, k := range step.Recompiled {
				a, _ := w.engine.Made(k)
				b, _ := plain.Made(k)
				for j, p := range a.Pieces {
					if !p.Kept && !reflect.DeepEqual(p.Unit, b.Pieces[j].Unit) {
						t.Fatalf("seed %d, step %d: %v differs where nothing is held back", seed, i, k)
					}
				}
			}
		}
		asked, held = asked+w.asked, held+w.held
	}
	if held < 500 || asked < 10_000 {
		t.Errorf("only %d pieces were held back, %d requests compared", held, asked)
	}
	t.Logf("%d pieces were held back, %d requests compared", held, asked)
}
