package gamma

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/interpret/routes"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Ranking names a way in which matches are ranked. Gateway API says little of
// expressions and known meshes differ, so routes that mean the same with all of
// them are what is wanted.
type Ranking string

// The rankings.
const (
	// Specification is Gateway API's, with expressions last: Istio's too.
	Specification Ranking = "specification"
	// ExpressionsFirst: expressions stand between exact paths and prefixes.
	ExpressionsFirst Ranking = "expressions-first"
	// Length: what counts is how much of the path matched, and the method last;
	// of an expression that is the whole path.
	Length Ranking = "length"
)

// rankings are the places of a path's match; the greater goes first.
var rankings = map[Ranking]func(c routes.Condition, path string) (class, length int){
	Specification: func(c routes.Condition, _ string) (int, int) {
		return place(c, routes.Expression, routes.PathPrefix, routes.Exact), len(c.Value)
	},
	ExpressionsFirst: func(c routes.Condition, _ string) (int, int) {
		return place(c, routes.PathPrefix, routes.Expression, routes.Exact), len(c.Value)
	},
	Length: func(c routes.Condition, path string) (int, int) {
		if c.Type == routes.PathPrefix {
			return 0, len(c.Value)
		}
		return 0, len(path)
	},
}

func place(c routes.Condition, order ...string) int { return slices.Index(order, c.Type) }

// hit is a match that holds.
type hit struct {
	route *routes.Route
	rule  *routes.Rule
	key   [5]int
	// prefix is what the path begins with, for rules that replace that.
	prefix string
}

// find returns the first of the matches that hold.
func (m *mesh) find(all []*routes.Route, q semantics.Request) (best hit, found bool) {
	for _, r := range all {
		for i := range r.Rules {
			for _, one := range r.Rules[i].Matches {
				key, ok := m.holds(r.Kind, one, q)
				if ok && (!found || slices.Compare(key[:], best.key[:]) > 0) {
					best, found = hit{r, &r.Rules[i], key, one.Path.Value}, true
				}
			}
		}
	}
	return best, found
}

// holds reports whether a request fulfils a match, and ranks that.
func (m *mesh) holds(kind string, one routes.Match, q semantics.Request) ([5]int, bool) {
	path, query := routes.Target(q.Path)
	switch {
	case one.Method != "" && one.Method != q.Method, !routes.HeadersHold(one.Headers, q.Headers), !parametersHold(one.Query, query):
		return [5]int{}, false
	case kind == routes.GRPCRoute:
		return callKey(one, path)
	}
	return m.key(one, path), pathHolds(one.Path, path)
}

// key ranks a match of an HTTPRoute.
func (m *mesh) key(one routes.Match, path string) [5]int {
	class, length := rankings[m.rank](one.Path, path)
	method := 0
	if one.Method != "" {
		method = 1
	}
	if m.rank == Length {
		return [5]int{class, length, len(one.Headers), len(one.Query), method}
	}
	return [5]int{class, length, method, len(one.Headers), len(one.Query)}
}

// callKey ranks a match of a GRPCRoute: the longest service, the longest method,
// the most headers. A match that names neither takes every request.
func callKey(one routes.Match, path string) ([5]int, bool) {
	service, call, isCall := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	out := [5]int{0, 0, len(one.Headers)}
	if one.Service != nil {
		out[0] = len(one.Service.Value)
	}
	if one.Call != nil {
		out[1] = len(one.Call.Value)
	}
	return out, one.Service == nil && one.Call == nil ||
		isCall && (one.Service == nil || one.Service.Holds(service)) && (one.Call == nil || one.Call.Holds(call))
}

func pathHolds(c routes.Condition, path string) bool {
	if c.Type == routes.PathPrefix {
		return routes.UnderPath(c.Value, path)
	}
	return c.Holds(path)
}

// parametersHold: the first occurrence of a parameter counts, as it is written.
func parametersHold(conditions []routes.Condition, query string) bool {
	return !slices.ContainsFunc(conditions, func(c routes.Condition) bool {
		for _, pair := range strings.Split(query, "&") {
			if name, value, _ := strings.Cut(pair, "="); name == c.Name && pair != "" {
				return !c.Holds(value)
			}
		}
		return true
	})
}
