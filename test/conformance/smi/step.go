// Package smi is a conformance suite of the Service Mesh Interface that is played
// on real data planes: the 24 steps of the public suite by their ids, what the
// suites of OSM and Traefik Mesh ask beyond them, and a case for each question
// that the specification leaves open, as docs/decisions/005 answers it.
//
// Nothing waits for a fixed time, a denial is told apart by protocol, and shares
// are held against an exact binomial interval of at least a thousand calls.
package smi

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

//go:embed testdata/*.yaml
var files embed.FS

// Step is one step of the suite.
type Step struct {
	// ID is the step's for ever; What says it in a line.
	ID, What string
	// Manifests are the files of testdata, without extension, that are in force.
	Manifests []string
	// Access and Dialect are those of input.Settings. Everything that exists is
	// always given.
	Access, Dialect string
	// CRDs are kinds, as "Kind group/version", that the CRDs have to serve.
	CRDs []string
	// Objects, as "Kind/namespace/name", have to be there without error; Gone must
	// not be there.
	Objects, Gone []string
	// Errors are the codes of the errors that the manifests are found to have; no
	// others may be found.
	Errors []report.Code
	// AnyCall: the policy does not look at requests, so a plane on which GET /echo
	// cannot be said makes another.
	AnyCall bool
	// Asks are what is called and what is heard, in the syntax of ParseAsk.
	Asks []string
	// Instead is what is heard on a plane whose mesh can only come near.
	Instead map[string]Near
}

// Near is what a mesh does instead of what it is asked for.
type Near struct {
	// Row is what the back end's table says of it; a row that is in use has to.
	Row string
	// Asks are all of the step's, as they are heard there.
	Asks []string
}

// Steps lists all steps in order.
func Steps() []Step { return slices.Concat(suite, others, holes) }

// Ask is a call that is made so and so often.
type Ask struct {
	N       int
	Request semantics.Request
	Want    []Outcome
}

// Outcome is one of the things that callers hear: the process that answers, as
// planes.Process names it, a status, "closed" for a connection that ends without a
// word, or "greeted,closed" for one that ends after the server's first.
type Outcome struct {
	Name string
	// Part of the calls, 0 to 1; negative where any part will do but none.
	Part float64
}

// Some is the Part of an outcome that is to occur, however often.
const Some = -1

var askForm = regexp.MustCompile(`^([0-9]+) x (.+) => (.+)$`)

// ParseAsk reads "N x CALL => OUTCOME...", where CALL is what
// semantics.ParseRequest reads and OUTCOME "NAME", "NAME=PERCENT%" or "NAME>0".
func ParseAsk(line string) (Ask, error) {
	m := askForm.FindStringSubmatch(line)
	if m == nil {
		return Ask{}, fmt.Errorf("%q is not \"N x CALL => OUTCOME\"", line)
	}
	q, err := semantics.ParseRequest(m[2])
	if err != nil {
		return Ask{}, fmt.Errorf("%q: %w", line, err)
	}
	a := Ask{Request: q}
	if a.N, err = strconv.Atoi(m[1]); err != nil || a.N == 0 {
		return a, fmt.Errorf("%q: how often?", line)
	}
	sum := 0.0
	for _, f := range strings.Fields(m[3]) {
		o := Outcome{Name: f, Part: 1}
		if name, ok := strings.CutSuffix(f, ">0"); ok {
			o = Outcome{name, Some}
		} else if name, percent, ok := strings.Cut(f, "="); ok {
			p, err := strconv.ParseFloat(strings.TrimSuffix(percent, "%"), 64)
			if err != nil {
				return a, fmt.Errorf("%q: %w", line, err)
			}
			o = Outcome{name, p / 100}
		}
		sum += o.Part
		a.Want = append(a.Want, o)
	}
	if a.Want[0].Part != Some && (sum < 0.9999 || sum > 1.0001) {
		return a, fmt.Errorf("%q: the parts are %v together", line, sum)
	}
	return a, nil
}

// asks are the calls of a step, as a plane can make them.
func (s Step) asks(plane string) ([]Ask, error) {
	var out []Ask
	lines := s.Asks
	if near, ok := s.Instead[plane]; ok {
		lines = near.Asks
	}
	for _, line := range lines {
		if s.AnyCall && strings.Contains(plane, "grpc") {
			line = strings.Replace(line, " GET /echo ", " POST /smi.Conformance/Echo ", 1)
		}
		a, err := ParseAsk(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.ID, err)
		}
		out = append(out, a)
	}
	return out, nil
}

// Expected says in a line what a step expects.
func (s Step) Expected() string {
	var parts []string
	for _, c := range s.CRDs {
		parts = append(parts, "served: "+c)
	}
	for _, o := range s.Objects {
		parts = append(parts, "there: "+o)
	}
	for _, o := range s.Gone {
		parts = append(parts, "gone: "+o)
	}
	for _, c := range s.Errors {
		parts = append(parts, fmt.Sprintf("an error: %s (%s)", c.Row().Title, c))
	}
	return strings.Join(short(append(parts, s.Asks...)), "; ")
}

// short leaves out of lines what is the same everywhere: the namespace, and kinds.
func short(lines []string) []string {
	var out []string
	for _, l := range lines {
		out = append(out, strings.NewReplacer("sa:smi/", "", "svc:smi/", "", "smi/", "").Replace(l))
	}
	return out
}

// read is what becomes of a step's manifests before any back end.
type read struct {
	units []ir.Unit
	// objects by "Kind/namespace/name"; true where one is without error.
	objects map[string]bool
	errors  []report.Code
}

func (s Step) read() (read, error) {
	var given []input.File
	for _, name := range s.Manifests {
		text, err := files.ReadFile("testdata/" + name + ".yaml")
		if err != nil {
			return read{}, fmt.Errorf("%s: %w", s.ID, err)
		}
		given = append(given, input.File{Name: name + ".yaml", Data: text})
	}
	p := all.Pipeline()
	set, found := input.ReadFiles(given, input.Options{Schemas: p.Schemas()})
	res := engine.New(p, nil, nil).Run(input.NewStore(set, input.Settings{Access: s.Access, Dialect: s.Dialect, Complete: true}))
	out := read{units: res.Units, objects: map[string]bool{}}
	for _, o := range set.Objects {
		out.objects[fmt.Sprintf("%s/%s/%s", o.Kind, o.Namespace, o.ID.Name)] = true
	}
	for _, f := range slices.Concat(found, res.Findings) {
		if f.Severity == report.Error {
			out.errors = append(out.errors, f.Code)
			delete(out.objects, fmt.Sprintf("%s/%s/%s", f.Source.Kind, f.Source.Namespace, f.Source.Name))
		}
	}
	slices.Sort(out.errors)
	return out, nil
}
