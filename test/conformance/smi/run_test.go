package smi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// stage is a plane that does exactly what the model says, but for what is broken.
type stage struct {
	mu      sync.Mutex
	model   semantics.Model
	behind  map[ir.ServicePort][]string
	showing planes.Showing
	failing error
	lie     func(planes.Answer) planes.Answer
}

func (s *stage) Name() string       { return "model" }
func (s *stage) Programs() []string { return nil }
func (s *stage) Close()             {}

func (s *stage) Show(scene planes.Scene) (planes.Showing, error) {
	s.model, s.behind = semantics.New(scene.Units), map[ir.ServicePort][]string{}
	for _, u := range scene.Units {
		if w := u.Workload; w != nil {
			for _, p := range w.Ports {
				for _, sp := range p.Services {
					s.behind[sp] = append(s.behind[sp], planes.Process(ir.Name{Namespace: w.Namespace, Name: w.Account}, p.Number))
				}
			}
		}
	}
	return s.showing, s.failing
}

func (s *stage) Ask(q semantics.Request) planes.Answer {
	a := s.answer(q)
	if s.lie != nil {
		a = s.lie(a)
	}
	return a
}

func (s *stage) answer(q semantics.Request) planes.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.model.Decide(q)
	if d.Status != 0 {
		return planes.Answer{Status: d.Status}
	}
	x := rand.Float64() * 100
	for _, share := range d.Shares {
		if x -= share.Percent; x >= 0 {
			continue
		}
		if share.Invalid != "" {
			return planes.Answer{Status: share.Status}
		}
		at := s.behind[ir.ServicePort{Service: share.Service, Port: share.Port}]
		app := at[rand.IntN(len(at))]
		account, _, _ := strings.Cut(app, ":")
		q := q
		q.Service, q.Workload = ir.Name{}, ir.Name{}
		ns, name, _ := strings.Cut(account, "/")
		port := share.Port
		if ok, _ := s.model.Admits(ir.Name{Namespace: ns, Name: name}, target(app, port), ir.ServicePort{Service: share.Service, Port: share.Port}, q); ok {
			return planes.Answer{App: app, Status: 200}
		}
		if q.Raw {
			return planes.Answer{Denied: true}
		}
		return planes.Answer{Denied: true, Status: 403}
	}
	return planes.Answer{}
}

// target is the port in the name of a process.
func target(app string, port int32) int32 {
	var q semantics.Request
	if err := q.ParseCallee("pod:" + app); err != nil {
		return port
	}
	return q.Port
}

// TestSteps plays every step on the model: the table and the model, both written
// from the decisions, agree.
func TestSteps(t *testing.T) {
	for _, r := range Run(&stage{}, Steps(), nil) {
		if r.Verdict != Pass {
			t.Errorf("%s (%s): %s %s\nwant %s\ngot  %s", r.ID, r.What, r.Verdict, r.Why, r.Expected, r.Observed)
		}
	}
}

// TestLies plays the steps on a plane that does not do what it is told, which has
// to be noticed wherever it shows.
func TestLies(t *testing.T) {
	for _, lie := range []struct {
		name string
		tell func(planes.Answer) planes.Answer
		// failing are steps that cannot pass then, passing one that must.
		failing []string
		passing string
	}{
		{"nobody is denied", func(a planes.Answer) planes.Answer {
			if a.Denied {
				return planes.Answer{App: "smi/reviews:9080", Status: 200}
			}
			return a
		}, []string{"access-03", "access-05", "access-07", "spec-04", "spec-06", "osm-01", "osm-06", "hole-12", "hole-13", "hole-24", "hole-25"}, "split-09"},
		{"everybody is denied", func(planes.Answer) planes.Answer { return planes.Answer{Status: 403, Denied: true} },
			[]string{"access-02", "access-05", "split-03", "split-05", "hole-19", "hole-25"}, "access-03"},
		{"a denial closes the connection", func(a planes.Answer) planes.Answer {
			if a.Denied {
				a.Status = 0
			}
			return a
		}, []string{"access-03", "spec-04", "hole-25"}, "osm-06"},
		{"B answers for C", func(a planes.Answer) planes.Answer {
			a.App = strings.Replace(a.App, "service-c", "service-b", 1)
			return a
		}, []string{"access-02", "split-02", "split-03", "split-07", "split-09", "split-11"}, "split-05"},
		{"a few calls fail", func(a planes.Answer) planes.Answer {
			if rand.IntN(50) == 0 {
				return planes.Answer{Status: 504}
			}
			return a
		}, []string{"split-03", "split-09", "split-11", "hole-26"}, "access-01"},
		{"a tenth goes astray", func(a planes.Answer) planes.Answer {
			if a.App == "smi/reviews-v1:9080" && rand.IntN(10) == 0 {
				a.App = "smi/reviews:9080"
			}
			return a
		}, []string{"hole-05", "hole-10"}, "access-03"},
	} {
		t.Run(lie.name, func(t *testing.T) {
			verdicts := map[string]Verdict{}
			for _, r := range Run(&stage{lie: lie.tell}, Steps(), nil) {
				verdicts[r.ID] = r.Verdict
			}
			for _, id := range lie.failing {
				if verdicts[id] != Fail {
					t.Errorf("%s: %q, want it to fail", id, verdicts[id])
				}
			}
			if verdicts[lie.passing] != Pass {
				t.Errorf("%s: %q, want it to pass", lie.passing, verdicts[lie.passing])
			}
		})
	}
}

