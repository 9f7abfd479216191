package smi

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// collide reports whether one list has a match whose requests are all claimed
// by a match of the other.
func collide(a, b []ir.Match) bool {
	return anyPair(a, b, func(x, y ir.Match) bool { return covers(x, y) || covers(y, x) })
}

// distinct reports whether no request is known to fulfil one match of each list.
// It errs on the side of overlap.
func distinct(a, b []ir.Match) bool {
	return !anyPair(a, b, func(x, y ir.Match) bool { return !disjoint(x, y) })
}

func anyPair(a, b []ir.Match, holds func(x, y ir.Match) bool) bool {
	return slices.ContainsFunc(a, func(x ir.Match) bool {
		return slices.ContainsFunc(b, func(y ir.Match) bool { return holds(x, y) })
	})
}

// covers reports whether it is certain that every request which fulfils b
// fulfils a too.
func covers(a, b ir.Match) bool {
	other := func(m string) bool { return !slices.Contains(a.Methods, m) }
	if !coversString(a.Path, b.Path) || !a.AnyMethod() && slices.ContainsFunc(b.Methods, other) {
		return false
	}
	return !slices.ContainsFunc(a.Headers, func(x ir.HeaderMatch) bool {
		return !slices.ContainsFunc(b.Headers, func(y ir.HeaderMatch) bool {
			return x.Name == y.Name && coversString(x.Value, y.Value)
		})
	})
}

func coversString(a, b ir.StringMatch) bool {
	switch {
	case a.Kind == ir.MatchAny, a == b:
		return true
	case b.Kind == ir.MatchExact:
		return a.Matches(b.Value)
	case b.Kind == ir.MatchRegex, b.Kind == ir.MatchAny:
		return false
	case a.Kind == ir.MatchContains:
		return strings.Contains(b.Value, a.Value)
	case a.Kind == ir.MatchPrefix, a.Kind == ir.MatchSuffix:
		return a.Kind == b.Kind && a.Matches(b.Value)
	}
	return false
}

// disjoint reports whether it is certain that no request fulfils both.
func disjoint(a, b ir.Match) bool {
	if disjointString(a.Path, b.Path) {
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
			return x.Name == y.Name && disjointString(x.Value, y.Value)
		})
	})
}

func disjointString(a, b ir.StringMatch) bool {
	switch {
	case a.Kind == ir.MatchExact:
		return !b.Matches(a.Value)
	case b.Kind == ir.MatchExact:
		return !a.Matches(b.Value)
	case a.Kind == ir.MatchPrefix && b.Kind == ir.MatchPrefix, a.Kind == ir.MatchSuffix && b.Kind == ir.MatchSuffix:
		return !a.Matches(b.Value) && !b.Matches(a.Value)
	}
	return false
}
