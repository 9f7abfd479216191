package semantics

import (
	"testing"

	"github.com/meshknot/meshknot/translators/ir"
)

func TestWitnessFulfils(t *testing.T) {
	for _, expr := range []string{"/api", "/v[0-9]+/x", ".*a-book.*new", "/(a|b){2,3}", "[^/]+x?", `\d+\.png`, "(?i)abc"} {
		for _, a := range []ir.Anchor{ir.AnchorWhole, ir.AnchorStart, ir.AnchorNone} {
			alts, err := ir.ParsePattern(expr, a)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range alts {
				if w := Witness(m, "/fallback"); !m.Matches(w) {
					t.Errorf("%q anchored %d: %v does not match its witness %q", expr, a, m, w)
				}
			}
		}
	}
}
