package equivalence

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestTail compares the distribution with sums that are known exactly.
func TestTail(t *testing.T) {
	for _, c := range []struct {
		k, n int
		p    float64
		want float64
	}{{0, 10, .5, 1.0 / 1024}, {1, 10, .5, 11.0 / 1024}, {10, 10, .5, 1}, {0, 3, .25, 27.0 / 64}, {2, 3, .25, 63.0 / 64}} {
		if got := tail(c.k, c.n, c.p); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("tail(%d, %d, %v) = %v, want %v", c.k, c.n, c.p, got, c.want)
		}
	}
}

// TestImprobable: fair draws are never called wrong, and wrong weights are.
func TestImprobable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const n = 2000
	draw := func(p float64) int {
		k := 0
		for range n {
			if r.Float64() < p {
				k++
			}
		}
		return k
	}
	for range 300 {
		for _, p := range []float64{.001, .01, .1, .5, .75, .999} {
			if k := draw(p); Improbable(k, n, p, TestChance) {
				t.Errorf("%d of %d is called improbable for %v", k, n, p)
			}
		}
	}
	for _, c := range []struct{ real, said float64 }{{.5, .6}, {.6, .5}, {.9, .8}, {.01, .05}, {.05, .001}, {1, .98}, {0, .02}} {
		if k := draw(c.real); !Improbable(k, n, c.said, TestChance) {
			t.Errorf("%d of %d passes for %v, and it is %v", k, n, c.said, c.real)
		}
	}
	if !Improbable(1, n, 0, TestChance) || !Improbable(n-1, n, 1, TestChance) || Improbable(0, n, 0, TestChance) || Improbable(n, n, 1, TestChance) {
		t.Error("never and always have no chance")
	}
}

// TestDrawn counts outcomes of shares, those that look alike together.
func TestDrawn(t *testing.T) {
	lots := []lot{{[]string{"app a"}, .5}, {[]string{"app b", "denied"}, .5}}
	for _, c := range []struct {
		seen map[string]int
		good bool
	}{
		{map[string]int{"app a": 500, "app b": 250, "denied": 250}, true},
		{map[string]int{"app a": 1000}, false},
		{map[string]int{"app a": 500, "app b": 499, "status 503": 1}, false},
		{map[string]int{"app a": 300, "app b": 700}, false},
	} {
		if text := drawn(lots, c.seen, 1000); (text == "") != c.good {
			t.Errorf("%v: %q", c.seen, text)
		}
	}
}
