package smi

import (
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/report"
)

// speaksHTTP reports whether a policy implies that HTTP is spoken on a Service
// port that does not say what it speaks, and which: a TrafficSplit of the
// Service or to it, or a TrafficTarget with HTTP rules for an account behind it.
// Both sides of a call ask it, so that they agree.
func speaksHTTP(r input.Reader, name ir.Name, number int32) (report.Ref, bool) {
	for _, o := range r.Lookup(splitsByRoot, name.String()) {
		if !o.Rejected {
			return o.Ref(o.Value.(*Split).ServiceField), true
		}
	}
	if ref, ok := namedAsBackend(r, name); ok {
		return ref, true
	}
	s, _ := kube.FindService(r, name)
	p, ok := s.Port(number)
	if !ok {
		return report.Ref{}, false
	}
	for _, id := range kube.Behind(r, name.Namespace, s) {
		for _, o := range targetsOf(r, id) {
			if ref, ok := grantsHTTP(r, o, p, kube.Targets(r, id, s, p)); ok {
				return ref, true
			}
		}
	}
	return report.Ref{}, false
}

// grantsHTTP reports whether a TrafficTarget has HTTP rules that concern a
// Service port, which leads to the given ports on the pods.
func grantsHTTP(r input.Reader, o input.Object, p kube.ServicePort, targets []int32) (report.Ref, bool) {
	t, ok := o.Value.(*Target)
	if !ok || o.Rejected || t.Port != 0 && t.Port != p.Number {
		return report.Ref{}, false
	}
	d, _, _ := dialectOf(r, o)
	var rule RouteRef
	restricted, named := false, false
	for _, ref := range t.Rules {
		switch ref.Kind {
		case KindHTTPRouteGroup:
			rule = ref
		case KindTCPRoute:
			restricted = true
			named = named || routeNames(r, o.Namespace, ref, d, p.Number, targets)
		}
	}
	return o.Ref(rule.Field), rule.Kind != "" && (named || !restricted)
}

// routeNames reports whether a TCPRoute names a port.
func routeNames(r input.Reader, namespace string, ref RouteRef, d dialect, number int32, targets []int32) bool {
	route, _, ok := findPortRoute(r, namespace, ref)
	if !ok {
		return false
	}
	if route.AllPorts {
		return true
	}
	if !d.podPorts() {
		return slices.Contains(route.Ports, number)
	}
	return slices.ContainsFunc(targets, func(n int32) bool { return slices.Contains(route.Ports, n) })
}

// findPortRoute resolves a reference to a TCPRoute or UDPRoute without error.
func findPortRoute(r input.Reader, namespace string, ref RouteRef) (route *PortRoute, o input.Object, ok bool) {
	o, ok = r.Get(input.ID{Group: ref.Group, Kind: ref.Kind, Namespace: namespace, Name: ref.Name})
	route, is := o.Value.(*PortRoute)
	return route, o, ok && is && !o.Rejected
}
