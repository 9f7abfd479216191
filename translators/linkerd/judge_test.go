package linkerd

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"

	"github.com/meshknot/meshknot/translators/semantics"
)

// judge decides as Linkerd does by the objects that it is given: routes by the
// longest match, then in an order of conditions that has changed between
// releases, then by age.
type judge struct {
	objects []object
	// older says which of two routes was made first; by name when nil.
	older func(a, b string) int
	// methodLast: numbers of headers and parameters count before the method.
	methodLast bool
}

func judgeOf(artifacts []translators.Artifact) judge {
	var j judge
	for _, a := range artifacts {
		j.objects = append(j.objects, a.Payload.(object))
	}
	return j
}

func (j judge) kind(kind string) []object {
	var out []object
	for _, o := range j.objects {
		if o["kind"] == kind {
			out = append(out, o)
		}
	}
	return out
}

func at(o object, path ...string) any {
	var v any = o
	for _, p := range path {
		m, ok := v.(object)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func text(o object, path ...string) string {
	s, _ := at(o, path...).(string)
	return s
}

func list(o object, path ...string) []object {
	var out []object
	all, _ := at(o, path...).([]any)
	for _, v := range all {
		out = append(out, v.(object))
	}
	return out
}

// rank is how specific a match is. The greater is chosen.
type rank [4]int

func (j judge) rank(length int, m object) rank {
	method := 0
	if m["method"] != nil {
		method = 1
	}
	headers, query := len(list(m, "headers")), len(list(m, "queryParams"))
	if j.methodLast {
		return rank{length, headers, query, method}
	}
	return rank{length, method, headers, query}
}

// find returns the route, and its rule, that is chosen among some.
func (j judge) find(routes []object, q semantics.Request) (route, rule object) {
	routes = slices.Clone(routes)
	slices.SortFunc(routes, func(a, b object) int {
		x, y := text(a, "metadata", "name"), text(b, "metadata", "name")
		if j.older != nil {
			return j.older(x, y)
		}
		return strings.Compare(x, y)
	})
	var best rank
	for _, r := range routes {
		for _, one := range list(r, "spec", "rules") {
			for _, m := range list(one, "matches") {
				length, ok := fulfilled(m, q)
				if k := j.rank(length, m); ok && (rule == nil || slices.Compare(k[:], best[:]) > 0) {
					route, rule, best = r, one, k
				}
			}
		}
	}
	return route, rule
}

// compiled keeps the expressions of a run.
var compiled = map[string]*regexp.Regexp{}

// spans searches for an expression and asks whether what is found first is the
// whole of it.
func spans(expr, s string) bool {
	re, ok := compiled[expr]
	if !ok {
		re = regexp.MustCompile(expr)
		compiled[expr] = re
	}
	found := re.FindStringIndex(s)
	return found != nil && found[0] == 0 && found[1] == len(s)
}

func fulfilled(m object, q semantics.Request) (length int, ok bool) {
	path, query, _ := strings.Cut(q.Path, "?")
	if method := text(m, "method"); method != "" && method != q.Method {
		return 0, false
	}
	value := text(m, "path", "value")
	switch text(m, "path", "type") {
	case "Exact":
		length, ok = len(path), path == value
	case "RegularExpression":
		length, ok = len(path), spans(value, path)
	case "PathPrefix":
		prefix := strings.TrimRight(value, "/")
		rest, found := strings.CutPrefix(strings.TrimRight(path, "/"), prefix)
		length, ok = max(1, len(prefix)), value == "/" || found && (rest == "" || rest[0] == '/')
	}
	for _, h := range list(m, "headers") {
		ok = ok && slices.ContainsFunc(q.Headers[strings.ToLower(text(h, "name"))], func(line string) bool { return compared(h, line) })
	}
	params, _ := url.ParseQuery(query)
	for _, p := range list(m, "queryParams") {
		ok = ok && slices.ContainsFunc(params[text(p, "name")], func(value string) bool { return compared(p, value) })
	}
	return length, ok
}

func compared(c object, s string) bool {
	if text(c, "type") == "Exact" {
		return s == text(c, "value")
	}
	return spans(text(c, "value"), s)
}

// route decides at the client: shares in percent by "ns/name:port", "500" for
// what fails, "404" where nothing is fulfilled. Nil: Linkerd knows no route.
func (j judge) route(q semantics.Request, client string) map[string]float64 {
	var routes []object
	for _, r := range append(j.kind("HTTPRoute"), j.kind("TCPRoute")...) {
		namespace := text(r, "metadata", "namespace")
		for _, p := range list(r, "spec", "parentRefs") {
			port, _ := p["port"].(int64)
			if p["kind"] == "Service" && p["namespace"] == q.Service.Namespace && p["name"] == q.Service.Name && port == int64(q.Port) &&
				(namespace == q.Service.Namespace || namespace == client) {
				routes = append(routes, r)
			}
		}
	}
	if len(routes) == 0 {
		return nil
	}
	if routes[0]["kind"] == "TCPRoute" {
		return sharesOf(list(routes[0], "spec", "rules")[0])
	}
	_, rule := j.find(routes, q)
	if rule == nil {
		return map[string]float64{"404": 100}
	}
	return sharesOf(rule)
}

func sharesOf(rule object) map[string]float64 {
	var total float64
	for _, b := range list(rule, "backendRefs") {
		total += float64(b["weight"].(int64))
	}
	out := map[string]float64{}
	for _, b := range list(rule, "backendRefs") {
		name := "500"
		if b["name"] != nowhere {
			name = backendName(text(b, "namespace"), text(b, "name"), int32(b["port"].(int64)))
		}
		out[name] += 100 * float64(b["weight"].(int64)) / total
	}
	return out
}

// admits decides at a pod with some labels: a port that no Server selects is open.
func (j judge) admits(labels map[string]string, port int32, q semantics.Request) (allowed bool, selected int) {
	var server string
	for _, s := range j.kind("Server") {
		wanted, _ := at(s, "spec", "podSelector", "matchLabels").(object)
		if at(s, "spec", "port") == int64(port) && !slices.ContainsFunc(slices.Collect(keys(wanted)), func(k string) bool { return labels[k] != wanted[k] }) {
			server, selected = text(s, "metadata", "name"), selected+1
			allowed = allowed || text(s, "spec", "accessPolicy") != "deny"
		}
	}
	if selected == 0 {
		return true, 0
	}
	if j.authorized(policyGroup, "Server", server, q) {
		allowed = true
	}
	if q.Raw {
		return allowed, selected
	}
	var routes []object
	for _, r := range j.kind("HTTPRoute") {
		if slices.ContainsFunc(list(r, "spec", "parentRefs"), func(p object) bool { return p["kind"] == "Server" && p["name"] == server }) {
			routes = append(routes, r)
		}
	}
	if len(routes) == 0 {
		return allowed, selected
	}
	route, _ := j.find(routes, q)
	if route == nil {
		return false, selected
	}
	return allowed || j.authorized(gatewayGroup, "HTTPRoute", text(route, "metadata", "name"), q), selected
}

func keys(o object) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range o {
			if !yield(k) {
				return
			}
		}
	}
}

