package golden

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
)

// Defaults are the leaves of Kubernetes objects that decide nothing. Every entry
// has to be needed: there are such leaves, and at least half of those that are tried
// go unnoticed, or all where a value stands for itself.
type Defaults struct {
	// Idle are fields, each with its reason.
	Idle map[string]string
	// FilledIn are the values that stand for themselves where a field is left out;
	// "." is the namespace of the object.
	FilledIn map[string]any
	// Alike are values that decide what is filled in decides, "field=value", each
	// with its reason.
	Alike map[string]string
	// Alone is a field that decides nothing in a list of one, or is empty.
	Alone string
	// Parts are fields in some objects only, or with all that is below them.
	Parts []Part
}

// Part is the fields that begin with Field, of objects whose names contain Name.
type Part struct{ Name, Field, Why string }

// filledIn begins the names of the entries that must hold always.
const filledIn = "filled in "

// entry is the one that says why a leaf decides nothing, or "".
func (d Defaults) entry(r Removal) string {
	namespace, name, _ := strings.Cut(r.ID().Name, "/")
	value, known := d.FilledIn[r.Field]
	if value == "." {
		value = namespace
	}
	alike := fmt.Sprintf("%s=%v", r.Field, r.Value())
	switch {
	case d.Idle[r.Field] != "":
		return "idle " + r.Field
	case d.Alike[alike] != "":
		return "alike " + alike
	case known && fmt.Sprint(value) == fmt.Sprint(r.Value()):
		return filledIn + r.Field
	}
	for _, p := range d.Parts {
		if strings.Contains(name, p.Name) && strings.HasPrefix(r.Field, p.Field) {
			return p.String()
		}
	}
	if r.Field == d.Alone && r.alone() {
		return "alone " + r.Field
	}
	return ""
}

func (p Part) String() string { return "part " + p.Name + " " + p.Field }

// entries lists what entry can say.
func (d Defaults) entries() []string {
	var out []string
	for k := range d.Idle {
		out = append(out, "idle "+k)
	}
	for k := range d.Alike {
		out = append(out, "alike "+k)
	}
	for k := range d.FilledIn {
		out = append(out, filledIn+k)
	}
	for _, p := range d.Parts {
		out = append(out, p.String())
	}
	if d.Alone != "" {
		out = append(out, "alone "+d.Alone)
	}
	slices.Sort(out)
	return out
}

// sample is how many leaves of one name were left out, and which of them nobody
// missed.
type sample struct {
	tried int
	left  []string
}

// Mostly leaves out leaves and demands that of each field at least half are noticed,
// of those that the defaults have no entry for: some go unnoticed for what else is
// in a case, an arm that repeats another for the order of routes, or a difference
// that a row shows anyway. Fewer fields than least are an error.
func (l Leaves) Mostly(t testing.TB, d Defaults, least int) {
	t.Helper()
	fields, excused, err := l.unnoticed(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(fields) < least {
		t.Errorf("only %d fields were tried", len(fields))
	}
	for _, wrong := range mostly(fields, excused, d) {
		t.Error(wrong)
	}
}

func mostly(fields, excused map[string]sample, d Defaults) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if s := fields[name]; 2*len(s.left) > s.tried {
			out = append(out, fmt.Sprintf("%s: %d of %d go unnoticed: %v", name, len(s.left), s.tried, s.left))
		}
	}
	for _, name := range d.entries() {
		switch s := excused[name]; {
		case s.tried == 0:
			out = append(out, name+": there is no such leaf")
		case strings.HasPrefix(name, filledIn) && len(s.left) < s.tried, 2*len(s.left) < s.tried:
			out = append(out, fmt.Sprintf("%s: it is said to decide nothing, and only %d of %d go unnoticed", name, len(s.left), s.tried))
		}
	}
	return out
}

// unnoticed leaves out leaves, of each field and of each entry as many as tries say.
func (l Leaves) unnoticed(d Defaults) (fields, excused map[string]sample, err error) {
	all, err := l.trials()
	if err != nil {
		return nil, nil, err
	}
	var open, rest []trial
	for _, t := range all {
		if d.entry(t.removal) == "" {
			open = append(open, t)
		} else {
			rest = append(rest, t)
		}
	}
	fields, err = l.samples(open, func(r Removal) string { return r.field().String() })
	if err != nil {
		return nil, nil, err
	}
	excused, err = l.samples(rest, d.entry)
	return fields, excused, err
}

func (l Leaves) samples(all []trial, name func(Removal) string) (map[string]sample, error) {
	mixed(all)
	out := map[string]sample{}
	for _, t := range all {
		k := name(t.removal)
		s := out[k]
		if s.tried == l.Tries {
			continue
		}
		noticed, err := t.noticed(l.Read)
		if err != nil {
			return nil, err
		}
		if s.tried++; !noticed {
			s.left = append(s.left, fmt.Sprintf("%s: %s: %s", t.name, t.removal.ID().Name, t.removal.Path))
		}
		out[k] = s
	}
	return out, nil
}

// ID names the artifact that the leaf is of.
func (r Removal) ID() translators.ID { return r.artifact.ID }

// Value returns what stands at the leaf: one that says what is filled in where it
// is left out decides nothing.
func (r Removal) Value() any { return r.at(r.steps) }

// alone reports whether the leaf is that of the one element of a list.
func (r Removal) alone() bool {
	if len(r.steps) < 2 {
		return false
	}
	_, listed := r.steps[len(r.steps)-2].(int)
	return listed && len(elements(r.at(r.steps[:len(r.steps)-2]))) == 1
}

// at returns what steps lead to, or nil.
func (r Removal) at(steps []any) any {
	at, err := sink.Plain(r.artifact.Payload)
	if err != nil {
		return nil
	}
	for _, s := range steps {
		switch step := s.(type) {
		case string:
			m, _ := at.(map[string]any)
			at = m[step]
		case int:
			list, _ := at.([]any)
			if step >= len(list) {
				return nil
			}
			at = list[step]
		}
	}
	return at
}
