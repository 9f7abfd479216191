package main

import (
	"fmt"

	"github.com/meshknot/meshknot/bench/measure"
)

// turns runs a block for each program, A-B-B-A, and returns those that did what
// was asked of them. One whose outcome is not what it has to be is out of the
// benchmark, and a note says why: its times count for nothing.
func turns(r *Result, who []string, pairs int, block func(name string) error) []string {
	failed := map[string]bool{}
	for _, name := range measure.ABBA(who, pairs) {
		if failed[name] {
			continue
		}
		if err := block(name); err != nil {
			failed[name] = true
			r.note("%s does not count: %v", name, err)
		}
	}
	var out []string
	for _, name := range who {
		if !failed[name] {
			out = append(out, name)
		}
	}
	return out
}

// needed is an error where a program that a benchmark cannot do without is out.
func needed(remain []string, name string) error {
	for _, n := range remain {
		if n == name {
			return nil
		}
	}
	return fmt.Errorf("%s is out", name)
}
