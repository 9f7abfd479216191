package istio

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// maxRules is how many rules Istio takes in one policy.
const maxRules = 512

// namespace denies what comes to workloads that have no unit of their own.
func (m mesh) namespace(n ir.Namespace) ([]translators.Artifact, report.Report) {
	if !n.Enforced {
		return nil, nil
	}
	if n.Name == m.rootNamespace {
		return nil, report.Report{report.New(report.Withheld, report.Ref{Kind: "Namespace", Name: n.Name},
			"what is not granted is denied: the namespace is Istio's root namespace, where a policy for all pods holds for the whole mesh").
			WithClass(report.Dropped)}
	}
	out := []translators.Artifact{
		allow(n.Name, "meshknot-deny", nil, nil, nil),
		strict(n.Name, "meshknot-strict", nil),
	}
	for i := range out {
		out[i].Rank, out[i].Audience = rankDeny, ir.Audience{Namespace: n.Name}
	}
	return out, nil
}

// workload makes the policies of each class of pods: what allows nothing, so
// that the rest is denied however many grants are left, then what is granted.
func (m mesh) workload(w ir.Workload) ([]translators.Artifact, report.Report) {
	if !w.Enforced {
		return nil, nil
	}
	var found report.Report
	if w.Namespace == m.rootNamespace {
		w.Grants = nil
		found = append(found, report.New(report.Refused, w.Ref,
			"in Istio's root namespace a selector catches pods of every namespace: nothing is granted, and pods elsewhere that carry the labels are closed too").
			WithClass(report.Narrowed))
	}
	policies, f := m.granted(w)
	found = append(found, f...)
	var out []translators.Artifact
	for _, class := range distinct(w.Pods) {
		out = append(out, class.deny(w)...)
		for _, p := range policies {
			a := allow(w.Namespace, manifest.Name("meshknot-allow-"+w.Account+"-"+p.name.Name, slices.Concat(class.key,
				[]string{w.Account, p.name.Namespace, p.name.Name})...), class.selector, p.rules, p.refs)
			a.Rank, a.Refs = rankAllow, p.refs
			out = append(out, a)
		}
	}
	for i := range out {
		out[i].Audience = ir.Audience{Namespace: w.Namespace, Account: w.Account}
	}
	return out, found
}

// class is pods that one selector selects.
type class struct {
	selector object
	key      []string // its labels, for names
}

func distinct(pods []ir.PodClass) []class {
	var out []class
	for _, p := range pods {
		c := class{selector: object{}}
		for _, k := range slices.Sorted(maps.Keys(p.Labels)) {
			c.selector[k] = p.Labels[k]
			c.key = append(c.key, k, p.Labels[k])
		}
		if !slices.ContainsFunc(out, func(o class) bool { return slices.Equal(o.key, c.key) }) {
			out = append(out, c)
		}
	}
	return out
}

func (c class) deny(w ir.Workload) []translators.Artifact {
	key := slices.Concat(c.key, []string{w.Account})
	out := []translators.Artifact{
		allow(w.Namespace, manifest.Name("meshknot-deny-"+w.Account, key...), c.selector, nil, nil),
		strict(w.Namespace, manifest.Name("meshknot-strict-"+w.Account, key...), c.selector),
	}
	for i := range out {
		out[i].Rank, out[i].Refs = rankDeny, slices.Concat([]report.Ref{w.Ref}, w.Because)
	}
	return out
}

// allow makes a policy that allows what its rules say; with none, nothing.
// Every policy that selects a pod adds to what it allows, and where there is
// one, the rest is denied.
func allow(namespace, name string, selector object, rules []any, sources []report.Ref) translators.Artifact {
	spec := selecting(selector)
	spec["action"] = "ALLOW"
	if len(rules) > 0 {
		spec["rules"] = rules
	}
	return manifest.New(security, "AuthorizationPolicy", namespace, name, spec, sources)
}

// policy is what one object grants.
type policy struct {
	name  ir.Name
	rules []any
	refs  []report.Ref
}

// granted makes a policy of every object that grants.
func (m mesh) granted(w ir.Workload) ([]policy, report.Report) {
	var out []policy
	var found report.Report
	for _, g := range w.Grants {
		principals, f := m.callers(g)
		found = append(found, f...)
		g, f = m.unjoined(g)
		found = append(found, f...)
		rules := rules(g, principals)
		if len(rules) == 0 {
			continue
		}
		i := slices.IndexFunc(out, func(p policy) bool { return p.name == g.Name })
		if i < 0 {
			i, out = len(out), append(out, policy{name: g.Name})
		}
		out[i].rules = append(out[i].rules, rules...)
		out[i].refs = append(out[i].refs, refsOf(g)...)
		if over := len(out[i].rules) - maxRules; over > 0 {
			out[i].rules = out[i].rules[:maxRules]
			found = append(found, report.New(report.Refused, g.Ref, fmt.Sprintf(
				"an Istio policy takes %d rules, the last %d are left out", maxRules, over)).WithClass(report.Narrowed))
		}
	}
	return out, found
}

