package engine_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// towns is the shop, once in each of some namespaces.
func towns(t *testing.T, namespaces ...string) []input.Object {
	t.Helper()
	var out []input.Object
	for i, n := range namespaces {
		text := strings.NewReplacer("namespace: shop", "namespace: "+n, "name: shop", "name: "+n, "10.0.0.1", fmt.Sprint("10.0.0.", i+1)).Replace(shop)
		out = append(out, read(t, []byte(text))...)
	}
	return out
}

func give(e *engine.Engine, objects []input.Object) engine.Step {
	var edits []input.Edit
	for _, o := range objects {
		edits = append(edits, input.Edit{ID: o.ID, Objects: []input.Object{o}})
	}
	return e.Apply(edits)
}

func bound(name, backend string, own ...string) engine.Bound {
	b := engine.Bound{Target: translators.Target{Name: name, Backend: backend}, Scope: &engine.Scope{Own: map[string]bool{}}}
	for _, n := range own {
		b.Scope.Own[n] = true
	}
	return b
}

// holdings are what somebody has of each bound who follows the steps.
type holdings map[string]map[translators.Slot]any

func (h holdings) follow(t *testing.T, s engine.Step) {
	t.Helper()
	for _, c := range s.Changed {
		has := h[c.Target.Name]
		if has == nil {
			has = map[translators.Slot]any{}
			h[c.Target.Name] = has
		}
		for _, a := range c.Put {
			has[a.Slot()] = a.Payload
		}
		for _, slot := range c.Remove {
			if has[slot] == nil {
				t.Errorf("%s: removes %v, which was not there", c.Target.Name, slot)
			}
			delete(has, slot)
		}
	}
}

// in counts the artifacts of a bound whose names hold a word.
func (h holdings) in(name, word string) (n int) {
	for slot := range h[name] {
		if strings.Contains(slot.ID.Name, word) || slot.Audience.Namespace == word {
			n++
		}
	}
	return n
}

var waive = []feature.Waiver{{Code: report.Refused, Object: report.Ref{Kind: "TrafficTarget", Namespace: "east", Name: "web"}, Reason: "known"}}

// Whatever is bound after whatever, every bound has what it would have if nothing
// had been bound before; and no unit is compiled where no settings changed.
func TestBindingIsStartingAnew(t *testing.T) {
	objects := towns(t, "east", "west", "north")
	old := bound("a", "istio", "east", "west")
	old.Version = "1.29"
	waiving := bound("a", "istio", "east", "west")
	waiving.Waivers = waive
	calls := bound("c", "envoy", "north")
	calls.Scope.Calls = map[string]bool{"east": true}
	everything := engine.Bound{Target: translators.Target{Name: "c", Backend: "envoy"}}
	elsewhere := everything
	elsewhere.Name = "d"
	states := [][]engine.Bound{
		{bound("a", "istio", "east")},
		{bound("a", "istio", "east", "west")},
		{bound("a", "istio", "east", "west"), bound("b", "istio", "north")},
		{bound("b", "istio", "north"), old},
		{bound("b", "istio", "west"), bound("a", "envoy", "east"), calls},
		{waiving, everything},
		{elsewhere, calls},
		{},
		{bound("a", "linkerd"), bound("b", "consul", "north", "east"), calls},
		{calls, bound("a", "grpc", "east", "north")},
	}
	fresh := func(bounds []engine.Bound) *engine.Engine {
		e := engine.New(all.Pipeline(), nil, nil)
		e.Bind(input.Settings{}, nil, bounds)
		give(e, objects)
		return e
	}
	for i := range states {
		live, h := fresh(nil), holdings{}
		for j := range 2 * len(states) {
			n := (i*j + i + j) % len(states)
			step := live.Bind(input.Settings{}, nil, states[n])
			h.follow(t, step)
			if len(step.Recompiled) > 0 {
				t.Errorf("state %d: %v were compiled", n, step.Recompiled)
			}
			want := fresh(states[n])
			if why := differs(live.Result(), want.Result()); why != "" {
				t.Fatalf("sequence %d, state %d: %s", i, n, why)
			}
			for _, o := range want.Result().Outputs {
				has := h[o.Target.Name]
				if o.Withheld {
					continue // what was before stays
				}
				if len(o.Artifacts) != len(has) {
					t.Fatalf("sequence %d, state %d: who follows has %d of %s, want %d", i, n, len(has), o.Target.Name, len(o.Artifacts))
				}
				for _, a := range o.Artifacts {
					if !same(has[a.Slot()], a.Payload) {
						t.Fatalf("sequence %d, state %d: %v of %s differs", i, n, a.Slot(), o.Target.Name)
					}
				}
			}
			if again := live.Bind(input.Settings{}, nil, states[n]); len(again.Changed)+len(again.Recompiled) > 0 {
				t.Fatalf("sequence %d: binding the same changes %v", i, again)
			}
		}
	}
}

