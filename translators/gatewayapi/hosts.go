package gatewayapi

import (
	"slices"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// unmatchedRoute is the name of the route that refuses what no other takes.
const unmatchedRoute = "unmatched"

// lowerVirtualHost makes the routes of one host name. The most specific listener
// that covers it owns it, and only routes that are attached there count.
func lowerVirtualHost(r input.Reader, v *ir.VirtualHost) report.Report {
	w, ok := placeAt(r, v.Gateway)
	if !ok {
		return nil
	}
	at, ok := ownerOf(w.all, v.Port, v.Host)
	if !ok {
		return nil
	}
	low := &lowering{r: r, gateway: true}
	rules, asked := w.rules(low, at, v.Host)
	if !asked && v.Host != at.host {
		return nil // nobody asks for this host name any more
	}
	v.Ref, v.Identity = at.ref(""), identityOf(w.gateway, w.spec)
	v.Routes = append(routesOf(reachable(rules)), ir.Route{
		Name: unmatchedRoute, Ref: v.Ref, Status: 404, Matches: []ir.Match{ir.MatchAll(v.Ref)},
	})
	return low.found
}

// rules returns the rules of all routes at a listener whose host names cover a
// host, and whether one of them has just that host in common with the listener.
func (w *place) rules(low *lowering, at listener, host string) (rules []ranked, asked bool) {
	var seen map[input.ID]bool
	c := w.contestAt(at)
	for _, h := range covering(host) {
		all := w.r.Lookup(routesByHost, key(at.owner.Kind, nameOf(at.owner).String(), h))
		if seen == nil && len(all) > 0 { // mostly these are all, and there may be thousands
			seen, rules = make(map[input.ID]bool, len(all)), make([]ranked, 0, 2*len(all))
		}
		for _, o := range all {
			if seen[o.ID] {
				continue // by a more specific host name
			}
			seen[o.ID] = true
			if !c.takes(o) {
				continue
			}
			asked = asked || h == host
			rules = appendRanked(rules, h, low.derived(o))
		}
	}
	return rules, asked
}

// takes reports whether a listener takes a route, by whichever of its references:
// what attach says of that listener alone.
func (c contest) takes(o input.Object) bool {
	_, hostnames, _ := routeOf(o)
	shares := len(hostnames) == 0 || slices.ContainsFunc(hostnames, func(h gatewayv1.Hostname) bool {
		_, ok := intersect(c.at.host, hostOf(h))
		return ok
	})
	return shares && c.attached(o) && !c.loses(o)
}

// rulesOfRoute is what the rules of a route come to at any Gateway. It is made once
// for all host names that the route has a part in.
var rulesOfRoute = input.Derivation{Name: "gatewayapi/rules-of-route", Make: func(r input.Reader, id input.ID) any {
	o, _ := r.Get(id)
	if _, _, ok := routeOf(o); !ok || o.Rejected {
		return routeRules{} // which is nobody's: there is another object of the ID
	}
	low := &lowering{r: r, gateway: true}
	return routeRules{o.Value, o.Created, low.rulesOf(o), low.found}
}}

// routeRules is what is made of a route, and what of it was looked at.
type routeRules struct {
	value   any
	created time.Time
	rules   []lowered
	found   report.Report
}

// derived returns the rules of a route. Of several objects of one ID only one can
// be asked for.
func (l *lowering) derived(o input.Object) []lowered {
	d := rulesOfRoute.Of(l.r, o.ID).(routeRules)
	if d.value != o.Value || !d.created.Equal(o.Created) {
		return l.rulesOf(o)
	}
	l.add(d.found...)
	return d.rules
}

// rulesOf returns the rules of a route that can name a Gateway.
func (l *lowering) rulesOf(o input.Object) []lowered {
	switch v := o.Value.(type) {
	case *HTTPRoute:
		return l.httpRules(o, v)
	case *GRPCRoute:
		return l.grpcRules(o, v)
	}
	return nil
}

// reachable leaves out the rules of less specific host names behind one that takes
// every request: they are written for other hosts, so nobody is to be told that
// they have no effect on this one. The rules come in order of their host names.
func reachable(rules []ranked) []ranked {
	all := slices.IndexFunc(rules, func(r ranked) bool { return r.all })
	if all < 0 {
		return rules
	}
	return slices.DeleteFunc(rules, func(r ranked) bool { return moreSpecificHost(rules[all].host, r.host) < 0 })
}
