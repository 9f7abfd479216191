// Package report holds what meshknot says about an input: typed findings with a
// stable code, the class of what a back end does to a field, and the place in
// the user's own object that is meant. It imports nothing of meshknot.
package report

import (
	"cmp"
	"slices"
	"strings"
)

// Ref names an object, or one field of it, as its author would.
// Field is a dotted path with indexes, such as "spec.backends[1].weight"; it is
// empty where the object as a whole is meant. A Ref carries no position: the
// line of a field is looked up when something is rendered, so that a comment
// or a moved document changes nothing that was compiled.
type Ref struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	Field     string `json:"field,omitempty"`
}

// At returns r pointing at a field; an empty field means the whole object.
func (r Ref) At(field string) Ref { r.Field = field; return r }

// Object returns r without its field.
func (r Ref) Object() Ref { r.Field = ""; return r }

// IsZero reports whether r names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// String renders "Kind ns/name" and, where there is one, ": field".
func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	s := r.Kind + " " + r.Name
	if r.Namespace != "" {
		s = r.Kind + " " + r.Namespace + "/" + r.Name
	}
	if r.Field != "" {
		s += ": " + r.Field
	}
	return s
}

// Compare orders references by kind, namespace, name and field.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(
		strings.Compare(r.Group, o.Group), strings.Compare(r.Kind, o.Kind),
		strings.Compare(r.Namespace, o.Namespace), strings.Compare(r.Name, o.Name),
		strings.Compare(r.Field, o.Field))
}

// Effect is a way in which what is made of a policy decides a request other
// than the policy means.
type Effect string

// The effects.
const (
	// Denies: a call that is meant to be allowed is denied, wholly or in part.
	Denies Effect = "denies"
	// Allows: a call that is meant to be denied is allowed, wholly or in part.
	Allows Effect = "allows"
	// Fails: a call that is meant to fail, or to be answered by the proxy, fails
	// or is answered in another way.
	Fails Effect = "fails"
	// Strays: a call goes to other backends, or in other shares.
	Strays Effect = "strays"
	// Edits: a backend or a caller is told something else: host, path, headers.
	Edits Effect = "edits"
	// Mirrors: copies go elsewhere, or in other shares.
	Mirrors Effect = "mirrors"
	// Times: what is said of time differs.
	Times Effect = "times"
)

// Position is a place in an input file. Line and Column count from 1; a zero
// Line means that only the file is known.
type Position struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// Severity says how bad a finding is.
type Severity string

// The severities, from worst to mildest.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Rank returns 0 for error, 1 for warning and 2 for info.
func (s Severity) Rank() int { return slices.Index([]Severity{Error, Warning, Info}, s) }

// AtLeast reports whether s is as bad as threshold, or worse.
func (s Severity) AtLeast(threshold Severity) bool { return s.Rank() <= threshold.Rank() }

// Class says what a back end makes of something that the input asks for.
type Class string

// The classes, from best to worst.
const (
	// Exact: the back end does the same.
	Exact Class = "exact"
	// Relocated: the same effect at another enforcement point.
	Relocated Class = "relocated"
	// Approximated: nearly the same; the note says how.
	Approximated Class = "approximated"
	// Narrowed: less traffic gets through than was asked for.
	Narrowed Class = "narrowed"
	// Dropped: not said at all. Refused where security is concerned.
	Dropped Class = "dropped"
	// Widened: more traffic gets through than was asked for. Always refused.
	Widened Class = "widened"
)

// Classes lists every class from best to worst.
func Classes() []Class {
	return []Class{Exact, Relocated, Approximated, Narrowed, Dropped, Widened}
}

// Worse reports whether c is a worse class than o.
func (c Class) Worse(o Class) bool {
	return slices.Index(Classes(), c) > slices.Index(Classes(), o)
}

// Finding is one thing to be said about the input: a value, never a log line.
type Finding struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	// Class is empty for findings that concern no back end.
	Class Class `json:"class,omitempty"`
	// Backend is the name of the back end concerned, or empty.
	Backend string `json:"backend,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Source  Ref    `json:"source"`
	// Related are further places that the message speaks of.
	Related []Ref `json:"related,omitempty"`
	// At is known from the start only where there is no object to name, as for
	// a document that cannot be decoded; else it is looked up by Source.
	At Position `json:"-"`
	// Waived holds the reason of the waiver that silences this refusal.
	Waived string `json:"waived,omitempty"`
}

// New makes a finding with the severity that the code's row gives it.
func New(code Code, at Ref, message string) Finding {
	return Finding{Code: code, Severity: code.Row().Severity, Source: at, Message: message, Hint: code.Row().Hint}
}

// WithHint returns f with another hint than its code's.
func (f Finding) WithHint(hint string) Finding { f.Hint = hint; return f }

// WithClass returns f with a class.
func (f Finding) WithClass(c Class) Finding { f.Class = c; return f }

// With returns f with further related places.
func (f Finding) With(related ...Ref) Finding { f.Related = append(f.Related, related...); return f }

// Compare orders findings by place, source, severity, back end, code and message.
func (f Finding) Compare(o Finding) int {
	return cmp.Or(
		strings.Compare(f.At.File, o.At.File), cmp.Compare(f.At.Line, o.At.Line), cmp.Compare(f.At.Column, o.At.Column),
		f.Source.Compare(o.Source), cmp.Compare(f.Severity.Rank(), o.Severity.Rank()),
		strings.Compare(f.Backend, o.Backend), strings.Compare(string(f.Code), string(o.Code)),
		strings.Compare(f.Message, o.Message), strings.Compare(string(f.Class), string(o.Class)))
}

// Report is a list of findings.
type Report []Finding

// Sorted returns a sorted copy in which equal findings appear once.
func (r Report) Sorted() Report {
	out := slices.Clone(r)
	slices.SortStableFunc(out, Finding.Compare)
	return slices.CompactFunc(out, func(a, b Finding) bool { return a.Compare(b) == 0 })
}

// Worst returns how many findings are at least as bad as threshold.
func (r Report) Worst(threshold Severity) int {
	n := 0
	for _, f := range r {
		if f.Severity.AtLeast(threshold) {
			n++
		}
	}
	return n
}
