package ask

import (
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Coverage tells which rules of an input its tests had to do with.
type Coverage struct {
	// Input is what was read.
	Input string
	Set   *input.Set
	// Rules that there are: conditions of routes, backends with weight, grants,
	// their callers and their conditions. Missed are those that decided nothing.
	Rules  int
	Missed []Rule
}

// Rule is a rule and what it is.
type Rule struct {
	Ref  report.Ref
	What string
}

// Percent of the rules that decided something, 0 to 100; 100 where there are none.
func (c Coverage) Percent() float64 {
	if c.Rules == 0 {
		return 100
	}
	return 100 * float64(c.Rules-len(c.Missed)) / float64(c.Rules)
}

// Coverage tells of every input that was read what the model's tests left out.
func (r *TrafficRun) Coverage() []Coverage {
	var out []Coverage
	for _, in := range r.order {
		if in.broken != "" {
			continue
		}
		rules := rulesOf(in.model.Units())
		c := Coverage{Input: in.name, Set: in.set, Rules: len(rules)}
		for _, rule := range rules {
			if !in.hits[rule.Ref] {
				c.Missed = append(c.Missed, rule)
			}
		}
		out = append(out, c)
	}
	return out
}

// rulesOf lists the rules that policies make, sorted. What follows from a
// Service alone, such as its last route, is nobody's rule.
func rulesOf(units []ir.Unit) []Rule {
	seen := map[report.Ref]bool{}
	var out []Rule
	add := func(r report.Ref, what string) {
		if r.Group != "" && !seen[r] {
			seen[r] = true
			out = append(out, Rule{r, what})
		}
	}
	for _, u := range units {
		switch {
		case u.Service != nil:
			for _, p := range u.Service.Ports {
				routeRules(p.AllRoutes(), add)
			}
		case u.VirtualHost != nil:
			routeRules(u.VirtualHost.Routes, add)
		case u.Workload != nil && u.Workload.Enforced:
			grantRules(u.Workload.Grants, add)
		}
	}
	slices.SortFunc(out, func(a, b Rule) int { return a.Ref.Compare(b.Ref) })
	return out
}

func routeRules(routes []ir.Route, add func(report.Ref, string)) {
	for i, r := range routes {
		if i == len(routes)-1 && (r.Name == "default" || r.Name == "unmatched") {
			continue // what is left over
		}
		for _, m := range r.Matches {
			add(m.Ref, "route condition")
		}
		for _, b := range r.Backends {
			if b.Weight > 0 {
				add(b.Ref, "backend")
			}
		}
	}
}

func grantRules(grants []ir.Grant, add func(report.Ref, string)) {
	for _, g := range grants {
		add(g.Ref, "grant")
		for _, s := range g.Sources {
			add(s.Ref, "caller")
		}
		for _, m := range g.Matches {
			add(m.Ref, "grant condition")
		}
	}
}
