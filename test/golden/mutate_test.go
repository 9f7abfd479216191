package golden

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

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
		before := judged(units)
		for i, u := range units {
			for _, m := range mutations(u) {
				changed := clone(t, u)
				m.do(&changed)
				after := append(append(append([]ir.Unit{}, units[:i]...), changed), units[i+1:]...)
				tried++
				differing := before.differences(after)
				if len(differing) == 0 {
					continue
				}
				decided++
				for _, target := range Targets(c) {
					if m.view && !views(target) || unsaid(u, target, m.ref) || unsaid(changed, target, m.ref) || !slices.ContainsFunc(differing, can(target)) {
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

// judgement is a model with what it decides of its own request classes.
type judgement struct {
	model    semantics.Model
	classes  []semantics.Request
	outcomes []string
}

func judged(units []ir.Unit) judgement {
	j := judgement{model: semantics.New(units), classes: semantics.Classes(units)}
	for _, q := range j.classes {
		j.outcomes = append(j.outcomes, outcome(j.model.Decide(q)))
	}
	return j
}

// differences lists the request classes of either model that are decided otherwise.
func (j judgement) differences(after []ir.Unit) []semantics.Request {
	var out []semantics.Request
	model := semantics.New(after)
	for i, q := range j.classes {
		if outcome(model.Decide(q)) != j.outcomes[i] {
			out = append(out, q)
		}
	}
	for _, q := range semantics.Classes(after) {
		if outcome(j.model.Decide(q)) != outcome(model.Decide(q)) {
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
	return fmt.Sprintf("%s %s %v %d %s %s %s %v %v %s %s %s", d.Verdict, d.Route, shares(d), d.Status, d.Location,
		d.Sent.Host, d.Sent.Path, d.Sent.Headers, mirrored(d), d.Timeout.Request, d.Timeout.Backend, edits(d))
}

func mirrored(d semantics.Decision) []string {
	var out []string
	for _, m := range d.Mirrors {
		out = append(out, fmt.Sprintf("%s:%d=%s", m.Service, m.Port, percent(m.Percent)))
	}
	return out
}

// edits renders what is done to headers for each share, and to those of the answer.
func edits(d semantics.Decision) string {
	out, _ := json.Marshal(d.Sent.Response)
	for _, s := range d.Shares {
		if s.Invalid != "" {
			continue
		}
		request, _ := json.Marshal(s.Request)
		response, _ := json.Marshal(s.Response)
		out = append(append(append(out, s.Service.String()...), request...), response...)
	}
	return string(out)
}

// views reports whether a back end has routes for the callers of a namespace.
func views(target translators.Target) bool {
	b, _ := all.Pipeline().Backend(target.Backend)
	row, _ := b.Supports(target).Find(feature.RouteView, []feature.Condition{feature.CondPlainHTTP})
	return row.Class != report.Dropped
}

// unsaid reports whether a back end leaves a field unsaid, or the part of a unit
// that it is in, and says so.
func unsaid(u ir.Unit, target translators.Target, ref report.Ref) bool {
	b, _ := all.Pipeline().Backend(target.Backend)
	piece := translators.Translate(u, b, target, nil)
	for _, f := range piece.Findings {
		whole := f.Code == report.NoClusterAddress // no call to the Service is caught
		switch f.Class {
		case report.Dropped, report.Widened, report.Narrowed:
			if whole || together(ref, f.Source) {
				return true
			}
		case report.Approximated: // one answer for all that a proxy answers by itself
			if ref == f.Source && strings.HasPrefix(f.Message, feature.SpecOf(feature.RouteStatus).Title) {
				return true
			}
		}
	}
	return piece.Withheld
}

var rule = regexp.MustCompile(`^spec\.rules\[\d+\]`)

// together reports whether two fields stand or fall as one: what is in one rule
// of a route, and all of a grant, where what is left out of a part may be in
// another object.
func together(a, b report.Ref) bool {
	if a.Object() != b.Object() || a.Kind == "TrafficTarget" {
		return true
	}
	return strings.HasPrefix(a.Field, b.Field) || strings.HasPrefix(b.Field, a.Field) ||
		rule.MatchString(a.Field) && rule.FindString(a.Field) == rule.FindString(b.Field)
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
