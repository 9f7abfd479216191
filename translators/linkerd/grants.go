package linkerd

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// grants makes what lets callers through a Server. Who is granted all that is said
// on the port is named at the Server, which counts at every route too; who is
// granted some requests is named at routes of their own.
func (g *granting) grants(port serverPort) ([]translators.Artifact, report.Report) {
	parties, found := g.mesh.parties(g.workload, g.port, port.http)
	probes, needed := g.mesh.probes(g.workload, g.port)
	restricted := slices.ContainsFunc(parties, func(p party) bool { return !p.whole })
	if g.parties = parties; (restricted || needed) && len(probes.requests) > 0 {
		g.parties = append(g.parties, probes)
	}
	var out []translators.Artifact
	for _, p := range g.parties {
		if p.whole {
			for _, server := range g.servers {
				out = append(out, p.authorize(g.workload.Namespace, g.name(p.grant.Name, p.object, server), policyGroup, "Server", server, p.refs))
			}
		}
	}
	if !restricted && !needed {
		return out, found
	}
	routes, f := g.routes()
	return append(out, routes...), append(found, f...)
}

// routes makes the routes of a Server, one for each set of parties.
func (g granting) routes() ([]translators.Artifact, report.Report) {
	cells, found := g.cells()
	var order []string
	byParties := map[string][]any{}
	members := map[string][]int{}
	for _, c := range cells {
		match, why, ok := g.match(c, lifted(cells))
		if why != "" {
			found = append(found, refused(c.ref, "nothing is granted here: "+why))
		}
		if !ok {
			continue
		}
		bearers := g.bearers(c)
		key := g.keyOf(bearers)
		if members[key] == nil {
			order, members[key] = append(order, key), bearers
		}
		byParties[key] = append(byParties[key], match)
	}
	slices.Sort(order)
	var out []translators.Artifact
	for _, key := range order {
		out = append(out, g.route(key, members[key], byParties[key])...)
	}
	rest, f := g.rest(cells)
	return append(out, rest...), append(found, f...)
}

func (g granting) keyOf(parties []int) string {
	var names []string
	for _, i := range parties {
		names = append(names, g.parties[i].object)
	}
	slices.Sort(names)
	return strings.Join(names, "\n")
}

// route makes the routes of some parties, and lets them through.
func (g granting) route(key string, parties []int, matches []any) []translators.Artifact {
	var refs []report.Ref
	for _, i := range parties {
		refs = append(refs, g.parties[i].refs...)
	}
	out := g.serverRoutes(g.label(parties), key, matches, refs)
	for _, route := range slices.Clone(out) {
		for _, i := range parties {
			p := g.parties[i]
			out = append(out, p.authorize(g.workload.Namespace, g.name(p.label(), "route", nameIn(route), p.object),
				gatewayGroup, "HTTPRoute", nameIn(route), p.refs))
		}
	}
	return out
}

func (p party) label() string {
	if p.everyone {
		return "probes"
	}
	return p.grant.Name
}

// maxParents is how many Servers a route can be attached to.
const maxParents = 32

// serverRoutes makes a route that is attached to every Server of the port, or
// several where it has many matches or many Servers.
func (g granting) serverRoutes(what, key string, matches []any, refs []report.Ref) []translators.Artifact {
	var out []translators.Artifact
	for servers := range slices.Chunk(g.servers, maxParents) {
		var parents []any
		for _, s := range servers {
			parents = append(parents, object{"group": policyGroup, "kind": "Server", "name": s})
		}
		for chunk := range slices.Chunk(matches, maxRouteMatches) {
			var rules []any
			for some := range slices.Chunk(chunk, maxRuleMatches) {
				rules = append(rules, object{"matches": some})
			}
			keys := []string{key}
			if n := len(out); n > 0 {
				keys = append(keys, strconv.Itoa(n))
			}
			a := manifest.New(httpRoutes, "HTTPRoute", g.workload.Namespace, g.name(what, keys...), object{"parentRefs": parents, "rules": rules}, refs)
			a.Rank = rankServerRoute
			out = append(out, a)
		}
	}
	return out
}

// rest makes the route of all other requests, at which nobody is named but those
// at the Server: they are denied with status 403 rather than not found, and who
// is granted everything gets through.
func (g granting) rest(cells []cell) ([]translators.Artifact, report.Report) {
	all := cell{request: request{path: ir.StringMatch{Kind: ir.MatchAny}, ref: g.workload.Ref}}
	for _, c := range cells {
		if lifted(cells) && alike(all, c) {
			all.minus = append(all.minus, c.path)
		}
	}
	match, why, ok := g.match(all, lifted(cells))
	if !ok {
		return nil, report.Report{refused(g.workload.Ref,
			"requests that no grant speaks of are not found, for everybody: "+why)}
	}
	return g.serverRoutes("rest", "", []any{match}, []report.Ref{g.workload.Ref}), nil
}
