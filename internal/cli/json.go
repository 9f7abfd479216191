package cli

import (
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
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
	Artifacts []artifactPart `json:"artifacts"`
	Findings  []any          `json:"findings"`
	Summary   map[string]int `json:"summary"`
}

type artifactPart struct {
	Type string `json:"type"`
	Name string `json:"name"`
	// Namespace whose proxies get this in place of the artifact of the same name.
	For     string       `json:"forNamespace,omitempty"`
	Payload any          `json:"payload"`
	Refs    []report.Ref `json:"refs"`
}

func (a *app) emitJSON(t translation) error {
	doc := document{APIVersion: "meshknot.io/v1alpha1", Kind: "Translation", Access: t.access,
		Backends: []backendPart{}, Findings: located(t, t.said)}
	for _, o := range t.Outputs {
		part := backendPart{Name: name(o.Target), Withheld: o.Withheld, Artifacts: []artifactPart{},
			Findings: located(t, o.Findings), Summary: flat(t.summary(o))}
		for _, one := range o.Artifacts {
			payload, err := sink.Plain(one.Payload)
			if err != nil {
				return status{exitCannot, err}
			}
			refs := one.Refs
			if refs == nil {
				refs = []report.Ref{}
			}
			part.Artifacts = append(part.Artifacts, artifactPart{one.ID.Type, one.ID.Name, instead(one.Audience), payload, refs})
		}
		doc.Backends = append(doc.Backends, part)
	}
	return report.WriteJSON(a.out, doc)
}

// instead returns the namespace for which an artifact replaces that of
// everybody: the callers of one namespace are nobody's audience else.
func instead(a ir.Audience) string {
	if a.Account != "" {
		return ""
	}
	return a.Namespace
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
