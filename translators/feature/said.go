package feature

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// said makes the conditions of uses. Those that many uses have are one list, which is
// found by where it stands, and which nobody changes.
type said struct {
	base  []Condition // of every use
	lists []comparisonList
}

// comparisonList is the conditions of all comparisons that are alike.
type comparisonList struct {
	looks looks
	list  []Condition
}

// with returns the base and more.
func (s *said) with(c ...Condition) []Condition {
	if len(c) == 0 {
		return s.base
	}
	return slices.Concat(s.base, c)
}

// compared returns the base and what is to be said of a comparison.
func (s *said) compared(m ir.StringMatch) []Condition {
	l := looksOf(m)
	for i := range s.lists {
		if s.lists[i].looks == l {
			return s.lists[i].list
		}
	}
	s.lists = append(s.lists, comparisonList{l, s.with(l.conditions()...)})
	return s.lists[len(s.lists)-1].list
}

// looks is all of a comparison that conditions speak of.
type looks struct {
	kind                                  ir.MatchKind
	empty, starEdge, brace, doubleSlashes bool
}

func looksOf(m ir.StringMatch) looks {
	l := looks{kind: m.Kind}
	switch {
	case m.Kind == ir.MatchAny:
	case m.Value == "":
		l.empty = true
	case m.Kind != ir.MatchRegex:
		l.starEdge, l.brace, l.doubleSlashes = starEdge(m.Value), strings.ContainsAny(m.Value, "{}"), strings.Contains(m.Value, "//")
	}
	return l
}

func (l looks) conditions() []Condition {
	if l.kind == ir.MatchAny {
		return []Condition{CondPresent}
	}
	c := []Condition{Condition(l.kind)}
	for _, one := range []struct {
		holds bool
		Condition
	}{{l.empty, CondEmptyValue}, {l.starEdge, CondStarEdge}, {l.brace, CondBrace}, {l.doubleSlashes, CondDoubleSlash}} {
		if one.holds {
			c = append(c, one.Condition)
		}
	}
	return c
}

func starEdge(s string) bool { return strings.HasPrefix(s, "*") || strings.HasSuffix(s, "*") }
