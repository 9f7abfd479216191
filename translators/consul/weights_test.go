package consul

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// sent is what a proxy makes of a share that we write.
func sent(t interface{ Fatal(...any) }, share int) int {
	text, err := json.Marshal(float64(share) / 100)
	if err != nil {
		t.Fatal(err)
	}
	var kept float32
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	return proxied(kept)
}

// fair checks shares against what was asked for.
func fair(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, weights []uint64,
) {
	shares, exact := apportion(weights)
	var total float64
	for _, w := range weights {
		total += float64(w)
	}
	sum, same := 0, true
	least := slices.Min(weights)
	for i, n := range shares {
		sum += n
		if n < 1 {
			t.Fatalf("%v: share %d is nothing: %v", weights, i, shares)
		}
		if got := sent(t, n); got != n {
			t.Fatalf("%v: the proxy makes %d of %d", weights, got, n)
		}
		want := float64(weights[i]) * steps / total
		same = same && want == float64(n)
		// Where none has to be rounded up from nothing, none is far off.
		if math.Abs(want-float64(n)) > 3 && float64(least)*steps >= total {
			t.Fatalf("%v: %d instead of %.2f: %v", weights, n, want, shares)
		}
	}
	if sum != steps {
		t.Fatalf("%v: the shares make %d: %v", weights, sum, shares)
	}
	if exact && !same {
		t.Fatalf("%v: %v is said to be exact", weights, shares)
	}
}

// Some hundredths do not survive Consul's arithmetic, which is what the rest is for.
func TestConsulCutsSomeWeights(t *testing.T) {
	lost := 0
	for n := range steps + 1 {
		if (sent(t, n) == n) != survives(n) {
			t.Errorf("%d: the proxy makes %d of it", n, sent(t, n))
		}
		if !survives(n) {
			lost++
		}
	}
	if lost < 100 || survives(53) {
		t.Errorf("%d shares are lost, 0.53 percent survives: %t", lost, survives(53))
	}
}

func TestEveryRatioOfTwo(t *testing.T) {
	for n := 1; n < steps; n++ {
		fair(t, []uint64{uint64(n), uint64(steps - n)})
	}
	for a := uint64(1); a <= 120; a++ {
		for b := uint64(1); b <= 120; b++ {
			fair(t, []uint64{a, b})
		}
	}
}

func TestEveryRatio(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weight := rapid.OneOf(rapid.Uint64Range(1, 10), rapid.Uint64Range(1, 1000), rapid.Uint64Range(1, 1<<32-1))
		fair(t, rapid.SliceOfN(weight, 1, 40).Draw(t, "weights"))
	})
}

func TestMoreSharesThanSteps(t *testing.T) {
	many := make([]uint64, steps)
	for i := range many {
		many[i] = 1
	}
	fair(t, many)
	if shares, _ := apportion(append(many, 1)); shares != nil {
		t.Error("more shares than there are steps")
	}
}

func TestRoundNumbersStay(t *testing.T) {
	for _, w := range [][]uint64{{90, 10}, {1, 1}, {1, 3}, {50, 25, 25}, {99, 1}, {1}} {
		if shares, exact := apportion(w); !exact {
			t.Errorf("%v becomes %v", w, shares)
		}
	}
	if shares, exact := apportion([]uint64{1, 1, 1}); exact || shares[0] != 3334 || shares[1] != 3333 {
		t.Errorf("thirds become %v", shares)
	}
	if shares, exact := apportion([]uint64{53, 9947}); exact || shares[0] == 53 {
		t.Errorf("0.53 percent becomes %v", shares)
	}
}
