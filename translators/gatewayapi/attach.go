package gatewayapi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
)

// parent is a Gateway or ListenerSet that a route names.
type parent struct {
	kind    string
	name    ir.Name
	section string
	port    int32
	field   string // of the reference in the route
}

// parentsOf returns the Gateways and ListenerSets that a route names.
func parentsOf(o input.Object) []parent {
	common, _, _ := routeOf(o)
	var out []parent
	for i, ref := range common.ParentRefs {
		if p, ok := parentOf(o, ref, i); ok {
			out = append(out, p)
		}
	}
	return out
}

// parentOf reads a reference; false where it names no Gateway and no ListenerSet.
func parentOf(o input.Object, ref gatewayv1.ParentReference, index int) (parent, bool) {
	p, ok := parentNamed(o.Namespace, &ref)
	if ok {
		p.field = input.Element("spec.parentRefs", index)
	}
	return p, ok
}

// parentNamed is parentOf without the place.
func parentNamed(own string, ref *gatewayv1.ParentReference) (parent, bool) {
	kind := string(value(ref.Kind, KindGateway))
	if value(ref.Group, Group) != Group || kind != KindGateway && kind != KindListenerSet {
		return parent{}, false
	}
	namespace := string(value(ref.Namespace, ""))
	return parent{
		kind: kind, name: ir.Name{Namespace: cmp.Or(namespace, own), Name: string(ref.Name)},
		section: string(value(ref.SectionName, "")), port: value(ref.Port, 0),
	}, true
}

// id of the object that is named.
func (p parent) id() input.ID {
	return input.ID{Group: Group, Kind: p.kind, Namespace: p.name.Namespace, Name: p.name.Name}
}

// key joins what an index stands under; none of the words holds a space.
func key(words ...string) string { return strings.Join(words, " ") }

// routesOfParent finds routes by their own kind and a Gateway or ListenerSet that
// they name.
var routesOfParent = input.Index{Name: "gatewayapi/routes-of-parent", Keys: func(o input.Object) []string {
	var keys []string
	if !o.Rejected {
		for _, p := range parentsOf(o) {
			keys = append(keys, key(o.Kind, p.kind, p.name.String()))
		}
	}
	return keys
}}

// routesByHost finds routes by a Gateway or ListenerSet that they name and a
// hostname of theirs.
var routesByHost = input.Index{Name: "gatewayapi/routes-by-host", Keys: func(o input.Object) []string {
	_, hostnames, ok := routeOf(o)
	if !ok || o.Rejected {
		return nil
	}
	var keys []string
	for _, p := range parentsOf(o) {
		for _, h := range hostsOf(hostnames) {
			keys = append(keys, key(p.kind, p.name.String(), h))
		}
	}
	return keys
}}

// routesOfKind finds routes by their own kind, a Gateway or ListenerSet that they
// name, and a hostname: at one that they have, or under one that covers it.
var routesOfKind = input.Index{Name: "gatewayapi/routes-of-kind", Keys: func(o input.Object) []string {
	_, hostnames, ok := routeOf(o)
	if !ok || o.Rejected || otherKind[o.Kind] == "" {
		return nil
	}
	var keys []string
	for _, p := range parentsOf(o) {
		for _, h := range hostsOf(hostnames) {
			keys = append(keys, key(o.Kind, p.kind, p.name.String(), "at", h))
			for _, c := range covering(h) {
				keys = append(keys, key(o.Kind, p.kind, p.name.String(), "under", c))
			}
		}
	}
	return keys
}}

// place is a Gateway as its routes see it.
type place struct {
	r       input.Reader
	gateway input.Object
	spec    *Gateway
	all     []listener
	// near remembers what meeting found.
	near map[meeting][]input.Object
}

// meeting is what meeting was asked.
type meeting struct {
	kind  string
	owner input.ID
	host  string
}

// meeting returns the routes of a kind that name a Gateway or ListenerSet and have
// something in common with a host name, the first in precedence first.
func (w *place) meeting(kind string, owner input.Object, host string) []input.Object {
	asked := meeting{kind, owner.ID, host}
	out, known := w.near[asked]
	if known {
		return out
	}
	at := key(kind, owner.Kind, nameOf(owner).String())
	out = w.r.Lookup(routesOfKind, key(at, "under", host))
	for _, c := range covering(host)[1:] {
		out = slices.Concat(out, w.r.Lookup(routesOfKind, key(at, "at", c)))
	}
	out = inPrecedence(out)
	w.near[asked] = out
	return out
}

