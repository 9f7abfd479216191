package xds

import (
	"regexp"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshknot/meshknot/translators/ir"
)

// RouteMatches makes the conditions of which one holds where m does. There are
// two where m holds for a path and what lies below it: the path, and what starts
// with the path and a slash. The one word that Envoy has for both makes gRPC
// refuse all routes, and makes "//x" of "/p/x" where the path is replaced by "/".
func RouteMatches(m ir.Match) []*routev3.RouteMatch {
	var out []*routev3.RouteMatch
	for _, path := range m.Path.Strings() {
		for _, one := range slashes(path) {
			m.Path = one
			out = append(out, RouteMatch(m))
		}
	}
	return out
}

// twoSlashes is what is left of a path of slashes alone where slashes are merged.
var twoSlashes = ir.StringMatch{Kind: ir.MatchExact, Value: "//"}

// slashes are the comparisons of which one must hold where m does. Where slashes
// are merged a path of slashes alone keeps two, so what holds for "/" is said of
// both. What holds for two alone is none, for no other path has two in a row; an
// expression may hold for more, see NotTwoSlashes.
func slashes(m ir.StringMatch) []ir.StringMatch {
	switch one, both := m.Matches("/"), m.Matches("//"); {
	case one && !both:
		return []ir.StringMatch{m, twoSlashes}
	case both && !one && m.Kind != ir.MatchRegex:
		return nil
	}
	return []ir.StringMatch{m}
}

// NotTwoSlashes adds to the condition of a route whose expression holds for "//"
// and not for "/" that the path is not "//". A gRPC client could not compare it,
// and no method is called so.
func NotTwoSlashes(m *routev3.RouteMatch) {
	expr := ir.StringMatch{Kind: ir.MatchRegex, Value: m.GetSafeRegex().GetRegex()}
	if m.GetSafeRegex() == nil || expr.Matches("/") || !expr.Matches("//") {
		return
	}
	two := header(":path", StringMatcher(ir.StringMatch{Kind: ir.MatchRegex, Value: `//(?:\?.*)?`}))
	two.InvertMatch = true
	m.Headers = append(m.Headers, two)
}

// RouteMatch makes one condition of a match. A path condition that routes have
// no word for becomes a regular expression for the whole path.
func RouteMatch(m ir.Match) *routev3.RouteMatch {
	out := &routev3.RouteMatch{Headers: headers(m), QueryParameters: parameters(m)}
	switch m.Path.Kind {
	case ir.MatchAny:
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: ""}
	case ir.MatchExact:
		out.PathSpecifier = &routev3.RouteMatch_Path{Path: m.Path.Value}
	case ir.MatchPrefix:
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: m.Path.Value}
	default:
		out.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: regex(m.Path)}
	}
	return out
}

// headers lists the conditions on the method and on headers.
func headers(m ir.Match) []*routev3.HeaderMatcher {
	var out []*routev3.HeaderMatcher
	if !m.AnyMethod() {
		out = append(out, header(":method", methods(m.Methods)))
	}
	for _, h := range m.Headers {
		out = append(out, HeaderMatch(h))
	}
	return out
}

// parameters lists the conditions on query parameters. Envoy too compares the
// first occurrence, as it is written; gRPC must not be given any.
func parameters(m ir.Match) []*routev3.QueryParameterMatcher {
	var out []*routev3.QueryParameterMatcher
	for _, q := range m.Query {
		p := &routev3.QueryParameterMatcher{Name: q.Name}
		if matchesAll(q.Value) {
			p.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_PresentMatch{PresentMatch: true}
		} else {
			p.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_StringMatch{StringMatch: StringMatcher(q.Value)}
		}
		out = append(out, p)
	}
	return out
}

// HeaderMatch makes the condition on one header. "host" is spoken of by the name
// that HTTP/2 gave it, under which both versions are matched.
func HeaderMatch(h ir.HeaderMatch) *routev3.HeaderMatcher {
	name := h.Name
	if name == "host" {
		name = ":authority"
	}
	if matchesAll(h.Value) {
		return &routev3.HeaderMatcher{Name: name,
			HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}}
	}
	return header(name, StringMatcher(h.Value))
}

// WithoutPresence asks for any value where a condition asks whether a header is
// there: grpc-go takes one without a value for absent.
func WithoutPresence(h *routev3.HeaderMatcher) {
	if h.GetPresentMatch() {
		anything := StringMatcher(ir.StringMatch{Kind: ir.MatchAny})
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: anything}
	}
}

func header(name string, m *matcherv3.StringMatcher) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{Name: name,
		HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: m}}
}

// methods makes one condition of several methods.
func methods(names []string) *matcherv3.StringMatcher {
	if len(names) == 1 {
		return StringMatcher(ir.StringMatch{Kind: ir.MatchExact, Value: names[0]})
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = regexp.QuoteMeta(n)
	}
	slices.Sort(quoted)
	return StringMatcher(ir.StringMatch{Kind: ir.MatchRegex, Value: strings.Join(quoted, "|")})
}

// matchesAll reports whether m holds for every string, also where it does not
// say so: an empty prefix is refused by proxies.
func matchesAll(m ir.StringMatch) bool {
	says := m.Kind == ir.MatchExact || m.Kind == ir.MatchRegex || m.Kind == ir.MatchSegments
	return m.Kind == ir.MatchAny || m.Value == "" && !says
}

// StringMatcher makes a comparison of the whole string.
func StringMatcher(m ir.StringMatch) *matcherv3.StringMatcher {
	switch {
	case matchesAll(m):
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: regex(m)}}
	case m.Kind == ir.MatchExact:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: m.Value}}
	case m.Kind == ir.MatchPrefix:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: m.Value}}
	case m.Kind == ir.MatchSuffix:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: m.Value}}
	case m.Kind == ir.MatchContains:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Contains{Contains: m.Value}}
	}
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: regex(m)}}
}

// regex says a comparison as an expression. Envoy and gRPC alike hold it
// against the whole string.
func regex(m ir.StringMatch) *matcherv3.RegexMatcher {
	expr := m.Value
	if m.Kind != ir.MatchRegex {
		expr = regexp.QuoteMeta(m.Value)
	}
	switch {
	case matchesAll(m):
		expr = ".*"
	case m.Kind == ir.MatchSuffix:
		expr = ".*" + expr
	case m.Kind == ir.MatchContains:
		expr = ".*" + expr + ".*"
	case m.Kind == ir.MatchPrefix:
		expr += ".*"
	case m.Kind == ir.MatchSegments:
		expr += "(?:/.*)?"
	case expr == "":
		expr = "(?:)" // an expression must not be empty
	}
	return &matcherv3.RegexMatcher{Regex: expr}
}
