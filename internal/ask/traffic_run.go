package ask

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// TrafficResult is how one test went, on the model or on one back end.
type TrafficResult struct {
	File string
	// Name is "document/test" and, on a back end, "document/test@backend".
	Name string
	// At is the test in its document.
	At     report.Ref
	Passed bool
	// Cannot: nothing can be said; then Failures say why.
	Cannot   bool
	Failures []string
	// Because are the places in the tested input that decide.
	Because  []report.Ref
	Tested   *input.Set
	Duration time.Duration
}

// TrafficRun runs traffic tests, and reads each input that they name once.
type TrafficRun struct {
	Program Program
	// Target finds a back end by the name that a document gives it.
	Target func(name string) (translators.Target, error)
	// Wanted limits the tests by their names; nil: all.
	Wanted *regexp.Regexp

	inputs map[string]*tested
	order  []*tested
}

// tested is an input that tests are about.
type tested struct {
	name  string
	set   *input.Set
	store *input.Store
	asker *Asker
	found report.Report
	// broken says why nothing can be asked of it.
	broken string
	model  Side
	meshes map[string]Side
	hits   map[report.Ref]bool
}

// Run runs the tests of a document, each on the model and on every back end.
func (r *TrafficRun) Run(t TrafficTest) []TrafficResult {
	in := r.input(t)
	var out []TrafficResult
	for i, c := range t.Spec.Tests {
		name := t.ID.Name + "/" + c.Name
		base := TrafficResult{File: t.File, Name: name, At: t.ID.Ref(input.Element("spec.tests", i)), Tested: in.set}
		for _, backend := range append([]string{""}, t.Spec.Backends...) {
			one := base
			if backend != "" {
				one.Name += "@" + backend
			}
			if r.Wanted != nil && !r.Wanted.MatchString(one.Name) {
				continue
			}
			began := time.Now()
			r.one(&one, in, c, backend)
			one.Duration = time.Since(began)
			out = append(out, one)
		}
	}
	return out
}

func (r *TrafficRun) one(out *TrafficResult, in *tested, c TrafficCase, backend string) {
	cannot := func(why string) { out.Cannot, out.Failures = true, []string{"cannot be decided: " + why} }
	if in.broken != "" {
		cannot(in.broken)
		return
	}
	q := c.request()
	if _, err := in.asker.Known(q, in.asker.Slice(q)); err != nil {
		cannot(err.Error())
		return
	}
	side, err := r.side(in, backend)
	if err != nil {
		cannot(err.Error())
		return
	}
	d, _ := side.Decide(q)
	meant := in.model.model.Decide(q)
	out.Because = meant.Because
	if backend == "" {
		for _, ref := range in.model.tracer.trace(q, meant).Rules {
			in.hits[ref] = true
		}
	}
	out.Failures = c.Expect.unmet(q, d, backend == "")
	out.Passed = len(out.Failures) == 0
}

// side returns who decides: the model, or a back end.
func (r *TrafficRun) side(in *tested, backend string) (Side, error) {
	if backend == "" {
		return in.model, nil
	}
	if s, ok := in.meshes[backend]; ok {
		return s, s.Silent()
	}
	t, err := r.Target(backend)
	if err != nil {
		return Side{}, err
	}
	s := Sides(r.Program, in.store, t)[0]
	in.meshes[backend] = s
	return s, s.Silent()
}

// input reads the files that a document names, once for all documents that name
// them and understand them alike.
func (r *TrafficRun) input(t TrafficTest) *tested {
	dir := filepath.Dir(t.File)
	paths := []string{dir}
	if len(t.Spec.Files) > 0 {
		paths = nil
		for _, f := range t.Spec.Files {
			paths = append(paths, filepath.Join(dir, filepath.FromSlash(f)))
		}
	}
	key := strings.Join(append(paths, t.Spec.Access, t.Spec.Dialect), "\x00")
	if in, ok := r.inputs[key]; ok {
		return in
	}
	in := &tested{name: strings.Join(paths, ", "), meshes: map[string]Side{}, hits: map[report.Ref]bool{}}
	in.set, in.found = input.Read(paths, input.Options{Schemas: r.Program.Schemas()})
	in.store = input.NewStore(in.set, input.Settings{Access: orElse(t.Spec.Access, "selected"), Dialect: orElse(t.Spec.Dialect, "spec")})
	in.asker = New(r.Program, in.store, nil)
	in.model = Sides(r.Program, in.store, translators.Target{})[0]
	for _, f := range in.found {
		if f.Severity == report.Error && in.broken == "" {
			in.broken = "the input has an error: " + f.Message + " (" + in.where(f) + ")"
		}
	}
	if r.inputs == nil {
		r.inputs = map[string]*tested{}
	}
	r.inputs[key] = in
	r.order = append(r.order, in)
	return in
}

// where says where a finding of reading is.
func (t *tested) where(f report.Finding) string {
	if p, ok := t.set.Locate(f.Source); ok {
		return p.String()
	}
	return orElse(f.At.String(), t.name)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// short renders a percentage with two digits behind the point at most.
func short(p float64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", p), "0"), ".")
}
