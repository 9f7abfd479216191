// Package passes finishes units after all front ends have lowered theirs. Its
// order is one slice; each pass says why it stands where it does.
package passes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// List returns the passes in the order in which they run.
func List() []translators.Pass {
	return []translators.Pass{
		{Name: "default", Why: "first: whatever follows may rely on a protocol and a last route for every port", Run: fill},
		{Name: "prune", Why: "before order: routes and matches stand in the order in which they are tried", Run: prune},
		{Name: "order", Why: "last: equal policies are equal units, in whatever order they were found", Run: order},
	}
}

// defaultRoute is the name of the route to the Service itself.
const defaultRoute = "default"

// fill gives every port a protocol and a last route to the Service itself.
func fill(u *ir.Unit) report.Report {
	if s := u.Service; s != nil {
		self := ir.Name{Namespace: s.Namespace, Name: s.Name}
		for i := range s.Ports {
			p := &s.Ports[i]
			p.Protocol = cmp.Or(p.Protocol, ir.TCP)
			if n := len(p.Routes); n > 0 && (p.Routes[n-1].Status != 0 || isDefault(p.Routes[n-1], self)) {
				continue
			}
			p.Routes = append(p.Routes, ir.Route{
				Name: defaultRoute, Ref: p.Ref, Matches: []ir.Match{ir.MatchAll(p.Ref)},
				Backends: []ir.Backend{{Service: self, Port: p.Number, Weight: 1, Servers: p.Servers, Ref: p.Ref}},
			})
		}
	}
	if w := u.Workload; w != nil {
		for i := range w.Ports {
			w.Ports[i].Protocol = cmp.Or(w.Ports[i].Protocol, ir.TCP)
		}
	}
	return nil
}

// isDefault reports whether a route takes every request to the Service itself. Its
// name does not tell: it may be that of somebody's object.
func isDefault(r ir.Route, self ir.Name) bool {
	return len(r.Backends) == 1 && r.Backends[0].Service == self && slices.ContainsFunc(r.Matches, ir.Match.IsAll)
}

// prune takes out what nothing can reach: routes behind one that takes every
// request, except for the last one, which back ends fall back to where they
// cannot say another; and matches that repeat one before them.
func prune(u *ir.Unit) report.Report {
	var found report.Report
	if s := u.Service; s != nil {
		for i := range s.Ports {
			p := &s.Ports[i]
			on := fmt.Sprintf("on port %d", p.Number)
			p.Routes, found = reachable(p.Routes, on, found)
			for j := range p.Views {
				v := &p.Views[j]
				v.Routes, found = reachable(v.Routes, on+", for callers of namespace "+v.Namespace, found)
			}
		}
	}
	if v := u.VirtualHost; v != nil {
		v.Routes, found = reachable(v.Routes, "for host "+v.Host, found)
	}
	if w := u.Workload; w != nil {
		for i := range w.Grants {
			w.Grants[i].Matches = distinct(w.Grants[i].Matches)
		}
	}
	return found
}

func reachable(routes []ir.Route, where string, found report.Report) ([]ir.Route, report.Report) {
	routes, found = unrepeated(routes, where, found)
	first := slices.IndexFunc(routes, ir.Route.MatchesAll)
	last := len(routes) - 1
	if first < 0 || first >= last-1 {
		return routes, found
	}
	for _, r := range routes[first+1 : last] {
		found = append(found, report.New(report.NoEffect, r.Ref,
			fmt.Sprintf("%s nothing is left for it: %s takes every request", where, routes[first].Name)).With(routes[first].Ref))
	}
	return append(slices.Clone(routes[:first+1]), routes[last]), found
}

// unrepeated takes out matches that repeat one of an earlier route, or of their
// own, and routes that have no other. The last route stays as it is.
func unrepeated(routes []ir.Route, where string, found report.Report) ([]ir.Route, report.Report) {
	taken := map[string]ir.Route{}
	var out []ir.Route
	for i, r := range routes {
		r.Matches = distinct(r.Matches)
		had := len(r.Matches)
		if i < len(routes)-1 {
			r.Matches = slices.DeleteFunc(r.Matches, func(m ir.Match) bool {
				earlier, ok := taken[meaning(m)]
				if ok && !m.IsAll() {
					found = append(found, report.New(report.NoEffect, m.Ref,
						fmt.Sprintf("%s nothing is left for it: %s takes the same requests", where, earlier.Name)).With(earlier.Ref))
				}
				return ok && !m.IsAll()
			})
		}
		for _, m := range r.Matches {
			if _, ok := taken[meaning(m)]; !ok {
				taken[meaning(m)] = r
			}
		}
		if len(r.Matches) > 0 || had == 0 {
			out = append(out, r)
		}
	}
	return out, found
}

