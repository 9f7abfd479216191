package golden

import (
	"fmt"
	"slices"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// versions lists every target that the tables speak of.
func versions() []translators.Target {
	var out []translators.Target
	for _, b := range all.Pipeline().Backends {
		if len(b.Versions()) == 0 {
			out = append(out, translators.Target{Backend: b.Name()})
		}
		for _, v := range b.Versions() {
			out = append(out, translators.Target{Backend: b.Name(), Version: v})
		}
	}
	return out
}

func table(t translators.Target) feature.Table {
	b, _ := all.Pipeline().Backend(t.Backend)
	return b.Supports(t)
}

// Every back end must say what it makes of every feature, and the rows must be
// able to hold.
func TestTablesAreComplete(t *testing.T) {
	for _, target := range versions() {
		rows := table(target)
		for _, spec := range feature.Specs() {
			if _, ok := rows.Find(spec.Feature, nil); !ok {
				t.Errorf("%v: no row for %s that holds always", target, spec.Feature)
			}
		}
		for i, r := range rows {
			spec := feature.SpecOf(r.Feature)
			for _, c := range r.When {
				if !slices.Contains(spec.Conditions, c) {
					t.Errorf("%v: %s can never carry %q", target, r.Feature, c)
				}
			}
			if r.Note == "" && r.Class != report.Exact {
				t.Errorf("%v: %s is %s and does not say how", target, r.Feature, r.Class)
			}
			if earlier, _ := rows[:i].Find(r.Feature, r.When); earlier.Feature != "" {
				t.Errorf("%v: %s %v is hidden by an earlier row %v", target, r.Feature, r.When, earlier.When)
			}
		}
	}
}

// Every claim better than "dropped" names a case in which it is put to use.
func TestClaimsAreProved(t *testing.T) {
	cases := map[string]Case{}
	for _, c := range load(t) {
		cases[c.Name] = c
	}
	for _, target := range versions() {
		for _, r := range table(target) {
			if !report.Dropped.Worse(r.Class) {
				continue
			}
			name := fmt.Sprintf("%s %s %v", target.Backend, r.Feature, r.When)
			c, ok := cases[r.Case]
			if !ok {
				t.Errorf("%s: case %q does not exist", name, r.Case)
				continue
			}
			if !used(c, target, r) {
				t.Errorf("%s: nothing in case %s uses the row", name, r.Case)
			}
		}
	}
}

func used(c Case, target translators.Target, r feature.Row) bool {
	b, _ := all.Pipeline().Backend(target.Backend)
	for _, u := range runs(c).Units {
		for _, claim := range feature.Check(u, target.Backend, b.Supports(target), c.Waivers).Uses {
			if claim.Row.Feature == r.Feature && slices.Equal(claim.Row.When, r.When) {
				return true
			}
		}
	}
	return false
}

// ran keeps the runs of the cases, for several tests look at them.
var ran = map[string]Run{}

func runs(c Case) Run {
	if _, ok := ran[c.Name]; !ok {
		ran[c.Name] = Do(c)
	}
	return ran[c.Name]
}
