package linkerd

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/translators/ir"
)

// drawExpression draws an expression of everything that RE2 knows.
func drawExpression(t *rapid.T, depth int) string {
	leaves := []string{"a", "b", "ab", ".", "[ab]", "[^a]", `\w`, `\d`, `\D`, `\W`, "(?i:ab)", `\Qa.\E`, `\.`, "-", "é", "[à-é]", " ", "^", "$", `\b`, `\B`, "", "&&", "[&~-]"}
	if depth == 0 {
		return sample(t, "leaf", leaves)
	}
	one := func() string { return drawExpression(t, depth-1) }
	switch rapid.IntRange(0, 7).Draw(t, "operator") {
	case 0:
		return one() + one()
	case 1:
		return "(" + one() + "|" + one() + ")"
	case 2:
		return "(?:" + one() + ")*"
	case 3:
		return "(?:" + one() + ")+?"
	case 4:
		return "(?:" + one() + ")?"
	case 5:
		return "(?:" + one() + "){1,2}"
	case 6:
		return one() + "|" + one()
	}
	return one()
}

var someTexts = func() []string {
	out := []string{""}
	for i := 0; len(out) < 400; i++ {
		for _, r := range []string{"a", "b", "A", ".", "1", "é", "-", " ", "&"} {
			out = append(out, out[i]+r)
		}
	}
	return out
}()

// An expression means the same in the automaton, written from it, and as it is
// printed for Linkerd, where it is searched for and must be found as a whole.
func TestExpressionsKeepTheirMeaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		expr := drawExpression(t, 3)
		m := ir.StringMatch{Kind: ir.MatchRegex, Value: expr}
		want := regexp.MustCompile("^(?:" + expr + ")$")
		l, ok := languageOf(m)
		if !ok {
			t.Fatalf("%s: no automaton", expr)
		}
		printed, okPrinted := anchored(m)
		written, okWritten := l.anchored()
		for _, s := range someTexts {
			matches := want.MatchString(s)
			if got := l.holds(s); got != matches {
				t.Fatalf("%s: the automaton says %v of %q", expr, got, s)
			}
			if okPrinted && spans(printed, s) != matches || !okPrinted && matches {
				t.Fatalf("%s: printed as %s it says %v of %q", expr, printed, !matches, s)
			}
			if okWritten && spans(written, s) != matches || !okWritten && matches {
				t.Fatalf("%s: written as %s it says %v of %q", expr, written, !matches, s)
			}
		}
		for _, refused := range []string{`\w`, `\d`, `\s`, `\Q`, `\b`, `\B`, `\C`, `[:`} {
			if strings.Contains(strings.ReplaceAll(printed, `\\`, ""), refused) {
				t.Fatalf("%s is printed as %s", expr, printed)
			}
		}
	})
}

func (l language) holds(s string) bool {
	state := 0
	for _, r := range s {
		class := 0
		for c, b := range l.bounds {
			if b <= r {
				class = c
			}
		}
		state = l.next[state][class]
	}
	return l.accept[state]
}

func TestSetsOfValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := sample(t, "a", somePaths), sample(t, "b", somePaths)
		s := newSets()
		both, how := s.meet(a, b)
		if how == unknown {
			t.Fatalf("%v and %v: unknown", a, b)
		}
		for _, path := range append(sentPaths, nastyPaths...) {
			if got, want := how == meets && both.Matches(path), a.Matches(path) && b.Matches(path); got != want {
				t.Fatalf("%v and %v make %v, which says %v of %s", a, b, both, got, path)
			}
			if s.contains(a, b) && b.Matches(path) && !a.Matches(path) {
				t.Fatalf("%v does not contain %v: %s", a, b, path)
			}
		}
	})
}

func TestGuardedPaths(t *testing.T) {
	s := newSets()
	for _, m := range append(somePaths, ir.StringMatch{Kind: ir.MatchSuffix, Value: "."}, ir.StringMatch{Kind: ir.MatchPrefix, Value: "/a/."},
		ir.StringMatch{Kind: ir.MatchContains, Value: "/"}, ir.StringMatch{Kind: ir.MatchRegex, Value: `/.*\.(?:js|css).*|/a.*`},
		ir.StringMatch{Kind: ir.MatchExact, Value: "/a//b"}, ir.StringMatch{Kind: ir.MatchSegments, Value: "/%61"}, ir.StringMatch{Kind: ir.MatchSuffix, Value: "/../b"}) {
		g, ok := s.guarded(m)
		if m.Kind == ir.MatchAny {
			continue
		}
		if text, printed := anchored(g); ok && (!printed || len(text) > maxPathValue) {
			t.Errorf("%v: %d characters", m, len(text))
		}
		for _, path := range append(sentPaths, nastyPaths...) {
			held := ok && g.Matches(path)
			if held && !m.Matches(normalised(path)) {
				t.Errorf("%v is guarded as %s, which lets %s through", m, g.Value, path)
			}
			if path == normalised(path) && !strings.Contains(path, "/.") && !strings.Contains(path, "%") && held != m.Matches(path) {
				t.Errorf("%v is guarded as %s, which says %v of %s", m, g.Value, held, path)
			}
		}
	}
}
