package smi

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/crds"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// Verdict is what becomes of a step.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "pass"
	Fail Verdict = "fail"
	// Approximated: the mesh does what its back end's table says it does instead.
	Approximated Verdict = "approximated"
	// NotApplicable: the mesh does not have a feature that the step needs, by the
	// words of its back end, or cannot make the call at all.
	NotApplicable Verdict = "not applicable"
	// Broken: the plane could not play the step, which says nothing of any policy.
	Broken Verdict = "could not run"
)

// Result is what was observed of a step.
type Result struct {
	ID       string  `json:"id"`
	What     string  `json:"what"`
	Expected string  `json:"expected"`
	Observed string  `json:"observed"`
	Verdict  Verdict `json:"verdict"`
	// Why it is approximated or not applicable, or could not run.
	Why string `json:"why,omitempty"`
	// Calls that were made.
	Calls int `json:"calls,omitempty"`
}

// alpha is how likely a share that is exact may be taken for one that is not.
const alpha = 1e-6

// Run plays steps, one after another, on a plane that is left open. done, if any,
// hears of each.
func Run(p planes.Plane, steps []Step, done func(Result)) []Result {
	r := runner{plane: p}
	var out []Result
	for _, s := range steps {
		res := Result{ID: s.ID, What: s.What, Expected: s.Expected()}
		r.step(s, &res)
		out = append(out, res)
		if done != nil {
			done(res)
		}
	}
	return out
}

// runner remembers what is shown, for steps that go on with it.
type runner struct {
	plane   planes.Plane
	shown   string
	showing planes.Showing
}

func (r *runner) step(s Step, out *Result) {
	if err := r.play(s, out); err != nil {
		out.Verdict, out.Why = Broken, err.Error()
	}
}

// play plays a step. An error is about the plane or the suite.
func (r *runner) play(s Step, out *Result) error {
	asks, err := s.asks(r.plane.Name())
	if err != nil {
		return err
	}
	observed, ok, err := served(s.CRDs)
	if err != nil {
		return err
	}
	if len(s.Manifests) > 0 {
		given, err := s.read()
		if err != nil {
			return err
		}
		found, right := s.taken(given)
		observed, ok = append(observed, found...), ok && right
		if err := r.show(s, given, asks); err != nil {
			return err
		}
		if words := lacking(r.showing); words != "" {
			out.Verdict, out.Why = NotApplicable, words
			return nil
		}
	}
	for _, a := range asks {
		h := r.hear(a)
		if h.err != nil {
			return fmt.Errorf("%s: %w", a.Request, h.err)
		}
		if h.cannot != "" {
			out.Verdict, out.Why = NotApplicable, h.cannot
			return nil
		}
		out.Calls += a.N
		observed, ok = append(observed, h.String()), ok && h.is(a)
	}
	out.Observed = strings.Join(short(observed), "; ")
	out.Verdict, out.Why = r.judge(s, ok)
	return nil
}

// judge says what it means that a step was, or was not, observed as expected.
func (r *runner) judge(s Step, ok bool) (Verdict, string) {
	near, instead := s.Instead[r.plane.Name()]
	switch {
	case ok && !instead:
		return Pass, ""
	case ok && says(r.showing, near.Row):
		return Approximated, near.Row
	}
	return Fail, ""
}

// says reports whether a row that a scene makes use of says something.
func says(s planes.Showing, words string) bool {
	return slices.ContainsFunc(s.Pieces, func(p translators.Piece) bool {
		return slices.ContainsFunc(p.Claims, func(c feature.Claim) bool { return c.Row.Note == words && c.Row.Class != report.Exact })
	})
}

// show shows a step's manifests, unless they are shown already.
func (r *runner) show(s Step, given read, asks []Ask) error {
	scene := planes.Scene{Name: s.ID, Units: given.units}
	for _, a := range asks {
		scene.Requests = append(scene.Requests, a.Request)
	}
	key := fmt.Sprint(s.Access, s.Dialect, s.Manifests, scene.Requests)
	if key == r.shown {
		return nil
	}
	r.shown = ""
	var err error
	if r.showing, err = r.plane.Show(scene); err == nil {
		r.shown = key
	}
	return err
}

