package matchers

import (
	"strings"

	"github.com/meshknot/meshknot/translators"
)

// The interpreter of a VirtualService's matches and of an AuthorizationPolicy's
// wildcards.

func istioRoute(out []translators.Artifact) condition {
	type row struct {
		any   []condition
		there bool
	}
	var rows []row
	for _, o := range objects(out) {
		if o["kind"] != "VirtualService" {
			continue
		}
		for _, r := range list(at(o, "spec"), "http") {
			there := strings.HasPrefix(text(at(list(r, "route")[0], "destination"), "host"), backendName+".")
			one := row{there: there}
			for _, m := range list(r, "match") {
				one.any = append(one.any, istioMatch(m))
			}
			if len(one.any) == 0 {
				one.any = []condition{always}
			}
			rows = append(rows, one)
		}
	}
	return func(q request) bool {
		for _, r := range rows {
			if some(r.any)(q) {
				return r.there
			}
		}
		return false
	}
}

func istioMatch(m object) condition {
	var all []condition
	if uri := at(m, "uri"); uri != nil {
		all = append(all, on(inPath, istioString(uri)))
	}
	if h, ok := at(m, "headers")[headerName].(object); ok {
		all = append(all, on(inHeader, istioString(h)))
	}
	if p, ok := at(m, "queryParams")[queryName].(object); ok {
		all = append(all, on(inQuery, istioString(p)))
	}
	return every(all)
}

func istioString(m object) func(string) bool {
	for kind, v := range m {
		switch value := v.(string); kind {
		case "exact":
			return func(s string) bool { return s == value }
		case "prefix":
			if value == "" {
				panic("Istio refuses an empty prefix")
			}
			return func(s string) bool { return strings.HasPrefix(s, value) }
		case "regex":
			if value != "*" {
				return full(value)
			}
		default:
			panic("a string compared by " + kind)
		}
	}
	return func(string) bool { return true }
}

func istioAccess(out []translators.Artifact) condition {
	var any []condition
	for _, o := range objects(out) {
		if o["kind"] != "AuthorizationPolicy" {
			continue
		}
		for _, r := range list(at(o, "spec"), "rules") {
			var all, to []condition
			for _, t := range list(r, "to") {
				to = append(to, istioOperation(at(t, "operation")))
			}
			for _, w := range list(r, "when") {
				if text(w, "key") != "request.headers["+headerName+"]" {
					panic("a condition on " + text(w, "key"))
				}
				all = append(all, on(inHeader, istioValues(w, "values")))
			}
			any = append(any, every(append(all, some(to))))
		}
	}
	return some(any)
}

func istioOperation(o object) condition {
	if o["paths"] == nil {
		return always
	}
	for _, p := range o["paths"].([]any) {
		if strings.ContainsAny(p.(string), "{}") {
			panic("Istio reads a template in " + p.(string))
		}
	}
	return on(inPath, istioValues(o, "paths"))
}

func istioValues(o object, field string) func(string) bool {
	return func(s string) bool {
		for _, v := range o[field].([]any) {
			if wildcard(v.(string), s) {
				return true
			}
		}
		return false
	}
}

func wildcard(pattern, s string) bool {
	switch {
	case pattern == "*":
		return true
	case strings.HasPrefix(pattern, "*"):
		return strings.HasSuffix(s, pattern[1:])
	case strings.HasSuffix(pattern, "*"):
		return strings.HasPrefix(s, pattern[:len(pattern)-1])
	}
	return s == pattern
}
