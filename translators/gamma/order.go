package gamma

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// arm is one match of one route, for one method or all.
type arm struct {
	route int // index in the model's order
	match ir.Match
	path  path
}

// maxArms bounds what one port is taken apart into.
const maxArms = 1024

// ordering brings the arms of a port into a form in which the precedence of
// Gateway API takes the same route as the model's order does.
type ordering struct {
	// wins reports whether an arm certainly goes before one of a later route.
	wins   func(a, b arm) bool // INPUT
	routes []ir.Route
	out    []arm    // OUTPUT: by route
	unsure [][2]arm // pairs whose order is the implementation's
}

// order looks at each arm and each of an earlier route. Where both can hold and
// the later one could win, what they have in common is added to the earlier
// route: it has all conditions of both, so it wins over the later one. A later
// arm that holds only where the earlier one does is left out.
func (o *ordering) order(arms []arm) {
	todo := slices.Clone(arms)
	for i := 0; i < len(todo); i++ {
		later := todo[i]
		dead := false
		var added []arm
		for _, earlier := range arms {
			if earlier.route >= later.route || disjoint(earlier.match, later.match) || o.wins(earlier, later) {
				continue
			}
			both, ok := o.common(earlier, later)
			switch {
			case ok && same(both.match, later.match):
				dead = true
			case !ok || same(both.match, earlier.match) || len(todo)+len(added) >= maxArms:
				o.unsure = append(o.unsure, [2]arm{earlier, later})
			case !o.wins(both, later):
				o.unsure = append(o.unsure, [2]arm{earlier, later})
			default:
				added = append(added, both)
			}
		}
		if dead {
			todo[i].route = -1
			continue
		}
		for _, a := range added {
			if !slices.ContainsFunc(todo, func(t arm) bool { return t.route == a.route && same(t.match, a.match) }) {
				todo = append(todo, a)
			}
		}
	}
	o.out = slices.DeleteFunc(todo, func(a arm) bool { return a.route < 0 })
	slices.SortStableFunc(o.out, func(a, b arm) int { return cmp.Compare(a.route, b.route) })
}

// common returns what two arms have in common, for the route of the first. It
// reports false where no match says that.
func (o *ordering) common(e, l arm) (arm, bool) {
	m := e.match
	var ok bool
	if m.Path, ok = commonPath(e.match.Path, l.match.Path); !ok {
		return arm{}, false
	}
	if editsPrefix(o.routes[e.route]) && m.Path != e.match.Path { // what is replaced is the match's own path
		return arm{}, false
	}
	if m.AnyMethod() {
		m.Methods = l.match.Methods
	}
	if m.Headers, ok = commonHeaders(e.match.Headers, l.match.Headers); !ok {
		return arm{}, false
	}
	if m.Query, ok = commonQuery(e.match.Query, l.match.Query); !ok {
		return arm{}, false
	}
	p := e.path
	if m.Path != e.match.Path {
		p = l.path
	}
	return arm{e.route, m, p}, true
}

func commonPath(a, b ir.StringMatch) (ir.StringMatch, bool) {
	switch {
	case within(a, b):
		return a, true
	case within(b, a):
		return b, true
	}
	return ir.StringMatch{}, false
}

// within reports whether every path that fulfils a fulfils b, as far as that is
// certain.
func within(a, b ir.StringMatch) bool {
	switch {
	case a == b, everything(b):
		return true
	case a.Kind == ir.MatchExact:
		return b.Matches(a.Value)
	case b.Kind == ir.MatchPrefix:
		return (a.Kind == ir.MatchPrefix || a.Kind == ir.MatchSegments) && strings.HasPrefix(a.Value, b.Value)
	case b.Kind == ir.MatchSegments && a.Kind == ir.MatchPrefix:
		return strings.HasPrefix(a.Value, b.Value+"/")
	case b.Kind == ir.MatchSegments && a.Kind == ir.MatchSegments:
		return b.Matches(a.Value)
	case b.Kind == ir.MatchSuffix:
		return a.Kind == ir.MatchSuffix && strings.HasSuffix(a.Value, b.Value)
	}
	return false
}

func commonHeaders(a, b []ir.HeaderMatch) ([]ir.HeaderMatch, bool) {
	out := slices.Clone(a)
	for _, h := range b {
		i := slices.IndexFunc(out, func(o ir.HeaderMatch) bool { return o.Name == h.Name })
		switch {
		case i < 0:
			out = append(out, h)
		case !narrower(&out[i].Value, h.Value):
			return nil, false
		}
	}
	return out, true
}

func commonQuery(a, b []ir.QueryMatch) ([]ir.QueryMatch, bool) {
	out := slices.Clone(a)
	for _, q := range b {
		i := slices.IndexFunc(out, func(o ir.QueryMatch) bool { return o.Name == q.Name })
		switch {
		case i < 0:
			out = append(out, q)
		case !narrower(&out[i].Value, q.Value):
			return nil, false
		}
	}
	return out, true
}

