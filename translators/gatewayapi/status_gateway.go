package gatewayapi

import (
	"fmt"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
)

// ListenersStatus is the status of a Gateway or a ListenerSet.
type ListenersStatus struct {
	// AttachedListenerSets of a Gateway that have a listener of their own.
	AttachedListenerSets int              `json:"attachedListenerSets,omitempty"`
	Conditions           []Condition      `json:"conditions"`
	Listeners            []ListenerStatus `json:"listeners,omitempty"`
}

// ListenerStatus is the status of one listener.
type ListenerStatus struct {
	Name           string                     `json:"name"`
	AttachedRoutes int                        `json:"attachedRoutes"`
	SupportedKinds []gatewayv1.RouteGroupKind `json:"supportedKinds"`
	Conditions     []Condition                `json:"conditions"`
}

// ClassStatus is the status of a GatewayClass.
type ClassStatus struct {
	Conditions []Condition `json:"conditions"`
}

// gatewayStatus computes the status of a Gateway. It reports false for one in error.
func gatewayStatus(r input.Reader, o input.Object) (any, bool) {
	w, ok := placeAt(r, nameOf(o))
	if !ok || o.Rejected {
		return nil, false
	}
	s := ListenersStatus{Listeners: w.statuses(o)}
	for _, set := range r.Lookup(setsByGateway, nameOf(o).String()) {
		if served, _ := w.count(set); served > 0 {
			s.AttachedListenerSets++
		}
	}
	served, bad := w.count(o)
	switch {
	case served == 0 && s.AttachedListenerSets == 0:
		why := "no listener can be served: " + bad
		s.Conditions = []Condition{
			fails(condAccepted, string(gatewayv1.GatewayReasonListenersNotValid), why),
			fails(condProgrammed, string(gatewayv1.GatewayReasonInvalid), why),
		}
	case bad != "":
		s.Conditions = []Condition{
			holds(condAccepted, string(gatewayv1.GatewayReasonListenersNotValid), "not served: "+bad),
			holds(condProgrammed, string(gatewayv1.GatewayReasonProgrammed), ""),
		}
	default:
		s.Conditions = []Condition{
			holds(condAccepted, string(gatewayv1.GatewayReasonAccepted), ""),
			holds(condProgrammed, string(gatewayv1.GatewayReasonProgrammed), ""),
		}
	}
	return s, true
}

// listenerSetStatus computes the status of a ListenerSet. It reports false where
// its Gateway is not known.
func listenerSetStatus(r input.Reader, o input.Object) (any, bool) {
	name, ok := gatewayOfSet(o)
	w, known := placeAt(r, name)
	if !ok || !known || o.Rejected {
		return nil, false
	}
	if !admitsSet(r, w.gateway, w.spec, o) {
		why := fmt.Sprintf("Gateway %s does not let in ListenerSets of namespace %s", name, o.Namespace)
		return ListenersStatus{Conditions: []Condition{
			fails(condAccepted, string(gatewayv1.ListenerSetReasonNotAllowed), why),
			fails(condProgrammed, string(gatewayv1.ListenerSetReasonNotAllowed), why),
		}}, true
	}
	s := ListenersStatus{Listeners: w.statuses(o)}
	const invalid = string(gatewayv1.ListenerSetReasonListenersNotValid)
	switch served, bad := w.count(o); {
	case served == 0:
		why := "no listener can be served: " + bad
		s.Conditions = []Condition{fails(condAccepted, invalid, why), fails(condProgrammed, invalid, why)}
	case bad != "":
		s.Conditions = []Condition{holds(condAccepted, invalid, "not served: "+bad),
			holds(condProgrammed, string(gatewayv1.ListenerSetReasonProgrammed), "")}
	default:
		s.Conditions = []Condition{holds(condAccepted, string(gatewayv1.ListenerSetReasonAccepted), ""),
			holds(condProgrammed, string(gatewayv1.ListenerSetReasonProgrammed), "")}
	}
	return s, true
}

// classStatus computes the status of a GatewayClass: whatever its controller,
// its Gateways are translated.
func classStatus(_ input.Reader, o input.Object) (any, bool) {
	if o.Rejected {
		return nil, false
	}
	return ClassStatus{[]Condition{holds(condAccepted, string(gatewayv1.GatewayClassReasonAccepted), "")}}, true
}

// count returns how many listeners of an object are served, and the names of the others.
func (w *place) count(owner input.Object) (served int, others string) {
	var bad []string
	for _, l := range w.all {
		if l.owner.ID != owner.ID {
			continue
		}
		if l.accepted().Status == statusTrue && l.resolved(w.r).Reason != string(gatewayv1.ListenerReasonRefNotPermitted) {
			served++
		} else {
			bad = append(bad, string(l.Name))
		}
	}
	return served, strings.Join(bad, ", ")
}

