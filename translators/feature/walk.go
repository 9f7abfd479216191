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
	}
	return u
}

func walkService(s ir.Service, keep func(Use) bool) ir.Service {
	s.Ports = slices.Clone(s.Ports)
	for i, p := range s.Ports {
		base := protocolConditions(p.Protocol)
		if p.TLS {
			base = append(base, CondTLS)
		}
		if p.Number == ir.AnyPort {
			base = append(base, CondPortsUnknown)
		}
		if s.Headless {
			base = append(base, CondHeadless)
		}
		var routes []ir.Route
		looksAtPath := false
		for _, r := range p.Routes {
			if r, ok := walkRoute(s, r, base, keep); ok {
				routes = append(routes, r)
				looksAtPath = looksAtPath || slices.ContainsFunc(r.Matches, func(m ir.Match) bool { return m.Path.Kind != ir.MatchAny })
			}
		}
		s.Ports[i].Routes = routes
		implied := base
		if looksAtPath {
			implied = append(slices.Clone(base), CondPathCondition)
		}
		for _, f := range []Feature{Unmatched, Retries, Timeouts, ProtocolSelection, UnreadyBackend} {
			keep(Use{f, implied, p.Ref})
		}
	}
	return s
}

// walkRoute reports false when the route has to go: none of its matches, or
// not its distribution, can be said. The Service's own last route stays.
func walkRoute(s ir.Service, r ir.Route, base []Condition, keep func(Use) bool) (ir.Route, bool) {
	ok := true
	others := slices.DeleteFunc(slices.Clone(r.Backends), func(b ir.Backend) bool {
		return b.Service == ir.Name{Namespace: s.Namespace, Name: s.Name}
	})
	if len(others) > 0 {
		ok = keep(Use{RouteBackend, base, r.Ref}) && ok
	}
	if len(r.Backends) > 1 {
		ok = keep(Use{RouteSplit, base, r.Ref}) && ok
	}
	for _, b := range r.Backends {
		if b.Invalid != "" {
			ok = keep(Use{RouteInvalidBackend, base, b.Ref}) && ok
		}
	}
	var matches []ir.Match
	for _, m := range r.Matches {
		if walkMatch(m, base, [3]Feature{RoutePath, RouteMethod, RouteHeader}, keep) {
			matches = append(matches, m)
		}
	}
	r.Matches = matches
	return r, ok && len(matches) > 0
}

func walkMatch(m ir.Match, base []Condition, f [3]Feature, keep func(Use) bool) bool {
	ok := true
	if m.Path.Kind != ir.MatchAny {
		ok = keep(Use{f[0], slices.Concat(base, comparison(m.Path)), m.PathRef}) && ok
	}
	if !m.AnyMethod() {
		ok = keep(Use{f[1], base, m.MethodsRef}) && ok
	}
	for _, h := range m.Headers {
		c := headerConditions(h)
		if named := func(o ir.HeaderMatch) bool { return o.Name == h.Name && o != h }; slices.ContainsFunc(m.Headers, named) {
			c = append(c, CondRepeatedName)
		}
		ok = keep(Use{f[2], slices.Concat(base, c), h.Ref}) && ok
	}
	return ok
}

func walkWorkload(w ir.Workload, keep func(Use) bool) ir.Workload {
	if !w.Enforced {
		return w
	}
	server := serverConditions(w)
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
	var said []Condition // of the ports that stay, for the matches
	g.Sources = keptSources(g.Sources, keep)
	g.Ports, said = keptPorts(w, g.Ports, keep)
	var matches []ir.Match
	for _, m := range g.Matches {
		ok := walkMatch(m, said, [3]Feature{AccessPath, AccessMethod, AccessHeader}, keep)
		if m.IsAll() {
			ok = keep(Use{AccessWhole, said, m.Ref})
		}
		if ok {
			matches = append(matches, m)
		}
	}
	g.Matches = matches
	return g
}

func keptSources(all []ir.Source, keep func(Use) bool) []ir.Source {
	var sources []ir.Source
	for _, s := range all {
		var c []Condition
		if s.Identity.SPIFFE != "" {
			c = append(c, CondForeignIdentity)
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
	for _, p := range w.Ports {
		for _, one := range protocolConditions(p.Protocol) {
			if !slices.Contains(c, one) {
				c = append(c, one)
			}
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

func comparison(m ir.StringMatch) []Condition {
	if m.Kind == ir.MatchAny {
		return []Condition{CondPresent}
	}
	c := []Condition{Condition(m.Kind)}
	switch {
	case m.Value == "":
		return append(c, CondEmptyValue)
	case m.Kind == ir.MatchRegex:
		return c
	case starEdge(m.Value):
		c = append(c, CondStarEdge)
	}
	if strings.ContainsAny(m.Value, "{}") {
		c = append(c, CondBrace)
	}
	if strings.Contains(m.Value, "//") {
		c = append(c, CondDoubleSlash)
	}
	return c
}

func starEdge(s string) bool { return strings.HasPrefix(s, "*") || strings.HasSuffix(s, "*") }

func headerConditions(h ir.HeaderMatch) []Condition {
	c := comparison(h.Value)
	switch {
	case h.Name == "host":
		c = append(c, CondHostHeader)
	case len(h.Name) > 4 && h.Name[len(h.Name)-4:] == "-bin":
		c = append(c, CondBinaryHeader)
	case h.Name[:1] == ":" || len(h.Name) > 5 && h.Name[:5] == "grpc-":
		c = append(c, CondReservedHeader)
	}
	return c
}