// What enters a scope is put, what leaves it is removed, and a bound that is gone has
// nothing left: each change says so, and touches nothing else.
func TestWhatEntersAndLeaves(t *testing.T) {
	e, h := engine.New(all.Pipeline(), nil, nil), holdings{}
	h.follow(t, e.Bind(input.Settings{}, nil, []engine.Bound{bound("a", "istio", "east"), bound("b", "istio", "west")}))
	h.follow(t, give(e, towns(t, "east", "west")))
	if h.in("a", "east") == 0 || h.in("a", "west") > 0 || h.in("b", "west") == 0 || h.in("b", "east") > 0 {
		t.Fatal("scopes do not hold", h)
	}
	step := e.Bind(input.Settings{}, nil, []engine.Bound{bound("a", "istio", "east", "west"), bound("b", "istio")})
	h.follow(t, step)
	if h.in("a", "west") == 0 || h.in("b", "west") > 0 {
		t.Error("west did not move", h)
	}
	for _, c := range step.Changed {
		for _, a := range c.Put {
			if strings.HasPrefix(a.ID.Name, "east/") {
				t.Errorf("%s of %s was put again", a.ID.Name, c.Target.Name)
			}
		}
	}
	step = e.Bind(input.Settings{}, nil, []engine.Bound{bound("b", "istio", "east", "west")})
	h.follow(t, step)
	if len(h["a"]) > 0 || h.in("b", "east") == 0 {
		t.Error("what is gone left something", h)
	}
	if last := step.Changed[len(step.Changed)-1]; last.Target.Name != "a" || len(last.Put) > 0 {
		t.Error("what is gone comes last and puts nothing", last)
	}
}

// What a bound had of another back end stays until what comes in its place can be
// applied, and then all of it goes but what is there again.
func TestAnotherBackEndUnderTheName(t *testing.T) {
	e, h := engine.New(all.Pipeline(), nil, nil), holdings{}
	h.follow(t, e.Bind(input.Settings{}, nil, []engine.Bound{bound("a", "istio", "east")}))
	h.follow(t, give(e, towns(t, "east")))
	before := maps.Clone(h["a"])
	strict := map[string]input.Settings{"east": {Access: "strict"}}
	linkerd := bound("a", "linkerd", "east")
	h.follow(t, e.Bind(input.Settings{}, strict, []engine.Bound{linkerd})) // which cannot say it
	if !reflect.DeepEqual(h["a"], before) {
		t.Error("what closed was taken away, and nothing closes in its place")
	}
	linkerd.Options = map[string]string{"default-inbound-policy": "deny"}
	h.follow(t, e.Bind(input.Settings{}, strict, []engine.Bound{linkerd}))
	out := e.Result().Outputs[0]
	if len(h["a"]) != len(out.Artifacts) || out.Withheld {
		t.Errorf("has %d, want %d", len(h["a"]), len(out.Artifacts))
	}
	authorized := bound("a", "gateway-api", "east")
	authorized.Options = map[string]string{"authorization": "linkerd", "authorization.default-inbound-policy": "deny"}
	h.follow(t, e.Bind(input.Settings{}, strict, []engine.Bound{authorized})) // much of which has the same name
	if out = e.Result().Outputs[0]; len(h["a"]) != len(out.Artifacts) {
		t.Errorf("has %d, want %d", len(h["a"]), len(out.Artifacts))
	}
}

