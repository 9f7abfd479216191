package xds

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshknot/meshknot/translators/ir"
)

// Made is the entries that were made of the routes of a port. It is not changed, and
// the zero Made is of no routes.
type Made struct {
	Routes  []ir.Route
	Entries []*routev3.Route
	// ends says for each route where its entries end.
	ends []int
}

// spot is where a route is looked for: a rule may be there several times, each
// time with other matches.
type spot struct{ name, match string }

func spotOf(r *ir.Route) spot {
	if len(r.Matches) == 0 {
		return spot{name: r.Name}
	}
	return spot{r.Name, r.Matches[0].Ref.Field}
}

// Again makes what Routes makes, where m was made for the same port and completed in
// the same way: the entries of a route that says what one of m said are taken over.
func (m Made) Again(routes []ir.Route, called int32, complete Complete) Made {
	next := Made{Routes: routes, Entries: make([]*routev3.Route, 0, len(m.Entries)+2), ends: make([]int, 0, len(routes))}
	var places map[spot]int // made where the order is another one
	at := 0                 // where the next one stood, if nothing but it changed
	for i := range routes {
		r := &routes[i]
		if at >= len(m.Routes) || spotOf(&m.Routes[at]) != spotOf(r) {
			if places == nil {
				places = m.places()
			}
			if found, ok := places[spotOf(r)]; ok {
				at = found
			}
		}
		if at < len(m.Routes) && m.Routes[at].Same(*r) {
			next.Entries = append(next.Entries, m.entries(at)...)
		} else {
			next.Entries = appendRoute(next.Entries, *r, called, complete)
		}
		next.ends = append(next.ends, len(next.Entries))
		at++
	}
	return next
}

// entries returns those of a route.
func (m Made) entries(route int) []*routev3.Route {
	start := 0
	if route > 0 {
		start = m.ends[route-1]
	}
	return m.Entries[start:m.ends[route]]
}

func (m Made) places() map[spot]int {
	out := make(map[spot]int, len(m.Routes))
	for i := range m.Routes {
		out[spotOf(&m.Routes[i])] = i
	}
	return out
}
