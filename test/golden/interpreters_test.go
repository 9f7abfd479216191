package golden

import (
	"fmt"
	"slices"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/verify"
)

// reading is a target that all cases are translated to and read back from.
type reading struct {
	backend string
	// authorization of gateway-api: the mesh in whose form it is written.
	authorization string
}

// readings lists every back end that has an interpreter, and gateway-api with each
// that can write authorization for it.
func readings() []reading {
	var out []reading
	for _, b := range all.Pipeline().Backends {
		if _, ok := all.Interpreter(b.Name()); ok {
			out = append(out, reading{backend: b.Name()})
		}
	}
	if _, ok := all.Interpreter("gateway-api"); !ok {
		return out
	}
	for _, by := range []string{"istio", "linkerd", "consul"} {
		if _, ok := all.Interpreter(by); ok {
			out = append(out, reading{"gateway-api", by})
		}
	}
	return out
}

func (r reading) String() string {
	if r.authorization == "" {
		return r.backend
	}
	return r.backend + " authorization=" + r.authorization
}

// target is the target with the options of a case.
func (r reading) target(c Case) translators.Target {
	t := translators.Target{Backend: r.backend, Options: c.Options[r.backend]}
	if r.authorization != "" {
		t.Options = map[string]string{"authorization": r.authorization}
		for k, v := range c.Options[r.authorization] {
			t.Options["authorization."+k] = v
		}
	}
	return t
}

// output translates what a case was lowered to.
func (r reading) output(c Case, run Run) (translators.Output, []translators.Piece) {
	t := r.target(c)
	b, _ := all.Pipeline().Backend(t.Backend)
	return translators.Make(run.Units, b, t, c.Waivers)
}

// Whatever a back end makes of a case decides every request as the model does, or
// its table says how it does not; and what a table says shows itself in the case
// that its row names.
func TestInterpreters(t *testing.T) {
	cases := load(t)
	runs := make([]Run, len(cases))
	for i, c := range cases {
		runs[i] = Do(c)
	}
	for _, r := range readings() {
		t.Run(r.String(), func(t *testing.T) {
			t.Parallel()
			read, _ := all.Interpreter(r.backend)
			shown := map[string]bool{}
			asked := 0
			for i, c := range cases {
				out, pieces := r.output(c, runs[i])
				if out.Withheld {
					continue
				}
				result, err := verify.Check(interpret.WorldOf(runs[i].Units), read, out, pieces)
				if err != nil { // what a mesh refuses has to have been refused before
					if !out.Refused() {
						t.Errorf("%s: %v", c.Name, err)
					}
					continue
				}
				asked += result.Asked
				for _, d := range result.Differences {
					if d.Shown == nil {
						t.Errorf("%s: %s: %s %s %v", c.Name, d.Unit, d.Request, d.Difference, d.By)
					}
				}
				shows(shown, c.Name, pieces, append(result.Differences, r.expected(t, c, runs[i], out, pieces)...))
			}
			if asked == 0 {
				t.Error("nothing was asked")
			}
			neverShown(t, r, shown)
		})
	}
}

// expected are the differences in where the calls to Services are sent that a
// case says something of: what only such a request shows, the case has to ask.
func (r reading) expected(t *testing.T, c Case, run Run, out translators.Output, pieces []translators.Piece) []verify.Difference {
	t.Helper()
	read, _ := all.Interpreter(r.backend)
	mesh, err := read(interpret.WorldOf(run.Units), out.Target, out.Artifacts)
	if err != nil {
		t.Fatal(err) // it has been read before
	}
	var found []verify.Difference
	for _, e := range c.Expect {
		for _, p := range pieces {
			if s := p.Unit.Service; s == nil || e.Request.Service != (ir.Name{Namespace: s.Namespace, Name: s.Name}) {
				continue
			}
			want, got := semantics.New([]ir.Unit{p.Unit}).Decide(e.Request), mesh.Route(e.Request)
			for _, d := range semantics.Differences(e.Request, want, got.Decision, verify.Rounding) {
				found = append(found, verify.Difference{Unit: p.Unit.Key(), Request: e.Request, Difference: d, By: got.By, Because: want.Because})
			}
		}
	}
	return found
}

// shows notes what the rows that pieces made use of show in the differences of a
// case, for all of them and not only for the first that explains one.
func shows(shown map[string]bool, name string, pieces []translators.Piece, found []verify.Difference) {
	for _, d := range found {
		for _, p := range pieces {
			decides := p.Unit.Key() == d.Unit || slices.ContainsFunc(p.Artifacts, func(a translators.Artifact) bool { return slices.Contains(d.By, a.ID) })
			if !decides {
				continue
			}
			for _, claim := range p.Claims {
				for _, s := range claim.Row.Shows {
					if s.Effect == d.Effect && verify.HasIn(p.Unit, d, s.On) {
						shown[key(name, s)] = true
					}
				}
			}
		}
	}
}

func key(name string, s feature.Shown) string {
	return fmt.Sprintf("%s: %s %v %s %s", name, s.Feature, s.When, s.Effect, s.On)
}

// neverShown reports what a table says that does not show in the case of its row.
// A table without a case option of its own is asked for with every set of options
// that some case has.
func neverShown(t *testing.T, r reading, shown map[string]bool) {
	if r.authorization != "" { // its rows are those of two tables that are tried alone
		return
	}
	b, _ := all.Pipeline().Backend(r.backend)
	for _, c := range load(t) {
		for _, row := range b.Supports(r.target(c)) {
			for _, s := range row.Shows {
				if row.Case == c.Name && !shown[key(c.Name, s)] {
					t.Errorf("%s: it never shows", key(row.Case, s))
				}
			}
		}
	}
}
