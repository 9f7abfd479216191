package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
)

// guard is a figure that may not grow beyond what was committed: counts of
// allocations by no more than a tenth, ratios of processor time by no more than a
// quarter, or a half where little is measured. A ratio compares two that ran in turn on
// the same machine; no time by itself is ever compared with one of another run.
type guard struct {
	bench, figure string
	growth        float64
}

const (
	allocationGrowth = 1.10
	ratioGrowth      = 1.25
	// editGrowth is for 80 edits of half a millisecond, of which a collection of
	// garbage more or less is a third.
	editGrowth = 1.50
)

var guards = []guard{
	{"B1", "allocations per client", allocationGrowth},
	{"B1", "server CPU, of the gRPC floor's", ratioGrowth},
	{"B1", "server CPU, of LinearCache's", ratioGrowth},
	{"B2", "allocations per client", allocationGrowth},
	{"B2", "server CPU with ten times the names", ratioGrowth},
	{"B5", "allocations per route", allocationGrowth},
	{"B5", "CPU at ten times the routes", ratioGrowth},
	{"B6", "allocations of an edit", allocationGrowth},
	{"B6", "CPU of an edit, most routes to fewest", editGrowth},
}

// baseline is figures by benchmark and name.
type baseline map[string]map[string]float64

// guarded picks the figures that are compared.
func guarded(results []*Result) baseline {
	out := baseline{}
	for _, g := range guards {
		for _, r := range results {
			if v, ok := r.Figures[g.figure]; ok && r.Bench == g.bench {
				if out[g.bench] == nil {
					out[g.bench] = map[string]float64{}
				}
				out[g.bench][g.figure] = v
			}
		}
	}
	return out
}

// compare says which figures have grown too much, by benchmark. One that is missing
// on either side is an error: a guard that has nothing to compare guards nothing.
func compare(committed, now baseline) map[string]error {
	grown := map[string]error{}
	for _, g := range guards {
		old, known := committed[g.bench][g.figure]
		got, measured := now[g.bench][g.figure]
		switch {
		case !known || !measured:
			grown[g.bench] = errors.Join(grown[g.bench], fmt.Errorf("%s %s: not measured, now or in the baseline", g.bench, g.figure))
		case got > old*g.growth:
			grown[g.bench] = errors.Join(grown[g.bench], fmt.Errorf("%s %s: %s, which is %.0f %% more than the %s of the baseline (allowed are %.0f %%)",
				g.bench, g.figure, show(got), 100*(got/old-1), show(old), 100*(g.growth-1)))
		}
	}
	return grown
}

// joined is all of what compare says, in order.
func joined(grown map[string]error) error {
	var all []error
	for _, b := range slices.Sorted(maps.Keys(grown)) {
		all = append(all, grown[b])
	}
	return errors.Join(all...)
}

func readBaseline(file string) (baseline, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the baseline: %w", err)
	}
	var b baseline
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return b, nil
}
