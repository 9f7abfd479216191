package cli

import (
	"bytes"
	"io"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/report"
)

// document is what "translate -o json" prints.
type document struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Access     string        `json:"access"`
	Backends   []backendPart `json:"backends"`
	Findings   []any         `json:"findings"`
}

type backendPart struct {
	Name      string         `json:"name"`
	Withheld  bool           `json:"withheld,omitempty"`
	Artifacts []struct{}     `json:"artifacts"` // none: see emitJSON
	Findings  []any          `json:"findings"`
	Summary   map[string]int `json:"summary"`
}

// artifactsKey is where the artifacts of a back end stand in a document that has none: no
// string has a line's end in it, and nothing else of that depth is called so.
const artifactsKey = "\n      \"artifacts\": "

// emitJSON prints the document without its artifacts, and each back end's in their
// place: they are printed on all processors, and are never all there as text.
func (a *app) emitJSON(t translation) error {
	doc := document{APIVersion: "meshknot.io/v1alpha1", Kind: "Translation", Access: t.access,
		Backends: []backendPart{}, Findings: located(t, t.said)}
	for _, o := range t.Outputs {
		doc.Backends = append(doc.Backends, backendPart{Name: name(o.Target), Withheld: o.Withheld, Artifacts: []struct{}{},
			Findings: located(t, o.Findings), Summary: flat(t.summary(o))})
	}
	text, err := report.IndentedJSON(doc, 0)
	if err != nil {
		return status{exitCannot, err}
	}
	for i, part := range bytes.Split(append(text, '\n'), []byte(artifactsKey+"[]")) {
		if i > 0 {
			if _, err := io.WriteString(a.out, artifactsKey); err != nil {
				return status{exitCannot, err}
			}
			if err := sink.JSON(a.out, t.Outputs[i-1].Artifacts, 3); err != nil {
				return status{exitCannot, err}
			}
		}
		if _, err := a.out.Write(part); err != nil {
			return status{exitCannot, err}
		}
	}
	return nil
}

func located(t translation, found report.Report) []any {
	out := []any{}
	for _, f := range found {
		out = append(out, report.JSON(f, t.set))
	}
	return out
}

func flat(s translators.Summary) map[string]int {
	out := map[string]int{"fields": s.Fields}
	for _, c := range report.Classes() {
		out[string(c)] = s.Classes[c]
	}
	return out
}
