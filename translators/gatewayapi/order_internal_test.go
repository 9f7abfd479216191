package gatewayapi

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/meshknot/meshknot/translators/ir"
)

// Routes come in the order of precedence, whether they were found the senior first or
// in any order.
func TestOrderIsPrecedence(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	hosts := []string{"a.example.com", "*.example.com", "*", ""}
	for range 500 {
		var rules []lowered
		for range random.IntN(40) {
			l := lowered{name: ir.Name{Namespace: "shop", Name: string(rune('a' + random.IntN(3)))}, rule: random.IntN(2), match: random.IntN(3),
				specificity: [5]int{random.IntN(2), random.IntN(3), random.IntN(2)}}
			if random.IntN(2) == 0 {
				l.created = time.Unix(int64(random.IntN(2)), 0)
			}
			rules = append(rules, l)
		}
		if random.IntN(2) == 0 {
			slices.SortStableFunc(rules, func(a, b lowered) int { return seniority(&a, &b) })
		}
		var all []ranked
		host := hosts[random.IntN(len(hosts))]
		for i := range rules {
			if random.IntN(8) == 0 {
				host = hosts[random.IntN(len(hosts))]
			}
			all = appendRanked(all, host, rules[i:i+1])
		}
		want := slices.Clone(all)
		slices.SortStableFunc(want, precedence)
		got := inOrder(all)
		if !slices.EqualFunc(got, want, func(a, b ranked) bool { return a.lowered == b.lowered && a.host == b.host }) {
			t.Fatalf("%d rules are in another order than that of precedence", len(all))
		}
	}
}
