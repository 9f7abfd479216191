package main

import "fmt"

// must is a number to reach, and the aim beyond it.
type must struct {
	bench, figure string
	// least: the figure is to be at least that much, else at most.
	least     bool
	must, aim float64
	unit      string
}

const (
	least = true
	most  = false
)

// musts are the numbers to reach. A figure that was to be measured and was not is
// a miss.
var musts = []must{
	{"B1", "times faster than LinearCache", least, 13, 20, "x"},
	{"B1", "times the gRPC floor", most, 2.5, 1.5, "x"},
	{"B1", "garbage per change", most, 4, 4, "MiB"},
	{"B2", "time with ten times the names", most, 1.2, 1.0, "x"},
	{"B2", "time per client, most clients to fewest", most, 1.1, 1.0, "x"},
	{"B3", "less CPU than SnapshotCache", least, 8, 12, "x"},
	{"B4", "of the bytes of the full state", most, 1, 0.2, "%"},
	{"B5", "times faster than egctl at 100 routes", least, 100, 500, "x"},
	{"B5", "times faster than egctl at 1,000 routes", least, 100, 500, "x"},
	{"B5", "10,000 routes, of egctl's time for 100", most, 1, 1, "x"},
	{"B5", "slope", most, 1.1, 1.0, ""},
	{"B5", "of egctl's memory at 1,000 routes", most, 1, 0.25, "x"},
	{"B6", "CPU of an edit among 50,000", most, 1000, 200, "µs"},
	{"B6", "50,000 objects to 1,000", most, 1.2, 1.0, "x"},
	{"B6", "slope on five hostnames", most, 1.1, 1.0, ""},
	{"B10", "processor, of the gRPC floor's", most, 2.5, 1.5, "x"},
	{"B10", "growth of memory", most, 0.1, 0, "%/min"},
	{"B11", "memory of an idle client", most, 96, 48, "KiB"},
	{"B16", "clients", least, 10000, 10000, ""},
	{"B16", "times SnapshotCache's clients", least, 5, 5, "x"},
	{"B17", "of SnapshotCache's full state", most, 0.85, 0.85, "x"},
	{"B17", "bytes per change beyond the gRPC floor's", most, 80, 0, "B"},
	{"B18", "start of version", most, 25, 25, "ms"},
	{"B18", "of egctl's size", most, 1.0 / 3, 1.0 / 3, "x"},
}

// check is a must beside what was measured.
type check struct {
	must
	got      float64
	measured bool
}

func (c check) passed() bool { return c.measured && c.reaches(c.must.must) }

func (c check) reaches(n float64) bool {
	if c.least {
		return c.got >= n
	}
	return c.got <= n
}

// verdict is one word.
func (c check) verdict() string {
	switch {
	case !c.measured:
		return "not measured"
	case !c.passed():
		return "MISS"
	case c.reaches(c.aim):
		return "aim"
	}
	return "pass"
}

// String implements fmt.Stringer.
func (c check) String() string {
	got := "-"
	if c.measured {
		got = show(c.got)
	}
	return fmt.Sprintf("%-12s %s: %s %s (must %s %s, aim %s)", c.verdict(), c.figure, got, c.unit, c.sense(), show(c.must.must), show(c.aim))
}

func (c check) sense() string {
	if c.least {
		return "≥"
	}
	return "≤"
}

// checks lists the musts of a result.
func checks(r *Result) []check {
	var out []check
	for _, m := range musts {
		if m.bench == r.Bench {
			got, ok := r.Figures[m.figure]
			out = append(out, check{m, got, ok})
		}
	}
	return out
}
