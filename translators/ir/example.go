package ir

import (
	"regexp/syntax"
	"strings"
)

// Example writes a short string that an expression mostly matches: it does not
// look ahead, so whoever uses it checks that it does. An expression that
// cannot be parsed has the empty string.
func Example(expr string) string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return ""
	}
	return example(re.Simplify())
}

func example(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return oneOf(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "a"
	case syntax.OpCapture, syntax.OpPlus, syntax.OpAlternate:
		return example(re.Sub[0])
	case syntax.OpRepeat:
		return strings.Repeat(example(re.Sub[0]), re.Min)
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(example(sub))
		}
		return b.String()
	}
	return ""
}

// oneOf returns a character of a class, given as ranges: a digit, a letter or
// what comes next where it can, for those mean nothing in a path.
func oneOf(ranges []rune) string {
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := max(ranges[i], '0'); r <= ranges[i+1]; r++ {
			if !strings.ContainsRune(`?#\`, r) {
				return string(r)
			}
		}
	}
	if len(ranges) == 0 {
		return ""
	}
	return string(ranges[0])
}
