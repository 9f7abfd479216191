package demo

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestProbability(t *testing.T) {
	var sum float64
	for k := range 101 {
		sum += probability(100, k, 0.3)
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("probabilities add up to %v", sum)
	}
	if got := probability(4, 2, 0.5); math.Abs(got-0.375) > 1e-12 {
		t.Errorf("2 of 4 coins: %v", got)
	}
}

func TestAgrees(t *testing.T) {
	const alpha = 1e-5
	for _, tt := range []struct {
		name string
		n, k int
		p    float64
		want bool
	}{
		{"as expected", 1000, 800, 0.8, true},
		{"a little off", 1000, 830, 0.8, true},
		{"far off", 1000, 740, 0.8, false},
		{"swapped", 1000, 200, 0.8, false},
		{"never, and did not", 100, 0, 0, true},
		{"never, and did once", 100, 1, 0, false},
		{"always, and did", 100, 100, 1, true},
		{"always, but for once", 100, 99, 1, false},
		{"too few to tell", 5, 5, 0.5, true},
		{"none of many", 500, 0, 0.1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := agrees(tt.n, tt.k, tt.p, alpha); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// TestAlarmsAreAsRareAsPromised draws fair samples: about alpha of them are
// taken for wrong, never more than the binomial distribution's grain allows.
func TestAlarmsAreAsRareAsPromised(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const rounds, n, alpha = 4000, 200, 0.05
	alarms := 0
	for range rounds {
		k := 0
		for range n {
			if r.Float64() < 0.8 {
				k++
			}
		}
		if !agrees(n, k, 0.8, alpha) {
			alarms++
		}
	}
	if got := float64(alarms) / rounds; got > alpha || got < alpha/3 {
		t.Errorf("%.3f of fair samples alarm, want at most %.2f and not many fewer", got, alpha)
	}
}
