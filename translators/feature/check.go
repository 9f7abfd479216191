package feature

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Waiver accepts a refusal: by code and object, for a reason.
type Waiver struct {
	Code report.Code
	// Object is compared without its field and group.
	Object report.Ref
	Reason string
}

// Covers reports whether the waiver speaks of a finding.
func (w Waiver) Covers(f report.Finding) bool {
	return w.Code == f.Code && w.Object.Kind == f.Source.Kind &&
		w.Object.Namespace == f.Source.Namespace && w.Object.Name == f.Source.Name
}

// Verdict is what Check finds out about a unit and a back end.
type Verdict struct {
	// Unit is the unit without what the back end must not, or cannot, be told.
	Unit ir.Unit
	// Findings say everything that is not exact.
	Findings report.Report
	// Withheld: not even the deny around the grants can be said, so nothing of
	// this back end's output may be applied.
	Withheld bool
	// Uses are the uses with the class that the table gives them.
	Uses []Claim
}

// Claim is a use and what the table says of it.
type Claim struct {
	Use
	Row Row
}

// Check holds a unit against a table. It is where refusal happens, for every
// back end alike: what would let more through (widened), and what concerns who
// may call and cannot be said (dropped), is an error and is taken out of the
// unit; what is merely not said (dropped) is taken out with a warning. The deny
// around the grants is never taken out.
func Check(u ir.Unit, backend string, t Table, waivers []Waiver) Verdict {
	c := checker{backend: backend, table: t, waivers: waivers}
	if n := about(u); n > 0 {
		c.claims = make([]Claim, 0, n)
	}
	v := Verdict{Unit: walk(u, c.keep)}
	v.Findings, v.Withheld, v.Uses = c.findings, c.withheld, c.claims
	if v.Withheld {
		quiet(v.Findings)
	}
	return v
}

// about is how many uses a unit has, more or less, where they are many.
func about(u ir.Unit) int {
	if u.VirtualHost == nil {
		return 0
	}
	n := 1
	for _, r := range u.VirtualHost.Routes {
		n += 2 + 2*len(r.Matches)
	}
	return n
}

// quiet makes refusals of parts details: where the whole is withheld, that is
// what there is to be said.
func quiet(found report.Report) {
	for i := range found {
		if found[i].Code == report.Refused {
			found[i].Severity = report.Info
		}
	}
}

// checker holds the scratch state of one Check.
type checker struct {
	backend  string // INPUT
	table    Table
	waivers  []Waiver
	findings report.Report // OUTPUT
	withheld bool
	claims   []Claim
	answers  []answer // to what was asked of the table, as long as they are few
}

// answer is what there is to be known of a use: of many that ask for a feature the
// conditions are the very same list.
type answer struct {
	feature    Feature
	conditions []Condition
	spec       Spec
	row        Row
}

// fewAnswers is how many are looked through faster than they are found anew.
const fewAnswers = 16

// answer finds the row of a use. It is good until the next is asked for.
func (c *checker) answer(use *Use) *answer {
	for i := range c.answers {
		if a := &c.answers[i]; a.feature == use.Feature && shared(a.conditions, use.Conditions) {
			return a
		}
	}
	row, ok := c.table.Find(use.Feature, use.Conditions)
	if !ok { // the tests make this impossible; to fail closed costs nothing
		row = Row{Feature: use.Feature, Class: report.Dropped, Note: "the back end's table has no row for this"}
	}
	if len(c.answers) == fewAnswers {
		c.answers = c.answers[:fewAnswers-1]
	}
	c.answers = append(c.answers, answer{use.Feature, use.Conditions, SpecOf(use.Feature), row})
	return &c.answers[len(c.answers)-1]
}

// shared reports whether two lists are the same piece of memory.
func shared(a, b []Condition) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

func (c *checker) keep(use Use) bool {
	known := c.answer(&use)
	c.claims = append(c.claims, Claim{use, known.row})
	if known.row.Class == report.Exact {
		return true
	}
	f := c.finding(known.spec, use, known.row)
	for _, w := range c.waivers {
		if f.Code != report.Withheld && w.Covers(f) {
			f.Severity, f.Waived = report.Info, w.Reason
		}
	}
	c.findings = append(c.findings, f)
	if f.Code == report.Withheld {
		c.withheld = true
	}
	switch known.row.Class {
	case report.Dropped:
		return false
	case report.Widened:
		return f.Waived != ""
	}
	return true
}

// finding turns a row that is not exact into what is to be said.
func (c *checker) finding(spec Spec, use Use, row Row) report.Finding {
	var code report.Code
	switch {
	case row.Class == report.Widened, row.Class == report.Dropped && spec.Security:
		code = report.Refused
		if use.Feature == DefaultDeny {
			code = report.Withheld
		}
	case spec.Implicit():
		code = report.Implicit
	case row.Class == report.Relocated:
		code = report.Relocation
	default:
		code = report.Lossy
	}
	f := report.New(code, use.Ref, fmt.Sprintf("%s: %s", spec.Title, row.Note)).WithClass(row.Class)
	f.Backend = c.backend
	switch {
	case row.Class != report.Approximated:
	case code == report.Lossy:
		f.Severity = report.Info
	case use.Feature == DefaultDeny: // something may be open: nobody should have to look for that
		f.Severity = report.Warning
	}
	return f
}

// Unused lists the waivers that covered no finding of a report.
func Unused(waivers []Waiver, r report.Report) []Waiver {
	return slices.DeleteFunc(slices.Clone(waivers), func(w Waiver) bool {
		return slices.ContainsFunc(r, func(f report.Finding) bool { return w.Covers(f) })
	})
}

// ParseWaiver reads "CODE=Kind/namespace/name", with ":reason" behind it.
func ParseWaiver(s string) (Waiver, error) {
	s, reason, _ := strings.Cut(s, ":")
	code, object, _ := strings.Cut(s, "=")
	parts := strings.Split(object, "/")
	if code == "" || len(parts) != 3 {
		return Waiver{}, fmt.Errorf("waiver %q is not CODE=Kind/namespace/name[:reason]", s)
	}
	if reason == "" {
		reason = "waived"
	}
	return Waiver{report.Code(code), report.Ref{Kind: parts[0], Namespace: parts[1], Name: parts[2]}, reason}, nil
}
