package linkerd

import (
	"regexp"
	"strings"
	"sync"

	"github.com/meshknot/meshknot/translators/ir"
)

// Linkerd's proxies compare a path as it was sent, and pass it on so. The server
// behind them may read /public/../secret as /secret, so what is granted for a
// path is written for paths in their normal form: no "." or ".." between slashes,
// written or escaped, no backslash, and no escape where another normal form is
// nearer.
const (
	// piece is a character that is no slash and no dot, or an escape of anything
	// but a dot.
	piece = `(?:[^./\\%]|%(?:[013-9A-Fa-f][0-9A-Fa-f]|2[0-9A-DFa-df]))`
	// below is what may follow a slash: dots only behind something else.
	below = `(?:/*` + piece + `\.*)*/*`
	// settled is a character or an escape that normalisation leaves as it is.
	settled = `(?:[^/\\%?#]|%(?:[0189A-Fa-f][0-9A-Fa-f]|2[0-9A-CFa-cf]|3[A-Fa-f]|[46]0|5[B-Eb-e]|7[B-DFb-df]))`
	// normal is a path that normalisation leaves as it is, but for dot segments.
	normal = `(?:/` + settled + `+)*/?`
	// plain is such a path without escapes and without dots first in a segment.
	plain  = `(?:/[^./\\%?#][^/\\%?#]*)*/?`
	dotted = `.*/\.\.?(?:/.*)?`
)

var (
	normalText = regexp.MustCompile("^(?:" + normal + ")$")
	dottedText = regexp.MustCompile("^(?:" + dotted + ")$")
	onlyDots   = regexp.MustCompile(`^\.*$`)
)

// isNormal reports whether normalisation leaves a path as it is.
func isNormal(path string) bool {
	return normalText.MatchString(path) && !dottedText.MatchString(path)
}

// guarded returns a comparison that holds for paths in their normal form that m
// holds for; for some others as well, if their normal form is one of those. It
// reports false where that cannot be written.
func (s *sets) guarded(m ir.StringMatch) (ir.StringMatch, bool) {
	q, v := regexp.QuoteMeta(m.Value), m.Value
	simple := !strings.ContainsAny(v, `\%?#`) && !strings.Contains(v, "//")
	first, last := v, v[strings.LastIndex(v, "/")+1:]
	if i := strings.Index(v, "/"); i >= 0 {
		first = v[:i]
	}
	inside := !dottedText.MatchString(v+"/x") && simple
	switch {
	case m.Kind == ir.MatchAny:
		return m, true
	case m.Kind == ir.MatchExact:
		return m, isNormal(v) || v == "*"
	case m.Kind == ir.MatchSegments && inside && isNormal(v):
		return expr(q + "(?:/" + below + ")?"), true
	case m.Kind == ir.MatchPrefix && inside && strings.HasPrefix(v, "/") && last == "":
		return expr(q + below), true
	case m.Kind == ir.MatchPrefix && inside && strings.HasPrefix(v, "/") && !onlyDots.MatchString(last):
		return expr(q + `\.*` + below), true
	case m.Kind == ir.MatchSuffix && inside && strings.HasPrefix(v, "/") && !(onlyDots.MatchString(last) && last != ""):
		return expr("(?:/" + below + ")?" + q), true
	case m.Kind == ir.MatchSuffix && inside && !onlyDots.MatchString(first) && !(onlyDots.MatchString(last) && last != ""):
		return expr("/" + below + q), true
	}
	return s.normalOnly(m)
}

func expr(e string) ir.StringMatch { return ir.StringMatch{Kind: ir.MatchRegex, Value: e} }

// normalPaths are the paths that normalisation leaves as they are, and those of them
// that are plain.
var normalPaths = sync.OnceValues(func() (all, simple set) {
	l, ok := languageOf(expr(normal))
	dots, good := languageOf(expr(dotted))
	if ok && good {
		all.language, all.ok = l.but(dots)
	}
	simple.language, simple.ok = languageOf(expr(plain))
	return all, simple
})

// normalOnly takes everything out of a comparison that is not in its normal form
// or, where that takes too long an expression, that is not plain.
func (s *sets) normalOnly(m ir.StringMatch) (ir.StringMatch, bool) {
	l := s.of(m)
	safe, simple := normalPaths()
	if !l.ok || !safe.ok || !simple.ok {
		return m, false
	}
	if l.within(safe.language) {
		return m, true
	}
	both, ok := l.and(safe.language)
	if !ok || both.empty() {
		return m, false
	}
	if text, ok := both.expression(); ok && len(tied(text)) <= maxPathValue {
		return expr(text), true
	}
	if both, ok = both.and(simple.language); !ok || both.empty() {
		return m, false
	}
	text, ok := both.expression()
	return expr(text), ok
}
