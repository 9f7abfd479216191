package gamma

import (
	"fmt"
	"regexp"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Limits of a route object.
const (
	maxRules        = 16
	maxRuleMatches  = 64
	maxRouteMatches = 128
	maxBackends     = 16
)

// rule is a rule of a route object: what becomes of the requests of its arms.
type rule struct {
	name string
	arms []arm
	spec object
}

var ruleName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// rules makes the rules of arms, which stand by route. A rule that replaces the
// prefix of its match has one match.
func (w *writer) rules(arms []arm, routes []ir.Route) []rule {
	var out []rule
	for start := 0; start < len(arms); {
		r := routes[arms[start].route]
		most := maxRuleMatches
		if editsPrefix(r) {
			most = 1
		}
		end := start + 1
		for end < len(arms) && arms[end].route == arms[start].route && end-start < most {
			end++
		}
		one := rule{arms: arms[start:end], spec: w.outcome(r)}
		if start == 0 || arms[start-1].route != arms[start].route {
			one.name = r.Name
		}
		out = append(out, one)
		start = end
	}
	return out
}

// outcome writes what becomes of the requests of a route. Without backends and
// without a redirect they get 500.
func (w *writer) outcome(r ir.Route) object {
	out := object{}
	if f := w.filters(r); len(f) > 0 {
		out["filters"] = f
	}
	if r.Answers() {
		return out
	}
	if refs := w.backendRefs(r); len(refs) > 0 {
		out["backendRefs"] = refs
	}
	if t := w.timeouts(r.Timeout); t != nil {
		out["timeouts"] = t
	}
	return out
}

// chunk shares rules out to route objects, each as full as it may be.
func chunk(rules []rule) [][]rule {
	var out [][]rule
	matches := 0
	for _, r := range rules {
		n := len(out) - 1
		if n < 0 || len(out[n]) == maxRules || matches+len(r.arms) > maxRouteMatches {
			out = append(out, nil)
			n, matches = n+1, 0
		}
		out[n] = append(out[n], r)
		matches += len(r.arms)
	}
	return out
}

// written writes the rules of one object. Names tell rules apart within it.
func written(rules []rule, match func(arm) object) []any {
	used := map[string]bool{}
	var out []any
	for _, r := range rules {
		one := object{}
		for k, v := range r.spec {
			one[k] = v
		}
		var matches []any
		for _, a := range r.arms {
			matches = append(matches, match(a))
		}
		one["matches"] = matches
		if ruleName.MatchString(r.name) && len(r.name) <= 253 && !used[r.name] {
			one["name"], used[r.name] = r.name, true
		}
		out = append(out, one)
	}
	return out
}

// backendRefs writes who shares the requests of a route. Where there are more
// than a rule takes, those without weight go first, then requests fail rather
// than go to the rest.
func (w *writer) backendRefs(r ir.Route) []any {
	backends := r.Backends
	if len(backends) > maxBackends {
		backends = nil
		for _, b := range r.Backends {
			if b.Weight > 0 {
				backends = append(backends, b)
			}
		}
	}
	if len(backends) > maxBackends {
		w.add(report.New(report.Lossy, r.Ref, fmt.Sprintf("a rule has %d backends at most, and %s has %d: its requests fail", maxBackends, r.Name, len(backends))).
			WithClass(report.Narrowed))
		return nil
	}
	r.Backends = backends
	to, exact := weights(backends)
	if !exact {
		w.add(roundedWeights(r, to))
	}
	var out []any
	for i, b := range backends {
		ref := w.backendRef(b)
		ref["weight"] = to[i]
		if f := w.headerFilters(b.RequestHeaders, b.ResponseHeaders); len(f) > 0 {
			ref["filters"] = f
		}
		out = append(out, ref)
	}
	return out
}

// backendRef names a backend. One that does not exist is named all the same: its
// share of the requests fails until it does. What is invalid for another reason
// is named as a kind that nobody knows, for the Service of that name may be there.
func (w *writer) backendRef(b ir.Backend) object {
	port := b.Port
	if port == ir.AnyPort {
		port = w.port.Number
	}
	out := object{"group": "", "kind": "Service", "name": b.Service.Name, "port": int64(port)}
	if b.Invalid != "" && b.Invalid != "Service "+b.Service.String()+" does not exist" {
		out["group"], out["kind"] = "meshknot.io", "InvalidBackend"
	}
	if b.Service.Namespace != w.namespace {
		out["namespace"] = b.Service.Namespace
	}
	return out
}