func (j judge) authorized(group, kind, name string, q semantics.Request) bool {
	for _, p := range j.kind("AuthorizationPolicy") {
		if text(p, "spec", "targetRef", "group") != group || text(p, "spec", "targetRef", "kind") != kind || text(p, "spec", "targetRef", "name") != name {
			continue
		}
		refs := list(p, "spec", "requiredAuthenticationRefs")
		if len(refs) > 0 && !slices.ContainsFunc(refs, func(r object) bool { return !j.authenticated(r, q) }) {
			return true
		}
	}
	return false
}

func (j judge) authenticated(ref object, q semantics.Request) bool {
	for _, o := range j.kind(text(ref, "kind")) {
		if text(o, "metadata", "name") != text(ref, "name") {
			continue
		}
		if o["kind"] == networkAuthentication {
			return len(list(o, "spec", "networks")) > 0
		}
		ids, _ := at(o, "spec", "identities").([]any)
		return q.From != nil && slices.Contains(ids, any(q.From.Account+"."+q.From.Namespace+".serviceaccount.identity.linkerd.cluster.local"))
	}
	return false
}

func backendName(namespace, name string, port int32) string {
	return fmt.Sprintf("%s/%s:%d", namespace, name, port)
}

// normalised is a path as the model compares it.
func normalised(path string) string { return semantics.NormalisePath(path) }
