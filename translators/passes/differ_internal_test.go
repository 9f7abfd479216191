package passes

import (
	"math/rand/v2"
	"testing"

	"github.com/meshknot/meshknot/translators/ir"
)

// Matches are found to differ where their texts do, in whichever part.
func TestAllDiffer(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string { return []string{"", "a", "b", "ab"}[random.IntN(4)] }
	value := func() ir.StringMatch {
		return ir.StringMatch{Kind: []ir.MatchKind{ir.MatchExact, ir.MatchPrefix}[random.IntN(2)], Value: word()}
	}
	differ := 0
	for range 20_000 {
		var routes []ir.Route
		texts := map[string]bool{}
		n := 0
		for range 1 + random.IntN(5) {
			var r ir.Route
			for range 1 + random.IntN(5) {
				m := ir.Match{Path: value()}
				for range random.IntN(2) {
					m.Methods = append(m.Methods, word())
				}
				for range random.IntN(2) {
					m.Headers = append(m.Headers, ir.HeaderMatch{Name: word(), Value: value()})
				}
				for range random.IntN(2) {
					m.Query = append(m.Query, ir.QueryMatch{Name: word(), Value: value()})
				}
				r.Matches = append(r.Matches, m)
				texts[string(meaning(nil, m))] = true
				n++
			}
			routes = append(routes, r)
		}
		got := allDiffer(routes)
		if want := len(texts) == n; got != want {
			t.Fatalf("%+v: all differ: %v, want %v", routes, got, want)
		}
		if got {
			differ++
		}
	}
	if differ < 1000 || differ > 19_900 {
		t.Errorf("%d of 20,000 differ, so little is tried", differ)
	}
	if allDiffer([]ir.Route{{}}) {
		t.Error("a route without matches is none to be looked over")
	}
}
