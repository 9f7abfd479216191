package ask

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// TestSlices: what is compiled for one request decides it as the whole input
// does, on the model and on every back end, in every golden case. And what is
// said to have decided is what the decision names.
func TestSlices(t *testing.T) {
	cases, err := golden.Load("../../test/cases")
	if err != nil {
		t.Fatal(err)
	}
	every := 6 // translating and reading what comes out is dear
	if os.Getenv("REQUIRE_REAL") == "1" {
		every = 1
	}
	asked, backends := 0, map[string]int{}
	for _, c := range cases {
		var files []input.File
		for _, f := range c.Inputs {
			files = append(files, input.File{Name: f.Name, Data: f.Data})
		}
		set, _ := input.ReadFiles(files, input.Options{Schemas: program().Schemas()})
		store := input.NewStore(set, c.Settings)
		a := New(program(), store, nil)
		whole := Sides(program(), store, append([]translators.Target{{}}, golden.Targets(c)...)...)
		tracer := newTracer(whole[0].list)
		known := map[string]sliced{} // many kinds of requests have the same
		for _, q := range semantics.Classes(whole[0].list) {
			asked++
			key := semantics.Caller(q.From) + q.Callee() + fmt.Sprint(q.Headers["host"])
			if _, ok := known[key]; !ok {
				sides := whole
				if len(known)%every > 0 {
					sides = whole[:1]
				}
				known[key] = slice(a, q, sides)
			}
			s := known[key]
			want, got := whole[0].model.Decide(q), s.model.Decide(q)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s: %s on the slice, %s on the whole", c.Name, q, semantics.Outcome(got), semantics.Outcome(want))
			}
			consistent(t, c.Name, q, want, tracer.trace(q, want))
			for i, m := range s.meshes {
				if m.Silent() != "" {
					t.Errorf("%s: %s: %s %s on the slice", c.Name, q, m.Target.Backend, m.Silent())
					continue
				}
				backends[m.Target.Backend]++
				got, _, _ := m.Decide(q)
				want, _ := s.wholes[i].Decide(q)
				for _, d := range semantics.Differences(q, want, got, 0) {
					t.Errorf("%s: %s: %s on the slice: %s", c.Name, q, m.Target.Backend, d)
				}
			}
		}
	}
	if asked < 1000 {
		t.Errorf("only %d requests", asked)
	}
	t.Logf("%d requests on the model; on back ends: %v", asked, backends)
}

// sliced is what is made of a request's slice, beside what is made of the whole.
type sliced struct {
	model  semantics.Model
	meshes []Mesh
	wholes []Side
}

func slice(a *Asker, q semantics.Request, whole []Side) sliced {
	s := a.Slice(q)
	out := sliced{model: semantics.New(s.Units)}
	world := interpret.WorldOf(s.Units)
	for _, side := range whole[1:] {
		if side.Silent() == nil {
			out.meshes = append(out.meshes, a.Translated(side.mesh.Target, s.Units, world))
			out.wholes = append(out.wholes, side)
		}
	}
	return out
}

// consistent: a trace says who decided, and it is who did.
func consistent(t *testing.T, name string, q semantics.Request, d semantics.Decision, trace Trace) {
	t.Helper()
	var taken []report.Ref
	for _, r := range trace.Routes {
		if r.Decided {
			taken = append(taken, r.Ref)
		}
	}
	if routed := d.Route != "" && len(taken) != len(trace.Routes); routed && len(taken) != 1 {
		t.Errorf("%s: %s: by route %s, traced to %v", name, q, d.Route, taken)
	}
	for _, r := range taken {
		if !r.IsZero() && !slices.Contains(d.Because, r) {
			t.Errorf("%s: %s: traced to %s, decided by %v", name, q, r, d.Because)
		}
	}
	granted := slices.ContainsFunc(trace.Grants, func(g Tried) bool { return g.Decided })
	if denied := d.Verdict == semantics.Deny; denied && granted {
		t.Errorf("%s: %s is denied, and a grant is said to allow it", name, q)
	}
	for _, g := range trace.Grants {
		if g.Decided && d.Verdict == semantics.Allow && !slices.Contains(d.Because, g.Ref) {
			t.Errorf("%s: %s: %s is said to allow it, but %v do", name, q, g.Ref, d.Because)
		}
	}
}