// distinct leaves out matches that say what one before them says.
func distinct(matches []ir.Match) []ir.Match {
	var out []ir.Match
	for _, m := range matches {
		if !slices.ContainsFunc(out, func(o ir.Match) bool { return meaning(o) == meaning(m) }) {
			out = append(out, m)
		}
	}
	return out
}

// meaning renders what a match asks for, without its name and places.
func meaning(m ir.Match) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", m.Path, m.Methods)
	for _, h := range m.Headers {
		fmt.Fprintf(&b, " %q %s", h.Name, h.Value)
	}
	for _, q := range m.Query {
		fmt.Fprintf(&b, " ?%q %s", q.Name, q.Value)
	}
	return b.String()
}

// order sorts whatever is a set. Routes are none: the first that matches is taken.
func order(u *ir.Unit) report.Report {
	switch {
	case u.Service != nil:
		orderService(u.Service)
	case u.Workload != nil:
		orderWorkload(u.Workload)
	case u.VirtualHost != nil:
		orderRoutes(u.VirtualHost.Routes)
	case u.Endpoints != nil:
		slices.SortStableFunc(u.Endpoints.Ports, func(a, b ir.EndpointsPort) int { return cmp.Compare(a.Number, b.Number) })
	}
	return nil
}

func orderService(s *ir.Service) {
	slices.SortStableFunc(s.Ports, func(a, b ir.Port) int { return cmp.Compare(a.Number, b.Number) })
	for _, p := range s.Ports {
		orderRoutes(p.Routes)
		slices.SortStableFunc(p.Views, func(a, b ir.View) int { return strings.Compare(a.Namespace, b.Namespace) })
		for _, v := range p.Views {
			orderRoutes(v.Routes)
		}
	}
}

func orderRoutes(routes []ir.Route) {
	for _, r := range routes {
		slices.SortStableFunc(r.Backends, func(a, b ir.Backend) int {
			return cmp.Or(a.Service.Compare(b.Service), cmp.Compare(a.Port, b.Port))
		})
		for _, m := range r.Matches {
			orderMatch(m)
		}
	}
}

func orderWorkload(w *ir.Workload) {
	slices.SortStableFunc(w.Pods, func(a, b ir.PodClass) int { return strings.Compare(labels(a), labels(b)) })
	slices.SortFunc(w.Because, report.Ref.Compare)
	w.Because = slices.Compact(w.Because)
	slices.SortStableFunc(w.Grants, func(a, b ir.Grant) int { return a.Name.Compare(b.Name) })
	for i := range w.Grants {
		g := &w.Grants[i]
		slices.SortStableFunc(g.Sources, func(a, b ir.Source) int { return cmp.Or(a.Identity.Compare(b.Identity), a.Ref.Compare(b.Ref)) })
		g.Sources = slices.CompactFunc(g.Sources, func(a, b ir.Source) bool { return a.Identity == b.Identity })
		slices.SortStableFunc(g.Ports, func(a, b ir.GrantPort) int { return cmp.Compare(a.Number, b.Number) })
		g.Ports = slices.CompactFunc(g.Ports, func(a, b ir.GrantPort) bool { return a.Number == b.Number })
		for _, m := range g.Matches {
			orderMatch(m)
		}
	}
}

// labels renders the labels of a class in order.
func labels(c ir.PodClass) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(c.Labels)) {
		fmt.Fprintf(&b, "%s=%s\n", k, c.Labels[k])
	}
	return b.String()
}

func orderMatch(m ir.Match) {
	slices.Sort(m.Methods)
	slices.SortStableFunc(m.Query, func(a, b ir.QueryMatch) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(m.Headers, func(a, b ir.HeaderMatch) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value.String(), b.Value.String()))
	})
}
