package equivalence

import (
	"fmt"
	"strings"
)

const (
	specsVersion  = "specs.smi-spec.io/v1alpha4"
	splitVersion  = "split.smi-spec.io/v1alpha4"
	accessVersion = "access.smi-spec.io/v1alpha3"
)

// specs makes what splits and targets speak of.
func (g *generator) specs() {
	for range 1 + g.IntN(3) {
		m := g.unique(one(g, []string{"shop", "shop", "bank", "edge"}))
		var matches []object
		for i := range 1 + g.IntN(3) {
			name := fmt.Sprintf("m%d", i)
			matches = append(matches, g.match(name))
			g.groups[m] = append(g.groups[m], name)
		}
		g.add(specsVersion, "HTTPRouteGroup", m, object{"matches": matches})
	}
	for range g.IntN(3) {
		m := g.unique(one(g, []string{"shop", "shop", "bank", "edge"}))
		ports := some(g, []int{80, 81, 82, 8080, 5432, 9000, 7}, 1, 3)
		g.add(specsVersion, "TCPRoute", m, object{"matches": object{"ports": ports}})
		g.tcp = append(g.tcp, m)
	}
}

// match is a condition of an HTTPRouteGroup; all of its parts may be missing.
func (g *generator) match(name string) object {
	m := object{"name": name}
	if !g.chance(5) {
		m["pathRegex"] = g.path()
	}
	switch g.IntN(4) {
	case 0:
		m["methods"] = some(g, []string{"GET", "POST", "PUT", "DELETE", "HEAD"}, 1, 2)
	case 1:
		m["methods"] = []string{"*"}
	}
	if g.chance(3) {
		var lines []object
		for _, name := range some(g, []string{"x-user", "x-trial", "user-agent", "Cookie"}, 1, 2) {
			lines = append(lines, object{name: g.value()})
		}
		m["headers"] = lines
	}
	return m
}

// path is an expression of a small grammar; SMI anchors it at its beginning.
func (g *generator) path() string {
	if g.chance(12) {
		return one(g, []string{"", ".*", "/", "/.*", "^/$", ".*\\.png", ".+"})
	}
	var b strings.Builder
	if g.chance(6) {
		b.WriteString("^")
	}
	for range 1 + g.IntN(3) {
		b.WriteString("/" + g.segment())
	}
	b.WriteString(one(g, []string{"", "", "", "$", "/", "/.*", ".*", "(/.*)?", "/?", "\\.(png|jpg)"}))
	return b.String()
}

func (g *generator) segment() string {
	word := one(g, []string{"a", "ab", "api", "v1", "v2", "items"})
	switch g.IntN(9) {
	case 0:
		return "(" + word + "|" + one(g, []string{"a", "b", "api", "v1/a"}) + ")"
	case 1:
		return one(g, []string{"[a-z]+", "[^/]+", "[0-9]{1,3}", "v[12]", "\\d+", "\\w*", "[a-c]{2}"})
	case 2:
		return word + one(g, []string{"?", "+", "{2}", ".", "[0-9]*", "-?x"})
	case 3:
		return "(?:" + word + ")" + one(g, []string{"", "+", "?"})
	}
	return word
}

// value is an expression for a header.
func (g *generator) value() string {
	return one(g, []string{"yes", "y.s", ".*", ".+", "", "(a|b)", "a|b", "^yes$", "[a-z]{2,4}", ".*Firefox.*", "yes.*", "*"})
}

// split shares the calls to a Service.
func (g *generator) split() {
	namespace := one(g, []string{"shop", "shop", "bank"})
	all := g.servers(namespace)
	if len(all) == 0 {
		return
	}
	root := one(g, all)
	var backends []object
	for _, b := range some(g, all, 1, 3) {
		backends = append(backends, object{"service": b.name, "weight": one(g, []int{0, 1, 1, 1, 3, 10, 50, 99, 250})})
	}
	if g.chance(8) {
		backends = append(backends, object{"service": "missing", "weight": 1})
	}
	spec := object{"service": one(g, []string{root.name, root.name, root.name + "." + namespace, root.name + "." + namespace + ".svc.cluster.local"}), "backends": backends}
	if g.chance(2) {
		var matches []object
		for m := range g.groups {
			if m.namespace == namespace {
				matches = append(matches, object{"kind": "HTTPRouteGroup", "name": m.name})
			}
		}
		if g.chance(10) {
			matches = append(matches, object{"kind": "HTTPRouteGroup", "name": "unknown"})
		}
		if sortByName(matches); len(matches) > 0 {
			spec["matches"] = matches[:1+g.IntN(len(matches))]
		}
	}
	g.add(splitVersion, "TrafficSplit", g.unique(namespace), spec)
}

// target allows some accounts some requests to the pods of another.
func (g *generator) target() {
	var servers []member
	for _, s := range serverNames {
		if g.ports[s] != nil {
			servers = append(servers, s)
		}
	}
	to := one(g, servers)
	var sources, rules []object
	for _, s := range some(g, append(callerNames, servers...), 1, 3) {
		sources = append(sources, object{"kind": "ServiceAccount", "name": s.name, "namespace": s.namespace})
	}
	var groups []object
	for m, matches := range g.groups {
		if m.namespace == to.namespace {
			groups = append(groups, object{"kind": "HTTPRouteGroup", "name": m.name, "matches": matches})
		}
	}
	sortByName(groups)
	for _, rule := range groups[:min(len(groups), g.IntN(3))] {
		if matches := rule["matches"].([]string); g.chance(2) {
			rule["matches"] = some(g, matches, 1, len(matches))
		} else {
			delete(rule, "matches")
		}
		rules = append(rules, rule)
	}
	for _, m := range g.tcp {
		if m.namespace == to.namespace && g.chance(2) {
			rules = append(rules, object{"kind": "TCPRoute", "name": m.name})
		}
	}
	if g.chance(12) {
		rules = append(rules, object{"kind": one(g, []string{"HTTPRouteGroup", "TCPRoute"}), "name": "unknown"})
	}
	spec := object{"destination": object{"kind": "ServiceAccount", "name": to.name, "namespace": to.namespace}, "sources": sources}
	if len(rules) > 0 {
		spec["rules"] = rules
	}
	g.add(accessVersion, "TrafficTarget", g.unique(to.namespace), spec)
}
