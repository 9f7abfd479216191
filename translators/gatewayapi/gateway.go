package gatewayapi

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// accountAnnotation on a Gateway names the ServiceAccount of its proxies.
const accountAnnotation = "meshknot.io/service-account"

// gatewayKeys lists the Gateway, VirtualHost and Route units that an object
// concerns. A Gateway that a ListenerSet names and that is not given has a key too:
// there it is reported.
func gatewayKeys(o input.Object, r input.Reader) []ir.Key {
	if o.Rejected {
		return nil
	}
	switch v := o.Value.(type) {
	case *Gateway:
		w := newPlace(r, o, v)
		return slices.Concat(w.hosts(o.ID), w.sharing(), []ir.Key{gatewayKey(nameOf(o))})
	case *ListenerSet:
		name, _ := gatewayOfSet(o)
		keys := []ir.Key{gatewayKey(name)}
		if w, ok := placeAt(r, name); ok {
			keys = slices.Concat(keys, w.hosts(o.ID), w.sharing())
		}
		return keys
	}
	var keys []ir.Key
	for _, p := range parentsOf(o) {
		keys = append(keys, ir.Key{Kind: ir.KindRoute, Namespace: o.Namespace, Name: ir.RouteName(o.Kind, o.ID.Name)})
		if w, ok := placeOf(r, p); ok {
			keys = append(keys, w.hostsOfRoute(o, p)...)
		}
	}
	return keys
}

func gatewayKey(name ir.Name) ir.Key {
	return ir.Key{Kind: ir.KindGateway, Namespace: name.Namespace, Name: name.Name}
}

func (w *place) hostKey(port int32, host string) ir.Key {
	return ir.Key{Kind: ir.KindVirtualHost, Namespace: w.gateway.Namespace, Name: ir.VirtualHostName(w.gateway.ID.Name, port, host)}
}

// hosts returns the keys of the host names that an object's listeners have.
func (w *place) hosts(owner input.ID) []ir.Key {
	var keys []ir.Key
	for _, l := range w.all {
		if l.owner.ID == owner && l.served() {
			keys = append(keys, w.hostKey(l.Port, l.host))
		}
	}
	return keys
}

// hostsOfRoute returns the keys of the host names that a route has in common
// with the listeners that take it, unless a more specific listener owns them.
func (w *place) hostsOfRoute(o input.Object, p parent) []ir.Key {
	_, hostnames, _ := routeOf(o)
	var keys []ir.Key
	for _, l := range w.attach(o, p).to {
		if !l.served() {
			continue
		}
		for _, h := range hostsOf(hostnames) {
			host, ok := intersect(l.host, h)
			if !ok {
				continue
			}
			if owner, _ := ownerOf(w.all, l.Port, host); owner.host == l.host {
				keys = append(keys, w.hostKey(l.Port, host))
			}
		}
	}
	return keys
}

// identityOf returns who a Gateway's proxies are: by the annotation, else by the
// name that Gateway API gives the resources of a Gateway.
func identityOf(o input.Object, g *Gateway) ir.Identity {
	account := o.Annotations[accountAnnotation]
	return ir.Identity{Namespace: o.Namespace, Account: cmp.Or(account, resourceName(o.ID.Name, string(g.Spec.GatewayClassName)))}
}

// RunsAs implements kube.Runner.
func (g *Gateway) RunsAs(o input.Object) string { return identityOf(o, g).Account }

// resourceName is "gateway-class" in the length of a DNS label; where it is cut
// a hash of the whole keeps it apart from others.
func resourceName(gateway, class string) string {
	const longest, digits = 63, 8
	name := gateway + "-" + class
	if len(name) <= longest {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:longest-digits-1] + "-" + hex.EncodeToString(sum[:])[:digits]
}

