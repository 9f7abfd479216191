package gamma

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Limits of a match.
const (
	maxConditions  = 16 // headers, and query parameters
	maxHeaderValue = 4096
	maxQueryValue  = 1024
	maxName        = 256
)

var (
	fieldName  = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$`)
	fieldValue = regexp.MustCompile(`^[!-~]+([\t ]?[!-~]+)*$`)
	// methods are those that a match can name.
	methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)

// armsOf takes the routes of a port apart: one match and one method each. The
// first route that takes every request ends them.
func armsOf(routes []ir.Route) ([]arm, report.Report) {
	var out []arm
	var found report.Report
	for i, r := range routes {
		for _, m := range r.Matches {
			if why := unwritable(m); why != "" {
				found = append(found, report.New(report.Lossy, m.Ref, "the match is left out: "+why).WithClass(report.Dropped))
				continue
			}
			out = append(out, expand(i, m)...)
		}
		if r.MatchesAll() {
			break
		}
	}
	return out, found
}

// expand makes an arm for each method, for a match names one at most.
func expand(route int, m ir.Match) []arm {
	if m.AnyMethod() {
		return []arm{{route, m, pathOf(m.Path)}}
	}
	var out []arm
	for _, name := range m.Methods {
		one := m
		one.Methods = []string{name}
		out = append(out, arm{route, one, pathOf(m.Path)})
	}
	return out
}

// everyPathAsExpression writes what does not look at the path as an expression
// where any other is one: no mesh ranks ".*" above another expression, and some
// rank every prefix above all of them.
func everyPathAsExpression(arms []arm, routes []ir.Route) {
	if !slices.ContainsFunc(arms, func(a arm) bool { return a.path.kind == typeRegex }) {
		return
	}
	for i, a := range arms {
		if everything(a.match.Path) && !editsPrefix(routes[a.route]) {
			arms[i].path = path{typeRegex, everyPath}
		}
	}
}

// unwritable says why a match cannot be written, or nothing.
func unwritable(m ir.Match) string {
	if len(pathOf(m.Path).value) > maxPath {
		return fmt.Sprintf("a path, or the expression for it, has %d characters at most", maxPath)
	}
	if !m.AnyMethod() {
		for _, name := range m.Methods {
			if !slices.Contains(methods, name) {
				return "an HTTPRoute knows no method " + name
			}
		}
	}
	if len(m.Headers) > maxConditions || len(m.Query) > maxConditions {
		return fmt.Sprintf("a match has %d headers and as many query parameters at most", maxConditions)
	}
	for _, h := range m.Headers {
		if _, v := valueOf(h.Value); !fieldName.MatchString(h.Name) || len(h.Name) > maxName || !fieldValue.MatchString(v) || len(v) > maxHeaderValue {
			return fmt.Sprintf("Gateway API takes no condition %s on header %q", h.Value, h.Name)
		}
	}
	for _, q := range m.Query {
		if _, v := valueOf(q.Value); !fieldName.MatchString(q.Name) || len(q.Name) > maxName || v == "" || len(v) > maxQueryValue {
			return fmt.Sprintf("Gateway API takes no condition %s on query parameter %q", q.Value, q.Name)
		}
	}
	return ""
}

// valueOf writes a comparison of a header or a query parameter.
func valueOf(m ir.StringMatch) (kind, value string) {
	if m.Kind == ir.MatchExact && m.Value != "" {
		return typeExact, m.Value
	}
	return typeRegex, expression(m)
}

// httpMatch writes an arm for an HTTPRoute.
func httpMatch(a arm) object {
	out := object{"path": object{"type": a.path.kind, "value": a.path.value}}
	if !a.match.AnyMethod() {
		out["method"] = a.match.Methods[0]
	}
	if len(a.match.Headers) > 0 {
		out["headers"] = headerMatches(a.match.Headers)
	}
	var query []any
	for _, q := range a.match.Query {
		kind, value := valueOf(q.Value)
		query = append(query, object{"type": kind, "name": q.Name, "value": value})
	}
	if len(query) > 0 {
		out["queryParams"] = query
	}
	return out
}

func headerMatches(headers []ir.HeaderMatch) []any {
	var out []any
	for _, h := range headers {
		kind, value := valueOf(h.Value)
		out = append(out, object{"type": kind, "name": h.Name, "value": value})
	}
	return out
}
