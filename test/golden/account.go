package golden

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Account leaves out leaves and demands that of each field one is noticed, but for
// those of idle, which say why they decide nothing: of these none may be. Fields go
// by name; an entry that is no field's is an error, and so are fewer leaves than least.
func (l Leaves) Account(t testing.TB, idle map[string]string, name func(Removed) string, least int) {
	t.Helper()
	noticed, tried, err := l.noticed(func(f Removed) bool { return idle[name(f)] != "" })
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range tried {
		total += n
	}
	if total < least {
		t.Errorf("only %d leaves were left out", total)
	}
	for _, wrong := range account(noticed, tried, idle, name) {
		t.Error(wrong)
	}
	t.Logf("%d leaves of %d fields were left out, %d fields were noticed", total, len(tried), len(noticed))
}

func account(noticed, tried map[Removed]int, idle map[string]string, name func(Removed) string) []string {
	seen, left := map[string]int{}, map[string]int{}
	for f, n := range tried {
		seen[name(f)] += noticed[f]
		left[name(f)] += n
	}
	var out []string
	for _, field := range slices.Sorted(maps.Keys(left)) {
		switch why := idle[field]; {
		case why == "" && seen[field] == 0:
			out = append(out, fmt.Sprintf("%s: left out %d times, and nobody noticed", field, left[field]))
		case why != "" && seen[field] > 0:
			out = append(out, fmt.Sprintf("%s: it is said to decide nothing (%s), and does", field, why))
		}
	}
	for _, field := range slices.Sorted(maps.Keys(idle)) {
		if _, ok := left[field]; !ok {
			out = append(out, field+": there is no such field")
		}
	}
	return out
}

// ByEnd names a field by the longest entry of a table that is the end of its path,
// or that ends in a dot and is a part of it; by itself where there is none.
func ByEnd(table map[string]string) func(Removed) string {
	return func(f Removed) string {
		path := "." + f.Of[strings.LastIndexByte(f.Of, '.')+1:] + "." + f.Field
		longest := ""
		for end := range table {
			holds := strings.HasSuffix(path, "."+end) || strings.HasSuffix(end, ".") && strings.Contains(path, "."+end)
			if holds && len(end) > len(longest) {
				longest = end
			}
		}
		if longest == "" {
			return f.String()
		}
		return longest
	}
}
