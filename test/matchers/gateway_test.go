package matchers

import (
	"math"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret/linkerd"
)

// The interpreters of Gateway API's matches: those of its core, and Linkerd's,
// whose expressions are those of Rust.

// match is one match of an HTTPRoute, with what decides between several.
type match struct {
	holds condition
	// length of the path that is matched.
	length  func(request) int
	details int // conditions on headers, then on query parameters and method
	chosen  bool
}

func httpMatch(m object, regex func(string) func(string) bool) match {
	out := match{length: func(request) int { return 1 }}
	var all []condition
	if p := at(m, "path"); p != nil {
		value := text(p, "value")
		switch text(p, "type") {
		case "Exact":
			all = append(all, on(inPath, func(s string) bool { return s == value }))
			out.length = func(request) int { return len(value) }
		case "RegularExpression":
			all = append(all, on(inPath, regex(value)))
			out.length = func(q request) int { return len(q.path) }
		default:
			want := elements(value)
			all = append(all, on(inPath, func(s string) bool {
				got := elements(s)
				return len(got) >= len(want) && slices.Equal(got[:len(want)], want)
			}))
			out.length = func(request) int { return len(value) }
		}
	}
	for field, in := range map[string]part{"headers": inHeader, "queryParams": inQuery} {
		for _, one := range list(m, field) {
			value := text(one, "value")
			compare := func(s string) bool { return s == value }
			if text(one, "type") == "RegularExpression" {
				compare = regex(value)
			}
			if value == "" {
				panic("Gateway API refuses an empty value")
			}
			all = append(all, on(in, compare))
			out.details += map[part]int{inHeader: 100, inQuery: 1}[in]
		}
	}
	out.holds = every(all)
	return out
}

// outbound lists the matches of the routes to a Service.
func outbound(out []translators.Artifact, regex func(string) func(string) bool) []match {
	var all []match
	for _, o := range objects(out) {
		if o["kind"] != "HTTPRoute" {
			continue
		}
		for _, r := range list(at(o, "spec"), "rules") {
			refs := list(r, "backendRefs")
			there := len(refs) > 0 && text(refs[0], "name") == backendName
			matches := list(r, "matches")
			if len(matches) == 0 {
				matches = []object{{}}
			}
			for _, m := range matches {
				one := httpMatch(m, regex)
				one.chosen = there
				all = append(all, one)
			}
		}
	}
	return all
}

// gatewayRoute: Gateway API leaves open where an expression stands among other
// conditions, so it is asked only whether some match of the rule holds.
func gatewayRoute(out []translators.Artifact) condition {
	all := slices.DeleteFunc(outbound(out, full), func(m match) bool { return !m.chosen })
	return func(q request) bool {
		return slices.ContainsFunc(all, func(m match) bool { return m.holds(q) })
	}
}

// linkerdChoice takes the match of the longest path, then that with more
// conditions, then the first.
func linkerdChoice(all []match, equal bool) condition {
	return func(q request) bool {
		chosen, length, details := false, math.MinInt, 0
		for _, m := range all {
			if !m.holds(q) {
				continue
			}
			switch l := m.length(q); {
			case l > length || l == length && m.details > details:
				chosen, length, details = m.chosen, l, m.details
			case l == length && m.details == details && !equal:
				chosen = chosen && m.chosen // which one is luck
			}
		}
		return chosen
	}
}

func linkerdRoute(out []translators.Artifact) condition {
	return linkerdChoice(outbound(out, rust), true)
}

// linkerdAccess: the route that is taken has a policy that lets its callers in.
func linkerdAccess(out []translators.Artifact) condition {
	all := objects(out)
	granted := map[string]bool{}
	for _, o := range all {
		if target := at(o, "spec", "targetRef"); o["kind"] == "AuthorizationPolicy" {
			granted[text(target, "kind")+"/"+text(target, "name")] = true
		}
	}
	var matches []match
	for _, o := range all {
		name := text(at(o, "metadata"), "name")
		if o["kind"] == "Server" && granted["Server/"+name] {
			return always
		}
		if o["kind"] != "HTTPRoute" {
			continue
		}
		for _, r := range list(at(o, "spec"), "rules") {
			for _, m := range list(r, "matches") {
				one := httpMatch(m, rust)
				one.chosen = granted["HTTPRoute/"+name]
				matches = append(matches, one)
			}
		}
	}
	return linkerdChoice(matches, false)
}

func rust(expr string) func(string) bool {
	holds, err := linkerd.Regex(expr)
	if err != nil {
		panic(err)
	}
	return holds
}

// spelledOtherwise: Linkerd sees a path as it is sent, so a grant speaks of paths
// in their normal form, and of some that could be another's spelling it does not.
func spelledOtherwise(path string) bool {
	return strings.Contains(path, "/.") || strings.Contains(path, "%")
}
