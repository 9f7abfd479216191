package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// KeepGood says whether what was good stays in force where what replaces it is not:
// where a target refuses part of a unit and that is not waived, or makes more of a
// loss of it than the bound's gate lets pass. It is for who follows a cluster, and is
// said before anything is given. Then
//
//   - a Service, Gateway or VirtualHost keeps its last good; without one nothing is
//     made of it;
//   - a Workload gets what is granted now, can be said within the gate, and was granted
//     by its last good: a grant that is taken away is gone at once, a new one waits.
//     Without a last good it gets what can be said within the gate. The deny around
//     the grants stays, or comes;
//   - where the deny cannot be said of what the workload is now, it stays that of its
//     last good. Where no pod of its account is there, nobody is open, so the rest of
//     the output goes on without it. Else all of it is withheld.
//
// What no field asks for (report.Implicit) is no matter of the gate: it holds for the
// mesh, whatever is asked.
func (e *Engine) KeepGood(keep bool) { e.keep = keep }

// hold makes of a piece what may be put in force.
func (t *target) hold(before, now piece, u ir.Unit) piece {
	why := t.held(now.Piece)
	if len(why) == 0 {
		good := now.Unit
		now.good = &good
		return now
	}
	switch {
	case u.Workload != nil:
		return t.narrow(before, now, u, why)
	case u.Service != nil, u.Gateway != nil, u.VirtualHost != nil:
		return t.last(before, now, why)
	}
	return now
}

// held lists the findings for which a piece is not put in force as it is.
func (t *target) held(p translators.Piece) (why report.Report) {
	for _, f := range p.Findings {
		if f.Waived == "" && (f.Severity == report.Error || f.Code == report.Refused || t.beyond(f)) {
			why = append(why, f)
		}
	}
	return why
}

// gate is the worst class that the target puts in force.
func (t *target) gate() report.Class { return cmp.Or(t.Gate, report.Dropped) }

// beyond reports whether a loss is worse than the gate lets pass.
func (t *target) beyond(f report.Finding) bool {
	return f.Code != report.Implicit && f.Waived == "" && f.Class.Worse(t.gate())
}

// last puts the last good in the place of a piece of routes.
func (t *target) last(before, now piece, why report.Report) piece {
	out := piece{edition: t.edition, good: before.good, kept: true}
	switch {
	case out.good == nil:
	case before.edition == t.edition:
		out.Piece = before.Piece
	default: // made for another version, or within another gate
		out.Piece = translators.Retranslate(translators.Piece{}, *out.good, t.backend, t.Target, t.Waivers)
		if len(t.held(out.Piece)) > 0 {
			out.Piece = translators.Piece{}
		}
	}
	say := "what was in force before stays"
	if out.Unit == (ir.Unit{}) {
		out.Claims, say = now.Claims, "there is nothing before it that could stay in force, so nothing is made of it"
	}
	out.Withheld = now.Withheld
	out.Findings = slices.Concat(now.Findings, t.gated(why), t.saying(why, say))
	return out
}

// saying is the finding about what is in force in place of what was asked for, at the
// first place for which it is so.
func (t *target) saying(why report.Report, what string) report.Report {
	f := report.New(report.Kept, why[0].Source, what)
	f.Backend = t.Backend
	for _, w := range why[1:] {
		if !w.Source.IsZero() && w.Source != f.Source && !slices.Contains(f.Related, w.Source) {
			f = f.With(w.Source)
		}
	}
	return report.Report{f}
}

// gated says which losses the gate does not let pass, beside what says so itself.
func (t *target) gated(why report.Report) (found report.Report) {
	for _, w := range why {
		if w.Severity == report.Error || w.Code == report.Refused {
			continue
		}
		f := report.New(report.BeyondGate, w.Source, fmt.Sprintf("%s (%s; the gate is %s)", w.Message, w.Class, t.gate())).WithClass(w.Class)
		f.Backend = t.Backend
		found = append(found, f)
	}
	return found
}
