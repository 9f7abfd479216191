package gatewayapi

import (
	"fmt"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// lowerRoute reports what of a route's references to Gateways and ListenerSets has
// no effect. It asks for the route and what it names, so that a Gateway does not
// have to ask for all of its routes.
func lowerRoute(r input.Reader, u *ir.RouteObject) report.Report {
	o, _ := r.Get(input.ID{Group: Group, Kind: u.Kind, Namespace: u.Namespace, Name: u.Name})
	if o.Rejected {
		return nil
	}
	low := &lowering{r: r, gateway: true}
	for _, p := range parentsOf(o) {
		low.parent(o, p)
	}
	return low.found
}

// parent reports a reference to what is not there or does not take the route.
func (low *lowering) parent(o input.Object, p parent) {
	name, leads := p.gateway(low.r)
	if leads {
		if w, ok := placeAt(low.r, name); ok {
			low.attached(w, o, p)
			return
		}
	}
	switch p.kind {
	case KindListenerSet: // one that leads to an unknown Gateway reports that itself
		if _, ok := setOf(low.r, p.name); !ok {
			low.unknown(o.Ref(p.field), p.kind, p.name)
		}
	case KindGateway:
		if _, broken := low.r.Get(gatewayID(name)); !broken { // else its own errors say enough
			low.unknown(o.Ref(p.field), p.kind, p.name)
		}
	}
}

// attached reports a route that names a Gateway or ListenerSet that does not take it.
func (low *lowering) attached(w *place, o input.Object, p parent) {
	a := w.attach(o, p)
	switch {
	case a.lost.Kind != "":
		low.add(report.New(report.KindConflict, o.Ref(p.field), fmt.Sprintf(
			"%s %s shares a host name with the route at %s and comes first; a listener does not mix HTTPRoutes and GRPCRoutes of one host", a.lost.Kind, nameOf(a.lost), p)).
			WithHint("give the routes different host names or listeners").With(a.lost.Ref("")))
	case len(a.to) == 0:
		low.add(report.New(report.NotAttached, o.Ref(p.field), a.message))
	case slices.ContainsFunc(a.to, listener.served) && len(w.hostsOfRoute(o, p)) == 0:
		low.add(report.New(report.NoEffect, o.Ref(p.field), fmt.Sprintf(
			"%s takes the route, but all requests for its host names are those of listeners with more specific ones", p)).
			WithHint("attach it to those listeners, or give it other host names"))
	}
}