// The callers' side goes where calls are made, the servers' side where they are served.
func TestScope(t *testing.T) {
	e := engine.New(all.Pipeline(), nil, nil)
	b := bound("a", "envoy", "west")
	b.Scope.Calls = map[string]bool{"east": true}
	e.Bind(input.Settings{}, map[string]input.Settings{"east": {Access: "strict"}}, []engine.Bound{b})
	give(e, towns(t, "east", "west", "north"))
	for k, want := range map[ir.Key]bool{
		{Kind: ir.KindMesh}: true,
		{Kind: ir.KindService, Namespace: "east", Name: "web"}:   true,
		{Kind: ir.KindEndpoints, Namespace: "east", Name: "web"}: true,
		{Kind: ir.KindWorkload, Namespace: "east", Name: "web"}:  false,
		{Kind: ir.KindNamespace, Name: "east"}:                   false,
		{Kind: ir.KindWorkload, Namespace: "west", Name: "web"}:  true,
		{Kind: ir.KindService, Namespace: "north", Name: "web"}:  false,
	} {
		m, ok := e.Made(k)
		if !ok || len(m.Pieces) == 1 != want {
			t.Errorf("%v: there %v, %d pieces, want one: %v", k, ok, len(m.Pieces), want)
		}
	}
}

// Settings of a namespace concern that namespace alone.
func TestSettingsOfANamespace(t *testing.T) {
	e := engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy"}}, nil)
	e.Update(input.StoreOf(towns(t, "east", "west"), input.Settings{}))
	bounds := []engine.Bound{{Target: translators.Target{Backend: "envoy"}}}
	if step := e.Bind(input.Settings{}, nil, bounds); len(step.Recompiled)+len(step.Changed) > 0 {
		t.Errorf("binding what is bound changes %+v", step)
	}
	step := e.Bind(input.Settings{}, map[string]input.Settings{"east": {Access: "strict"}}, bounds)
	if len(step.Recompiled) == 0 || slices.ContainsFunc(step.Recompiled, func(k ir.Key) bool { return k.Namespace == "west" }) {
		t.Errorf("compiled %v", step.Recompiled)
	}
	if m, _ := e.Made(ir.Key{Kind: ir.KindNamespace, Name: "east"}); m.Unit.Namespace == nil || !m.Unit.Namespace.Enforced {
		t.Error("east does not deny by default")
	}
	step = e.Bind(input.Settings{Access: "off"}, map[string]input.Settings{"east": {Access: "strict"}}, bounds)
	if slices.ContainsFunc(step.Recompiled, func(k ir.Key) bool { return k.Namespace == "east" && k.Kind == ir.KindWorkload }) {
		t.Errorf("compiled %v", step.Recompiled)
	}
	e.Bind(input.Settings{}, nil, bounds)
	if _, ok := e.Made(ir.Key{Kind: ir.KindNamespace, Name: "east"}); !ok {
		t.Error("the Namespace object makes the unit")
	}
	want := engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy"}}, nil).Run(input.StoreOf(towns(t, "east", "west"), input.Settings{}))
	if why := differs(e.Result(), want); why != "" {
		t.Error(why)
	}
}

