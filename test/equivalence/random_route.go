package equivalence

import (
	"slices"
	"strings"
)

// httpRoute makes a route of Gateway API for calls to a Service: its producer's,
// or that of the callers of another namespace.
func (g *generator) httpRoute() {
	namespace := one(g, []string{"shop", "bank"})
	all := g.servers(namespace)
	all = slices.DeleteFunc(all, func(m member) bool { return g.ports[m][0]["port"] != 80 })
	if len(all) == 0 {
		return
	}
	parent := one(g, all)
	home := namespace
	if g.chance(4) {
		home = one(g, []string{"shop", "bank", "edge"})
	}
	var rules []object
	for range 1 + g.IntN(3) {
		rules = append(rules, g.rule(all))
	}
	ref := object{"group": "", "kind": "Service", "name": parent.name, "namespace": namespace}
	if !g.chance(4) {
		ref["port"] = 80
	}
	g.add("gateway.networking.k8s.io/v1", "HTTPRoute", g.unique(home), object{"parentRefs": []object{ref}, "rules": rules})
}

func (g *generator) rule(backends []member) object {
	rule := object{}
	var matches []object
	for range g.IntN(3) {
		matches = append(matches, g.condition())
	}
	if len(matches) > 0 {
		rule["matches"] = matches
	}
	filters := g.filters(matches)
	redirects := slices.ContainsFunc(filters, func(f object) bool { return f["type"] == "RequestRedirect" })
	if len(filters) > 0 {
		rule["filters"] = filters
	}
	if redirects || g.chance(12) {
		return rule
	}
	var refs []object
	for _, b := range some(g, backends, 1, 2) {
		ref := object{"name": b.name, "namespace": b.namespace, "port": 80}
		if g.chance(2) {
			ref["weight"] = one(g, []int{0, 1, 3, 90, 1000})
		}
		refs = append(refs, ref)
	}
	if g.chance(12) {
		refs = append(refs, object{"name": "missing", "port": 80})
	}
	rule["backendRefs"] = refs
	return rule
}

// condition is one match of an HTTPRoute.
func (g *generator) condition() object {
	m := object{}
	switch g.IntN(4) {
	case 0:
		m["path"] = object{"type": "Exact", "value": g.words()}
	case 1, 2:
		m["path"] = object{"type": "PathPrefix", "value": g.words()}
	default:
		m["path"] = object{"type": "RegularExpression", "value": g.path()}
	}
	if g.chance(4) {
		m["method"] = one(g, []string{"GET", "POST", "DELETE"})
	}
	if g.chance(4) {
		m["headers"] = []object{g.compared("x-trial")}
	}
	if g.chance(5) {
		m["queryParams"] = []object{g.compared("level")}
	}
	return m
}

func (g *generator) compared(name string) object {
	if g.chance(3) {
		return object{"name": name, "type": "RegularExpression", "value": one(g, []string{"a.*", "[0-9]+", "a|b", "yes"})}
	}
	return object{"name": name, "value": one(g, []string{"yes", "a", "high"})}
}

// words is a path without meaning to any expression.
func (g *generator) words() string {
	return "/" + strings.Join(some(g, []string{"a", "ab", "api", "v1", "items"}, 0, 3), "/")
}

func (g *generator) filters(matches []object) []object {
	var out []object
	if g.chance(4) {
		out = append(out, object{"type": "RequestHeaderModifier", "requestHeaderModifier": g.edit()})
	}
	if g.chance(5) {
		out = append(out, object{"type": "ResponseHeaderModifier", "responseHeaderModifier": g.edit()})
	}
	prefixes := !slices.ContainsFunc(matches, func(m object) bool { return m["path"].(object)["type"] != "PathPrefix" })
	path := object{"type": "ReplaceFullPath", "replaceFullPath": g.words()}
	if prefixes && g.chance(2) {
		path = object{"type": "ReplacePrefixMatch", "replacePrefixMatch": g.words()}
	}
	switch g.IntN(8) {
	case 0:
		rewrite := object{"path": path}
		if g.chance(3) {
			rewrite = object{"hostname": "inner.example"}
		}
		out = append(out, object{"type": "URLRewrite", "urlRewrite": rewrite})
	case 1:
		redirect := object{"path": path}
		if g.chance(2) {
			redirect = object{"hostname": "new.example", "statusCode": one(g, []int{301, 302})}
		}
		if g.chance(3) {
			redirect["scheme"] = "https"
		}
		out = append(out, object{"type": "RequestRedirect", "requestRedirect": redirect})
	}
	return out
}

// edit changes headers that requests, or answers, may have.
func (g *generator) edit() object {
	e := object{}
	switch g.IntN(4) {
	case 0:
		e["set"] = []object{{"name": "X-Old", "value": "new"}}
	case 1:
		e["add"] = []object{{"name": "X-More", "value": "two"}}
	case 2:
		e["remove"] = []string{"X-Gone", "x-trial"}
	default:
		e["set"] = []object{{"name": "x-user", "value": "mesh"}}
		e["remove"] = []string{"x-gone"}
	}
	return e
}

// sortByName brings what a map held into an order.
func sortByName(all []object) {
	slices.SortFunc(all, func(a, b object) int { return strings.Compare(a["name"].(string), b["name"].(string)) })
}