// narrower narrows a comparison to what fulfils another one too. It reports
// false where that is no comparison.
func narrower(a *ir.StringMatch, b ir.StringMatch) bool {
	switch {
	case *a == b, b.Kind == ir.MatchAny, a.Kind == ir.MatchExact && b.Matches(a.Value):
		return true
	case a.Kind == ir.MatchAny, b.Kind == ir.MatchExact && a.Matches(b.Value):
		*a = b
		return true
	}
	return false
}

// same reports whether two matches ask for the same.
func same(a, b ir.Match) bool {
	return (a.Path == b.Path || everything(a.Path) && everything(b.Path)) && a.AnyMethod() == b.AnyMethod() &&
		(a.AnyMethod() || slices.Equal(a.Methods, b.Methods)) &&
		len(a.Headers) == len(b.Headers) && len(a.Query) == len(b.Query) &&
		!slices.ContainsFunc(a.Headers, func(h ir.HeaderMatch) bool {
			return !slices.ContainsFunc(b.Headers, func(o ir.HeaderMatch) bool { return o.Name == h.Name && o.Value == h.Value })
		}) &&
		!slices.ContainsFunc(a.Query, func(q ir.QueryMatch) bool {
			return !slices.ContainsFunc(b.Query, func(o ir.QueryMatch) bool { return o.Name == q.Name && o.Value == q.Value })
		})
}

// disjoint reports whether it is certain that no request fulfils both. A header
// that is sent twice could fulfil two values; what meshes make of one differs.
func disjoint(a, b ir.Match) bool {
	if !a.AnyMethod() && !b.AnyMethod() && a.Methods[0] != b.Methods[0] {
		return true
	}
	return apart(a.Path, b.Path) ||
		slices.ContainsFunc(a.Headers, func(h ir.HeaderMatch) bool {
			return slices.ContainsFunc(b.Headers, func(o ir.HeaderMatch) bool { return o.Name == h.Name && apart(h.Value, o.Value) })
		}) ||
		slices.ContainsFunc(a.Query, func(q ir.QueryMatch) bool {
			return slices.ContainsFunc(b.Query, func(o ir.QueryMatch) bool { return o.Name == q.Name && apart(q.Value, o.Value) })
		})
}

// apart reports whether it is certain that no string fulfils both.
func apart(a, b ir.StringMatch) bool {
	switch {
	case a.Kind == ir.MatchExact:
		return !b.Matches(a.Value)
	case b.Kind == ir.MatchExact:
		return !a.Matches(b.Value)
	case !beginning(a) || !beginning(b):
		return false
	}
	x, y := start(a), start(b)
	return !strings.HasPrefix(x, y) && !strings.HasPrefix(y, x) && !within(a, b) && !within(b, a)
}

func beginning(m ir.StringMatch) bool { return m.Kind == ir.MatchPrefix || m.Kind == ir.MatchSegments }

// start returns what a longer string that fulfils m starts with.
func start(m ir.StringMatch) string {
	if m.Kind == ir.MatchSegments {
		return m.Value + "/"
	}
	return m.Value
}

// httpWins reports whether an arm goes before one of a later route wherever both
// hold. HTTPRoute asks for the exact path first, then the longest prefix, a
// method, more headers, more query parameters. Linkerd compares the length of
// what a path matched, whatever its kind, and asks for the method last; what wins
// has to win either way. Where expressions rank is up to the mesh, so of those
// only the same two can be compared, or one with that for every path, which is
// the shortest.
func httpWins(a, b arm) bool {
	spec, linkerd := cmp.Or(byMethod(a, b), byConditions(a, b)), cmp.Or(byConditions(a, b), byMethod(a, b))
	switch {
	case a.path == b.path:
		return spec <= 0 && linkerd <= 0
	case a.path.kind == typeRegex:
		return b.path == path{typeRegex, everyPath} && linkerd <= 0
	case b.path.kind == typeRegex, a.path.kind == typePrefix && b.path.kind == typeExact, len(a.path.value) < len(b.path.value):
		return false
	}
	return len(a.path.value) > len(b.path.value) || linkerd <= 0
}

// httpTies reports whether it may be left to the age of their objects which of
// two arms goes first.
func httpTies(a, b arm) bool {
	regex := a.path.kind == typeRegex && b.path.kind == typeRegex
	return (a.path == b.path || regex || len(a.path.value) == len(b.path.value)) && byMethod(a, b) == 0 && byConditions(a, b) == 0
}

func byMethod(a, b arm) int {
	switch {
	case a.match.AnyMethod() == b.match.AnyMethod():
		return 0
	case a.match.AnyMethod():
		return 1
	}
	return -1
}

func byConditions(a, b arm) int {
	return cmp.Or(cmp.Compare(len(b.match.Headers), len(a.match.Headers)), cmp.Compare(len(b.match.Query), len(a.match.Query)))
}
