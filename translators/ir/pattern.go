package ir

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
)

// MatchKind says how a StringMatch compares.
type MatchKind string

// The kinds of comparison. All compare the whole value, byte by byte.
const (
	// MatchAny holds for every value, also the empty one.
	MatchAny MatchKind = "any"
	// MatchExact holds for Value alone.
	MatchExact MatchKind = "exact"
	// MatchPrefix holds for what starts with Value, string-wise: "/v2" for "/v2x".
	MatchPrefix MatchKind = "prefix"
	// MatchSegments holds for the path Value and for what lies below it: "/v2"
	// for "/v2" and "/v2/x", not for "/v2x". Value starts with a slash and does
	// not end in one; the path "/" and all below it is MatchAny.
	MatchSegments MatchKind = "segments"
	// MatchSuffix holds for what ends with Value.
	MatchSuffix MatchKind = "suffix"
	// MatchContains holds for what contains Value.
	MatchContains MatchKind = "contains"
	// MatchRegex holds where the RE2 expression Value matches the whole value.
	MatchRegex MatchKind = "regex"
)

// StringMatch compares a string.
type StringMatch struct {
	Kind  MatchKind `json:"kind"`
	Value string    `json:"value,omitempty"`
}

// Strings returns comparisons by whole strings of which one holds wherever m
// does: two for MatchSegments, which few meshes know, else m itself.
func (m StringMatch) Strings() []StringMatch {
	if m.Kind != MatchSegments {
		return []StringMatch{m}
	}
	return []StringMatch{{MatchExact, m.Value}, {MatchPrefix, m.Value + "/"}}
}

// String renders the comparison as a whole-value expression would be read.
func (m StringMatch) String() string { return string(m.Kind) + " " + fmt.Sprintf("%q", m.Value) }

// Matches reports whether s is matched. A regular expression that does not
// compile matches nothing.
func (m StringMatch) Matches(s string) bool {
	switch m.Kind {
	case MatchAny:
		return true
	case MatchExact:
		return s == m.Value
	case MatchPrefix:
		return strings.HasPrefix(s, m.Value)
	case MatchSegments:
		rest, ok := strings.CutPrefix(s, m.Value)
		return ok && (rest == "" || rest[0] == '/')
	case MatchSuffix:
		return strings.HasSuffix(s, m.Value)
	case MatchContains:
		return strings.Contains(s, m.Value)
	case MatchRegex:
		re := whole(m.Value)
		return re != nil && re.MatchString(s)
	}
	return false
}

// expressions keeps compiled expressions, nil for one that does not compile: to
// compile one takes a hundred times as long as to match it, and a policy is asked
// about many requests. It begins anew before it grows large.
var expressions = struct {
	sync.RWMutex
	compiled map[string]*regexp.Regexp
}{compiled: map[string]*regexp.Regexp{}}

// maxExpressions bounds how many are kept.
const maxExpressions = 4096

// whole compiles an expression for the whole value, or returns nil.
func whole(expr string) *regexp.Regexp {
	expressions.RLock()
	re, ok := expressions.compiled[expr]
	expressions.RUnlock()
	if ok {
		return re
	}
	re, err := regexp.Compile(`^(?:` + expr + `)$`)
	if err != nil {
		re = nil
	}
	expressions.Lock()
	defer expressions.Unlock()
	if len(expressions.compiled) >= maxExpressions {
		clear(expressions.compiled)
	}
	expressions.compiled[expr] = re
	return re
}

// Anchor says where a written expression is tied to the value.
type Anchor int

// The anchorings that dialects use.
const (
	// AnchorWhole ties both ends: the expression matches the whole value.
	AnchorWhole Anchor = iota
	// AnchorStart ties the start only: anything may follow.
	AnchorStart
	// AnchorNone ties neither end: the expression is searched for.
	AnchorNone
)

// maxAlternatives bounds how many comparisons one expression is taken apart into.
const maxAlternatives = 16

// ParsePattern turns an expression into comparisons of which any must hold.
// They are as simple as can be proven equal: "/api" tied at the start becomes
// the prefix "/api", "a|b" two exact values. What cannot be reduced stays one
// regular expression for the whole value. The error is for people.
func ParsePattern(expr string, a Anchor) ([]StringMatch, error) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		var se *syntax.Error
		if errors.As(err, &se) {
			return nil, fmt.Errorf("%s: %q", se.Code, se.Expr)
		}
		return nil, err
	}
	whole := tie(re, a)
	if alts, ok := reduce(whole.Simplify()); ok {
		return alts, nil
	}
	if strings.Contains(expr, `\Q`) { // an open \Q would swallow what is added behind it
		expr = re.String()
	}
	return []StringMatch{{Kind: MatchRegex, Value: wholeExpr(expr, a)}}, nil
}

// wholeExpr writes an expression so that it must match the whole value.
func wholeExpr(expr string, a Anchor) string {
	switch a {
	case AnchorStart:
		return "(?:" + expr + ").*"
	case AnchorNone:
		return ".*(?:" + expr + ").*"
	}
	return expr
}

func tie(re *syntax.Regexp, a Anchor) *syntax.Regexp {
	all := func() *syntax.Regexp {
		return &syntax.Regexp{Op: syntax.OpStar, Sub: []*syntax.Regexp{{Op: syntax.OpAnyChar}}}
	}
	subs := []*syntax.Regexp{re}
	if a == AnchorNone {
		subs = append([]*syntax.Regexp{all()}, subs...)
	}
	if a != AnchorWhole {
		subs = append(subs, all())
	}
	if len(subs) == 1 {
		return re
	}
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: subs}
}

