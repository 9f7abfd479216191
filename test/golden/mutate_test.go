package golden

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// A mutation changes one field of a unit, a private copy.
type mutation struct {
	what string
	ref  report.Ref
	do   func(u *ir.Unit)
}

// mutations lists a change to every field of a unit that means something.
func mutations(u ir.Unit) []mutation {
	var out []mutation
	add := func(what string, ref report.Ref, do func(*ir.Unit)) {
		out = append(out, mutation{what, ref, do})
	}
	if s := u.Service; s != nil {
		for i, p := range s.Ports {
			for j, r := range p.Routes {
				route := func(u *ir.Unit) *ir.Route { return &u.Service.Ports[i].Routes[j] }
				for k, b := range r.Backends {
					if len(r.Backends) > 1 {
						add("weight", b.Ref, func(u *ir.Unit) { route(u).Backends[k].Weight += 7 })
					}
					add("backend", b.Ref, func(u *ir.Unit) { route(u).Backends[k].Service.Name += "x" })
				}
				for k, m := range r.Matches {
					out = append(out, matchMutations(m, func(u *ir.Unit) *ir.Match { return &route(u).Matches[k] })...)
				}
			}
		}
	}
	if w := u.Workload; w != nil && w.Enforced {
		for i, g := range w.Grants {
			grant := func(u *ir.Unit) *ir.Grant { return &u.Workload.Grants[i] }
			for k, s := range g.Sources {
				add("source", s.Ref, func(u *ir.Unit) { grant(u).Sources[k].Identity.Account += "x" })
				add("source namespace", s.Ref, func(u *ir.Unit) { grant(u).Sources[k].Identity.Namespace += "x" })
			}
			for k, p := range g.Ports {
				if p.Number != ir.AnyPort {
					add("port", p.Ref, func(u *ir.Unit) { grant(u).Ports[k].Number++ })
				}
			}
			for k, m := range g.Matches {
				out = append(out, matchMutations(m, func(u *ir.Unit) *ir.Match { return &grant(u).Matches[k] })...)
			}
		}
	}
	return out
}

func matchMutations(m ir.Match, at func(*ir.Unit) *ir.Match) []mutation {
	var out []mutation
	if m.Path.Kind != ir.MatchAny {
		out = append(out, mutation{"path", m.PathRef, func(u *ir.Unit) { at(u).Path.Value += "x" }})
	}
	if !m.AnyMethod() {
		out = append(out, mutation{"method", m.MethodsRef, func(u *ir.Unit) { at(u).Methods[0] = "TRACE" }})
	}
	for k, h := range m.Headers {
		out = append(out, mutation{"header name", h.Ref, func(u *ir.Unit) { at(u).Headers[k].Name += "x" }})
		if h.Value.Kind != ir.MatchAny {
			out = append(out, mutation{"header value", h.Ref, func(u *ir.Unit) { at(u).Headers[k].Value.Value += "x" }})
		}
	}
	return out
}

func clone(t *testing.T, u ir.Unit) ir.Unit {
	t.Helper()
	text, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	var out ir.Unit
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// The model must come back from JSON as it went in.
func TestModelRoundTrips(t *testing.T) {
	for _, c := range load(t) {
		for _, u := range runs(c).Units {
			if got := clone(t, u); !reflect.DeepEqual(got, u) {
				t.Errorf("%s: %s changes by a round trip:\n%+v\n%+v", c.Name, u.Key(), u, got)
			}
		}
	}
}

// A field whose change changes a decision must change the artifacts too, unless
// the back end's table says that it is not said there.
func TestFieldsReachTheArtifacts(t *testing.T) {
	tried, decided := 0, 0
	for _, c := range load(t) {
		units := runs(c).Units
		for i, u := range units {
			for _, m := range mutations(u) {
				changed := clone(t, u)
				m.do(&changed)
				after := append(append(append([]ir.Unit{}, units[:i]...), changed), units[i+1:]...)
				tried++
				differing := differences(units, after)
				if len(differing) == 0 {
					continue
				}
				decided++
				for _, target := range Targets(c) {
					if dropped(u, target) || dropped(changed, target) || !slices.ContainsFunc(differing, can(target)) {
						continue
					}
					if reflect.DeepEqual(said(t, c, u, target), said(t, c, changed, target)) {
						t.Errorf("%s: %s: changing the %s of %s changes a decision but nothing of %s's output",
							c.Name, u.Key(), m.what, m.ref, target.Backend)
					}
				}
			}
		}
	}
	t.Logf("%d fields changed, %d of them changed a decision", tried, decided)
	if decided < tried/2 {
		t.Errorf("only %d of %d changes made a difference to the model: the request classes are blind", decided, tried)
	}
}

// differences lists the request classes of either model that are decided otherwise.
func differences(before, after []ir.Unit) []semantics.Request {
	var out []semantics.Request
	a, b := semantics.New(before), semantics.New(after)
	for _, q := range append(semantics.Classes(before), semantics.Classes(after)...) {
		if outcome(a.Decide(q)) != outcome(b.Decide(q)) {
			out = append(out, q)
		}
	}
	return out
}

// can says which requests the clients of a back end are able to make at all.
func can(t translators.Target) func(semantics.Request) bool {
	return func(q semantics.Request) bool {
		if t.Backend == "grpc" { // a gRPC call is a POST to /service/method
			return q.Method == "POST" && strings.Count(q.Path, "/") == 2
		}
		return true
	}
}

func outcome(d semantics.Decision) string {
	return fmt.Sprint(d.Verdict, d.Route, shares(d))
}

// dropped reports whether a back end leaves something of a unit unsaid, and says so.
func dropped(u ir.Unit, target translators.Target) bool {
	b, _ := all.Pipeline().Backend(target.Backend)
	piece := translators.Translate(u, b, target, nil)
	for _, f := range piece.Findings {
		if f.Class == report.Dropped || f.Class == report.Widened {
			return true
		}
	}
	return piece.Withheld
}

// said is what a back end makes of a unit, without names and annotations of ours.
func said(t *testing.T, c Case, u ir.Unit, target translators.Target) []string {
	t.Helper()
	b, _ := all.Pipeline().Backend(target.Backend)
	var out []string
	for _, a := range translators.Translate(u, b, target, c.Waivers).Artifacts {
		p, err := sink.Plain(a.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := p.(map[string]any); ok && m["metadata"] != nil {
			m = map[string]any{"kind": m["kind"], "spec": m["spec"]}
			p = m
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	return out
}
