// Package passes finishes units after all front ends have lowered theirs. Its
// order is one slice; each pass says why it stands where it does.
package passes

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
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
// own, and routes that have no other. The last route stays as it is. What is
// given is not changed, for units share what they are lowered from.
func unrepeated(routes []ir.Route, where string, found report.Report) ([]ir.Route, report.Report) {
	if len(routes) == 0 {
		return nil, found
	}
	if allDiffer(routes) {
		return slices.Clone(routes), found
	}
	taken := make(map[string]int, len(routes)) // by what a match asks for, the first route that has it
	out := make([]ir.Route, 0, len(routes))
	var text []byte
	for i, r := range routes {
		r.Matches = distinct(r.Matches)
		had := len(r.Matches)
		for j := 0; j < len(r.Matches); j++ {
			m := r.Matches[j]
			text = meaning(text[:0], m)
			first, repeats := taken[string(text)]
			if !repeats {
				taken[string(text)] = i
			}
			if !repeats || first == i || i == len(routes)-1 || m.IsAll() {
				continue
			}
			earlier := routes[first]
			found = append(found, report.New(report.NoEffect, m.Ref,
				fmt.Sprintf("%s nothing is left for it: %s takes the same requests", where, earlier.Name)).With(earlier.Ref))
			r.Matches = slices.Concat(r.Matches[:j], r.Matches[j+1:])
			j--
		}
		if len(r.Matches) > 0 || had == 0 {
			out = append(out, r)
		}
	}
	return out, found
}

// allDiffer reports, without writing it down, that no two matches of routes ask for the
// same: there may be thousands, of which mostly none is there twice. It may report false
// where they differ.
func allDiffer(routes []ir.Route) bool {
	n := 0
	for i := range routes {
		if len(routes[i].Matches) == 0 {
			return false
		}
		n += len(routes[i].Matches)
	}
	taken, seed := make(map[uint64]struct{}, n), maphash.MakeSeed()
	for i := range routes {
		for j := range routes[i].Matches {
			taken[sum(seed, &routes[i].Matches[j])] = struct{}{}
		}
	}
	return len(taken) == n
}

// sum stands for what a match asks for: equal matches have equal sums.
func sum(seed maphash.Seed, m *ir.Match) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	comparison := func(m ir.StringMatch) { word(&h, string(m.Kind)); word(&h, m.Value) }
	comparison(m.Path)
	for _, one := range m.Methods {
		word(&h, one)
	}
	h.WriteByte(apart)
	for i := range m.Headers {
		word(&h, m.Headers[i].Name)
		comparison(m.Headers[i].Value)
	}
	h.WriteByte(apart)
	for i := range m.Query {
		word(&h, m.Query[i].Name)
		comparison(m.Query[i].Value)
	}
	return h.Sum64()
}

// ended and apart are between words and between lists of them. No text has them.
const ended, apart = 0xff, 0xfe

func word(h *maphash.Hash, s string) {
	h.WriteString(s)
	h.WriteByte(ended)
}

// distinct leaves out matches that say what one before them says.
func distinct(matches []ir.Match) []ir.Match {
	switch len(matches) {
	case 0:
		return nil
	case 1:
		return matches
	}
	seen := make(map[string]bool, len(matches))
	out := make([]ir.Match, 0, len(matches))
	var text []byte
	for _, m := range matches {
		if text = meaning(text[:0], m); !seen[string(text)] {
			seen[string(text)] = true
			out = append(out, m)
		}
	}
	if len(out) == len(matches) {
		return matches
	}
	return out
}

// meaning appends what a match asks for, without its name and places. Every part
// stands behind its length, so that two that ask for different things differ.
func meaning(text []byte, m ir.Match) []byte {
	text = comparison(text, m.Path)
	text = strconv.AppendInt(text, int64(len(m.Methods)), 10)
	for _, one := range m.Methods {
		text = part(text, one)
	}
	text = strconv.AppendInt(text, int64(len(m.Headers)), 10)
	for _, h := range m.Headers {
		text = comparison(part(text, h.Name), h.Value)
	}
	for _, q := range m.Query {
		text = comparison(part(text, q.Name), q.Value)
	}
	return text
}

func comparison(text []byte, m ir.StringMatch) []byte {
	return part(part(text, string(m.Kind)), m.Value)
}

func part(text []byte, s string) []byte {
	text = strconv.AppendInt(append(text, ' '), int64(len(s)), 10)
	return append(append(text, ' '), s...)
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

// orderRoutes orders what is a set within routes. Their lists may be shared with
// other units: one that is not in order is copied first.
func orderRoutes(routes []ir.Route) {
	for i := range routes {
		r := &routes[i]
		r.Backends = sorted(r.Backends, func(a, b ir.Backend) int {
			return cmp.Or(a.Service.Compare(b.Service), cmp.Compare(a.Port, b.Port))
		})
		r.Matches = orderMatches(r.Matches)
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
		g.Matches = orderMatches(g.Matches)
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

func orderMatches(matches []ir.Match) []ir.Match {
	for i, m := range matches {
		if inOrder(m) {
			continue
		}
		matches = slices.Clone(matches)
		for j := range matches[i:] {
			m := &matches[i+j]
			m.Methods = sorted(m.Methods, strings.Compare)
			m.Query = sorted(m.Query, byName)
			m.Headers = sorted(m.Headers, byNameAndValue)
		}
		break
	}
	return matches
}

func inOrder(m ir.Match) bool {
	return slices.IsSorted(m.Methods) && slices.IsSortedFunc(m.Query, byName) && slices.IsSortedFunc(m.Headers, byNameAndValue)
}

func byName(a, b ir.QueryMatch) int { return strings.Compare(a.Name, b.Name) }

func byNameAndValue(a, b ir.HeaderMatch) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return strings.Compare(a.Value.String(), b.Value.String())
}

// sorted returns a list in order: itself where it is, else a copy.
func sorted[T any](list []T, compare func(a, b T) int) []T {
	if slices.IsSortedFunc(list, compare) {
		return list
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, compare)
	return list
}
