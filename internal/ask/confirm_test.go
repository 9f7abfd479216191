package ask

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/verify"
)

// TestExamplesAreConfirmed compares every golden case with itself less one
// object. Whatever diff says of a request, explain must say of it too on either
// side, where it compiles only a part of the mesh and reads the request as text.
func TestExamplesAreConfirmed(t *testing.T) {
	cases, err := golden.Load("../../test/cases")
	if err != nil {
		t.Fatal(err)
	}
	confirmed := 0
	for _, c := range cases {
		set := inputOf(c)
		before := asking(input.NewStore(set, c.Settings))
		for i, o := range set.Objects {
			less := *set
			less.Objects = slices.Delete(slices.Clone(set.Objects), i, i+1)
			after := asking(input.NewStore(&less, c.Settings))
			changes := Compare(before.Side, after.Side).Changes
			for _, one := range changes {
				confirm(t, fmt.Sprintf("%s without %s %s/%s", c.Name, o.Kind, o.Namespace, o.Name), before, after, one)
			}
			confirmed += len(changes)
		}
	}
	if confirmed < 1000 {
		t.Errorf("only %d changes were looked at", confirmed)
	}
}

// asked is an input, whole and to be asked about request by request.
type asked struct {
	Side
	asker *Asker
}

func asking(s *input.Store) asked {
	return asked{Sides(program(), s, translators.Target{})[0], New(program(), s, nil)}
}

func inputOf(c golden.Case) *input.Set {
	var files []input.File
	for _, f := range c.Inputs {
		files = append(files, input.File{Name: strings.TrimPrefix(f.Name, "in/"), Data: f.Data})
	}
	set, _ := input.ReadFiles(files, input.Options{Schemas: program().Schemas()})
	return set
}

func confirm(t *testing.T, name string, before, after asked, c Change) {
	t.Helper()
	q, err := semantics.ParseRequest(c.Example.String())
	if err != nil {
		t.Errorf("%s: %s: %v", name, c.Example, err)
		return
	}
	was, is := before.explained(t, name, q), after.explained(t, name, q)
	if !slices.Contains(semantics.Differences(q, was, is, verify.Rounding), c.Difference) {
		t.Errorf("%s: %s: diff says %s; explain says %s, then %s", name, q, c.Difference, semantics.Outcome(was), semantics.Outcome(is))
	}
}

// explained is what explain says of a request; what simulate expects must add up
// to the same. Of what the input does not have explain says nothing, and must not
// say so of what it has.
func (a asked) explained(t *testing.T, name string, q semantics.Request) semantics.Decision {
	t.Helper()
	answer, err := a.asker.Explain(q)
	if unknown := (Unknown{}); errors.As(err, &unknown) {
		whole, _ := a.Decide(q)
		if unknown.What == q.Callee() && a.has(q) && whole.Verdict != semantics.UnknownPort {
			t.Errorf("%s: %s: %v", name, q, err)
		}
		return whole
	}
	if err != nil {
		t.Errorf("%s: %s: %v", name, q, err)
	}
	d, _, err := a.asker.Decide(q)
	if err != nil {
		t.Errorf("%s: %s: %v", name, q, err)
	}
	spread(t, name, q, answer.Decision, Outcomes(d))
	return answer.Decision
}

// spread: the outcomes that simulate expects are the shares that explain shows.
func spread(t *testing.T, name string, q semantics.Request, d semantics.Decision, expected []Outcome) {
	t.Helper()
	sum := 0.0
	for i, o := range expected {
		sum += o.Percent
		if i < len(d.Shares) && (d.Verdict != semantics.Answer) {
			s := d.Shares[i]
			if o.Percent != s.Percent || (o.Kind == Served) != (s.Allowed && s.Invalid == "") ||
				!strings.HasPrefix(o.What, ir.ServicePort{Service: s.Service, Port: s.Port}.String()) {
				t.Errorf("%s: %s: simulate expects %+v, explain says %+v", name, q, o, s)
			}
		}
	}
	if math.Abs(sum-100) > 1e-6 || len(d.Shares) > 0 && len(expected) != len(d.Shares) {
		t.Errorf("%s: %s: %+v", name, q, expected)
	}
}
