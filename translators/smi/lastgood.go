package smi

import (
	"reflect"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
)

// LastGood is what is used of an object that is rejected now and was good last time,
// while a cluster is followed: never more access than the last good gave, and nothing
// that the new one, as far as it can be read, takes away.
//
//   - A TrafficSplit stays the last good.
//   - A TrafficTarget is the last good with those of its sources and rules that the new
//     one still has; all else of it closes its destination only. One that names another
//     destination now, or none of whose parts is left, allows nothing.
//   - An HTTPRouteGroup keeps the matches that are the same in both. What refers to
//     another one of it allows nothing.
//   - A TCPRoute, a UDPRoute or an IdentityBinding is the last good only where both say
//     the same.
//
// An object that is not rejected is itself, and so is one without a last good.
func LastGood(last, now input.Object) input.Object {
	if !now.Rejected || last.Rejected || last.ID != now.ID {
		return now
	}
	switch was := last.Value.(type) {
	case *Split:
		return last
	case *Target:
		is, ok := now.Value.(*Target)
		if !ok {
			is = &Target{Destination: was.Destination} // which allows nothing, and says so
		}
		if d := is.Destination; d.Name != "" && !sameAccount(d, was.Destination) {
			return now
		}
		last.Value = lastTarget(*was, *is)
		return last
	case *RouteGroup:
		is, ok := now.Value.(*RouteGroup)
		if !ok {
			return now
		}
		matches := slices.DeleteFunc(slices.Clone(was.Matches), func(m HTTPMatch) bool { return !is.still(m) })
		if len(matches) == 0 {
			return now
		}
		last.Value = &RouteGroup{Matches: matches}
		return last
	case *PortRoute:
		if is, ok := now.Value.(*PortRoute); ok && samePorts(*was, *is) {
			return last
		}
	case *Binding:
		if is, ok := now.Value.(*Binding); ok && sameBinding(*was, *is) {
			return last
		}
	}
	return now
}

// lastTarget is what both of two TrafficTargets with one destination allow.
func lastTarget(was, is Target) *Target {
	sources := was.Sources
	was.Sources, was.Rules = nil, lastRules(was.Rules, is.Rules)
	for _, s := range sources {
		if slices.ContainsFunc(is.Sources, func(o Account) bool { return sameAccount(s, o) }) {
			was.Sources = append(was.Sources, s)
		}
	}
	switch {
	case is.Port == 0 || is.Port == was.Port: // a condition that is gone, or cannot be read, stays
	case was.Port == 0:
		was.Port, was.PortField = is.Port, is.PortField
	default:
		was.Sources = nil
	}
	return &was
}

// lastRules are the rules that both have. Rules of one kind are alternatives, and
// those of two kinds conditions that must both hold: a kind that has none left allows
// nothing, and one that is new is a condition more.
func lastRules(was, is []RouteRef) []RouteRef {
	var out []RouteRef
	for _, r := range was {
		for _, o := range is {
			if common, ok := lastRule(r, o); ok {
				out = append(out, common)
				break
			}
		}
	}
	of := func(list []RouteRef, kind string) bool {
		return slices.ContainsFunc(list, func(r RouteRef) bool { return r.Kind == kind })
	}
	for _, r := range was {
		if !of(out, r.Kind) {
			return nil
		}
	}
	for _, r := range is {
		if !of(was, r.Kind) && r.Name != "" && (r.Kind == KindHTTPRouteGroup || r.Kind == KindTCPRoute) {
			out = append(out, r)
		}
	}
	return out
}

// lastRule is what two rules have in common. What a rule without matches means is a
// matter of the dialect, so it has something in common only with its like.
func lastRule(was, is RouteRef) (RouteRef, bool) {
	if was.Group != is.Group || was.Kind != is.Kind || was.Name != is.Name || was.AllMatches != is.AllMatches {
		return was, false
	}
	if was.Kind != KindHTTPRouteGroup || was.AllMatches {
		return was, slices.Equal(was.Matches, is.Matches)
	}
	was.Matches = slices.DeleteFunc(slices.Clone(was.Matches), func(m string) bool { return !slices.Contains(is.Matches, m) })
	return was, len(was.Matches) > 0
}

// still reports whether a group has a match as it was, and no other of its name.
func (g RouteGroup) still(m HTTPMatch) bool {
	same := 0
	for _, o := range g.Matches {
		if o.Name == m.Name {
			if same++; !reflect.DeepEqual(bareMatch(o), bareMatch(m)) {
				return false
			}
		}
	}
	return same == 1
}

// bareMatch is a match without the places where it was written.
func bareMatch(m HTTPMatch) HTTPMatch {
	m.Field, m.Headers = "", slices.Clone(m.Headers)
	for i := range m.Headers {
		m.Headers[i].Field = ""
	}
	return m
}

func sameAccount(a, b Account) bool {
	a.Field, b.Field = "", ""
	return a == b
}

func samePorts(a, b PortRoute) bool {
	a.Field, b.Field = "", ""
	return reflect.DeepEqual(a, b)
}

func sameBinding(a, b Binding) bool {
	a.Field, b.Field = "", ""
	return reflect.DeepEqual(a, b)
}