// inPrecedence orders routes of one kind, each once.
func inPrecedence(routes []input.Object) []input.Object {
	slices.SortStableFunc(routes, func(a, b input.Object) int { return cmp.Or(older(a.Created, b.Created), nameOf(a).Compare(nameOf(b))) })
	return slices.CompactFunc(routes, func(a, b input.Object) bool { return a.ID == b.ID })
}

// placeAt finds a Gateway and its listeners.
func placeAt(r input.Reader, name ir.Name) (*place, bool) {
	o, g, ok := gatewayOf(r, name)
	if !ok {
		return nil, false
	}
	return newPlace(r, o, g), true
}

func newPlace(r input.Reader, o input.Object, g *Gateway) *place {
	return &place{r, o, g, listenersOf(r, o, g), map[meeting][]input.Object{}}
}

// placeOf finds the Gateway to which a reference leads in the end.
func placeOf(r input.Reader, p parent) (*place, bool) {
	name, ok := p.gateway(r)
	if !ok {
		return nil, false
	}
	return placeAt(r, name)
}

// gateway returns the name of the Gateway to which a reference leads, whether
// or not it is there; false where it stops at an unknown ListenerSet.
func (p parent) gateway(r input.Reader) (ir.Name, bool) {
	if p.kind == KindGateway {
		return p.name, true
	}
	set, ok := setOf(r, p.name)
	if !ok {
		return ir.Name{}, false
	}
	return gatewayOfSet(set)
}

// attachment is what a Gateway or ListenerSet makes of a route.
type attachment struct {
	// reason and message of the condition Accepted.
	reason  gatewayv1.RouteConditionReason
	message string
	// to are the listeners that take the route.
	to []listener
	// lost is set where an older route of another kind has the host names.
	lost input.Object
}

// attach decides which listeners take a route by a reference of it.
func (w *place) attach(o input.Object, p parent) attachment {
	_, hostnames, _ := routeOf(o)
	left := slices.DeleteFunc(slices.Clone(w.all), func(l listener) bool { return l.owner.ID != p.id() })
	if p.kind == KindListenerSet && len(left) == 0 {
		return refuse(gatewayv1.RouteReasonNotAllowedByListeners, "Gateway %s does not let in the listeners of ListenerSet %s", nameOf(w.gateway), p.name)
	}
	left = slices.DeleteFunc(left, func(l listener) bool {
		return p.section != "" && p.section != string(l.Name) || p.port != 0 && p.port != l.Port
	})
	if len(left) == 0 {
		return refuse(gatewayv1.RouteReasonNoMatchingParent, "%s has no listener %s", p, p.wanted())
	}
	left = slices.DeleteFunc(left, func(l listener) bool {
		kinds, _ := l.kinds()
		return !slices.Contains(kinds, o.Kind) || !l.admits(w.r, o.Namespace)
	})
	if len(left) == 0 {
		return refuse(gatewayv1.RouteReasonNotAllowedByListeners, "no listener of %s%s takes %ss of namespace %s", p, p.which(), o.Kind, o.Namespace)
	}
	left = slices.DeleteFunc(left, func(l listener) bool {
		return !slices.ContainsFunc(hostsOf(hostnames), func(h string) bool { _, ok := intersect(l.host, h); return ok })
	})
	if len(left) == 0 {
		return refuse(gatewayv1.RouteReasonNoMatchingListenerHostname, "no listener of %s%s has a host name in common with the route", p, p.which())
	}
	return w.contest(o, p, left)
}

func refuse(reason gatewayv1.RouteConditionReason, format string, args ...any) attachment {
	return attachment{reason: reason, message: fmt.Sprintf(format, args...)}
}

// contest takes out the listeners at which an older route of another kind has a
// host name of this one.
func (w *place) contest(o input.Object, p parent, left []listener) attachment {
	a := attachment{reason: accepted, message: p.String() + " takes the route"}
	for _, l := range left {
		c := w.contestAt(l)
		if winner, loses := c.winner(o); loses {
			a.lost = winner
			continue
		}
		a.to = append(a.to, l)
	}
	if len(a.to) == 0 {
		a.reason, a.message = conflicted, fmt.Sprintf("%s %s has a host name of the route and comes first", a.lost.Kind, nameOf(a.lost))
	}
	return a
}