// lacking says in a back end's own words what it cannot say of a scene: what its
// table drops, or refuses because more would be let through.
func lacking(s planes.Showing) string {
	var words []string
	for _, f := range s.Output.Findings {
		if f.Class == report.Dropped || f.Class == report.Widened || f.Code == report.Withheld {
			words = append(words, f.Message)
		}
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), "; ")
}

// taken compares what the manifests were found to be with what they should be.
func (s Step) taken(given read) (observed []string, ok bool) {
	ok = true
	for _, o := range s.Objects {
		if !given.objects[o] {
			observed, ok = append(observed, "not there: "+o), false
			continue
		}
		observed = append(observed, "there: "+o)
	}
	for _, o := range s.Gone {
		if _, there := given.objects[o]; there {
			observed, ok = append(observed, "still there: "+o), false
			continue
		}
		observed = append(observed, "gone: "+o)
	}
	for _, c := range slices.Compact(slices.Clone(given.errors)) {
		observed = append(observed, fmt.Sprintf("an error: %s", c))
	}
	want := slices.Sorted(slices.Values(s.Errors))
	return observed, ok && slices.Equal(slices.Compact(want), slices.Compact(given.errors))
}

// served looks for kinds among what the CRDs serve.
func served(kinds []string) (observed []string, ok bool, err error) {
	there := map[string]bool{}
	for _, name := range crds.Names() {
		text, err := fs.ReadFile(crds.Files(), name)
		if err != nil {
			return nil, false, err
		}
		var crd struct {
			Spec struct {
				Group    string
				Names    struct{ Kind string }
				Versions []struct {
					Name   string
					Served bool
				}
			}
		}
		if err := yaml.Unmarshal(text, &crd); err != nil {
			return nil, false, fmt.Errorf("%s: %w", name, err)
		}
		for _, v := range crd.Spec.Versions {
			there[fmt.Sprintf("%s %s/%s", crd.Spec.Names.Kind, crd.Spec.Group, v.Name)] = v.Served
		}
	}
	ok = true
	for _, k := range kinds {
		if !there[k] {
			observed, ok = append(observed, "not served: "+k), false
			continue
		}
		observed = append(observed, "served: "+k)
	}
	return observed, ok, nil
}

// heard is what was heard of many calls alike.
type heard struct {
	ask    Ask
	counts map[string]int
	cannot string
	err    error
}

// hear makes a call as often as it takes, some at a time.
func (r *runner) hear(a Ask) heard {
	h := heard{ask: a, counts: map[string]int{}}
	first := r.plane.Ask(a.Request)
	if first.Cannot != "" || first.Err != nil {
		h.cannot, h.err = first.Cannot, first.Err
		return h
	}
	h.counts[outcome(first)]++
	var mu sync.Mutex
	var all sync.WaitGroup
	const hands = 4
	for i := range hands {
		all.Go(func() {
			for range (a.N - 1 + i) / hands {
				one := r.plane.Ask(a.Request)
				mu.Lock()
				if one.Cannot != "" || one.Err != nil {
					h.cannot, h.err = one.Cannot, one.Err
				}
				h.counts[outcome(one)]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return h
}

// outcome names what a caller heard.
func outcome(a planes.Answer) string {
	switch {
	case a.App != "":
		return a.App
	case a.Status != 0:
		return fmt.Sprint(a.Status)
	case a.Denied && a.Greeted:
		return "greeted,closed"
	case a.Denied:
		return "closed"
	}
	return "nothing"
}

// is reports whether what was heard is what is wanted: no outcome that is not
// wanted, and each of those that are within the bounds of its part.
func (h heard) is(a Ask) bool {
	wanted := map[string]bool{}
	for _, w := range a.Want {
		wanted[w.Name] = true
		low, high := 1, a.N
		if w.Part != Some {
			low, high = Bounds(a.N, w.Part, alpha)
		}
		if n := h.counts[w.Name]; n < low || n > high {
			return false
		}
	}
	for name := range h.counts {
		if !wanted[name] {
			return false
		}
	}
	return true
}

// String says how often what was heard.
func (h heard) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(h.counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, h.counts[name]))
	}
	return strings.Join(parts, ", ")
}
