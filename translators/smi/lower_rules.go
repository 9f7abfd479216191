package smi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// ruleSet is the rules of a TrafficTarget, resolved.
type ruleSet struct {
	dialect dialect
	// http are the rules for requests, matches what any of them allows.
	http    []report.Ref
	matches []ir.Match
	tcp     []portRule
}

// portRule is a rule that refers to a TCPRoute.
type portRule struct {
	*PortRoute
	// at is the place of its ports; rule that of the rule itself.
	at, rule report.Ref
}

// rules resolves the rules of the TrafficTarget.
func (g *granting) rules(d dialect) ruleSet {
	s := ruleSet{dialect: d}
	for _, ref := range g.t.Rules {
		at := g.o.Ref(ref.Field)
		switch ref.Kind {
		case KindHTTPRouteGroup:
			s.http = append(s.http, at)
			s.matches = append(s.matches, g.httpRule(ref, at, d)...)
		case KindTCPRoute:
			s.tcp = append(s.tcp, g.portRule(ref, at)...)
		case KindUDPRoute:
			g.fail(report.New(report.UDPUnsupported, at, "who sends a datagram cannot be told, so the TrafficTarget allows nothing"))
		default:
			g.fail(report.New(report.BadKind, at, "a rule is no "+quote(ref.Kind)))
		}
	}
	return s
}

// httpRule returns the matches that a rule names.
func (g *granting) httpRule(ref RouteRef, at report.Ref, d dialect) []ir.Match {
	group, found := findGroup(g.r, g.o.Namespace, ref, at)
	g.failAll(found)
	if len(found) > 0 {
		return nil
	}
	if ref.AllMatches && !d.omittedMatchesAllow() {
		g.add(report.New(report.NoEffect, at, "the rule names no matches, and in the dialect "+string(d)+" that means none"))
		return nil
	}
	named, found := group.selectMatches(ref, at)
	g.failAll(found)
	var out []ir.Match
	for _, m := range named {
		matches, found, ok := group.lowerMatch(m)
		g.add(found...)
		g.add(group.ambiguous(m)...)
		g.invalid = g.invalid || !ok
		out = append(out, matches...)
	}
	return out
}

func (g *granting) failAll(found report.Report) {
	for _, f := range found {
		g.fail(f)
	}
}

// portRule resolves a rule about ports. It may name the route's one match.
func (g *granting) portRule(ref RouteRef, at report.Ref) []portRule {
	route, o, ok := findPortRoute(g.r, g.o.Namespace, ref)
	if !ok {
		_, exists := g.r.Get(input.ID{Group: ref.Group, Kind: ref.Kind, Namespace: g.o.Namespace, Name: ref.Name})
		g.fail(unknownRoute(at, ref, g.o.Namespace, exists))
		return nil
	}
	for i, name := range ref.Matches {
		if name != route.Name {
			field := input.Element(input.Field(ref.Field, "matches"), i)
			g.fail(report.New(report.UnknownMatch, g.o.Ref(field), ref.Kind+" "+ref.Name+" has no match "+quote(name)).With(o.Ref("")))
		}
	}
	return []portRule{{route, o.Ref(route.Field), at}}
}

// ports returns the ports on the pods that the TrafficTarget opens: those that
// a TCPRoute names, or all, and of them, where there are rules for
// requests, the ones on which requests can be seen.
func (g *granting) ports(s ruleSet) []ir.GrantPort {
	if g.t.Port != 0 {
		g.add(report.New(report.ConvertedPort, g.o.Ref(g.t.PortField), fmt.Sprintf("the destination's port %d is a condition of the grant", g.t.Port)))
	}
	if len(g.w.Ports) == 0 {
		return g.unknownPorts(s)
	}
	said := g.found.Worst(report.Warning)
	var out []ir.GrantPort
	for _, wp := range g.w.Ports {
		if p, ok := g.port(s, wp); ok {
			out = append(out, p)
		}
	}
	g.unused(s)
	if len(out) == 0 && g.found.Worst(report.Warning) == said {
		g.nothing(s)
	}
	return out
}

// nothing reports that no port on the pods is one that the rules could open.
func (g *granting) nothing(s ruleSet) {
	if len(s.http) > 0 {
		g.add(report.New(report.HTTPGrantOnTCP, s.http[0], g.account()+" has no port where HTTP is spoken, so the HTTP rules allow nothing"))
		return
	}
	g.add(report.New(report.NoSuchPort, s.tcp[0].rule, "no Service port leads to the pods of "+g.account()))
}

func (g *granting) account() string { return "account " + g.w.Namespace + "/" + g.w.Account }