func refsOf(g ir.Grant) []report.Ref {
	refs := []report.Ref{g.Ref}
	for _, s := range g.Sources {
		refs = append(refs, s.Ref)
	}
	for _, p := range g.Ports {
		refs = append(refs, p.Ref)
	}
	for _, m := range g.Matches {
		refs = append(refs, m.Ref)
	}
	return refs
}

func (m mesh) callers(g ir.Grant) ([]any, report.Report) {
	var principals []any
	var found report.Report
	for _, s := range g.Sources {
		p, ok := m.principal(s.Identity)
		if !ok {
			found = append(found, report.New(report.Refused, s.Ref, fmt.Sprintf(
				"allowed by the caller's identity: Istio would read %s as another identity", s.Identity.URI(m.trustDomain))).
				WithClass(report.Dropped))
			continue
		}
		principals = append(principals, p)
	}
	return principals, found
}

// unjoined leaves out the matches that lines of a repeated header fulfil together
// and none of them alone, where proxies join them with commas.
func (m mesh) unjoined(g ir.Grant) (ir.Grant, report.Report) {
	var found report.Report
	g.Matches = slices.DeleteFunc(slices.Clone(g.Matches), func(match ir.Match) bool {
		i := slices.IndexFunc(match.Headers, func(h ir.HeaderMatch) bool {
			return (m.joined || feature.InlineHeader(h.Name)) && strings.Contains(h.Value.Value, ",")
		})
		if i >= 0 {
			found = append(found, report.New(report.Refused, match.Headers[i].Ref,
				"allowed by header: there is a comma in the value, and lines of a repeated header that are joined make it too").
				WithClass(report.Dropped))
		}
		return i >= 0
	})
	return g, found
}

// rules writes a grant: (any source) AND (any port) AND (any match). Matches
// that look at no header share a rule.
func rules(g ir.Grant, principals []any) []any {
	var shared, out []any
	from := []any{object{"source": object{"principals": principals}}}
	for _, m := range g.Matches {
		to, when, ok := conditions(g.Ports, m)
		switch {
		case !ok:
		case len(when) > 0:
			out = append(out, object{"from": from, "to": to, "when": when})
		default:
			shared = append(shared, to...)
		}
	}
	if len(shared) > 0 {
		out = append([]any{object{"from": from, "to": shared}}, out...)
	}
	if len(principals) == 0 { // a rule without a source would allow every caller
		return nil
	}
	return out
}

// conditions writes the ports and one match of a grant. It reports false for
// what cannot be said; such a match has been refused before, and to leave it
// out here as well costs nothing.
func conditions(ports []ir.GrantPort, m ir.Match) (to, when []any, ok bool) {
	if len(m.Query) > 0 { // a policy knows no query
		return nil, nil, false
	}
	request := object{}
	if m.Path.Kind != ir.MatchAny {
		paths, ok := pathPatterns(m.Path)
		if !ok {
			return nil, nil, false
		}
		request["paths"] = paths
	}
	if !m.AnyMethod() {
		request["methods"] = manifest.Anys(m.Methods)
	}
	for _, h := range m.Headers {
		value, ok := wildcard(h.Value)
		if !ok {
			return nil, nil, false
		}
		when = append(when, object{"key": "request.headers[" + headerKey(h.Name) + "]", "values": []any{value}})
	}
	to = operations(ports, request)
	return to, when, len(to) > 0
}

// pathPatterns writes a comparison of a path, any of the results of which must hold.
func pathPatterns(m ir.StringMatch) ([]any, bool) {
	var out []any
	for _, one := range m.Strings() {
		path, ok := wildcard(one)
		if !ok || strings.ContainsAny(path, "{}") { // braces are templates
			return nil, false
		}
		out = append(out, path)
	}
	return out, true
}

// operations writes a request for the ports that are named, and for every HTTP
// port where that is granted: a rule that looks at the method, be it any, is
// never fulfilled by what is not HTTP.
func operations(ports []ir.GrantPort, request object) []any {
	var out, numbers []any
	for _, p := range ports {
		if p.Number != ir.AnyPort {
			numbers = append(numbers, strconv.Itoa(int(p.Number)))
			continue
		}
		anyPort := maps.Clone(request)
		if anyPort["methods"] == nil {
			anyPort["methods"] = []any{"*"}
		}
		out = append(out, object{"operation": anyPort})
	}
	if len(numbers) > 0 {
		named := maps.Clone(request)
		named["ports"] = numbers
		out = append(out, object{"operation": named})
	}
	return out
}
