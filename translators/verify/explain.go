package verify

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// explainer finds what was said of a difference beforehand.
type explainer struct {
	pieces []translators.Piece
	// made are the pieces, by their place, that made an artifact, or a part of it.
	made map[translators.ID][]int
	// added are the effects of the artifacts that no piece made.
	added map[translators.ID][]report.Effect
}

func newExplainer(pieces []translators.Piece, all []translators.Artifact) explainer {
	e := explainer{pieces, map[translators.ID][]int{}, map[translators.ID][]report.Effect{}}
	for i, p := range pieces {
		for _, a := range p.Artifacts {
			e.made[a.ID] = append(e.made[a.ID], i)
		}
	}
	for _, a := range all {
		if len(a.Effects) > 0 {
			e.added[a.ID] = a.Effects
		}
	}
	return e
}

// explained returns a difference with what was said of it: a row that the unit
// made use of, or one whose artifacts decide, shows this effect on such requests.
// What the back end itself reports at the place that decides explains all but a
// call that is let through; then no feature is named. So does an artifact that the
// back end put there when all were joined, of the effects that it is there for.
func (e explainer) explained(p translators.Piece, d Difference) Difference {
	if d.Shown = shownBy(p, d); d.Shown != nil {
		return d
	}
	for _, id := range d.By {
		for _, i := range e.made[id] {
			if d.Shown = shownBy(e.pieces[i], d); d.Shown != nil {
				return d
			}
		}
	}
	if slices.ContainsFunc(d.By, func(id translators.ID) bool { return slices.Contains(e.added[id], d.Effect) }) {
		d.Shown = &feature.Shown{Effect: d.Effect}
		return d
	}
	if d.Effect != report.Allows && slices.ContainsFunc(p.Said, func(f report.Finding) bool { return about(f, d.Because) }) {
		d.Shown = &feature.Shown{Effect: d.Effect}
	}
	return d
}

func shownBy(p translators.Piece, d Difference) *feature.Shown {
	for _, c := range p.Claims {
		for i := range c.Row.Shows {
			if s := &c.Row.Shows[i]; s.Effect == d.Effect && HasIn(p.Unit, d, s.On) {
				return s
			}
		}
	}
	return nil
}

// about reports whether a finding of a loss speaks of a place, or of one around it
// or in it.
func about(f report.Finding, places []report.Ref) bool {
	return f.Class != "" && f.Code != report.Implicit && slices.ContainsFunc(append([]report.Ref{f.Source}, f.Related...), func(r report.Ref) bool {
		return slices.ContainsFunc(places, func(p report.Ref) bool {
			return r.Object() == p.Object() && (within(r.Field, p.Field) || within(p.Field, r.Field))
		})
	})
}

// within reports whether a field path is at or below another.
func within(field, parent string) bool {
	rest, ok := strings.CutPrefix(field, parent)
	return ok && (parent == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}
