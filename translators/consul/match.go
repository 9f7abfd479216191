package consul

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
)

// methods are the ones that Consul takes; it refuses any other.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace,
}

// requested writes one match of a route: conditions of which any must hold. It
// reports false where none of its methods is one that Consul knows.
func requested(m ir.Match) ([]object, bool) {
	conditions, ok := common(m)
	for _, c := range conditions {
		var query []any
		for _, q := range m.Query {
			query = append(query, parameter(q))
		}
		if len(query) > 0 {
			c["QueryParam"] = query
		}
	}
	return conditions, ok
}

// permitted writes one match of a grant, or nothing of what intentions cannot see.
// Consul refuses a permission that looks at nothing. Lines of a repeated header are
// joined with commas, and must not fulfil together what none of them does alone.
func permitted(m ir.Match) []object {
	conditions, ok := common(m)
	if !ok || len(m.Query) > 0 || withComma(m) != nil {
		return nil
	}
	var single []any
	for _, h := range m.Headers {
		if h.Value.Kind == ir.MatchRegex {
			single = append(single, object{"Name": headerName(h.Name), "Regex": "[^,]*"})
		}
	}
	for _, c := range conditions {
		if len(single) > 0 {
			c["Header"] = slices.Concat(c["Header"].([]any), single)
		}
		if len(c) == 0 {
			c["PathPrefix"] = "/"
		}
	}
	return conditions
}

// withComma returns the first header of a match whose value, as it is written,
// lines that are joined can make; nil where there is none.
func withComma(m ir.Match) *ir.HeaderMatch {
	for i, h := range m.Headers {
		if h.Value.Kind != ir.MatchRegex && h.Value.Kind != ir.MatchAny && strings.Contains(h.Value.Value, ",") {
			return &m.Headers[i]
		}
	}
	return nil
}

// common writes what routes and grants can look at alike.
func common(m ir.Match) ([]object, bool) {
	rest := object{}
	if !m.AnyMethod() {
		known := slices.DeleteFunc(slices.Clone(m.Methods), func(n string) bool { return !slices.Contains(methods, n) })
		if len(known) == 0 {
			return nil, false
		}
		rest["Methods"] = manifest.Anys(known)
	}
	var headers []any
	for _, h := range m.Headers {
		headers = append(headers, header(h))
	}
	if len(headers) > 0 {
		rest["Header"] = headers
	}
	var out []object
	for _, p := range m.Path.Strings() {
		c := path(p)
		maps.Copy(c, rest)
		out = append(out, c)
	}
	return out, true
}

// path writes a comparison of a path. Consul wants a slash before a value, and
// reads an empty one as none.
func path(m ir.StringMatch) object {
	slash := strings.HasPrefix(m.Value, "/")
	switch {
	case m.Kind == ir.MatchAny, m.Kind == ir.MatchPrefix && m.Value == "":
		return object{}
	case m.Kind == ir.MatchExact && slash:
		return object{"PathExact": m.Value}
	case m.Kind == ir.MatchPrefix && slash:
		return object{"PathPrefix": m.Value}
	}
	return object{"PathRegex": expression(m)}
}

func header(h ir.HeaderMatch) object {
	out := object{"Name": headerName(h.Name)}
	switch m := h.Value; {
	case holdsAlways(m):
		out["Present"] = true
	case m.Value == "", m.Kind == ir.MatchContains, m.Kind == ir.MatchRegex:
		out["Regex"] = expression(m)
	case m.Kind == ir.MatchExact:
		out["Exact"] = m.Value
	case m.Kind == ir.MatchPrefix:
		out["Prefix"] = m.Value
	case m.Kind == ir.MatchSuffix:
		out["Suffix"] = m.Value
	default:
		out["Regex"] = expression(m)
	}
	return out
}

func parameter(q ir.QueryMatch) object {
	out := object{"Name": q.Name}
	switch m := q.Value; {
	case holdsAlways(m):
		out["Present"] = true
	case m.Kind == ir.MatchExact && m.Value != "":
		out["Exact"] = m.Value
	default:
		out["Regex"] = expression(m)
	}
	return out
}

// holdsAlways reports whether a comparison holds for every value that is there.
func holdsAlways(m ir.StringMatch) bool {
	switch m.Kind {
	case ir.MatchAny:
		return true
	case ir.MatchPrefix, ir.MatchSuffix, ir.MatchContains:
		return m.Value == ""
	}
	return false
}

// expression writes a comparison as an expression for the whole value. It is
// never empty, for Consul reads that as no comparison.
func expression(m ir.StringMatch) string {
	quoted := regexp.QuoteMeta(m.Value)
	switch m.Kind {
	case ir.MatchPrefix:
		return quoted + ".*"
	case ir.MatchSuffix:
		return ".*" + quoted
	case ir.MatchContains:
		return ".*" + quoted + ".*"
	case ir.MatchRegex:
		quoted = m.Value
	case ir.MatchSegments:
		return quoted + "(?:/.*)?"
	}
	if quoted == "" {
		return "()"
	}
	return quoted
}

// headerName names a header as Envoy does: HTTP/2 has no host.
func headerName(name string) string {
	if name == "host" {
		return ":authority"
	}
	return name
}
