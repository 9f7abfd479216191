package gatewayapi

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
)

// setsByGateway finds ListenerSets by the Gateway that they add listeners to.
var setsByGateway = input.Index{Name: "gatewayapi/listenersets-by-gateway", Keys: func(o input.Object) []string {
	if name, ok := gatewayOfSet(o); ok {
		return []string{name.String()}
	}
	return nil
}}

// gatewayOfSet returns the Gateway that a ListenerSet names. It reports false for
// other objects, and for what names something else.
func gatewayOfSet(o input.Object) (ir.Name, bool) {
	s, ok := o.Value.(*ListenerSet)
	if !ok || s == nil {
		return ir.Name{}, false
	}
	p := s.Spec.ParentRef
	name := ir.Name{Namespace: string(value(p.Namespace, gatewayv1.Namespace(o.Namespace))), Name: string(p.Name)}
	return name, value(p.Group, Group) == Group && value(p.Kind, KindGateway) == KindGateway
}

// setOf returns the ListenerSet of a name, unless it is in error.
func setOf(r input.Reader, name ir.Name) (input.Object, bool) {
	o, ok := r.Get(input.ID{Group: Group, Kind: KindListenerSet, Namespace: name.Namespace, Name: name.Name})
	s, is := o.Value.(*ListenerSet)
	return o, ok && is && s != nil && !o.Rejected
}

// admitsSet reports whether a Gateway lets a ListenerSet add to its listeners.
// Without a word it lets in none.
func admitsSet(r input.Reader, o input.Object, g *Gateway, set input.Object) bool {
	if g.Spec.AllowedListeners == nil || g.Spec.AllowedListeners.Namespaces == nil {
		return false
	}
	n := g.Spec.AllowedListeners.Namespaces
	return letsIn(r, o.Namespace, set.Namespace, value(n.From, gatewayv1.NamespacesFromNone), n.Selector)
}