// TestSliceIsSmall: neighbours that a request has nothing to do with are not compiled.
func TestSliceIsSmall(t *testing.T) {
	_, store := reading(t, input.Settings{}, string(mesh(200).YAML()))
	s := New(program(), store, nil).Slice(call(t, "sa:front/web -> svc:n7/s7:80 GET /api"))
	if n := len(s.Units); n < 4 || n > 20 {
		t.Errorf("%d units", n)
	}
}

func TestKnown(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings input.Settings
		request  string
		want     string // of the error; empty: none
		doubt    string
	}{
		{"all known", input.Settings{}, "sa:shop/web -> svc:shop/reviews:80 GET /", "", ""},
		{"external", input.Settings{}, "external -> svc:shop/reviews:80 GET /", "", ""},
		{"foreign identity", input.Settings{}, "spiffe:spiffe://other/x -> svc:shop/reviews:80 GET /", "", ""},
		{"service", input.Settings{}, "sa:shop/web -> svc:shop/revews:80 GET /", "there is no Service shop/revews; did you mean svc:shop/reviews:80", ""},
		{"service in a namespace", input.Settings{}, "sa:shop/web -> svc:shops/reviews:80 GET /", "did you mean svc:shop/reviews:80", ""},
		{"nothing like it", input.Settings{}, "sa:shop/web -> svc:shop/payments:80 GET /", "there is no Service shop/payments", ""},
		{"port", input.Settings{}, "sa:shop/web -> svc:shop/reviews:8080 GET /", "has no port 8080; did you mean svc:shop/reviews:80", ""},
		{"pods", input.Settings{}, "sa:shop/web -> pod:shop/review:80 GET /", "no object names the account shop/review; did you mean pod:shop/reviews:80", ""},
		{"port of pods", input.Settings{}, "sa:shop/web -> pod:shop/reviews:81 GET /", "", "no Service leads to port 81"},
		{"gateway", input.Settings{}, "external -> gw:shop/edge:80 GET /", "there is no Gateway shop/edge", ""},
		{"slip of the pen", input.Settings{}, "sa:shop/wbe -> svc:shop/reviews:80 GET /", "no object names this account; did you mean sa:shop/web", ""},
		{"another namespace", input.Settings{}, "sa:front/web -> svc:shop/reviews:80 GET /", "", "did you mean sa:shop/web"},
		{"another account", input.Settings{}, "sa:front/monitoring -> svc:shop/reviews:80 GET /", "", "no object names this account"},
		{"everything was given", input.Settings{Complete: true}, "sa:front/monitoring -> svc:shop/reviews:80 GET /", "no object names this account", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, store := reading(t, test.settings, shop)
			a := New(program(), store, nil)
			q := call(t, test.request)
			doubts, err := a.Known(q, a.Slice(q))
			var unknown Unknown
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got %v", err)
			case test.want != "" && (!errors.As(err, &unknown) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			}
			if got := strings.Join(doubts, "; "); (test.doubt == "") != (got == "") || !strings.Contains(got, test.doubt) {
				t.Errorf("doubts %q, want %q", got, test.doubt)
			}
		})
	}
}

// TestWhy: each condition that fails is named, alone.
func TestWhy(t *testing.T) {
	_, store := reading(t, input.Settings{}, shop)
	a := New(program(), store, nil)
	for _, test := range []struct {
		request string
		want    []string
	}{
		{"sa:shop/web -> svc:shop/reviews:80 GET /reviews", nil},
		{"sa:shop/reviews -> svc:shop/reviews:80 GET /reviews", []string{"source: it names sa:shop/web"}},
		{"external -> svc:shop/reviews:80 GET /reviews", []string{"source: the caller has no identity"}},
		{"sa:shop/web -> pod:shop/reviews:99 GET /reviews", []string{"port: it opens 80"}},
		{"sa:shop/web -> svc:shop/reviews:80 PUT /reviews", []string{"read: method PUT is not GET", "write: header x-key is not there"}},
		{"sa:shop/web -> svc:shop/reviews:80 GET /x", []string{"read: path /x is not", "write: path /x is not"}},
		{"sa:shop/web -> svc:shop/reviews:80", []string{"read: no HTTP request is made", "write: no HTTP request is made"}},
	} {
		answer, err := a.Explain(call(t, test.request))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range answer.Trace.Grants {
			got = append(got, g.Why...)
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: %q, want %q", test.request, got, test.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], test.want[i]) {
				t.Errorf("%s: %q, want %q", test.request, got[i], test.want[i])
			}
		}
	}
}

