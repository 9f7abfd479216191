package istio

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// maxRegex is the longest expression that Istio accepts.
const maxRegex = 1024

// requests writes matches of a route for those who see it. Where everybody does
// on every port, and some match holds for everything, nothing is to be written.
func requests(all []ir.Match, at place) (matches []any, everything bool, found report.Report) {
	for _, m := range all {
		for _, path := range m.Path.Strings() {
			m.Path = path
			q, why := request(m)
			if why != "" {
				found = append(found, report.New(report.Lossy, m.Ref, why+", the match is left out").WithClass(report.Dropped))
				break
			}
			if !at.write(q) && m.IsAll() {
				return nil, true, found
			}
			everything = everything || catchesAll(m)
			matches = append(matches, q)
		}
	}
	return matches, everything, found
}

// catchesAll: every path starts with a slash, so that prefix says nothing.
func catchesAll(m ir.Match) bool {
	if m.Path == (ir.StringMatch{Kind: ir.MatchPrefix, Value: "/"}) {
		m.Path = ir.StringMatch{Kind: ir.MatchAny}
	}
	return m.IsAll()
}

// request writes one match of a route, or says why it cannot.
func request(m ir.Match) (q object, why string) {
	q = object{}
	if m.Path.Kind != ir.MatchAny {
		q["uri"] = stringMatch(m.Path)
	}
	if !m.AnyMethod() {
		q["method"] = methods(m.Methods)
	}
	headers, query := object{}, object{}
	for i, h := range m.Headers {
		switch {
		case slices.Contains(m.Headers[:i], h):
		case headers[h.Name] != nil || h.Name == "host" && q["authority"] != nil:
			return nil, fmt.Sprintf("Istio compares the header %q with one value", h.Name)
		case h.Name == "host": // HTTP/2 has no such header
			q["authority"] = stringMatch(h.Value)
		case slices.Contains(ignoredHeaders, h.Name):
			return nil, fmt.Sprintf("Istio ignores conditions on a header of the name %q", h.Name)
		default:
			headers[h.Name] = stringMatch(h.Value)
		}
	}
	for _, p := range m.Query {
		if query[p.Name] != nil {
			return nil, fmt.Sprintf("Istio compares the query parameter %q with one value", p.Name)
		}
		query[p.Name] = stringMatch(p.Value)
	}
	parts := []any{q["uri"], q["method"], q["authority"]}
	parts = append(parts, slices.Collect(maps.Values(headers))...)
	if slices.ContainsFunc(append(parts, slices.Collect(maps.Values(query))...), tooLong) {
		return nil, fmt.Sprintf("Istio takes expressions of %d characters at most", maxRegex)
	}
	if len(headers) > 0 {
		q["headers"] = headers
	}
	if len(query) > 0 {
		q["queryParams"] = query
	}
	return q, ""
}

// ignoredHeaders are names that stand for parts of the request elsewhere in a
// match, for which Istio does not look among the headers.
var ignoredHeaders = []string{"uri", "scheme", "method", "authority"}

func tooLong(part any) bool {
	o, _ := part.(object)
	re, _ := o["regex"].(string)
	return len(re) > maxRegex
}

// stringMatch writes a comparison of a whole value. Empty means present.
func stringMatch(m ir.StringMatch) object {
	switch m.Kind {
	case ir.MatchExact:
		return object{"exact": m.Value}
	case ir.MatchPrefix:
		if m.Value != "" {
			return object{"prefix": m.Value}
		}
	case ir.MatchSuffix:
		return object{"regex": ".*" + regexp.QuoteMeta(m.Value)}
	case ir.MatchContains:
		return object{"regex": ".*" + regexp.QuoteMeta(m.Value) + ".*"}
	case ir.MatchRegex:
		return object{"regex": m.Value}
	}
	return object{}
}

func methods(names []string) object {
	if len(names) == 1 {
		return object{"exact": names[0]}
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = regexp.QuoteMeta(n)
	}
	return object{"regex": strings.Join(quoted, "|")}
}

// wildcard writes a comparison for a policy, where an asterisk at either end
// stands for anything and there is nothing else. It reports false for what
// cannot be written so.
func wildcard(m ir.StringMatch) (string, bool) {
	ok := m.Value != "" && !starEdge(m.Value)
	switch m.Kind {
	case ir.MatchAny:
		return "*", true
	case ir.MatchExact:
		return m.Value, ok
	case ir.MatchPrefix:
		return m.Value + "*", ok
	case ir.MatchSuffix:
		return "*" + m.Value, ok
	}
	return "", false
}

func starEdge(s string) bool { return strings.HasPrefix(s, "*") || strings.HasSuffix(s, "*") }

// headerKey names a header in a policy.
func headerKey(name string) string {
	if name == "host" {
		return ":authority"
	}
	return name
}
