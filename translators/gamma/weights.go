package gamma

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// maxWeight is the greatest weight that Gateway API takes.
const maxWeight = 1_000_000

// weights brings weights into Gateway API's range. It reports whether their
// ratio is kept; a share never becomes nothing.
func weights(backends []ir.Backend) ([]int64, bool) {
	var divisor, most, total uint64
	for _, b := range backends {
		w := uint64(b.Weight)
		divisor, most, total = manifest.CommonDivisor(w, divisor), max(most, w), total+w
	}
	if most <= maxWeight {
		divisor = 1
	}
	out := make([]int64, len(backends))
	if divisor == 0 || most/divisor <= maxWeight {
		for i, b := range backends {
			out[i] = int64(uint64(b.Weight) / max(divisor, 1))
		}
		return out, true
	}
	return rounded(backends, total), false
}

// rounded shares maxWeight out: to each what it is due, rounded down but never to
// nothing, and what is left to those who lost most by it.
func rounded(backends []ir.Backend, total uint64) []int64 {
	out := make([]int64, len(backends))
	lost := make([]uint64, len(backends))
	left := int64(maxWeight)
	var order []int
	for i, b := range backends {
		due := uint64(b.Weight) * maxWeight
		out[i], lost[i] = int64(due/total), due%total
		if out[i] == 0 && b.Weight > 0 {
			out[i], lost[i] = 1, 0
		}
		left -= out[i]
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lost[b], lost[a]) })
	for _, i := range order {
		if left > 0 && lost[i] > 0 {
			out[i]++
			left--
		}
	}
	return out
}

func roundedWeights(r ir.Route, to []int64) report.Finding {
	var before, after []string
	for i, b := range r.Backends {
		before = append(before, fmt.Sprint(b.Weight))
		after = append(after, fmt.Sprint(to[i]))
	}
	return report.New(report.WeightRounded, r.Ref, fmt.Sprintf("a weight is at most %d, so %s are written as %s",
		maxWeight, strings.Join(before, ", "), strings.Join(after, ", "))).WithClass(report.Approximated)
}
