package xds

import (
	"slices"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
)

// ProbesPolicy is the name of the RBAC policy that answers declared probes.
// Grants are named "namespace/name", so no grant can have it.
const ProbesPolicy = "probes"

// HealthCheck is the path of a gRPC health check.
const HealthCheck = "/grpc.health.v1.Health/Check"

// Dialect is how a data plane reads what RBAC rules leave open.
type Dialect struct {
	TrustDomain string
	// JoinsHeaders: the lines of a repeated header are compared as one string,
	// joined by commas, where the model compares each line alone.
	JoinsHeaders bool
	// JoinsInline: so it is for the headers of feature.InlineHeader.
	JoinsInline bool
}

// Allow makes the rules of one port of a workload: one policy per grant, any of
// which allows, and one for its probes. The port is chosen by whoever asks, by
// the listener or filter chain that the rules stand in. Rules without policies
// deny everything, which is what they then mean.
func (d Dialect) Allow(w ir.Workload, port ir.WorkloadPort) *rbacv3.RBAC {
	rules := &rbacv3.RBAC{Action: rbacv3.RBAC_ALLOW, Policies: map[string]*rbacv3.Policy{}}
	for _, g := range w.Grants {
		if !GrantsPort(g, port) {
			continue
		}
		p := &rbacv3.Policy{Permissions: d.permissions(g.Matches, port.Protocol), Principals: d.principals(g.Sources)}
		if len(p.Permissions) > 0 && len(p.Principals) > 0 {
			rules.Policies[g.Name.String()] = p
		}
	}
	if p := d.probes(w.Probes, port); len(p) > 0 {
		rules.Policies[ProbesPolicy] = &rbacv3.Policy{Permissions: p, Principals: []*rbacv3.Principal{nobody()}}
	}
	return rules
}

// GrantsPort reports whether a grant speaks of a port.
func GrantsPort(g ir.Grant, port ir.WorkloadPort) bool {
	return slices.ContainsFunc(g.Ports, func(p ir.GrantPort) bool {
		return p.Number == port.Number || p.Number == ir.AnyPort && port.Protocol.IsHTTP()
	})
}

// principals are callers by the SPIFFE URI in their certificate.
func (d Dialect) principals(sources []ir.Source) []*rbacv3.Principal {
	var out []*rbacv3.Principal
	for _, s := range sources {
		uri := StringMatcher(ir.StringMatch{Kind: ir.MatchExact, Value: s.Identity.URI(d.TrustDomain)})
		out = append(out, &rbacv3.Principal{Identifier: &rbacv3.Principal_Authenticated_{
			Authenticated: &rbacv3.Principal_Authenticated{PrincipalName: uri}}})
	}
	return out
}

// nobody is a caller without an identity.
func nobody() *rbacv3.Principal {
	anyone := &rbacv3.Principal{Identifier: &rbacv3.Principal_Authenticated_{Authenticated: &rbacv3.Principal_Authenticated{}}}
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_NotId{NotId: anyone}}
}

// permissions has one element per match. Where requests cannot be told apart
// only a match for everything can hold, and one that looks at the query holds
// nowhere, for rules have no word for it.
func (d Dialect) permissions(matches []ir.Match, protocol ir.Protocol) []*rbacv3.Permission {
	var out []*rbacv3.Permission
	for _, m := range matches {
		if len(m.Query) == 0 && (m.IsAll() || protocol.IsHTTP()) {
			out = append(out, d.permission(m))
		}
	}
	return out
}

// permission holds where path, method and all headers hold.
func (d Dialect) permission(m ir.Match) *rbacv3.Permission {
	var rules []*rbacv3.Permission
	if !matchesAll(m.Path) {
		rules = append(rules, pathPermission(m.Path))
	}
	for _, h := range headers(m) {
		if d.JoinsHeaders {
			WithoutPresence(h)
		}
		rules = append(rules, headerPermission(h))
	}
	for _, h := range m.Headers {
		if d.joins(h.Name) && canSpanLines(h.Value) {
			comma := HeaderMatch(ir.HeaderMatch{Name: h.Name, Value: ir.StringMatch{Kind: ir.MatchContains, Value: ","}})
			rules = append(rules, &rbacv3.Permission{Rule: &rbacv3.Permission_NotRule{NotRule: headerPermission(comma)}})
		}
	}
	switch len(rules) {
	case 0:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_Any{Any: true}}
	case 1:
		return rules[0]
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_AndRules{AndRules: &rbacv3.Permission_Set{Rules: rules}}}
}

// joins reports whether the lines of a header are compared as one.
func (d Dialect) joins(name string) bool {
	return d.JoinsHeaders || d.JoinsInline && feature.InlineHeader(name)
}

// pathPermission holds where a comparison of the path does. Where slashes are
// merged a path of slashes alone keeps two, and it is treated as "/" is.
func pathPermission(m ir.StringMatch) *rbacv3.Permission {
	holds, two := urlPath(m), urlPath(twoSlashes)
	switch one, both := m.Matches("/"), m.Matches("//"); {
	case one && !both:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_OrRules{OrRules: &rbacv3.Permission_Set{
			Rules: []*rbacv3.Permission{holds, two}}}}
	case both && !one:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_AndRules{AndRules: &rbacv3.Permission_Set{
			Rules: []*rbacv3.Permission{holds, {Rule: &rbacv3.Permission_NotRule{NotRule: two}}}}}}
	}
	return holds
}

func urlPath(m ir.StringMatch) *rbacv3.Permission {
	return &rbacv3.Permission{Rule: &rbacv3.Permission_UrlPath{UrlPath: &matcherv3.PathMatcher{
		Rule: &matcherv3.PathMatcher_Path{Path: StringMatcher(m)}}}}
}

// canSpanLines reports whether a comparison could hold for lines joined by a
// comma though it holds for none of them alone.
func canSpanLines(m ir.StringMatch) bool {
	return m.Kind == ir.MatchRegex || m.Kind != ir.MatchAny && strings.Contains(m.Value, ",")
}

func headerPermission(h *routev3.HeaderMatcher) *rbacv3.Permission {
	return &rbacv3.Permission{Rule: &rbacv3.Permission_Header{Header: h}}
}

// probes are the requests by which a kubelet asks on the port. A TCP probe
// asks nothing: that the connection is accepted is its answer.
func (d Dialect) probes(all []ir.Probe, port ir.WorkloadPort) []*rbacv3.Permission {
	var out []*rbacv3.Permission
	for _, p := range all {
		if p.Port != port.Number || !port.Protocol.IsHTTP() {
			continue
		}
		switch p.Protocol {
		case ir.HTTP, ir.HTTP2:
			out = append(out, d.permission(request("GET", probePath(p.Path))))
		case ir.GRPC:
			out = append(out, d.permission(request("POST", HealthCheck)))
		}
	}
	return out
}

func probePath(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if strings.Trim(path, "/") == "" { // of which there is one, however it is spelt
		return "/"
	}
	if !strings.HasPrefix(path, "/") {
		return "/" + path
	}
	return path
}

// request is the match for one method and one path.
func request(method, path string) ir.Match {
	return ir.Match{Path: ir.StringMatch{Kind: ir.MatchExact, Value: path}, Methods: []string{method}}
}
