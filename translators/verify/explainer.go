package verify

import (
	"github.com/meshknot/meshknot/translators"
)

// Explainer finds what was said beforehand of differences that were found
// elsewhere, such as in a mesh that runs.
type Explainer struct{ explainer }

// NewExplainer makes one for an output, and for the pieces that it was assembled of.
func NewExplainer(out translators.Output, pieces []translators.Piece) Explainer {
	return Explainer{newExplainer(pieces, out.Artifacts)}
}

// Explain returns a difference in what its Unit was asked with what was said of
// it, as Check does; Shown stays nil where nothing was.
func (e Explainer) Explain(d Difference) Difference {
	for _, p := range e.pieces {
		if p.Unit.Key() == d.Unit {
			return e.explained(p, d)
		}
	}
	return e.explained(translators.Piece{}, d)
}