// A shape is a string with holes: literals, and between or around them "anything".
// It is held as literal parts; open ends are flagged.
type shape struct {
	parts      []string // literal pieces, anything between two of them
	begin, end bool     // tied to the start, to the end
}

// reduce takes an expression for a whole value apart into simple comparisons.
func reduce(re *syntax.Regexp) ([]StringMatch, bool) {
	seqs, ok := expand(re)
	if !ok {
		return nil, false
	}
	var out []StringMatch
	for _, seq := range seqs {
		m, possible, ok := seq.match()
		if !ok {
			return nil, false
		}
		if possible && !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	if len(out) == 0 { // it can match nothing at all, such as "a^b"
		return nil, false
	}
	if slices.ContainsFunc(out, func(m StringMatch) bool { return m.Kind == MatchAny }) {
		return []StringMatch{{Kind: MatchAny}}, true
	}
	slices.SortFunc(out, func(a, b StringMatch) int {
		return strings.Compare(string(a.Kind)+"\x00"+a.Value, string(b.Kind)+"\x00"+b.Value)
	})
	return out, true
}

// token is one element of a flattened alternative: literal text, anything, or
// one of the two text boundaries.
type token struct {
	kind byte // 'l', '*', '^', '$'
	lit  string
}

type sequence []token

// expand lists the alternatives of an expression made of literals, ".*",
// boundaries, groups, small classes, "?" and alternations; anything else is not ok.
func expand(re *syntax.Regexp) ([]sequence, bool) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return []sequence{nil}, true
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			return nil, false
		}
		return []sequence{{{kind: 'l', lit: string(re.Rune)}}}, true
	case syntax.OpBeginText:
		return []sequence{{{kind: '^'}}}, true
	case syntax.OpEndText:
		return []sequence{{{kind: '$'}}}, true
	case syntax.OpCapture:
		return expand(re.Sub[0])
	case syntax.OpStar:
		// "." does not match a line break; neither a path nor a header has one.
		if op := re.Sub[0].Op; op == syntax.OpAnyChar || op == syntax.OpAnyCharNotNL {
			return []sequence{{{kind: '*'}}}, true
		}
	case syntax.OpQuest:
		some, ok := expand(re.Sub[0])
		return append(some, nil), ok && len(some) < maxAlternatives
	case syntax.OpCharClass:
		return expandClass(re)
	case syntax.OpAlternate:
		var out []sequence
		for _, sub := range re.Sub {
			alts, ok := expand(sub)
			if out = append(out, alts...); !ok || len(out) > maxAlternatives {
				return nil, false
			}
		}
		return out, true
	case syntax.OpConcat:
		return expandConcat(re)
	}
	return nil, false
}

func expandConcat(re *syntax.Regexp) ([]sequence, bool) {
	out := []sequence{nil}
	for _, sub := range re.Sub {
		alts, ok := expand(sub)
		if !ok || len(out)*len(alts) > maxAlternatives {
			return nil, false
		}
		var next []sequence
		for _, head := range out {
			for _, tail := range alts {
				next = append(next, slices.Concat(head, tail))
			}
		}
		out = next
	}
	return out, true
}

func expandClass(re *syntax.Regexp) ([]sequence, bool) {
	var out []sequence
	for i := 0; i+1 < len(re.Rune); i += 2 {
		if int(re.Rune[i+1]-re.Rune[i]) >= maxAlternatives {
			return nil, false
		}
		for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
			out = append(out, sequence{{kind: 'l', lit: string(r)}})
		}
	}
	return out, len(out) > 0 && len(out) <= maxAlternatives
}

// match turns one alternative, tied at both ends, into a comparison. It reports
// whether any value can fulfil it, and whether it could be turned at all.
func (q sequence) match() (m StringMatch, possible, ok bool) {
	a := assembly{shape: shape{begin: true}}
	for _, t := range q {
		if !a.add(t) {
			return m, false, true
		}
	}
	a.flush()
	a.end = !a.any
	return a.shape.match()
}

// assembly is a shape on its way.
type assembly struct {
	shape
	lit string // the literal that may go on
	any bool   // the last token was "anything"
	// closed: the end of the text has been seen.
	closed bool
}

// add appends a token. It reports false when no value can fulfil it there.
func (a *assembly) add(t token) bool {
	switch t.kind {
	case '^':
		// Once text has been seen a start boundary cannot hold, unless what was
		// seen may be empty: then it forces it to be.
		if a.lit != "" || len(a.parts) > 0 {
			return false
		}
		a.begin, a.any = true, false
	case '$':
		a.closed = true
	case '*':
		if a.closed {
			break
		}
		a.flush()
		a.any, a.begin = true, a.begin && len(a.parts) > 0
	case 'l':
		if a.closed {
			return false
		}
		a.lit, a.any = a.lit+t.lit, false
	}
	return true
}

func (a *assembly) flush() {
	if a.lit != "" {
		a.parts, a.lit = append(a.parts, a.lit), ""
	}
}

func (s shape) match() (m StringMatch, possible, ok bool) {
	switch {
	case len(s.parts) > 1:
		return m, true, false
	case len(s.parts) == 0 && s.begin && s.end:
		return StringMatch{Kind: MatchExact}, true, true
	case len(s.parts) == 0:
		return StringMatch{Kind: MatchAny}, true, true
	case s.begin && s.end:
		return StringMatch{Kind: MatchExact, Value: s.parts[0]}, true, true
	case s.begin:
		return StringMatch{Kind: MatchPrefix, Value: s.parts[0]}, true, true
	case s.end:
		return StringMatch{Kind: MatchSuffix, Value: s.parts[0]}, true, true
	}
	return StringMatch{Kind: MatchContains, Value: s.parts[0]}, true, true
}