func (w *place) statuses(owner input.Object) []ListenerStatus {
	routes := w.attachedRoutes(owner)
	var out []ListenerStatus
	for _, l := range w.all {
		if l.owner.ID != owner.ID {
			continue
		}
		s := ListenerStatus{Name: string(l.Name), AttachedRoutes: routes[l.field], SupportedKinds: []gatewayv1.RouteGroupKind{}}
		supported, _ := l.kinds()
		for _, k := range supported {
			group := gatewayv1.Group(Group)
			s.SupportedKinds = append(s.SupportedKinds, gatewayv1.RouteGroupKind{Group: &group, Kind: gatewayv1.Kind(k)})
		}
		s.Conditions = []Condition{l.accepted(), l.conflicted(), l.programmed(w.r), l.resolved(w.r)}
		out = append(out, s)
	}
	return out
}

// attachedRoutes counts the routes that each listener of an object takes, by its field.
func (w *place) attachedRoutes(owner input.Object) map[string]int {
	out := map[string]int{}
	for _, kind := range kinds {
		for _, o := range w.r.Lookup(routesOfParent, key(kind, owner.Kind, nameOf(owner).String())) {
			if refused(w.r, o) {
				continue
			}
			taking := map[string]bool{} // several references may lead to one listener
			for _, p := range parentsOf(o) {
				if p.id() != owner.ID {
					continue
				}
				for _, l := range w.attach(o, p).to {
					taking[l.field] = true
				}
			}
			for field := range taking {
				out[field]++
			}
		}
	}
	return out
}

// refused reports whether a route holds nowhere, for none of its rules does.
func refused(r input.Reader, o input.Object) bool {
	low := &lowering{r: r, gateway: true}
	rules := low.routeRules(o)
	return conditions(o, string(accepted), "", rules, low.found)[0].Status == statusFalse
}

func (l listener) accepted() Condition {
	switch {
	case l.conflict != "":
		return fails(condAccepted, string(l.conflict), "in conflict with "+l.rival.String())
	case l.Protocol != gatewayv1.HTTPProtocolType:
		return fails(condAccepted, string(gatewayv1.ListenerReasonUnsupportedProtocol), string(l.Protocol)+" is not served")
	}
	return holds(condAccepted, string(gatewayv1.ListenerReasonAccepted), "")
}

func (l listener) conflicted() Condition {
	if l.conflict != "" {
		return holds(condConflicted, string(l.conflict), "in conflict with "+l.rival.String())
	}
	return fails(condConflicted, string(gatewayv1.ListenerReasonNoConflicts), "")
}

func (l listener) programmed(r input.Reader) Condition {
	switch c := l.resolved(r); {
	case l.conflict != "":
		return fails(condProgrammed, string(l.conflict), "in conflict with "+l.rival.String())
	case !l.served():
		return fails(condProgrammed, string(gatewayv1.ListenerReasonInvalid), string(l.Protocol)+" is not served")
	case c.Status == statusFalse && len(l.AllowedRoutes.Kinds) > 0 && !l.takesAny():
		return fails(condProgrammed, string(gatewayv1.ListenerReasonInvalid), c.Message)
	}
	return holds(condProgrammed, string(gatewayv1.ListenerReasonProgrammed), "")
}

func (l listener) takesAny() bool {
	kinds, _ := l.kinds()
	return len(kinds) > 0
}

// resolved says whether the kinds and certificates that a listener names can be
// used. Secrets are not read, so of a certificate only that it may be named.
func (l listener) resolved(r input.Reader) Condition {
	if _, others := l.kinds(); others {
		return fails(condResolvedRefs, string(gatewayv1.ListenerReasonInvalidRouteKinds),
			fmt.Sprintf("allowedRoutes.kinds holds kinds that cannot be attached to %s", l.Protocol))
	}
	if l.TLS != nil {
		for _, c := range l.TLS.CertificateRefs {
			to := input.ID{Group: string(value(c.Group, "")), Kind: string(value(c.Kind, "Secret")),
				Namespace: string(value(c.Namespace, gatewayv1.Namespace(l.owner.Namespace))), Name: string(c.Name)}
			switch {
			case to.Group != "" || to.Kind != "Secret":
				return fails(condResolvedRefs, string(gatewayv1.ListenerReasonInvalidCertificateRef), to.Kind+" "+to.Name+" is no Secret")
			case !permitted(r, l.owner.ID, to):
				return fails(condResolvedRefs, string(gatewayv1.ListenerReasonRefNotPermitted),
					fmt.Sprintf("no ReferenceGrant in namespace %s lets a %s of namespace %s name Secret %s", to.Namespace, l.owner.Kind, l.owner.Namespace, to.Name))
			}
		}
	}
	return holds(condResolvedRefs, string(gatewayv1.ListenerReasonResolvedRefs), "")
}
