package gatewayapi

import (
	"fmt"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// gatewaysByAccount finds Gateways by the account of their proxies.
var gatewaysByAccount = input.Index{Name: "gatewayapi/gateways-by-account", Keys: func(o input.Object) []string {
	if g, ok := o.Value.(*Gateway); ok && g != nil && !o.Rejected {
		return []string{accountOf(o, g)}
	}
	return nil
}}

// accountOf is the account of a Gateway's proxies as an index has it.
func accountOf(o input.Object, g *Gateway) string {
	id := identityOf(o, g)
	return key(id.Namespace, id.Account)
}

// sharing returns the keys of the Gateways whose proxies run as the same account.
func (w *place) sharing() []ir.Key {
	var keys []ir.Key
	for _, o := range w.r.Lookup(gatewaysByAccount, accountOf(w.gateway, w.spec)) {
		keys = append(keys, gatewayKey(nameOf(o)))
	}
	return keys
}

// free returns the ports of a Gateway that no older one has whose proxies run as
// the same account: they are the same proxies, and listen on a port once.
func (low *lowering) free(w *place, all []ir.GatewayPort) []ir.GatewayPort {
	for _, o := range low.r.Lookup(gatewaysByAccount, accountOf(w.gateway, w.spec)) {
		if o.ID == w.gateway.ID {
			break // the lookup's order is that of precedence
		}
		theirs := ports(listenersOf(low.r, o, o.Value.(*Gateway)))
		all = slices.DeleteFunc(all, func(p ir.GatewayPort) bool {
			i := slices.IndexFunc(theirs, func(t ir.GatewayPort) bool { return t.Number == p.Number })
			if i >= 0 {
				low.add(report.New(report.ListenerConflict, p.Ref, fmt.Sprintf(
					"the proxies of Gateway %s run as the same account and listen on port %d already", nameOf(o), p.Number)).
					WithHint("give the Gateways different ports, or accounts by the annotation " + accountAnnotation).With(theirs[i].Ref))
			}
			return i >= 0
		})
	}
	return all
}
