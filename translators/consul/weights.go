package consul

import "slices"

// steps is how many steps Consul's percentages have: a hundredth of a percent.
const steps = 10_000

// survives reports whether a share of n steps reaches the proxy as it is. Consul
// keeps a percentage as a float32 and cuts off what follows the hundredths, so
// that 0.53 becomes 0.52.
func survives(n int) bool { return int(float32(n)/100*100) == n }

// reach is how far a share may be moved to one that survives, and how far the sum
// may be off on the way.
const (
	reach = 3
	slack = 40
)

// apportion divides the steps in the ratio of weights, of which none is zero: as
// near as can be, none nothing, each one that survives. It reports whether that
// is the ratio itself, and no shares where there are more weights than steps.
func apportion(weights []uint64) (shares []int, exact bool) {
	if len(weights) > steps {
		return nil, false
	}
	shares = nearest(weights)
	var total uint64
	for _, w := range weights {
		total += w
	}
	if slices.ContainsFunc(shares, func(n int) bool { return !survives(n) }) {
		shares = surviving(shares)
	}
	exact = true
	for i, n := range shares {
		exact = exact && uint64(n)*total == weights[i]*steps
	}
	return shares, exact
}

// nearest divides the steps by largest remainder, with one for each at least.
func nearest(weights []uint64) []int {
	var total uint64
	for _, w := range weights {
		total += w
	}
	out, order := make([]int, len(weights)), make([]int, len(weights))
	left := steps
	for i, w := range weights {
		out[i], order[i] = max(int(w*steps/total), 1), i
		left -= out[i]
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := weights[a]*steps%total, weights[b]*steps%total
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	for i := 0; left > 0; i++ {
		out[order[i%len(order)]]++
		left--
	}
	for left < 0 { // many small ones were rounded up: the largest gives
		i := slices.Index(out, slices.Max(out))
		out[i]--
		left++
	}
	return out
}

// surviving moves shares to ones that survive, without changing their sum, so
// that the sum of the squares of the moves is least.
func surviving(shares []int) []int {
	type state struct{ cost, move int }
	const none = 1 << 30
	table := make([][]state, len(shares)+1)
	for i := range table {
		table[i] = make([]state, 2*slack+1)
		for j := range table[i] {
			table[i][j].cost = none
		}
	}
	table[0][slack].cost = 0
	for i, n := range shares {
		for move := -reach; move <= reach; move++ {
			if n+move < 1 || !survives(n+move) {
				continue
			}
			for j := max(0, -move); j <= 2*slack-max(0, move); j++ {
				if cost := table[i][j].cost + move*move; cost < table[i+1][j+move].cost {
					table[i+1][j+move] = state{cost, move}
				}
			}
		}
	}
	out := slices.Clone(shares)
	for i, j := len(shares), slack; i > 0; i-- {
		move := table[i][j].move
		out[i-1] += move
		j -= move
	}
	return out
}