// String names the parent.
func (p parent) String() string { return p.kind + " " + p.name.String() }

// wanted says which listener is asked for.
func (p parent) wanted() string {
	switch {
	case p.section != "" && p.port != 0:
		return fmt.Sprintf("%s on port %d", p.section, p.port)
	case p.port != 0:
		return fmt.Sprintf("on port %d", p.port)
	}
	return p.section
}

// which is wanted as an addition, where a listener is asked for.
func (p parent) which() string {
	if w := p.wanted(); w != "" {
		return " (" + w + ")"
	}
	return ""
}

// contest decides between HTTPRoutes and GRPCRoutes at one listener: of two that
// share a host name the older is accepted, unless it yields to a third itself.
type contest struct {
	*place
	at listener
	// kinds that the listener takes.
	kinds []string
	// admitted remembers which namespaces it lets in.
	admitted map[string]bool
	// lost remembers who was found to lose; nobody waits for himself, for
	// each question is about older routes only.
	lost map[input.ID]bool
}

func (w *place) contestAt(l listener) contest {
	kinds, _ := l.kinds()
	return contest{w, l, kinds, map[string]bool{}, map[input.ID]bool{}}
}

var otherKind = map[string]string{KindHTTPRoute: KindGRPCRoute, KindGRPCRoute: KindHTTPRoute}

// winner returns the route of the other kind to which a route yields.
func (c contest) winner(o input.Object) (input.Object, bool) { return c.among(o, c.near(o)) }

// near returns the routes of the other kind that have a host name in common with a
// route at the listener: mostly none.
func (c contest) near(o input.Object) (out []input.Object) {
	other, ok := otherKind[o.Kind]
	if !ok {
		return nil
	}
	_, own, _ := routeOf(o)
	for _, h := range hostsOf(own) {
		if h, ok := intersect(h, c.at.host); ok {
			out = append(out, c.meeting(other, c.at.owner, h)...)
		}
	}
	return out
}

// among returns the one of some routes to which a route yields.
func (c contest) among(o input.Object, near []input.Object) (input.Object, bool) {
	for _, x := range inPrecedence(near) {
		if before(o, x) {
			break
		}
		if c.attached(x) && !c.loses(x) {
			return x, true
		}
	}
	return input.Object{}, false
}

func (c contest) loses(o input.Object) bool {
	near := c.near(o)
	if len(near) == 0 {
		return false
	}
	lost, known := c.lost[o.ID]
	if !known {
		_, lost = c.among(o, near)
		c.lost[o.ID] = lost
	}
	return lost
}

// before reports whether one route takes precedence over another of another kind.
func before(a, b input.Object) bool {
	return cmp.Or(older(a.Created, b.Created), nameOf(a).Compare(nameOf(b)), strings.Compare(a.Kind, b.Kind)) < 0
}

// attached reports whether the listener takes a route if no other kind is in its way.
func (c contest) attached(o input.Object) bool {
	if !slices.Contains(c.kinds, o.Kind) || !c.admits(o.Namespace) {
		return false
	}
	common, _, _ := routeOf(o)
	for i := range common.ParentRefs {
		p, ok := parentNamed(o.Namespace, &common.ParentRefs[i])
		if ok && p.id() == c.at.owner.ID && (p.section == "" || p.section == string(c.at.Name)) && (p.port == 0 || p.port == c.at.Port) {
			return true
		}
	}
	return false
}

// admits reports whether the listener lets in routes of a namespace.
func (c contest) admits(namespace string) bool {
	admitted, known := c.admitted[namespace]
	if !known {
		admitted = c.at.admits(c.r, namespace)
		c.admitted[namespace] = admitted
	}
	return admitted
}

// acceptance says what a Gateway or ListenerSet makes of a route: the reason and
// message of its condition Accepted (reason "Accepted" where it takes the route).
// ref is spec.parentRefs[index] of o. It reports false for a parent of which nothing is known
// or which is not ours: no status is written for it.
func acceptance(r input.Reader, o input.Object, ref gatewayv1.ParentReference, index int) (reason, message string, ok bool) {
	p, ok := parentOf(o, ref, index)
	if !ok {
		return "", "", false
	}
	w, ok := placeOf(r, p)
	if !ok {
		return "", "", false
	}
	a := w.attach(o, p)
	return string(a.reason), a.message, true
}
