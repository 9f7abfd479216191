package smi

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// sameMatches reports whether two lists hold for the same requests because they
// say the same.
func sameMatches(a, b []ir.Match) bool {
	return slices.Equal(canonical(a), canonical(b))
}

// canonical renders what matches ask for, without names, places and order.
func canonical(matches []ir.Match) []string {
	var out []string
	for _, m := range matches {
		parts := []string{m.Path.String(), strings.Join(m.Methods, ",")}
		var headers []string
		for _, h := range m.Headers {
			headers = append(headers, h.Name+" "+h.Value.String())
		}
		slices.Sort(headers)
		out = append(out, strings.Join(append(parts, headers...), "\n"))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// disjointMatches reports whether no request is known to fulfil one of each
// list. It errs on the side of overlap.
func disjointMatches(a, b []ir.Match) bool {
	for _, x := range a {
		for _, y := range b {
			if !disjointMatch(x, y) {
				return false
			}
		}
	}
	return true
}

func disjointMatch(a, b ir.Match) bool {
	if disjoint(a.Path, b.Path) {
		return true
	}
	common := func(m string) bool { return slices.Contains(b.Methods, m) }
	if !a.AnyMethod() && !b.AnyMethod() && !slices.ContainsFunc(a.Methods, common) {
		return true
	}
	// A request with two lines of one header may fulfil both; nobody who tells
	// requests apart by a header means those.
	return slices.ContainsFunc(a.Headers, func(x ir.HeaderMatch) bool {
		return slices.ContainsFunc(b.Headers, func(y ir.HeaderMatch) bool {
			return x.Name == y.Name && disjoint(x.Value, y.Value)
		})
	})
}

// disjoint reports whether it is certain that no string fulfils both.
func disjoint(a, b ir.StringMatch) bool {
	if rank(a.Kind) > rank(b.Kind) {
		a, b = b, a
	}
	switch {
	case a.Kind == ir.MatchExact:
		return !b.Matches(a.Value)
	case a.Kind == ir.MatchPrefix && b.Kind == ir.MatchPrefix:
		return !strings.HasPrefix(a.Value, b.Value) && !strings.HasPrefix(b.Value, a.Value)
	case a.Kind == ir.MatchSuffix && b.Kind == ir.MatchSuffix:
		return !strings.HasSuffix(a.Value, b.Value) && !strings.HasSuffix(b.Value, a.Value)
	}
	return false
}

// rank puts the kind first from which most can be concluded.
func rank(k ir.MatchKind) int {
	order := []ir.MatchKind{ir.MatchExact, ir.MatchPrefix, ir.MatchSuffix}
	return (slices.Index(order, k) + len(order) + 1) % (len(order) + 1)
}
