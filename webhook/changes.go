package webhook

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// dangling are the codes of findings that say that something is not there, or not
// there yet. None of them lets anything through.
var dangling = []report.Code{
	report.UnknownRoute, report.UnknownMatch, report.MissingBackend, report.MissingPort, report.NoSuchPort, report.UnknownPods,
	report.UnknownAccount, report.UnknownPorts, report.UnknownParent, report.NoListener, report.NotPermitted, report.NotAttached,
}

// changes says what is to be said of what an edit of an object comes to.
func (h *Handler) changes(at report.Ref, p engine.Preview) report.Report {
	var found report.Report
	for _, c := range p.Units {
		found = append(found, h.front(at, c)...)
		for _, piece := range c.After.Pieces {
			lost := h.losses(at, piece, before(c, piece.Name))
			if w := c.After.Unit.Workload; w != nil && len(w.Pods) == 0 && !h.o.DenyDangling {
				lost = forewarned(lost) // what no pod runs as, nobody can call
			}
			found = append(found, lost...)
		}
		found = append(found, h.opening(at, c)...)
	}
	return found.Sorted()
}

func before(c engine.UnitChange, name string) engine.NamedPiece {
	for _, p := range c.Before.Pieces {
		if p.Name == name {
			return p
		}
	}
	return engine.NamedPiece{}
}

// front says what front ends find: all about the object, and about others what was
// not said before. Who edits an object is not denied for what others say.
func (h *Handler) front(at report.Ref, c engine.UnitChange) report.Report {
	var found report.Report
	for _, f := range ratchet(c.After.Findings, c.Before.Findings) {
		own := f.Source.Object() == at
		switch {
		case f.Code == report.OpenWorkload: // opening says it, where it is new
			continue
		case own && f.Severity == report.Error && !h.o.DenyDangling && slices.Contains(dangling, f.Code):
			f.Severity = report.Warning
		case !own && isNew(f, c.Before.Findings) && f.Severity != report.Info:
			f.Message = fmt.Sprintf("%s %s: %s", f.Source.Kind, name(f.Source), f.Message)
			f.Severity = report.Warning
		case !own:
			continue
		}
		found = append(found, f)
	}
	return found
}

func isNew(f report.Finding, before report.Report) bool {
	return !slices.ContainsFunc(before, func(o report.Finding) bool { return sameFault(f, o) })
}

// losses says what a bound loses of the object: what is refused denies, as what
// would let more through and what is beyond the gate; what is not the same warns.
func (h *Handler) losses(at report.Ref, now, old engine.NamedPiece) report.Report {
	var found report.Report
	for _, f := range now.Findings {
		if f.Source.Object() != at || f.Waived != "" || told(f, now.Findings) {
			continue
		}
		switch {
		case f.Severity == report.Error:
		case f.Class.Worse(report.Relocated) || f.Severity == report.Warning:
			f.Severity = report.Warning
		default:
			continue
		}
		f = ratchet(report.Report{f}, old.Findings)[0]
		f.Backend = now.Name
		found = append(found, f)
	}
	return found
}

// told reports whether another finding says of a loss that it is beyond the gate.
func told(f report.Finding, all report.Report) bool {
	return f.Class != "" && f.Code != report.BeyondGate && slices.ContainsFunc(all, func(o report.Finding) bool {
		return o.Code == report.BeyondGate && o.Source == f.Source && strings.HasPrefix(o.Message, f.Message)
	})
}

// forewarned makes warnings of errors.
func forewarned(found report.Report) report.Report {
	for i, f := range found {
		if f.Severity == report.Error {
			found[i].Severity = report.Warning
			found[i].Message = "as long as no pod is there, " + f.Message
		}
	}
	return found
}

// opening says where a workload that denies what no grant allows would not any more.
func (h *Handler) opening(at report.Ref, c engine.UnitChange) report.Report {
	was, now := c.Before.Unit.Workload, c.After.Unit.Workload
	if c.Key.Kind != ir.KindWorkload || was == nil || !was.Enforced || was.NamespaceDenies || now != nil && now.Enforced {
		return nil
	}
	f := report.New(report.OpenWorkload, at, fmt.Sprintf("this opens the workload of account %s/%s to every caller", c.Key.Namespace, c.Key.Name))
	f.Hint = "nothing else names it as a destination: keep a grant for it, or set access to strict"
	f.Severity = report.Warning
	if h.o.DenyOpening {
		f.Severity = report.Error
	}
	return report.Report{f}
}

func name(at report.Ref) string {
	if at.Namespace == "" {
		return at.Name
	}
	return at.Namespace + "/" + at.Name
}