// port returns what the TrafficTarget opens of one port on the pods.
func (g *granting) port(s ruleSet, wp ir.WorkloadPort) (ir.GrantPort, bool) {
	out := ir.GrantPort{Number: wp.Number}
	for _, sp := range wp.Services {
		ref, ok := s.names(wp, sp)
		if !ok || g.t.Port != 0 && g.t.Port != sp.Port {
			out.Also = append(out.Also, sp)
			continue
		}
		if g.t.Port != 0 && len(s.tcp) == 0 {
			ref = g.o.Ref(g.t.PortField)
		}
		if out.Ref.IsZero() {
			out.Ref = ref
		}
	}
	if out.Ref.IsZero() {
		return out, false
	}
	if len(s.http) > 0 && !wp.Protocol.IsHTTP() {
		if s.explicit(wp) || g.t.Port != 0 {
			g.add(report.New(report.HTTPGrantOnTCP, out.Ref, fmt.Sprintf("port %d on the pods of %s is %s, where the HTTP rules allow nothing",
				wp.Number, g.account(), cmp.Or(wp.Protocol, ir.TCP))))
		}
		return out, false
	}
	if len(out.Also) > 0 {
		g.add(report.New(report.SharedTargetPort, out.Ref, fmt.Sprintf("port %d on the pods of %s is also reached without the grant, by %s",
			wp.Number, g.account(), list(out.Also))))
	}
	return out, true
}

// list names Service ports.
func list(ports []ir.ServicePort) string {
	var out []string
	for _, p := range ports {
		out = append(out, fmt.Sprintf("%s:%d", p.Service, p.Port))
	}
	return strings.Join(out, ", ")
}

// names reports whether the rules open a Service port that leads to a port on
// the pods, and the place that says so.
func (s ruleSet) names(wp ir.WorkloadPort, sp ir.ServicePort) (report.Ref, bool) {
	switch {
	case wp.Protocol == ir.UDP:
		return report.Ref{}, false
	case len(s.tcp) == 0:
		return s.http[0], true
	}
	number := sp.Port
	if s.dialect.podPorts() {
		number = wp.Number
	}
	for _, r := range s.tcp {
		if i := slices.Index(r.Ports, number); i >= 0 {
			return r.element(i), true
		}
		if r.AllPorts {
			return r.all(), true
		}
	}
	return report.Ref{}, false
}

// explicit reports whether a rule names a port on the pods by number.
func (s ruleSet) explicit(wp ir.WorkloadPort) bool {
	return slices.ContainsFunc(s.tcp, func(r portRule) bool {
		return slices.ContainsFunc(wp.Services, func(sp ir.ServicePort) bool {
			return slices.Contains(r.Ports, sp.Port) || s.dialect.podPorts() && slices.Contains(r.Ports, wp.Number)
		})
	})
}

func (r portRule) element(i int) report.Ref { return r.at.At(input.Element(r.at.Field, i)) }

// all returns the place that opens all ports: the rule, where the route has none.
func (r portRule) all() report.Ref {
	if r.at.Field == "" {
		return r.rule
	}
	return r.at
}

// unused reports the ports that are named and that nothing leads to.
func (g *granting) unused(s ruleSet) {
	for _, r := range s.tcp {
		for i, n := range r.Ports {
			if !g.leads(n, s.dialect.podPorts()) {
				g.noSuchPort(r.element(i), n)
			}
		}
	}
	if n := g.t.Port; n != 0 && !g.leads(n, false) {
		g.noSuchPort(g.o.Ref(g.t.PortField), n)
	}
}

func (g *granting) noSuchPort(at report.Ref, number int32) {
	g.add(report.New(report.NoSuchPort, at, fmt.Sprintf("no Service leads to the pods of %s by port %d", g.account(), number)))
}

// leads reports whether a Service port of a number leads to the pods or, where
// the number is one on the pods, whether any Service port leads there.
func (g *granting) leads(number int32, onPods bool) bool {
	return slices.ContainsFunc(g.w.Ports, func(wp ir.WorkloadPort) bool {
		switch {
		case wp.Protocol == ir.UDP:
			return false
		case onPods:
			return wp.Number == number
		}
		return slices.ContainsFunc(wp.Services, func(sp ir.ServicePort) bool { return sp.Port == number })
	})
}

// unknownPorts returns the ports of a workload to which no known Service leads.
// Requests can be allowed on whichever port they are made; what depends on a
// Service port cannot be said, unless the dialect means the port on the pods.
func (g *granting) unknownPorts(s ruleSet) []ir.GrantPort {
	known := len(g.w.Pods) > 0 && g.r.Complete(g.w.Namespace)
	all := slices.ContainsFunc(s.tcp, func(r portRule) bool { return r.AllPorts })
	var out []ir.GrantPort
	switch {
	case known || g.t.Port != 0:
	case len(s.http) > 0 && (len(s.tcp) == 0 || all):
		out = append(out, ir.GrantPort{Number: ir.AnyPort, Ref: s.http[0]})
	case s.dialect.podPorts():
		for _, r := range s.tcp {
			for i, n := range r.Ports {
				out = append(out, ir.GrantPort{Number: n, Ref: r.element(i)})
			}
		}
	}
	if len(out) == 0 {
		g.add(report.New(report.UnknownPorts, g.o.Ref(g.t.Destination.Field), "no Service is known to lead to the pods of "+g.account()+", so no port is opened"))
	}
	return out
}
