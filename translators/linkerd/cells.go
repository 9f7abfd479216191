package linkerd

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// A route is chosen before anybody asks who is calling, and only those whom that
// route lets through may pass. Where several grants speak of one request their
// callers have to stand at the one route that is chosen. So the requests that
// are granted are cut into cells, each with all who are granted it: where two
// overlap what fulfils both is a cell of its own, more specific than either.

// cell is requests and the parties who may make them.
type cell struct {
	request
	parties []int // sorted
	// minus are paths that belong to cells which Linkerd would rank as equals.
	minus []ir.StringMatch
}

// maxCells bounds how many cells are added where grants overlap.
const maxCells = 256

// cells cuts what the parties are granted.
func (g granting) cells() ([]cell, report.Report) {
	var out []cell
	for _, p := range g.parties {
		for _, q := range p.requests {
			if p.whole {
				break // they stand at the Server already
			}
			if !slices.ContainsFunc(out, q.sameAs) {
				out = append(out, g.cell(q))
			}
		}
	}
	var found report.Report
	most := len(out) + maxCells
	for i := 0; i < len(out); i++ {
		for j := 0; j < i; j++ {
			if len(out) > most {
				return out, append(found, refused(g.workload.Ref, "too many grants overlap on a port: callers may be denied what overlaps"))
			}
			both, how := g.sets.meetRequests(out[i].request, out[j].request)
			switch {
			case how == apart || g.equals(out[i], out[j]):
			case how == unknown:
				found = append(found, refused(out[i].ref, undecided).With(out[j].ref))
			case !slices.ContainsFunc(out, both.sameAs):
				out = append(out, g.cell(both))
			}
		}
	}
	return out, append(found, g.untie(out)...)
}

const undecided = "requests that are granted to different callers overlap, and Linkerd grants them to those at the older route only"

func (q request) sameAs(c cell) bool { return q.same(c.request) }

// cell finds everybody who is granted requests.
func (g granting) cell(q request) cell {
	c := cell{request: q}
	for i, p := range g.parties {
		if !p.whole && slices.ContainsFunc(p.requests, func(o request) bool { return g.sets.covers(o, q) }) {
			c.parties = append(c.parties, i)
		}
	}
	return c
}

// callers of a cell; everyone, where that is so.
func (g granting) callers(c cell) []string {
	var out []string
	for _, i := range c.parties {
		if g.parties[i].everyone {
			return []string{"*"}
		}
		out = append(out, g.parties[i].identities...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// equals reports whether the same callers may make the requests of both cells, so
// that it does not matter which is chosen.
func (g granting) equals(a, b cell) bool { return slices.Equal(g.callers(a), g.callers(b)) }

// untie takes what belongs to a narrower cell out of a wider one that Linkerd would
// take for as specific, for between equals the age of their routes decides.
func (g granting) untie(cells []cell) report.Report {
	var found report.Report
	for i := range cells {
		wide := &cells[i]
		var within []cell
		for _, narrow := range cells {
			if !wide.same(narrow.request) && !g.equals(*wide, narrow) && g.sets.covers(wide.request, narrow.request) {
				within = append(within, narrow)
			}
		}
		found = append(found, wide.leave(within, lifted(cells))...)
	}
	return found
}

// lifted reports whether any path has to be written as an expression. Otherwise it
// counts as one character, which is less than all other paths count for but where
// "/" is asked for.
func lifted(cells []cell) bool {
	return slices.ContainsFunc(cells, func(c cell) bool { return c.path.Kind != ir.MatchAny && c.path.Matches("/") })
}

// leave gives up the paths of the cells within c that it would tie with.
func (c *cell) leave(within []cell, lifted bool) report.Report {
	var found report.Report
	for _, n := range within {
		switch {
		case c.path.Kind == ir.MatchAny && n.path.Kind != ir.MatchAny && !lifted, !c.equallyMany(n.request):
		case alike(*c, n):
			c.minus = append(c.minus, n.path)
		default:
			found = append(found, refused(n.ref, undecided).With(c.ref))
		}
	}
	return found
}

// equallyMany reports whether two requests have as many conditions beside the path.
func (q request) equallyMany(o request) bool {
	return (q.method == "") == (o.method == "") && len(q.headers) == len(o.headers) && len(q.query) == len(o.query)
}

// alike reports whether two cells differ in their paths alone.
func alike(a, b cell) bool {
	x, y := a.request, b.request
	x.path, y.path = ir.StringMatch{}, ir.StringMatch{}
	return x.same(y)
}

// pathOf writes the path of a cell. It reports false for one that no path in its
// normal form fulfils, or that cannot be written, with the reason then.
func (g granting) pathOf(c cell, lifted bool) (path object, why string, ok bool) {
	if c.path.Kind == ir.MatchAny && !lifted {
		return object{"type": "PathPrefix", "value": "/"}, "", true
	}
	m, written := g.sets.guarded(c.path)
	if !written {
		dead := c.path.Kind == ir.MatchExact
		return nil, map[bool]string{false: "the expression that is needed cannot be written for Linkerd"}[dead], false
	}
	if len(c.minus) == 0 {
		path, why = pathObject(m)
		return path, why, why == ""
	}
	l := g.sets.of(m)
	rest, fine := l.language, l.ok
	for _, x := range c.minus {
		if x, written = g.sets.guarded(x); !written {
			continue // it is no cell then
		}
		taken := g.sets.of(x)
		if fine = fine && taken.ok; fine {
			rest, fine = rest.but(taken.language)
		}
	}
	if !fine {
		return nil, "the expression that is needed cannot be written for Linkerd", false
	}
	if rest.empty() {
		return nil, "", false
	}
	text, fine := rest.anchored()
	if !fine {
		return nil, "the expression that is needed cannot be written for Linkerd", false
	}
	path, why = regexObject(text, maxPathValue)
	return path, why, why == ""
}

// match writes a cell.
func (g granting) match(c cell, lifted bool) (match object, why string, ok bool) {
	match, why = conditionsOf(c.request)
	if why != "" {
		return nil, why, false
	}
	match["path"], why, ok = g.pathOf(c, lifted)
	return match, why, ok
}

// bearers names the grants of a cell. A probe's is everybody's.
func (g granting) bearers(c cell) []int {
	for _, i := range c.parties {
		if g.parties[i].everyone {
			return []int{i}
		}
	}
	return c.parties
}

func (g granting) label(parties []int) string {
	var names []string
	for _, i := range parties {
		if g.parties[i].everyone {
			return "probes"
		}
		names = append(names, g.parties[i].grant.Name)
	}
	return strings.Join(slices.Compact(names), "-")
}
