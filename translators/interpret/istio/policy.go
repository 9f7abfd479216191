package istio

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret/sidecar"
)

// policy is an AuthorizationPolicy.
type policy struct {
	selected
	action string
	rules  []rule
}

// call is what arrives at a pod. Principal is empty where nobody proved who calls.
type call struct {
	*asked
	principal string
	port      int32
	http      bool
}

// clause is one condition of a rule. Those that look at a request say so.
type clause struct {
	http  bool
	holds func(*call) bool
}

// rule: some source, some operation, and every condition. None means any.
type rule struct {
	from, to [][]clause
	when     []clause
	// looks: it looks at the request.
	looks bool
}

// The actions of a policy. A CUSTOM one asks a provider, AUDIT decides nothing.
const (
	allow  = "ALLOW"
	deny   = "DENY"
	audit  = "AUDIT"
	custom = "CUSTOM"
)

func (m *mesh) addPolicy(id translators.ID, o object) error {
	var spec wirePolicy
	if err := decode(o.Spec, &spec); err != nil {
		return err
	}
	p := &policy{selected: selecting(id, o, spec.Selector), action: spec.Action}
	if p.action == "" {
		p.action = allow
	}
	if !slices.Contains([]string{allow, deny, audit, custom}, p.action) || len(spec.Rules) > maxRules ||
		p.action == deny && spec.Rules == nil || p.action == custom && (spec.Provider == nil || spec.Rules == nil) {
		return fmt.Errorf("action %q with %d rules", p.action, len(spec.Rules))
	}
	for i, w := range spec.Rules {
		r, err := m.rule(w)
		if err != nil {
			return fmt.Errorf("rules[%d]: %w", i, err)
		}
		p.rules = append(p.rules, r)
	}
	m.policies.all = append(m.policies.all, p)
	return nil
}

// maxRules is how many rules the schema of a policy takes.
const maxRules = 512

func (m *mesh) rule(w wireRule) (r rule, err error) {
	for _, f := range w.From {
		if f.Source == nil {
			return r, fmt.Errorf("a source that says nothing")
		}
		clauses, err := m.source(*f.Source)
		if err != nil {
			return r, err
		}
		r.from = append(r.from, clauses)
	}
	for _, t := range w.To {
		if t.Operation == nil {
			return r, fmt.Errorf("an operation that says nothing")
		}
		clauses, err := operation(*t.Operation)
		if err != nil {
			return r, err
		}
		r.to = append(r.to, clauses)
	}
	for _, c := range w.When {
		if len(c.Values)+len(c.NotValues) == 0 {
			return r, fmt.Errorf("a condition on %s without values", c.Key)
		}
		clauses, err := m.condition(c.Key, c.Values, c.NotValues)
		if err != nil {
			return r, err
		}
		r.when = append(r.when, clauses...)
	}
	all := slices.Concat(slices.Concat(r.from...), slices.Concat(r.to...), r.when)
	r.looks = slices.ContainsFunc(all, func(c clause) bool { return c.http })
	return r, nil
}

