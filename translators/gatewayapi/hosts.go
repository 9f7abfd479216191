package gatewayapi

import (
	"slices"

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
	seen := map[input.ID]bool{}
	for _, h := range covering(host) {
		for _, o := range w.r.Lookup(routesByHost, key(at.owner.Kind, nameOf(at.owner).String(), h)) {
			if seen[o.ID] {
				continue // by a more specific host name
			}
			seen[o.ID] = true
			if !w.takes(o, at) {
				continue
			}
			asked = asked || h == host
			rules = append(rules, rulesOf(low, o, h)...)
		}
	}
	return rules, asked
}

// takes reports whether a listener takes a route, by whichever of its references.
func (w *place) takes(o input.Object, at listener) bool {
	return slices.ContainsFunc(parentsOf(o), func(p parent) bool {
		return p.id() == at.owner.ID && slices.ContainsFunc(w.attach(o, p).to, func(l listener) bool {
			return l.owner.ID == at.owner.ID && l.field == at.field
		})
	})
}

// rulesOf returns the rules of a route, for one of its host names.
func rulesOf(low *lowering, o input.Object, host string) []ranked {
	var out []ranked
	switch v := o.Value.(type) {
	case *HTTPRoute:
		out = low.httpRules(o, v)
	case *GRPCRoute:
		out = low.grpcRules(o, v)
	}
	for i := range out {
		out[i].host = host
	}
	return out
}

// reachable leaves out the rules of less specific host names behind one that takes
// every request: they are written for other hosts, so nobody is to be told that
// they have no effect on this one. The rules come in order of their host names.
func reachable(rules []ranked) []ranked {
	all := slices.IndexFunc(rules, func(r ranked) bool { return r.route.MatchesAll() })
	if all < 0 {
		return rules
	}
	return slices.DeleteFunc(rules, func(r ranked) bool { return moreSpecificHost(rules[all].host, r.host) < 0 })
}
