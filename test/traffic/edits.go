package traffic

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// always are the Services that are there from the beginning to the end.
var always = []string{"v1", "v2", "v3"}

// paths are what is asked of the Service with the HTTPRoute.
var paths = []string{"/", "/a", "/a/x", "/b", "/b/y?q=1", "/c", "/d/e/f"}

func begin() policy {
	return policy{route: "reviews", split: "orders", services: slices.Clone(always), twins: map[string]bool{},
		weights: map[string]int{"v1": 90, "v2": 10},
		rules: []rule{
			{name: "a", prefixes: []string{"/a"}, weights: map[string]int{"v1": 1}},
			{name: "rest", prefixes: []string{"/"}, weights: map[string]int{"v2": 3, "v3": 1}},
		}}
}

// edit is one change of a policy. n numbers the edits of a run, so that new names
// are new. It reports false where there is nothing to do.
type edit struct {
	name string
	do   func(p *policy, r *rand.Rand, n int) bool
}

// edits are all that may happen to a policy.
var edits = []edit{
	{"weights of a rule", func(p *policy, r *rand.Rand, _ int) bool {
		one(p, r).weights = someone(p, r)
		return true
	}},
	{"a rule moves to another backend", func(p *policy, r *rand.Rand, _ int) bool {
		one(p, r).weights = map[string]int{p.services[r.IntN(len(p.services))]: 1}
		return true
	}},
	{"rules change places", func(p *policy, r *rand.Rand, _ int) bool {
		i, j := r.IntN(len(p.rules)), r.IntN(len(p.rules))
		p.rules[i], p.rules[j] = p.rules[j], p.rules[i]
		return i != j
	}},
	{"a rule is renamed", func(p *policy, r *rand.Rand, n int) bool {
		one(p, r).name = fmt.Sprintf("rule-%d", n)
		return true
	}},
	{"the HTTPRoute is renamed", func(p *policy, _ *rand.Rand, n int) bool {
		p.route = fmt.Sprintf("reviews-%d", n)
		return true
	}},
	{"the TrafficSplit is renamed", func(p *policy, _ *rand.Rand, n int) bool {
		p.split = fmt.Sprintf("orders-%d", n)
		return true
	}},
	{"a rule is split in two", func(p *policy, r *rand.Rand, n int) bool {
		next := rule{name: fmt.Sprintf("rule-%d", n), prefixes: []string{[]string{"/a", "/b", "/c", "/d/e"}[r.IntN(4)]}, weights: someone(p, r)}
		p.rules = slices.Insert(p.rules, r.IntN(len(p.rules)), next)
		return len(p.rules) < 8
	}},
	{"a rule for a header", func(p *policy, r *rand.Rand, n int) bool {
		next := rule{name: fmt.Sprintf("rule-%d", n), prefixes: []string{"/"}, header: "canary", weights: someone(p, r)}
		p.rules = slices.Insert(p.rules, 0, next)
		return len(p.rules) < 8
	}},
	{"a rule is removed", func(p *policy, r *rand.Rand, _ int) bool {
		i := r.IntN(len(p.rules))
		if p.rules[i].everything() {
			return false
		}
		p.rules = slices.Delete(p.rules, i, i+1)
		return true
	}},
	{"a canary advances", func(p *policy, r *rand.Rand, _ int) bool {
		w := r.IntN(11) * 10
		p.weights = map[string]int{"v1": 100 - w, p.services[1+r.IntN(len(p.services)-1)]: w}
		return true
	}},
	{"a Service appears and is used at once", func(p *policy, r *rand.Rand, n int) bool {
		if slices.Contains(p.services, "extra") {
			return false
		}
		p.services = append(p.services, "extra")
		one(p, r).weights = map[string]int{"extra": 1}
		p.weights = map[string]int{"v1": 1, "extra": 1}
		return true
	}},
	{"a Service is used no more and vanishes", func(p *policy, r *rand.Rand, _ int) bool {
		i := slices.Index(p.services, "extra")
		if i < 0 {
			return false
		}
		p.services = slices.Delete(p.services, i, i+1)
		for j := range p.rules {
			if p.rules[j].weights["extra"] > 0 {
				p.rules[j].weights = someone(p, r)
			}
			delete(p.rules[j].weights, "extra")
		}
		if delete(p.weights, "extra"); !p.split100() {
			p.weights = map[string]int{"v1": 1}
		}
		return true
	}},
	{"pods are replaced", func(p *policy, r *rand.Rand, _ int) bool {
		s := p.services[r.IntN(len(p.services))]
		p.twins[s] = !p.twins[s]
		return true
	}},
}

// split100 reports whether anybody has a weight in the TrafficSplit.
func (p policy) split100() bool {
	for _, w := range p.weights {
		if w > 0 {
			return true
		}
	}
	return false
}

// everything reports whether the rule takes every request.
func (r rule) everything() bool { return r.header == "" && slices.Contains(r.prefixes, "/") }

func one(p *policy, r *rand.Rand) *rule { return &p.rules[r.IntN(len(p.rules))] }

// someone is one or two backends.
func someone(p *policy, r *rand.Rand) map[string]int {
	return map[string]int{p.services[r.IntN(len(p.services))]: 1 + r.IntN(9), p.services[r.IntN(len(p.services))]: r.IntN(9) + 1}
}

// next is a policy after an edit that changes something, and the edit's name.
func next(p policy, r *rand.Rand, n int) (policy, string) {
	for {
		e := edits[r.IntN(len(edits))]
		if q := p.clone(); e.do(&q, r, n) {
			return q, e.name
		}
	}
}