// Where one namespace denies by default and the run does not, each back end denies
// there or withholds its output: never is the namespace open without a word.
func TestANamespaceThatDeniesAlone(t *testing.T) {
	strict := map[string]input.Settings{"east": {Access: "strict"}}
	mesh := func(e *engine.Engine) ir.Access {
		m, _ := e.Made(ir.Key{Kind: ir.KindMesh})
		return m.Pieces[0].Unit.Mesh.Access
	}
	allowing := map[string]string{"default": "allow"}
	for _, test := range []struct {
		name     string
		bound    engine.Bound
		options  map[string]string
		access   ir.Access
		withheld bool
	}{
		{"alone", bound("a", "istio", "east"), nil, ir.AccessStrict, false},
		{"beside an open one", bound("a", "istio", "east", "west"), nil, ir.AccessSelected, false},
		{"consul that denies", bound("a", "consul", "east", "west"), nil, ir.AccessSelected, false},
		{"consul that allows, alone", bound("a", "consul", "east"), allowing, ir.AccessStrict, false},
		{"consul that allows, beside", bound("a", "consul", "east", "west"), allowing, ir.AccessSelected, true},
		{"consul that allows, without scope", engine.Bound{Target: translators.Target{Name: "a", Backend: "consul"}}, allowing, ir.AccessSelected, true},
		{"consul that allows, elsewhere", bound("a", "consul", "west"), allowing, ir.AccessSelected, false},
		{"linkerd that allows", bound("a", "linkerd", "east", "west"), nil, ir.AccessSelected, true},
		{"linkerd that denies", bound("a", "linkerd", "east", "west"), map[string]string{"default-inbound-policy": "deny"}, ir.AccessSelected, false},
		{"gateway-api with consul", bound("a", "gateway-api", "east", "west"), map[string]string{"authorization": "consul", "authorization.default": "allow"}, ir.AccessSelected, true},
		{"gateway-api without", bound("a", "gateway-api", "east", "west"), nil, ir.AccessSelected, true},
		{"envoy", bound("a", "envoy", "east", "west"), nil, ir.AccessSelected, false},
		{"grpc", bound("a", "grpc", "east", "west"), nil, ir.AccessSelected, false},
	} {
		test.bound.Options = test.options
		e := engine.New(all.Pipeline(), nil, nil)
		e.Bind(input.Settings{}, strict, []engine.Bound{test.bound})
		give(e, towns(t, "east", "west"))
		if got := mesh(e); got != test.access {
			t.Errorf("%s: is told %s, want %s", test.name, got, test.access)
		}
		out := e.Result().Outputs[0]
		if out.Withheld != test.withheld {
			t.Errorf("%s: withheld %v: %v", test.name, out.Withheld, out.Findings)
		}
		if test.withheld || !test.bound.Scope.Own["east"] {
			continue
		}
		for _, account := range []string{"web", "nobody-named"} {
			if admits(t, out, e.Result().Pieces[0], ir.Name{Namespace: "east", Name: account}) {
				t.Errorf("%s: %s of east is open", test.name, account)
			}
		}
	}
}

// admits asks the artifacts whether a stranger may call an account's pods.
func admits(t *testing.T, out translators.Output, pieces []translators.Piece, account ir.Name) bool {
	t.Helper()
	var units []ir.Unit
	for _, p := range pieces {
		units = append(units, p.Unit)
	}
	read, _ := all.Interpreter(out.Target.Backend)
	mesh, err := read(interpret.WorldOf(units), out.Target, out.Artifacts)
	if err != nil {
		t.Fatal(err)
	}
	var pod map[string]string
	if account.Name == "web" {
		pod = map[string]string{"app": "web"}
	}
	q := semantics.Request{From: &ir.Identity{Namespace: "west", Account: "stranger"}, Workload: account, Port: 80, Method: "GET", Path: "/api"}
	return mesh.Admit(interpret.Arrival{Request: q, Workload: account, Pod: pod, Port: 80}).Allowed
}

// What a bound is told of the mesh follows its namespaces and their settings.
func TestTheMeshFollowsItsNamespaces(t *testing.T) {
	b, both := bound("a", "consul", "east"), bound("a", "consul", "east", "west")
	b.Options, both.Options = map[string]string{"default": "allow"}, map[string]string{"default": "allow"}
	strict := map[string]input.Settings{"east": {Access: "strict"}}
	e := engine.New(all.Pipeline(), nil, nil)
	e.Bind(input.Settings{}, nil, []engine.Bound{b})
	give(e, towns(t, "east", "west"))
	everybody := func() bool {
		return slices.ContainsFunc(e.Result().Outputs[0].Artifacts, func(a translators.Artifact) bool {
			return strings.HasSuffix(a.ID.Name, "*")
		})
	}
	for i, test := range []struct {
		bound        engine.Bound
		settings     map[string]input.Settings
		deny, closed bool
	}{{b, nil, false, false}, {b, strict, true, false}, {both, strict, false, true}, {b, strict, true, false}, {both, nil, false, false}} {
		step := e.Bind(input.Settings{}, test.settings, []engine.Bound{test.bound})
		if everybody() != test.deny || e.Result().Outputs[0].Withheld != test.closed {
			t.Errorf("step %d: everybody denied %v, withheld %v, changed %v", i, everybody(), e.Result().Outputs[0].Withheld, step.Changed)
		}
	}
}