// TestNothingInSilence: what a plane cannot do is neither passed nor failed.
func TestNothingInSilence(t *testing.T) {
	lacks := planes.Showing{}
	lacks.Output.Findings = report.Report{{Code: report.Refused, Class: report.Dropped, Message: "no such thing here"}}
	narrow := planes.Showing{}
	narrow.Output.Findings = report.Report{{Code: report.Lossy, Class: report.Narrowed, Message: "a little less"}}
	cannot := func(planes.Answer) planes.Answer { return planes.Answer{Cannot: "no such call"} }
	lost := func(planes.Answer) planes.Answer { return planes.Answer{Err: errors.New("it is gone")} }
	for _, c := range []struct {
		name  string
		stage *stage
		want  Verdict
		why   string
	}{
		{"the table drops it", &stage{showing: lacks}, NotApplicable, "no such thing here"},
		{"the table narrows it", &stage{showing: narrow}, Pass, ""},
		{"the call cannot be made", &stage{lie: cannot}, NotApplicable, "no such call"},
		{"the call fails", &stage{lie: lost}, Broken, "it is gone"},
		{"the plane fails", &stage{failing: errors.New("it died")}, Broken, "it died"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range Run(c.stage, suite[4:5], nil) {
				if r.Verdict != c.want || !strings.Contains(r.Why, c.why) || c.why == "" && r.Why != "" {
					t.Errorf("%s: %s because of %q, want %s because of %q", r.ID, r.Verdict, r.Why, c.want, c.why)
				}
			}
		})
	}
}

// TestNear: what a mesh does instead counts only where a row in use says so.
func TestNear(t *testing.T) {
	const words = "it does something else"
	claims := func(note string, class report.Class) planes.Showing {
		row := feature.Row{Note: note, Class: class}
		return planes.Showing{Pieces: []translators.Piece{{Claims: []feature.Claim{{Row: row}}}}}
	}
	step := suite[4]
	step.Instead = map[string]Near{"model": {words, []string{"1 x sa:smi/service-c -> svc:smi/app-b:9091 GET /echo => 403"}}}
	wrong := step
	wrong.Instead = map[string]Near{"model": {words, []string{"1 x sa:smi/service-a -> svc:smi/app-b:9091 GET /echo => 403"}}}
	for _, c := range []struct {
		name    string
		step    Step
		showing planes.Showing
		want    Verdict
	}{
		{"said", step, claims(words, report.Approximated), Approximated},
		{"not said", step, claims("something", report.Approximated), Fail},
		{"said to be exact", step, claims(words, report.Exact), Fail},
		{"said and not done", wrong, claims(words, report.Approximated), Fail},
	} {
		for _, r := range Run(&stage{showing: c.showing}, []Step{c.step}, nil) {
			if r.Verdict != c.want {
				t.Errorf("%s: %s, want %s", c.name, r.Verdict, c.want)
			}
		}
	}
}

// TestTable: every id is there once, all of the public suite and every hole.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Steps() {
		if seen[s.ID] || s.What == "" || s.Expected() == "" && len(s.Manifests) == 0 {
			t.Errorf("%s is there twice, or says nothing", s.ID)
		}
		seen[s.ID] = true
		if _, err := s.asks("grpc"); err != nil {
			t.Error(err)
		}
	}
	for prefix, n := range map[string]int{"access": 7, "spec": 6, "split": 11, "hole": 28, "osm": 6, "traefik": 3} {
		for i := range n {
			if id := fmt.Sprintf("%s-%02d", prefix, i+1); !seen[id] {
				t.Errorf("there is no %s", id)
			}
		}
	}
	if len(seen) != 61 {
		t.Errorf("%d steps", len(seen))
	}
}

// TestDistributions: whatever is shared out is asked for a thousand times.
func TestDistributions(t *testing.T) {
	for _, s := range Steps() {
		asks, err := s.asks("envoy")
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range asks {
			if len(a.Want) > 1 && a.N < 1000 {
				t.Errorf("%s: %s only %d times", s.ID, a.Request, a.N)
			}
		}
	}
}

// TestBounds compares with bounds that were computed by hand or in other ways.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		n         int
		p, alpha  float64
		low, high int
	}{
		{1000, 1, 1e-6, 1000, 1000},
		{1000, 0, 1e-6, 0, 0},
		{1, .5, .5, 0, 1},    // each of two outcomes has half
		{4, .5, .2, 1, 3},    // 1/16 on either side is less than a tenth
		{4, .5, .1, 0, 4},    // and more than a twentieth
		{10, .5, .05, 2, 8},  // 1 or fewer: 11/1024; 2 or fewer: 56/1024
		{20, .25, .05, 2, 9}, // 1 or fewer: 0.0243, 2 or fewer: 0.0913; 10 or more: 0.0139, 9 or more: 0.0409
	} {
		if low, high := Bounds(c.n, c.p, c.alpha); low != c.low || high != c.high {
			t.Errorf("%d of %v but for %v: %d to %d, want %d to %d", c.n, c.p, c.alpha, low, high, c.low, c.high)
		}
	}
}
