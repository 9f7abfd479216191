package report

import (
	"io"
	"net/url"
	"path"
	"slices"
)

// The types of this file are the part of SARIF 2.1.0 that is written.

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool       sarifTool     `json:"tool"`
	ColumnKind string        `json:"columnKind"`
	Results    []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version,omitempty"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID                   Code      `json:"id"`
	ShortDescription     sarifText `json:"shortDescription"`
	FullDescription      sarifText `json:"fullDescription"`
	Help                 sarifText `json:"help"`
	DefaultConfiguration struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID           Code               `json:"ruleId"`
	RuleIndex        *int               `json:"ruleIndex,omitempty"`
	Level            string             `json:"level"`
	Message          sarifText          `json:"message"`
	Locations        []sarifLocation    `json:"locations,omitempty"`
	RelatedLocations []sarifLocation    `json:"relatedLocations,omitempty"`
	Suppressions     []sarifSuppression `json:"suppressions,omitempty"`
	Properties       map[string]string  `json:"properties,omitempty"`
}

type sarifLocation struct {
	ID               int                    `json:"id,omitempty"`
	Message          *sarifText             `json:"message,omitempty"`
	PhysicalLocation *sarifPhysicalLocation `json:"physicalLocation,omitempty"`
	LogicalLocations []sarifLogicalLocation `json:"logicalLocations,omitempty"`
}

type sarifPhysicalLocation struct {
	ArtifactLocation struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
	Region *sarifRegion `json:"region,omitempty"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

type sarifLogicalLocation struct {
	FullyQualifiedName string `json:"fullyQualifiedName"`
	Kind               string `json:"kind"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification"`
}

func renderSARIF(w io.Writer, findings []located, o RenderOptions) error {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "meshknot", Version: o.Version, Rules: sarifRules()}
	for _, f := range findings {
		run.Results = append(run.Results, sarifResultOf(f, o.Locator))
	}
	return WriteJSON(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

func sarifRules() []sarifRule {
	var out []sarifRule
	for _, row := range Codes() {
		r := sarifRule{ID: row.Code, ShortDescription: sarifText{row.Title}, FullDescription: sarifText{row.Explain}, Help: sarifText{row.Hint}}
		r.DefaultConfiguration.Level = sarifLevel(row.Severity)
		out = append(out, r)
	}
	return out
}

func sarifLevel(s Severity) string {
	if s == Info {
		return "note"
	}
	return string(s)
}

func sarifResultOf(f located, l Locator) sarifResult {
	out := sarifResult{RuleID: f.Code, Level: sarifLevel(f.Severity), Message: sarifText{f.says()}, Properties: map[string]string{}}
	if i := slices.IndexFunc(codes, func(r Row) bool { return r.Code == f.Code }); i >= 0 {
		out.RuleIndex = &i
	}
	if loc, ok := sarifPlace(f.Source, f.at); ok {
		out.Locations = []sarifLocation{loc}
	}
	for i, r := range f.Related {
		if loc, ok := sarifPlace(r, positionOf(r, l)); ok {
			loc.ID, loc.Message = i+1, &sarifText{r.String()}
			out.RelatedLocations = append(out.RelatedLocations, loc)
		}
	}
	if f.Waived != "" {
		out.Suppressions = []sarifSuppression{{"external", f.Waived}}
	}
	for name, value := range map[string]string{"backend": f.Backend, "class": string(f.Class), "hint": f.Hint} {
		if value != "" {
			out.Properties[name] = value
		}
	}
	return out
}

func sarifPlace(r Ref, p Position) (sarifLocation, bool) {
	var out sarifLocation
	if !r.IsZero() {
		out.LogicalLocations = []sarifLogicalLocation{{r.String(), "object"}}
	}
	if p.File != "" {
		out.PhysicalLocation = &sarifPhysicalLocation{}
		out.PhysicalLocation.ArtifactLocation.URI = fileURI(p.File)
		if p.Line > 0 {
			out.PhysicalLocation.Region = &sarifRegion{p.Line, p.Column}
		}
	}
	return out, p.File != "" || !r.IsZero()
}

// fileURI returns a URI for a path: relative for a relative one.
func fileURI(file string) string {
	u := url.URL{Path: file}
	if path.IsAbs(file) {
		u.Scheme = "file"
	}
	return u.String()
}
