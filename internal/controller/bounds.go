package controller

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/report"
)

// findings turns findings into those of a report, of which there is no end of room.
func findings(found report.Report) []v1alpha1.Finding {
	found = slices.Clone(found)
	slices.SortStableFunc(found, func(a, b report.Finding) int { return a.Severity.Rank() - b.Severity.Rank() })
	var out []v1alpha1.Finding
	for i, f := range found {
		if i == v1alpha1.MaxFindings-1 && len(found) > v1alpha1.MaxFindings {
			return append(out, v1alpha1.Finding{Code: string(f.Code), Severity: string(f.Severity),
				Message: fmt.Sprintf("and %d more findings", len(found)-i)})
		}
		out = append(out, v1alpha1.Finding{Code: string(f.Code), Severity: string(f.Severity), Class: string(f.Class),
			Field: cut(f.Source.Field, v1alpha1.MaxField), Message: cut(f.Message, v1alpha1.MaxMessage),
			Hint: cut(f.Hint, v1alpha1.MaxHint), Waived: cut(f.Waived, v1alpha1.MaxMessage)})
	}
	return out
}

// references names artifacts, each once, in order.
func references(artifacts []translators.Artifact) []v1alpha1.ArtifactReference {
	var ids []translators.ID
	for _, a := range artifacts {
		ids = append(ids, a.ID)
	}
	slices.SortFunc(ids, translators.ID.Compare)
	ids = slices.Compact(ids)
	var out []v1alpha1.ArtifactReference
	for i, id := range ids {
		if i == v1alpha1.MaxArtifacts-1 && len(ids) > v1alpha1.MaxArtifacts {
			return append(out, v1alpha1.ArtifactReference{Type: "more", Name: fmt.Sprintf("and %d more", len(ids)-i)})
		}
		out = append(out, v1alpha1.ArtifactReference{Type: cut(id.Type, 512), Name: cut(id.Name, 512)})
	}
	return out
}

// cut shortens a text to a number of bytes, and says so.
func cut(s string, most int) string {
	const dots = "..."
	if len(s) <= most {
		return s
	}
	n := most - len(dots)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + dots
}
