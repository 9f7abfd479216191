package gatewayapi

import (
	"cmp"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// listener is a listener of a Gateway: its own, or of a ListenerSet that it admits.
type listener struct {
	gatewayv1.Listener
	// owner is the Gateway or ListenerSet that lists it, at field.
	owner input.Object
	field string
	// host is the hostname in lower case, or anyHost.
	host string
	// conflict is the reason why it cannot be told apart from rival; else empty.
	conflict gatewayv1.ListenerConditionReason
	rival    report.Ref
}

func (l listener) ref(field string) report.Ref {
	if field == "" {
		return l.owner.Ref(l.field)
	}
	return l.owner.Ref(input.Field(l.field, field))
}

// served reports whether something is listened on. Only plain HTTP is: what asks
// for TLS must not be answered without.
func (l listener) served() bool {
	return l.Protocol == gatewayv1.HTTPProtocolType && l.conflict == ""
}

// kindsByProtocol are the kinds of routes that can attach to a listener, as far
// as they are read.
var kindsByProtocol = map[gatewayv1.ProtocolType][]string{
	gatewayv1.HTTPProtocolType:  {KindHTTPRoute, KindGRPCRoute},
	gatewayv1.HTTPSProtocolType: {KindHTTPRoute, KindGRPCRoute},
	gatewayv1.TCPProtocolType:   {KindTCPRoute},
}

// kinds returns the kinds of routes that the listener takes, and whether it asks
// for others too.
func (l listener) kinds() (taken []string, others bool) {
	known := kindsByProtocol[l.Protocol]
	if l.AllowedRoutes == nil || len(l.AllowedRoutes.Kinds) == 0 {
		return known, false
	}
	for _, k := range l.AllowedRoutes.Kinds {
		if value(k.Group, Group) == Group && slices.Contains(known, string(k.Kind)) {
			taken = append(taken, string(k.Kind))
		} else {
			others = true
		}
	}
	return taken, others
}

// admits reports whether the listener lets in routes of a namespace.
func (l listener) admits(r input.Reader, namespace string) bool {
	from := gatewayv1.NamespacesFromSame
	if l.AllowedRoutes == nil || l.AllowedRoutes.Namespaces == nil {
		return letsIn(r, l.owner.Namespace, namespace, from, nil)
	}
	n := l.AllowedRoutes.Namespaces
	return letsIn(r, l.owner.Namespace, namespace, value(n.From, from), n.Selector)
}

// gatewayOf returns the Gateway of a name, unless it is in error.
func gatewayOf(r input.Reader, name ir.Name) (input.Object, *Gateway, bool) {
	o, ok := r.Get(gatewayID(name))
	g, is := o.Value.(*Gateway)
	if !ok || !is || g == nil || o.Rejected {
		return input.Object{}, nil, false
	}
	return o, g, true
}

func gatewayID(name ir.Name) input.ID {
	return input.ID{Group: Group, Kind: KindGateway, Namespace: name.Namespace, Name: name.Name}
}

// listenersOf returns all listeners of a Gateway in order of precedence: its
// own, then those of the ListenerSets that it admits, oldest first.
func listenersOf(r input.Reader, o input.Object, g *Gateway) []listener {
	out := make([]listener, 0, len(g.Spec.Listeners))
	for i, l := range g.Spec.Listeners {
		out = append(out, newListener(o, i, l))
	}
	for _, set := range r.Lookup(setsByGateway, nameOf(o).String()) {
		if set.Rejected || !admitsSet(r, o, g, set) {
			continue
		}
		for i, l := range set.Value.(*ListenerSet).Spec.Listeners {
			out = append(out, newListener(set, i, gatewayv1.Listener(l)))
		}
	}
	findConflicts(out)
	return out
}

func newListener(owner input.Object, i int, l gatewayv1.Listener) listener {
	return listener{Listener: l, owner: owner, field: input.Element("spec.listeners", i), host: hostOf(value(l.Hostname, ""))}
}

func nameOf(o input.Object) ir.Name { return ir.Name{Namespace: o.Namespace, Name: o.ID.Name} }

// findConflicts marks the listeners that cannot be told apart. Of those of one
// object none wins; between objects the first keeps what it has.
func findConflicts(all []listener) {
	byPort := map[int32][]int{}
	for i := range all {
		byPort[all[i].Port] = append(byPort[all[i].Port], i)
	}
	for _, same := range byPort {
		for at := 0; at < len(same); {
			end := at
			for end < len(same) && all[same[end]].owner.ID == all[same[at]].owner.ID {
				end++
			}
			yield(all, same[:at], same[at:end])
			at = end
		}
	}
}

// yield marks the listeners of one object that conflict with what came earlier
// on the port, or with each other. What yielded itself is in nobody's way.
func yield(all []listener, earlier, own []int) {
	for _, i := range own {
		for _, j := range earlier {
			if !yielded(all, j) {
				all[i].clash(all[j])
			}
		}
	}
	for _, i := range own {
		for _, j := range own {
			if i != j && !yielded(all, i) && !yielded(all, j) {
				all[i].clash(all[j])
			}
		}
	}
}

// yielded reports whether a listener lost to one of another object.
func yielded(all []listener, i int) bool {
	l := all[i]
	return l.conflict != "" && l.rival.Object() != l.owner.Ref("")
}

// clash notes a conflict with another listener on the same port, if there is one.
func (l *listener) clash(o listener) {
	if l.conflict != "" {
		return
	}
	switch {
	case (l.Protocol == gatewayv1.UDPProtocolType) != (o.Protocol == gatewayv1.UDPProtocolType):
		return // datagrams and connections do not meet
	case l.Protocol != o.Protocol && !(secured(l.Protocol) && secured(o.Protocol)):
		l.conflict = gatewayv1.ListenerReasonProtocolConflict
	case l.Protocol != o.Protocol:
		return
	case !named(l.Protocol):
		l.conflict = gatewayv1.ListenerReasonProtocolConflict
	case l.host == o.host:
		l.conflict = gatewayv1.ListenerReasonHostnameConflict
	default:
		return
	}
	l.rival = o.ref("")
}

// secured reports whether a listener is told apart by the server name in the
// TLS handshake, which HTTPS and TLS share.
func secured(p gatewayv1.ProtocolType) bool {
	return p == gatewayv1.HTTPSProtocolType || p == gatewayv1.TLSProtocolType
}

// named reports whether listeners of a protocol are told apart by host names.
func named(p gatewayv1.ProtocolType) bool {
	return p != gatewayv1.TCPProtocolType && p != gatewayv1.UDPProtocolType
}

// ownerOf returns the listener whose requests for a host on a port are: the one
// with the most specific hostname that covers it.
func ownerOf(all []listener, port int32, host string) (listener, bool) {
	var best listener
	found := false
	for _, l := range all {
		if l.Port == port && l.served() && covers(l.host, host) && (!found || moreSpecificHost(l.host, best.host) < 0) {
			best, found = l, true
		}
	}
	return best, found
}

// ports returns what a Gateway listens on, by number.
func ports(all []listener) []ir.GatewayPort {
	var out []ir.GatewayPort
	for _, l := range all {
		if !l.served() {
			continue
		}
		i, ok := slices.BinarySearchFunc(out, l.Port, func(p ir.GatewayPort, n int32) int { return cmp.Compare(p.Number, n) })
		if !ok {
			out = slices.Insert(out, i, ir.GatewayPort{Number: l.Port, Protocol: ir.HTTP, Ref: l.ref("port")})
		}
		out[i].Listeners = append(out[i].Listeners, ir.Listener{Name: string(l.Name), Host: l.host, Ref: l.ref("")})
	}
	for _, p := range out {
		slices.SortFunc(p.Listeners, func(a, b ir.Listener) int {
			return cmp.Or(strings.Compare(a.Name, b.Name), a.Ref.Compare(b.Ref))
		})
	}
	return out
}
