package istio

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// maxRegex is the longest expression that Istio accepts.
const maxRegex = 1024

// requests writes the matches of a route on a port. Where the port is not known
// and some match holds for everything, nothing is to be written at all.
func requests(r ir.Route, port int32) (matches []any, everything bool, found report.Report) {
	for _, m := range r.Matches {
		q, ok := request(m)
		if !ok {
			found = append(found, report.New(report.Lossy, m.Ref, fmt.Sprintf(
				"Istio takes expressions of %d characters at most, the match is left out", maxRegex)).WithClass(report.Dropped))
			continue
		}
		if port != ir.AnyPort {
			q["port"] = int64(port)
		}
		if everything = everything || m.IsAll(); everything && port == ir.AnyPort {
			return nil, true, found
		}
		matches = append(matches, q)
	}
	return matches, everything, found
}

// request writes one match of a route.
func request(m ir.Match) (object, bool) {
	q := object{}
	if m.Path.Kind != ir.MatchAny {
		q["uri"] = stringMatch(m.Path)
	}
	if !m.AnyMethod() {
		q["method"] = methods(m.Methods)
	}
	headers := object{}
	for _, h := range m.Headers {
		if h.Name == "host" { // HTTP/2 has no such header
			q["authority"] = stringMatch(h.Value)
			continue
		}
		headers[h.Name] = stringMatch(h.Value)
	}
	if len(headers) > 0 {
		q["headers"] = headers
	}
	for _, part := range []any{q["uri"], q["method"], q["authority"]} {
		if tooLong(part) {
			return nil, false
		}
	}
	for _, part := range headers {
		if tooLong(part) {
			return nil, false
		}
	}
	return q, true
}

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
