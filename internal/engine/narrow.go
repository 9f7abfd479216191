package engine

import (
	"reflect"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// strictly is a back end whose table refuses every part of a grant of which more
// would be lost than a gate lets pass.
type strictly struct {
	translators.Backend
	gate report.Class
}

// Supports implements translators.Backend.
func (s strictly) Supports(t translators.Target) feature.Table {
	table := slices.Clone(s.Backend.Supports(t))
	for i, row := range table {
		if spec := feature.SpecOf(row.Feature); spec.Security && !spec.Implicit() && row.Class.Worse(s.gate) {
			table[i].Class = report.Dropped
		}
	}
	return table
}

// narrow makes the piece of a workload that is not put in force as it is.
func (t *target) narrow(before, now piece, u ir.Unit, why report.Report) piece {
	said := now.Piece
	if slices.ContainsFunc(why, t.beyond) {
		said = translators.Retranslate(translators.Piece{}, t.told(u), strictly{t.backend, t.gate()}, t.Target, t.Waivers)
	}
	w := *said.Unit.Workload
	say := "of what is granted, what can be said is in force"
	if before.good != nil {
		w = common(w, *before.good.Workload, said.Withheld)
		say = "of what is granted, what can be said and was granted before is in force"
	}
	out := now
	out.good, out.kept = before.good, true
	if out.Piece = t.again(w); slices.ContainsFunc(out.Findings, t.beyond) {
		w.Grants = nil // a loss that is no grant's own
		out.Piece = t.again(w)
	}
	if out.Withheld && len(w.Pods) == 0 {
		out.Withheld, out.Artifacts = false, nil
		say = "no pod runs as the account, so there is nobody to close"
	}
	out.Findings = slices.Concat(spared(now.Findings, now.Withheld && !out.Withheld), t.gated(why), t.saying(why, say))
	return out
}

func (t *target) again(w ir.Workload) translators.Piece {
	return translators.Retranslate(translators.Piece{}, ir.Unit{Workload: &w}, t.backend, t.Target, t.Waivers)
}

// spared are the findings about a workload that would withhold the output, where
// something else is in force in its place.
func spared(found report.Report, spared bool) report.Report {
	if !spared {
		return found
	}
	found = slices.Clone(found)
	for i, f := range found {
		if f.Waived == "" && (f.Code == report.Withheld || f.Code == report.Refused) {
			found[i].Code, found[i].Severity = report.Refused, report.Error
		}
	}
	return found
}

// common is a workload as it is, with what it grants and the last good granted too.
// Where the deny around that cannot be said, the workload is what it was then.
func common(now, good ir.Workload, withheld bool) ir.Workload {
	var grants []ir.Grant
	for _, g := range now.Grants {
		if g, ok := granted(g, good.Grants); ok {
			grants = append(grants, g)
		}
	}
	enforced, probes := now.Enforced || good.Enforced, now.Probes
	if withheld {
		probes = slices.DeleteFunc(slices.Clone(good.Probes), func(p ir.Probe) bool { return !slices.ContainsFunc(probes, sameProbe(p)) })
		now = good
	}
	now.Enforced, now.Grants, now.Probes = enforced, grants, probes
	return now
}

// sameProbe compares without the place.
func sameProbe(p ir.Probe) func(ir.Probe) bool {
	return func(o ir.Probe) bool { o.Ref = p.Ref; return o == p }
}

// granted is what a grant allows that some earlier one allowed too: one that allowed
// all of it, else the one of the same name, else the first that allowed any of it.
func granted(g ir.Grant, before []ir.Grant) (best ir.Grant, ok bool) {
	rank := 0
	for _, b := range before {
		c := g
		c.Sources = kept(g.Sources, b.Sources, func(x, y ir.Source) bool { return x.Identity == y.Identity })
		c.Ports = kept(g.Ports, b.Ports, func(x, y ir.GrantPort) bool { return x.Number == y.Number && slices.Equal(x.Also, y.Also) })
		c.Matches = kept(g.Matches, b.Matches, sameMatch)
		r := 0
		switch {
		case len(c.Sources) == 0 || len(c.Ports) == 0 || len(c.Matches) == 0:
			continue
		case len(c.Sources) == len(g.Sources) && len(c.Ports) == len(g.Ports) && len(c.Matches) == len(g.Matches):
			r = 3
		case b.Name == g.Name:
			r = 2
		default:
			r = 1
		}
		if r > rank {
			rank, best = r, c
		}
	}
	return best, rank > 0
}

// kept are the elements of a list that another has too.
func kept[T any](now, before []T, same func(a, b T) bool) (out []T) {
	for _, n := range now {
		if slices.ContainsFunc(before, func(b T) bool { return same(n, b) }) {
			out = append(out, n)
		}
	}
	return out
}

// sameMatch compares without names and places.
func sameMatch(a, b ir.Match) bool { return reflect.DeepEqual(bare(a), bare(b)) }

func bare(m ir.Match) ir.Match {
	m.Name, m.Ref, m.PathRef, m.MethodsRef = "", report.Ref{}, report.Ref{}, report.Ref{}
	m.Headers, m.Query = slices.Clone(m.Headers), slices.Clone(m.Query)
	for i := range m.Headers {
		m.Headers[i].Ref = report.Ref{}
	}
	for i := range m.Query {
		m.Query[i].Ref = report.Ref{}
	}
	return m
}
