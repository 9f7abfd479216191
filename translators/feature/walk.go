package feature

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Use is one node of a unit that asks for a feature.
type Use struct {
	Feature    Feature
	Conditions []Condition
	// Ref is the place in the input that asks.
	Ref report.Ref
}

// Uses lists every use in a unit, in the order of the unit.
func Uses(u ir.Unit) []Use {
	var uses []Use
	walk(u, func(use Use) bool { uses = append(uses, use); return true })
	return uses
}

// walk visits every use of a unit and returns a copy from which the nodes whose
// use was not kept are missing: a match, a port or a source of a grant, a route's
// match. What is then empty allows, or matches, nothing. The unit is not changed.
func walk(u ir.Unit, keep func(Use) bool) ir.Unit {
	switch {
	case u.Service != nil:
		s := walkService(*u.Service, keep)
		u.Service = &s
	case u.Workload != nil:
		w := walkWorkload(*u.Workload, keep)
		u.Workload = &w
	case u.Gateway != nil:
		g := *u.Gateway
		g.Ports = slices.DeleteFunc(slices.Clone(g.Ports), func(p ir.GatewayPort) bool {
			return !keep(Use{GatewayPort, nil, p.Ref})
		})
		u.Gateway = &g
	case u.VirtualHost != nil:
		v := walkVirtualHost(*u.VirtualHost, keep)
		u.VirtualHost = &v
	}
	return u
}

func walkWorkload(w ir.Workload, keep func(Use) bool) ir.Workload {
	server := serverConditions(w)
	if !w.Enforced {
		keep(Use{Open, server, w.Ref})
		return w
	}
	keep(Use{DefaultDeny, server, w.Ref})
	for _, f := range []Feature{IdentityMapping, PathNormalisation, EncodedSlash, EstablishedConnections} {
		keep(Use{f, server, w.Ref})
	}
	if len(w.Probes) > 0 {
		keep(Use{Probes, server, w.Ref})
	}
	reaches := len(w.Grants) == 0 || keep(Use{AccessSelector, server, w.Ref})
	var grants []ir.Grant
	for _, g := range w.Grants {
		if g = walkGrant(w, g, keep); reaches && len(g.Sources) > 0 && len(g.Ports) > 0 && len(g.Matches) > 0 {
			grants = append(grants, g)
		}
	}
	w.Grants = grants
	return w
}

func walkGrant(w ir.Workload, g ir.Grant, keep func(Use) bool) ir.Grant {
	var s said // of the ports that stay, for the matches
	g.Sources = keptSources(w, g.Sources, keep)
	g.Ports, s.base = keptPorts(w, g.Ports, keep)
	var matches []ir.Match
	for _, m := range g.Matches {
		ok := walkMatch(&m, &s, accessFeatures, keep)
		if m.IsAll() {
			ok = keep(Use{AccessWhole, s.base, m.Ref})
		}
		if ok {
			matches = append(matches, m)
		}
	}
	g.Matches = matches
	return g
}

func keptSources(w ir.Workload, all []ir.Source, keep func(Use) bool) []ir.Source {
	var sources []ir.Source
	for _, s := range all {
		var c []Condition
		if s.Identity.SPIFFE != "" {
			c = append(c, CondForeignIdentity)
		} else if s.Identity.Namespace != w.Namespace {
			c = append(c, CondForeignNamespace)
		}
		if len(s.Lookalikes) > 0 {
			c = append(c, CondLookalike)
		}
		if starEdge(s.Identity.SPIFFE) {
			c = append(c, CondStarEdge)
		}
		if keep(Use{AccessSource, c, s.Ref}) {
			sources = append(sources, s)
		}
	}
	return sources
}

// keptPorts returns the ports that stay and the conditions that they bring along.
func keptPorts(w ir.Workload, all []ir.GrantPort, keep func(Use) bool) (ports []ir.GrantPort, said []Condition) {
	for _, p := range all {
		c := portConditions(w, p)
		if keep(Use{AccessPort, c, p.Ref}) {
			ports = append(ports, p)
			for _, one := range c {
				if !slices.Contains(said, one) && one != CondSharedTargetPort {
					said = append(said, one)
				}
			}
		}
	}
	return ports, said
}

func portConditions(w ir.Workload, p ir.GrantPort) []Condition {
	if p.Number == ir.AnyPort {
		return []Condition{CondAnyHTTPPort, CondPlainHTTP}
	}
	var c []Condition
	for _, wp := range w.Ports {
		if wp.Number == p.Number {
			c = protocolConditions(wp.Protocol)
		}
	}
	if len(p.Also) > 0 {
		c = append(c, CondSharedTargetPort)
	}
	return c
}

func serverConditions(w ir.Workload) []Condition {
	var c []Condition
	if len(w.Pods) == 0 {
		c = append(c, CondPodsUnknown)
	}
	if w.NamespaceDenies {
		c = append(c, CondNamespaceDenies)
	}
	// Pods without labels can only be selected together with all others.
	if slices.ContainsFunc(w.Pods, func(p ir.PodClass) bool { return len(p.AlsoCatches) > 0 || len(p.Labels) == 0 }) {
		c = append(c, CondSelectorCatches)
	}
	seen := map[ir.Name]int32{}
	for _, p := range w.Ports {
		for _, one := range protocolConditions(p.Protocol) {
			if !slices.Contains(c, one) {
				c = append(c, one)
			}
		}
		for _, s := range p.Services {
			if n, ok := seen[s.Service]; ok && n != s.Port && !slices.Contains(c, CondMultiPort) {
				c = append(c, CondMultiPort)
			}
			seen[s.Service] = s.Port
		}
	}
	for _, g := range w.Grants {
		if slices.ContainsFunc(g.Matches, func(m ir.Match) bool { return m.Path.Kind != ir.MatchAny }) {
			return append(c, CondPathCondition)
		}
	}
	return c
}

func protocolConditions(p ir.Protocol) []Condition {
	switch p {
	case ir.TCP:
		return []Condition{CondTCP}
	case ir.UDP:
		return []Condition{CondUDP}
	case ir.GRPC:
		return []Condition{CondGRPC}
	}
	return []Condition{CondPlainHTTP}
}

func headerConditions(h ir.HeaderMatch) []Condition {
	c := looksOf(h.Value).conditions()
	if n := nameCondition(h.Name); n != "" {
		c = append(c, n)
	}
	if InlineHeader(h.Name) {
		c = append(c, CondInlineHeader)
	}
	return c
}

// nameCondition returns what is special about a header's name, or nothing.
func nameCondition(name string) Condition {
	switch {
	case name == "host":
		return CondHostHeader
	case strings.HasSuffix(name, "-bin") && len(name) > 4:
		return CondBinaryHeader
	case strings.HasPrefix(name, ":"), strings.HasPrefix(name, "grpc-") && len(name) > 5:
		return CondReservedHeader
	case name == "x-request-id", name == "x-forwarded-proto", name == "x-forwarded-client-cert", strings.HasPrefix(name, "x-envoy-"):
		return CondProxyHeader
	}
	return ""
}
