package linkerd

import (
	"slices"
	"unicode"
)

// maxExpression is how long an expression that an automaton is written as may
// grow on the way; what is longer could not be put into a route.
const maxExpression = 16 << 10

// anchored writes the language as an expression tied at both ends.
func (l language) anchored() (string, bool) {
	expr, ok := l.expression()
	return tied(expr), ok
}

// expression writes the language by taking one state after the other out of the
// automaton and writing what led through it on the ways that are left. It
// reports false where that becomes too long.
func (l language) expression() (string, bool) {
	e := elimination{edges: make([]map[int]term, len(l.next)+2)}
	start, end := len(l.next), len(l.next)+1
	for i := range e.edges {
		e.edges[i] = map[int]term{}
	}
	e.edges[start][0] = term{}
	for s := range l.next {
		for to, pairs := range l.ways(s) {
			e.edges[s][to] = term{text: charClass(pairs), in: atom}
		}
		if l.accept[s] {
			e.edges[s][end] = term{}
		}
	}
	left := make([]int, len(l.next))
	for i := range left {
		left[i] = i
	}
	for len(left) > 0 {
		i := e.cheapest(left)
		if !e.remove(left[i]) {
			return "", false
		}
		left = slices.Delete(left, i, i+1)
	}
	t, ok := e.edges[start][end]
	return t.text, ok
}

// ways lists where a state leads, and on which runes. A line break leads
// wherever its neighbours do, for no value has one.
func (l language) ways(s int) map[int][]rune {
	spans := map[int][][2]rune{}
	for c, to := range l.next[s] {
		last := rune(unicode.MaxRune)
		if c+1 < len(l.bounds) {
			last = l.bounds[c+1] - 1
		}
		if l.bounds[c] != '\n' {
			spans[to] = append(spans[to], [2]rune{l.bounds[c], last})
		}
	}
	out := map[int][]rune{}
	for to, all := range spans {
		before, after := false, false
		for _, p := range all {
			before, after = before || p[1] == '\n'-1, after || p[0] == '\n'+1
		}
		if before && after {
			all = append(all, [2]rune{'\n', '\n'})
		}
		if l.alive(to) {
			out[to] = joined(all)
		}
	}
	return out
}

// alive reports whether anything can be accepted from a state. In a minimal
// automaton one state alone, which leads to itself, may not be.
func (l language) alive(s int) bool {
	return l.accept[s] || slices.ContainsFunc(l.next[s], func(to int) bool { return to != s })
}

// term is a part of an expression; none at all is the empty text.
type term struct {
	text string
	in   int // the precedence of its outermost operator
}

func (t term) bracketed(in int) string {
	if t.text != "" && t.in < in {
		return "(?:" + t.text + ")"
	}
	return t.text
}

func then(a, b term) term {
	switch {
	case a.text == "":
		return b
	case b.text == "":
		return a
	}
	return term{a.bracketed(sequence) + b.bracketed(sequence), sequence}
}

func either(a, b term) term {
	switch {
	case a.text == b.text:
		return a
	case a.text == "":
		return optional(b)
	case b.text == "":
		return optional(a)
	}
	return term{a.text + "|" + b.text, lowest}
}

func optional(t term) term {
	if n := len(t.text); t.in == sequence && n > 1 && t.text[n-1] == '?' && t.text[n-2] == ')' {
		return term{"(?:" + t.text + ")?", sequence}
	}
	return term{t.bracketed(atom) + "?", sequence}
}

// again writes a way in, and what may be repeated then.
func again(in, loop term) term {
	switch {
	case loop.text == "":
		return in
	case in.text == loop.text:
		return term{in.bracketed(atom) + "+", sequence}
	}
	return then(in, term{loop.bracketed(atom) + "*", sequence})
}

// elimination is an automaton whose edges carry expressions.
type elimination struct {
	edges []map[int]term
}

// cheapest returns the index of the state whose removal writes the least.
func (e elimination) cheapest(left []int) int {
	best, least := 0, -1
	for i, s := range left {
		cost := 0
		for from := range e.edges {
			if in, ok := e.edges[from][s]; ok && from != s {
				for to, out := range e.edges[s] {
					if to != s {
						cost += len(in.text) + len(out.text) + len(e.edges[s][s].text)
					}
				}
			}
		}
		if least < 0 || cost < least {
			best, least = i, cost
		}
	}
	return best
}

func (e elimination) remove(s int) bool {
	loop := e.edges[s][s]
	for from := range e.edges {
		in, ok := e.edges[from][s]
		if !ok || from == s {
			continue
		}
		for to, out := range e.edges[s] {
			if to == s {
				continue
			}
			way := then(again(in, loop), out)
			if old, ok := e.edges[from][to]; ok {
				way = either(old, way)
			}
			if len(way.text) > maxExpression {
				return false
			}
			e.edges[from][to] = way
		}
		delete(e.edges[from], s)
	}
	e.edges[s] = nil
	return true
}
