package matchers

import (
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// The pieces of which expressions and values are put together. They hold what
// the dialects read differently, or what a translator could forget to quote.
var (
	pieces = []string{
		"a", "ab", "v2", "x", ".*", ".+", ".", ".*?", "[0-9]+", `\d+`, `\d`, `\w+`, `\W`, `\s?`, `\S*`, "[^/]+", "[a-c]", "[^ab]",
		"(a|b)", "(?:a|ab)", "(a|ab)?", "a?", "b*", "(?:ab)+", "a{2}", "b{1,3}", "x{2,}", "[ab]{2}?", `\.`, `\+`, "-", "_", "~", "^", "$", `\b`, `\A`, `\z`,
		`\Qa.b\E`, `\Q*`, "(?i)a", "(?i:ab)", "(?s:.)", "(?m:^a)", "(?U)a+", `\x41`, `\x{62}`, "[[:digit:]]+", "[[:^alpha:]]", `\pL`, `\p{Greek}`, `\PN`,
		"[a&&b]", "[a--c]", "[~~a]", "[[a]", "[]a]", `[\d.]`, `[^\w]`, `[a\-z]`, `[\]]`, "a{", "{id}", "{,2}", "x{a}", "}", "]", "|", "a|b", "|b", "()", "(?P<n>a)", "%2F",
		"é", "ſ", "#", "&", `\&`, `\~`, `\/`, `\-`,
	}
	separators = []string{"/", "/", "/", "", "/a", "/v1/"}
	texts      = []string{"a", "ab", "v2", "b", "x", ".css", "*", "a*", "*b", "{", "}", "{*}", "+", "(", ")", "[0]", "$", "^", "|", "-", "_", "~", "%2F", "é", "A", "0", "&&", ":", "!", "'", "@", ";"}
)

// drawExpression makes a random expression, which may not compile.
func drawExpression(r *rand.Rand, in part) string {
	var b strings.Builder
	if in == inPath && r.IntN(8) > 0 {
		if r.IntN(8) == 0 {
			b.WriteString("^")
		}
		b.WriteString("/")
	}
	for i := range 1 + r.IntN(4) {
		if i > 0 && in == inPath {
			b.WriteString(pick(r, separators))
		}
		b.WriteString(pick(r, pieces))
	}
	return b.String()
}

// drawText makes a random value that is compared as it is.
func drawText(r *rand.Rand, in part) string {
	for {
		var b strings.Builder
		for range r.IntN(4) {
			if in == inPath && r.IntN(2) == 0 {
				b.WriteString("/")
			}
			b.WriteString(pick(r, texts))
		}
		s := b.String()
		if in == inPath {
			s = "/" + strings.TrimPrefix(s, "/")
		}
		if possible(s, in) {
			return s
		}
	}
}

// sampler makes strings of an expression: each fulfils it unless a boundary in
// it says otherwise.
func sampler(expr string) func(*rand.Rand) string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return func(*rand.Rand) string { return "" }
	}
	return func(r *rand.Rand) string {
		var b strings.Builder
		sample(re, r, &b)
		return b.String()
	}
}

func sample(re *syntax.Regexp, r *rand.Rand, b *strings.Builder) {
	repeat := func(least, most int) {
		for range least + r.IntN(most-least+1) {
			sample(re.Sub[0], r, b)
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, c := range re.Rune {
			if re.Flags&syntax.FoldCase != 0 && r.IntN(2) == 0 {
				c = unicode.SimpleFold(c)
			}
			b.WriteRune(c)
		}
	case syntax.OpCharClass:
		if len(re.Rune) == 0 {
			return
		}
		i := 2 * r.IntN(len(re.Rune)/2)
		if r.IntN(4) > 0 {
			i = 2 * r.IntN(min(3, len(re.Rune)/2)) // what is ASCII comes first
		}
		low, high := max(re.Rune[i], '!'), max(min(re.Rune[i+1], re.Rune[i]+100), '!')
		b.WriteRune(low + rune(r.IntN(max(1, int(high-low)+1))))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteString(pick(r, texts)[:1])
	case syntax.OpStar:
		repeat(0, 3)
	case syntax.OpPlus:
		repeat(1, 3)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(re.Min, max(re.Min+1, re.Max))
	case syntax.OpAlternate:
		sample(pick(r, re.Sub), r, b)
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			sample(sub, r, b)
		}
	}
}

// alphabet is what strings are changed with: letters of the pieces, what is
// special in some language, and digits and letters beyond ASCII.
var alphabet = []string{"a", "b", "x", "v", "A", "0", "2", "9", "/", "/x", "x", ".", "-", "_", "~", "*", "+", "$", "(", "|", "^", "{", "}", "[", "]", "&", ":", "%2F", "٣", "é", "ſ", "K", "\u00a0", ","}

// around makes a string that hits or just misses a source.
func (s source) around(r *rand.Rand) string {
	v := s.hit(r)
	if s.part == inPath && !strings.HasPrefix(v, "/") {
		v = "/" + v
	}
	for range pick(r, []int{0, 0, 1, 1, 1, 2, 3}) {
		v = change(v, r)
	}
	return v
}

func change(v string, r *rand.Rand) string {
	runes := []rune(v)
	i := r.IntN(len(runes) + 1)
	switch r.IntN(6) {
	case 0:
		return v + pick(r, alphabet)
	case 1:
		return string(runes[:i]) + pick(r, alphabet) + string(runes[i:])
	case 2:
		return string(runes[:i])
	case 3:
		if i < len(runes) {
			return string(slices.Delete(runes, i, i+1))
		}
		return v + v
	case 4:
		if i < len(runes) {
			return string(runes[:i]) + pick(r, alphabet) + string(runes[i+1:])
		}
		return "/" + v
	}
	if i < len(runes) {
		runes[i] = unicode.SimpleFold(runes[i])
	}
	return string(runes)
}

// dots are segments that normalisation removes, or that some proxies remove.
var dots = regexp.MustCompile(`/\.(/|$)|/\.\.`)

// possible reports whether a string can stand where a source looks: a path that
// is normalised already, a header's value without blanks around it, a query
// parameter without an escape.
func possible(s string, in part) bool {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || strings.TrimSpace(s) != s {
		return false
	}
	ascii := !strings.ContainsFunc(s, func(c rune) bool { return c > unicode.MaxASCII })
	switch in {
	case inPath:
		return strings.HasPrefix(s, "/") && !strings.ContainsAny(s, `?#\ `) && !strings.Contains(s, "//") &&
			!dots.MatchString(s) && !strings.Contains(strings.ReplaceAll(s, "%2F", ""), "%")
	case inHeader:
		return ascii
	}
	return ascii && !strings.ContainsAny(s, "+%&=# ")
}
