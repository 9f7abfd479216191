package smi

import "math"

// Bounds are the fewest and the most of n calls that an outcome of probability p
// takes, but with a probability of alpha: half of it on either side, by the exact
// binomial distribution.
func Bounds(n int, p, alpha float64) (low, high int) {
	below := 0.0
	for low = 0; low < n; low++ {
		if below += mass(n, low, p); below > alpha/2 {
			break
		}
	}
	above := 0.0
	for high = n; high > 0; high-- {
		if above += mass(n, high, p); above > alpha/2 {
			break
		}
	}
	return low, high
}

// mass is the probability of exactly k of n.
func mass(n, k int, p float64) float64 {
	switch {
	case p <= 0:
		return certain(k == 0)
	case p >= 1:
		return certain(k == n)
	}
	return math.Exp(choose(n, k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

func certain(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// choose is the logarithm of the number of ways to take k of n.
func choose(n, k int) float64 {
	all, _ := math.Lgamma(float64(n + 1))
	taken, _ := math.Lgamma(float64(k + 1))
	left, _ := math.Lgamma(float64(n - k + 1))
	return all - taken - left
}