// TestOpinions: a mesh that believes everybody is told apart from the model, a
// side at a time; one that nothing reads, and one that is withheld, say so.
func TestOpinions(t *testing.T) {
	_, store := reading(t, input.Settings{}, shop)
	envoy := translators.Target{Backend: "envoy"}
	denied := call(t, "external -> svc:shop/reviews:80 GET /reviews")
	answer, err := New(believing(false), store, []translators.Target{envoy}).Explain(denied)
	if err != nil {
		t.Fatal(err)
	}
	o := answer.Opinions[0]
	if answer.Decision.Verdict != semantics.Deny || o.Decision.Verdict != semantics.Allow {
		t.Errorf("model %s, mesh %s", answer.Decision.Verdict, o.Decision.Verdict)
	}
	if !slices.ContainsFunc(o.Differs, func(d Differing) bool { return d.Effect == report.Allows && len(d.Causes) == 0 }) {
		t.Errorf("it lets through what no table says: %+v", o.Differs)
	}
	if !slices.Equal(o.Routed, []translators.ID{{Type: "v1/Route", Name: "all"}}) || !slices.Equal(o.Admitted, []translators.ID{{Type: "v1/Guard", Name: "all"}}) {
		t.Errorf("by %v and %v", o.Routed, o.Admitted)
	}
	p := program()
	p.Interpreter = func(string) (interpret.New, bool) { return nil, false }
	answer, err = New(p, store, []translators.Target{envoy, {Backend: "gateway-api"}}).Explain(denied)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := answer.Opinions[0].Silent, answer.Opinions[1].Silent; a != NotModelled || b != Withheld {
		t.Errorf("%q, %q", a, b)
	}
	if len(answer.Opinions[1].Losses) == 0 {
		t.Error("what is withheld loses nothing?")
	}
}

func TestSimulate(t *testing.T) {
	_, store := reading(t, input.Settings{}, shop)
	a := New(program(), store, nil)
	d, _, err := a.Decide(call(t, "sa:shop/web -> svc:shop/reviews:80 GET /reviews"))
	if err != nil {
		t.Fatal(err)
	}
	first, second, other := Outcomes(d), Outcomes(d), Outcomes(d)
	Simulate(first, 10_000, 1)
	Simulate(second, 10_000, 1)
	Simulate(other, 10_000, 2)
	if !slices.Equal(first, second) || slices.Equal(first, other) {
		t.Errorf("seeds: %v %v %v", first, second, other)
	}
	if n := first[0].Count; first[0].Percent != 75 || n < 7300 || n > 7700 || first[1].Count != 10_000-n {
		t.Errorf("%+v", first)
	}
	for _, o := range Outcomes(semantics.Decision{Verdict: semantics.Answer, Status: 404}) {
		if o.Kind != Answered || o.Percent != 100 {
			t.Errorf("%+v", o)
		}
	}
	m := New(believing(true), store, []translators.Target{{Backend: "envoy"}})
	if d, _, err = m.Decide(call(t, "sa:shop/web -> svc:shop/reviews:80 GET /reviews")); err != nil || d.Verdict != semantics.Deny {
		t.Errorf("the back end decides: %v %v", d.Verdict, err)
	}
}

func TestNearest(t *testing.T) {
	names := []ir.Name{{Namespace: "a", Name: "web"}, {Namespace: "a", Name: "webs"}, {Namespace: "b", Name: "web"}, {Namespace: "a", Name: "web-v2"}, {Namespace: "a", Name: "db"}}
	for _, test := range []struct {
		name ir.Name
		want []ir.Name
	}{
		{ir.Name{Namespace: "a", Name: "wen"}, []ir.Name{{Namespace: "a", Name: "web"}}},
		{ir.Name{Namespace: "c", Name: "web"}, []ir.Name{{Namespace: "a", Name: "web"}, {Namespace: "b", Name: "web"}}},
		{ir.Name{Namespace: "a", Name: "payments"}, nil},
		{ir.Name{Namespace: "a", Name: "dx"}, nil},
	} {
		if got := nearest(test.name, names); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
