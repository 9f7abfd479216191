package demo

import "math"

// agrees reports whether k of n is what chance may bring when each of n falls
// with probability p: whether both tails of the binomial distribution from k on
// are larger than half of alpha. What cannot happen may not happen once.
func agrees(n, k int, p, alpha float64) bool {
	switch {
	case p <= 0:
		return k == 0
	case p >= 1:
		return k == n
	}
	var below, above float64 // P(X <= k), P(X >= k)
	for i := range n + 1 {
		q := probability(n, i, p)
		if i <= k {
			below += q
		}
		if i >= k {
			above += q
		}
	}
	return below > alpha/2 && above > alpha/2
}

// probability of k among n.
func probability(n, k int, p float64) float64 {
	all, _ := math.Lgamma(float64(n + 1))
	yes, _ := math.Lgamma(float64(k + 1))
	no, _ := math.Lgamma(float64(n - k + 1))
	return math.Exp(all - yes - no + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}
