package equivalence

import "math"

// The whole run of a plane may fail by bad luck once in ten thousand runs: that
// chance is divided by the greatest number of tests that a run may make.
const (
	runChance = 1e-4
	MostTests = 20000
	// TestChance is how improbable a count has to be to count as wrong.
	TestChance = runChance / MostTests
)

// Improbable reports whether k or a count further out, on either side, of n
// draws with probability p comes up more rarely than the bound: exactly, by the
// binomial distribution, each side having half of the bound.
func Improbable(k, n int, p, bound float64) bool {
	switch {
	case p <= 0:
		return k > 0
	case p >= 1:
		return k < n
	}
	return tail(k, n, p) < bound/2 || tail(n-k, n, 1-p) < bound/2
}

// tail is the probability of k successes or fewer.
func tail(k, n int, p float64) float64 {
	sum := 0.0
	all, _ := math.Lgamma(float64(n + 1))
	for i := 0; i <= k; i++ {
		hits, _ := math.Lgamma(float64(i + 1))
		rest, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(all - hits - rest + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}