// lowerGateway says what a Gateway listens on, and reports what of its listeners
// and ListenerSets has no effect. Its routes, which may be as many as there are,
// report for themselves: see lowerRoute.
func lowerGateway(r input.Reader, g *ir.Gateway) report.Report {
	name := ir.Name{Namespace: g.Namespace, Name: g.Name}
	low := &lowering{r: r, gateway: true}
	w, ok := placeAt(r, name)
	if !ok {
		low.unknownGateway(name)
		return low.found
	}
	g.Ref, g.Class = w.gateway.Ref(""), string(w.spec.Spec.GatewayClassName)
	g.Identity, g.Ports = identityOf(w.gateway, w.spec), low.free(w, ports(w.all))
	if a := w.spec.Spec.AllowedListeners; a != nil && a.Namespaces != nil {
		low.selector(w.gateway, "spec.allowedListeners.namespaces", value(a.Namespaces.From, ""), a.Namespaces.Selector)
	}
	for _, l := range w.all {
		low.listener(l)
	}
	for _, set := range r.Lookup(setsByGateway, name.String()) {
		if set.Rejected {
			continue
		}
		if !admitsSet(r, w.gateway, w.spec, set) {
			low.add(report.New(report.NoListener, set.Ref("spec.parentRef"),
				fmt.Sprintf("Gateway %s does not let in ListenerSets of namespace %s, so no listener of it is served", name, set.Namespace)).
				WithHint("change spec.allowedListeners of the Gateway").With(w.gateway.Ref("spec.allowedListeners")))
		}
	}
	return low.found
}

// listener reports what is wrong with a listener.
func (low *lowering) listener(l listener) {
	if l.conflict != "" {
		what := "host name " + l.host
		if l.conflict == gatewayv1.ListenerReasonProtocolConflict {
			what = "speak nothing that tells them apart"
		}
		low.add(report.New(report.ListenerConflict, l.ref(""), fmt.Sprintf(
			"listener %s and %s of %s share port %d and %s", l.Name, l.rival.Field, l.rival.Object(), l.Port, what)).With(l.rival))
	}
	if _, ok := kindsByProtocol[l.Protocol]; l.Protocol != "HTTP" {
		why := "which is not served"
		if !ok && l.Protocol != "TLS" && l.Protocol != "UDP" {
			why = "a protocol that is not known"
		}
		low.add(report.New(report.NoListener, l.ref("protocol"), fmt.Sprintf("listener %s asks for %s, %s: nothing listens on port %d for it", l.Name, l.Protocol, why, l.Port)))
	}
	if a := l.AllowedRoutes; a != nil && a.Namespaces != nil {
		low.selector(l.owner, input.Field(input.Field(l.field, "allowedRoutes"), "namespaces"), value(a.Namespaces.From, ""), a.Namespaces.Selector)
	}
	if _, others := l.kinds(); others && l.Protocol == "HTTP" {
		low.add(report.New(report.NoListener, l.owner.Ref(input.Field(input.Field(l.field, "allowedRoutes"), "kinds")),
			fmt.Sprintf("listener %s allows kinds of routes that cannot be attached to %s; those have no effect", l.Name, l.Protocol)).
			WithHint("allow HTTPRoute or GRPCRoute"))
	}
}

// selector reports a selector of namespaces that selects none, for it cannot be read.
func (low *lowering) selector(o input.Object, at string, from gatewayv1.FromNamespaces, s *metav1.LabelSelector) {
	if why := unreadable(from, s); why != "" {
		low.add(report.New(report.NoEffect, o.Ref(at), "the selector lets in no namespace: "+why).WithHint("correct " + at + ".selector"))
	}
}

// unknownGateway reports the ListenerSets that name a Gateway that is not there.
func (low *lowering) unknownGateway(name ir.Name) {
	if _, broken := low.r.Get(gatewayID(name)); broken {
		return // its own errors say enough
	}
	for _, set := range low.r.Lookup(setsByGateway, name.String()) {
		if !set.Rejected {
			low.unknown(set.Ref("spec.parentRef"), KindGateway, name)
		}
	}
}

// unknown reports a parent that is not there. It may only not have been given,
// unless all of its namespace was.
func (low *lowering) unknown(at report.Ref, kind string, name ir.Name) {
	f := report.New(report.UnknownParent, at, fmt.Sprintf("%s %s is not given; this reference has no effect", kind, name))
	if low.r.Complete(name.Namespace) {
		f.Message = fmt.Sprintf("%s %s does not exist; this reference has no effect", kind, name)
	} else {
		f.Severity = report.Info
	}
	low.add(f)
}
