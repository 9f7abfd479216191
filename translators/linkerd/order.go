package linkerd

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// The most that one route takes.
const (
	maxRules        = 16
	maxRuleMatches  = 64
	maxRouteMatches = 128
	maxBackends     = 16
)

// rule is a route of the model on its way.
type rule struct {
	ir.Route
	requests []request
	// action is what becomes of the requests; key tells actions apart.
	action object
	key    string
}

// rulesOf takes the routes of a port in their order, up to the first that holds
// for everything.
func (r routed) rulesOf(routes []ir.Route) ([]rule, report.Report) {
	var out []rule
	var found report.Report
	for _, route := range routes {
		one, f := r.ruleOf(route)
		found = append(found, f...)
		for _, m := range route.Matches {
			requests, f := r.requests(m)
			one.requests, found = append(one.requests, requests...), append(found, f...)
		}
		if len(one.requests) > 0 && one.key != "" {
			out = append(out, one)
		}
		if route.MatchesAll() {
			break
		}
	}
	return out, found
}

// requests writes a match. What no route can carry is left out and reported.
func (r routed) requests(m ir.Match) (out []request, found report.Report) {
	requests, unknown := requestsOf(m)
	for _, method := range unknown {
		found = append(found, lossy(m.MethodsRef, report.Dropped, "a route cannot name the method "+method))
	}
	for _, h := range m.Headers {
		if strings.ContainsFunc(h.Value.Value, func(r rune) bool { return r > '~' }) {
			found = append(found, lossy(h.Ref, report.Dropped, "a route finds no header by a value with characters beyond ASCII"))
		}
	}
	for _, q := range requests {
		if r.overrides && length(q.path) < wholePath {
			q.path = expr(expression(q.path))
		}
		if _, why := q.object(); why != "" {
			found = append(found, lossy(m.Ref, report.Dropped, "the match is left out: "+why))
			continue
		}
		out = append(out, q)
	}
	return out, found
}

// ruleOf says what becomes of the requests of a route. A route of which that
// cannot be said has no key.
func (r routed) ruleOf(route ir.Route) (rule, report.Report) {
	if r.overrides && r.unmatched(route) {
		route.Status = 500 // left to itself it would go by the routes for everybody
	}
	one := rule{Route: route}
	if r.unmatched(route) {
		one.key = "unmatched"
		return one, nil
	}
	var found report.Report
	one.action, found = r.action(route)
	if text, err := json.Marshal(one.action); err == nil && one.action != nil {
		one.key = string(text)
	}
	return one, found
}

func lossy(at report.Ref, class report.Class, message string) report.Finding {
	return report.New(report.Lossy, at, message).WithClass(class)
}

// inOrder sees to it that the first rule that holds is the one that Linkerd
// chooses. It chooses the most specific match and, among equals, the first rule.
// Where a later rule has a more specific match, the earlier one gets what
// fulfils both as one more match: that is as specific as both together.
func (s *sets) inOrder(rules []rule) report.Report {
	left := maxRouteMatches
	for _, r := range rules {
		left -= len(r.requests)
	}
	unsaid := map[[2]int]bool{}
	for changed := true; changed; {
		changed = false
		for i := range rules {
			for j := i + 1; j < len(rules); j++ {
				more, some := s.ahead(rules[i], rules[j])
				if left -= len(more); left < 0 && len(more) > 0 {
					return report.Report{lossy(rules[i].Ref, report.Approximated,
						"Linkerd chooses the most specific match, and keeping the order of the routes takes more matches than a route can have")}
				}
				rules[i].requests = append(rules[i].requests, more...)
				changed = changed || len(more) > 0
				unsaid[[2]int{i, j}] = some
			}
		}
	}
	var found report.Report
	for i := range rules {
		for j := range rules {
			if unsaid[[2]int{i, j}] {
				found = append(found, lossy(rules[i].Ref, report.Approximated,
					"Linkerd chooses the most specific match: requests that fulfil a later route too may go its way").With(rules[j].Ref))
			}
		}
	}
	return found
}

// ahead returns the requests that the earlier of two rules needs in order to be
// chosen before the later one, and whether there are some that cannot be written.
func (s *sets) ahead(first, later rule) (more []request, unsaid bool) {
	if first.key == later.key {
		return nil, false
	}
	for _, a := range first.requests {
		for _, b := range later.requests {
			if a.outranks(b) {
				continue
			}
			both, how := s.meetRequests(a, b)
			if how == apart {
				continue
			}
			if slices.ContainsFunc(slices.Concat(first.requests, more), func(x request) bool { return x.outranks(b) && s.covers(x, both) }) {
				continue
			}
			_, why := both.object()
			if how == unknown || why != "" {
				unsaid = true
				continue
			}
			more = append(more, both)
		}
	}
	return more, unsaid
}
