package xds

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// errEmpty is what both say of a comparison with nothing.
var errEmpty = errors.New("a comparison with an empty string is refused")

// StringMatcher reads a comparison of a whole string.
func StringMatcher(m *matcherv3.StringMatcher) (func(string) bool, error) {
	fold := func(s string) string { return s }
	if m.GetIgnoreCase() {
		fold = strings.ToLower
	}
	var with string
	var compare func(s, with string) bool
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		value := fold(p.Exact)
		return func(s string) bool { return fold(s) == value }, nil
	case *matcherv3.StringMatcher_SafeRegex: // letter case is up to the expression
		return Regex(p.SafeRegex)
	case *matcherv3.StringMatcher_Prefix:
		with, compare = p.Prefix, strings.HasPrefix
	case *matcherv3.StringMatcher_Suffix:
		with, compare = p.Suffix, strings.HasSuffix
	case *matcherv3.StringMatcher_Contains:
		with, compare = p.Contains, strings.Contains
	default:
		return nil, fmt.Errorf("a string is compared as %T", p)
	}
	if with == "" {
		return nil, errEmpty
	}
	with = fold(with)
	return func(s string) bool { return compare(fold(s), with) }, nil
}

// Regex reads an expression, which must match the whole string.
func Regex(m *matcherv3.RegexMatcher) (func(string) bool, error) {
	if m.GetRegex() == "" {
		return nil, errEmpty
	}
	if _, err := regexp.Compile(m.GetRegex()); err != nil { // before it stands in brackets
		return nil, err
	}
	re, err := regexp.Compile(`\A(?:` + m.GetRegex() + `)\z`)
	if err != nil {
		return nil, err
	}
	return re.MatchString, nil
}

// Header is a condition on a header.
type Header struct {
	// Name in lower case.
	Name string
	// Holds is asked with the lines of the header, each of which is compared. gRPC
	// joins them before.
	Holds func(lines []string) bool
}

// HeaderMatcher reads a condition on a header. A header that is not there never
// holds but where its presence is what is asked for.
func HeaderMatcher(m *routev3.HeaderMatcher) (Header, error) {
	h := Header{Name: strings.ToLower(m.GetName())}
	if h.Name == "" {
		return h, errors.New("a condition on a header without a name is refused")
	}
	invert := m.GetInvertMatch()
	switch s := m.GetHeaderMatchSpecifier().(type) {
	case nil:
		h.Holds = func(lines []string) bool { return (len(lines) > 0) != invert }
	case *routev3.HeaderMatcher_PresentMatch:
		h.Holds = func(lines []string) bool { return (len(lines) > 0) == s.PresentMatch != invert }
	case *routev3.HeaderMatcher_StringMatch:
		one, err := StringMatcher(s.StringMatch)
		if err != nil {
			return h, fmt.Errorf("header %s: %w", h.Name, err)
		}
		absent := m.GetTreatMissingHeaderAsEmpty()
		h.Holds = func(lines []string) bool {
			if len(lines) == 0 && !absent {
				return false
			}
			return holdsOf(one, lines) != invert
		}
	default:
		return h, fmt.Errorf("header %s is compared as %T", h.Name, s)
	}
	return h, nil
}

// holdsOf reports whether a comparison holds for any line; where there is none,
// for the empty one.
func holdsOf(one func(string) bool, lines []string) bool {
	for _, l := range lines {
		if one(l) {
			return true
		}
	}
	return len(lines) == 0 && one("")
}
