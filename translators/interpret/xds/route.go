package xds

import (
	"errors"
	"fmt"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// Call is what conditions look at.
type Call struct {
	// Path without query, Query without the question mark.
	Path, Query string
	// Lines of a header by its name in lower case; nil where there is none. The
	// names that begin with a colon are asked for too.
	Lines func(name string) []string
}

// Match is the condition of a route.
type Match struct {
	// Matched returns the part of the path that is compared, and whether the
	// condition on the path holds.
	Matched func(path string) (string, bool)
	// BySegments: the path is compared by segments, which gRPC refuses.
	BySegments bool
	headers    []Header
	query      []parameter
}

type parameter struct {
	name  string
	holds func(value string) bool
}

// RouteMatch reads the condition of a route.
func RouteMatch(m *routev3.RouteMatch) (Match, error) {
	out := Match{}
	var err error
	if out.Matched, out.BySegments, err = path(m); err != nil {
		return out, err
	}
	for _, h := range m.GetHeaders() {
		header, err := HeaderMatcher(h)
		if err != nil {
			return out, err
		}
		out.headers = append(out.headers, header)
	}
	for _, q := range m.GetQueryParameters() {
		p := parameter{q.GetName(), func(string) bool { return true }}
		switch s := q.GetQueryParameterMatchSpecifier().(type) {
		case nil:
		case *routev3.QueryParameterMatcher_PresentMatch:
			if !s.PresentMatch {
				return out, fmt.Errorf("parameter %s: to ask for its absence is not understood", p.name)
			}
		case *routev3.QueryParameterMatcher_StringMatch:
			if p.holds, err = StringMatcher(s.StringMatch); err != nil {
				return out, fmt.Errorf("parameter %s: %w", p.name, err)
			}
		}
		if p.name == "" {
			return out, errors.New("a condition on a parameter without a name is refused")
		}
		out.query = append(out.query, p)
	}
	if m.GetRuntimeFraction() != nil || m.GetGrpc() != nil || m.GetTlsContext() != nil || len(m.GetDynamicMetadata()) > 0 {
		return out, errors.New("a condition on something other than path, headers and query is not understood")
	}
	return out, nil
}

// path reads the condition on the path.
func path(m *routev3.RouteMatch) (matched func(string) (string, bool), bySegments bool, err error) {
	fold := func(s string) string { return s }
	if m.GetCaseSensitive() != nil && !m.GetCaseSensitive().GetValue() {
		fold = strings.ToLower
	}
	switch s := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		prefix := fold(s.Prefix)
		return func(p string) (string, bool) {
			if !strings.HasPrefix(fold(p), prefix) {
				return "", false
			}
			return p[:len(prefix)], true
		}, false, nil
	case *routev3.RouteMatch_Path:
		whole := fold(s.Path)
		return func(p string) (string, bool) { return p, fold(p) == whole }, false, nil
	case *routev3.RouteMatch_SafeRegex:
		holds, err := Regex(s.SafeRegex)
		return func(p string) (string, bool) { return p, holds(p) }, false, err
	case *routev3.RouteMatch_PathSeparatedPrefix:
		prefix := fold(s.PathSeparatedPrefix)
		if !strings.HasPrefix(prefix, "/") || strings.HasSuffix(prefix, "/") || strings.ContainsAny(prefix, "?#") {
			return nil, true, fmt.Errorf("path_separated_prefix %q is refused", prefix)
		}
		return func(p string) (string, bool) {
			rest, ok := strings.CutPrefix(fold(p), prefix)
			if !ok || rest != "" && rest[0] != '/' {
				return "", false
			}
			return p[:len(prefix)], true
		}, true, nil
	}
	return nil, false, fmt.Errorf("a path is compared as %T", m.GetPathSpecifier())
}

// AsksQuery reports whether the condition looks at the query.
func (m Match) AsksQuery() bool { return len(m.query) > 0 }

// Holds reports whether a call fulfils the condition. Of a parameter that occurs
// several times the first is compared, as it is written.
func (m Match) Holds(c Call) bool {
	if _, ok := m.Matched(c.Path); !ok {
		return false
	}
	for _, h := range m.headers {
		if !h.Holds(c.Lines(h.Name)) {
			return false
		}
	}
	for _, p := range m.query {
		if value, ok := first(c.Query, p.name); !ok || !p.holds(value) {
			return false
		}
	}
	return true
}

func first(query, name string) (string, bool) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if key, value, _ := strings.Cut(pair, "="); key == name && pair != "" {
			return value, true
		}
	}
	return "", false
}