// source reads who calls. What nobody proved is nobody, also for what must not be.
func (m *mesh) source(w wireSource) ([]clause, error) {
	var out []clause
	for _, one := range []struct {
		yes, no []string
		pattern func(string) (test, error)
	}{
		{w.Principals, w.NotPrincipals, func(v string) (test, error) { return glob(m.local(v)), nil }},
		{w.Namespaces, w.NotNamespaces, inNamespace},
		{w.ServiceAccounts, w.NotServiceAccounts, account},
	} {
		c, err := either(one.yes, one.no, one.pattern, func(c *call) []string { return proven(c.principal) })
		if err != nil {
			return nil, err
		}
		out = append(out, c...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("a source that says nothing")
	}
	return out, nil
}

func proven(principal string) []string {
	if principal == "" {
		return nil
	}
	return []string{principal}
}

// local reads the name that stands for the mesh's own trust domain, whichever.
func (m *mesh) local(principal string) string {
	if rest, ok := strings.CutPrefix(principal, localTrustDomain+"/"); ok {
		return m.trustDomain + "/" + rest
	}
	return principal
}

const localTrustDomain = "cluster.local"

func inNamespace(pattern string) (test, error) {
	holds := glob(pattern)
	return func(principal string) bool {
		parts := strings.Split(principal, "/")
		return len(parts) == 5 && parts[1] == "ns" && holds(parts[2])
	}, nil
}

func account(name string) (test, error) {
	ns, sa, ok := strings.Cut(name, "/")
	if !ok || strings.Contains(name, "*") {
		return nil, fmt.Errorf("the account %q is not namespace/name", name)
	}
	return func(principal string) bool { return strings.HasSuffix(principal, "/ns/"+ns+"/sa/"+sa) }, nil
}

// operation reads what is asked, and on which port of the pod.
func operation(w wireOperation) ([]clause, error) {
	plain := func(v string) (test, error) { return glob(v), nil }
	host := func(v string) (test, error) {
		holds := glob(strings.ToLower(v))
		return func(s string) bool { return holds(strings.ToLower(s)) }, nil
	}
	var out []clause
	for _, one := range []struct {
		yes, no []string
		http    bool
		pattern func(string) (test, error)
		value   func(*call) []string
	}{
		{w.Hosts, w.NotHosts, true, host, func(c *call) []string { return sidecar.Lines(c.Headers, sidecar.Host, c.joined) }},
		{w.Ports, w.NotPorts, false, port, func(c *call) []string { return []string{strconv.Itoa(int(c.port))} }},
		{w.Methods, w.NotMethods, true, plain, func(c *call) []string { return []string{c.Method} }},
		{w.Paths, w.NotPaths, true, path, func(c *call) []string { return []string{c.path} }},
	} {
		c, err := either(one.yes, one.no, one.pattern, one.value)
		if err != nil {
			return nil, err
		}
		for i := range c {
			c[i].http = one.http
		}
		out = append(out, c...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("an operation that says nothing")
	}
	return out, nil
}

func port(v string) (test, error) {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("port %q", v)
	}
	return func(s string) bool { return s == v }, nil
}

// path reads a pattern. Braces are templates: one stands for a segment, two
// asterisks in them for any number.
func path(v string) (test, error) {
	if !strings.ContainsAny(v, "{}") {
		return glob(v), nil
	}
	expr := regexp.QuoteMeta(v)
	expr = strings.ReplaceAll(expr, regexp.QuoteMeta("{**}"), ".*")
	expr = strings.ReplaceAll(expr, regexp.QuoteMeta("{*}"), "[^/]+")
	if strings.ContainsAny(strings.NewReplacer("{**}", "", "{*}", "").Replace(v), "{}*") {
		return nil, fmt.Errorf("the template %q", v)
	}
	return sidecar.Whole(expr)
}

// condition reads what else must hold.
func (m *mesh) condition(key string, values, not []string) ([]clause, error) {
	header, ok := strings.CutPrefix(key, "request.headers[")
	switch {
	case ok && strings.HasSuffix(header, "]") && len(header) > 1:
		header = strings.TrimSuffix(header, "]")
		c, err := either(values, not, present, func(c *call) []string { return sidecar.Lines(c.Headers, header, c.joined) })
		for i := range c {
			c[i].http = true
		}
		return c, err
	case key == "source.principal":
		return m.source(wireSource{Principals: values, NotPrincipals: not})
	case key == "source.namespace":
		return m.source(wireSource{Namespaces: values, NotNamespaces: not})
	case key == "destination.port":
		return operation(wireOperation{Ports: values, NotPorts: not})
	}
	return nil, fmt.Errorf("a condition on %s, of which a request says nothing", key)
}

// present: of a header, "*" asks only that it is there, empty or not.
func present(v string) (test, error) {
	if v == "*" {
		return always, nil
	}
	return glob(v), nil
}

// either makes clauses: some value is one of these, and none is one of those.
func either(yes, no []string, pattern func(string) (test, error), value func(*call) []string) ([]clause, error) {
	var out []clause
	for i, list := range [][]string{yes, no} {
		if len(list) == 0 {
			continue
		}
		var tests []test
		for _, v := range list {
			if v == "" {
				return nil, fmt.Errorf("an empty value")
			}
			one, err := pattern(v)
			if err != nil {
				return nil, err
			}
			tests = append(tests, one)
		}
		out = append(out, clause{holds: func(c *call) bool {
			some := slices.ContainsFunc(value(c), func(v string) bool {
				return slices.ContainsFunc(tests, func(holds test) bool { return holds(v) })
			})
			return some == (i == 0)
		}})
	}
	return out, nil
}

// glob compares with a value that may have an asterisk at either end.
func glob(pattern string) test {
	switch {
	case pattern == "*":
		return func(s string) bool { return s != "" }
	case strings.HasPrefix(pattern, "*"):
		return func(s string) bool { return strings.HasSuffix(s, pattern[1:]) }
	case strings.HasSuffix(pattern, "*"):
		return func(s string) bool { return strings.HasPrefix(s, pattern[:len(pattern)-1]) }
	}
	return func(s string) bool { return s == pattern }
}
