package cli

import (
	"maps"
	"slices"

	"github.com/meshknot/meshknot/internal/ask"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// The shapes of "explain -o json". They are a contract: fields are added, never changed.
type (
	explanation struct {
		Request        string        `json:"request"`
		Decision       string        `json:"decision"`
		Route          string        `json:"route"`
		Backends       []sharePart   `json:"backends"`
		Because        []linePart    `json:"because"`
		BackendsDiffer []differPart  `json:"backendsDiffer"`
		Status         int           `json:"status,omitempty"`
		Location       string        `json:"location,omitempty"`
		Sent           *sentPart     `json:"sent,omitempty"`
		Mirrors        []sharePart   `json:"mirrors,omitempty"`
		Considered     []triedPart   `json:"considered"`
		Meshes         []opinionPart `json:"meshes"`
		Doubts         []string      `json:"doubts,omitempty"`
	}
	sharePart struct {
		Service string  `json:"service"`
		Port    int32   `json:"port"`
		Percent float64 `json:"percent"`
		Allowed bool    `json:"allowed"`
		Partly  bool    `json:"partly,omitempty"`
		Invalid string  `json:"invalid,omitempty"`
		Status  int     `json:"status,omitempty"`
	}
	sentPart struct {
		Path    string              `json:"path,omitempty"`
		Host    string              `json:"host,omitempty"`
		Headers map[string][]string `json:"headers,omitempty"`
	}
	linePart struct {
		Group     string `json:"group,omitempty"`
		Kind      string `json:"kind"`
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
		Field     string `json:"field"`
		File      string `json:"file"`
		Line      int    `json:"line"`
		Column    int    `json:"column"`
		Excerpt   string `json:"excerpt,omitempty"`
	}
	triedPart struct {
		What    string     `json:"what"`
		Decided bool       `json:"decided"`
		Why     []string   `json:"why,omitempty"`
		At      linePart   `json:"at"`
		Parts   []linePart `json:"parts,omitempty"`
	}
	differPart struct {
		Backend  string     `json:"backend"`
		Decision string     `json:"decision"`
		Effect   string     `json:"effect"`
		Want     string     `json:"want"`
		Got      string     `json:"got"`
		Because  []linePart `json:"because"`
	}
	opinionPart struct {
		Backend  string      `json:"backend"`
		Silent   string      `json:"silent,omitempty"`
		Decision string      `json:"decision,omitempty"`
		Backends []sharePart `json:"backends,omitempty"`
		Status   int         `json:"status,omitempty"`
		Location string      `json:"location,omitempty"`
		Routed   *sidePart   `json:"callersSide,omitempty"`
		Admitted *sidePart   `json:"serversSide,omitempty"`
		Losses   []lossPart  `json:"losses"`
	}
	sidePart struct {
		Enforced  string         `json:"enforced"`
		Artifacts []artifactName `json:"artifacts"`
	}
	artifactName struct {
		Type string `json:"type"`
		Name string `json:"name"`
	}
	lossPart struct {
		Class string   `json:"class"`
		What  string   `json:"what"`
		Note  string   `json:"note"`
		At    linePart `json:"at"`
	}
)

func explainedJSON(a ask.Answer, set *input.Set) explanation {
	d := a.Decision
	out := explanation{
		Request: a.Request.String(), Decision: string(d.Verdict), Route: d.Route, Backends: shareParts(d.Shares), Because: lineParts(set, a.Deciding()),
		BackendsDiffer: []differPart{}, Status: d.Status, Location: d.Location, Considered: []triedPart{},
		Meshes: []opinionPart{}, Doubts: a.Doubts,
	}
	if len(d.Shares) > 0 {
		out.Sent = &sentPart{d.Sent.Path, d.Sent.Host, d.Sent.Headers}
	}
	if len(d.Mirrors) > 0 {
		out.Mirrors = shareParts(d.Mirrors)
	}
	for _, t := range slices.Concat(a.Trace.Routes, a.Trace.Grants) {
		out.Considered = append(out.Considered, triedPart{t.What, t.Decided, t.Why, linePartOf(set, t.Ref), lineParts(set, t.Parts)})
	}
	for _, o := range a.Opinions {
		out.Meshes = append(out.Meshes, opinionJSON(a.Request, o, set))
		for _, d := range o.Differs {
			part := differPart{name(o.Target), string(o.Decision.Verdict), string(d.Effect), d.Want, d.Got, []linePart{}}
			for _, c := range d.Causes {
				part.Because = append(part.Because, linePartOf(set, c.Ref))
			}
			out.BackendsDiffer = append(out.BackendsDiffer, part)
		}
	}
	return out
}

func opinionJSON(q semantics.Request, o ask.Opinion, set *input.Set) opinionPart {
	out := opinionPart{Backend: name(o.Target), Silent: o.Silent, Losses: []lossPart{}}
	for _, l := range o.Losses {
		out.Losses = append(out.Losses, lossPart{string(l.Class), l.What, l.Note, linePartOf(set, l.Ref)})
	}
	if o.Silent != "" {
		return out
	}
	out.Decision, out.Backends, out.Status, out.Location = string(o.Decision.Verdict), shareParts(o.Decision.Shares), o.Decision.Status, o.Decision.Location
	out.Routed = &sidePart{ask.CallersSide(o.Target, q), artifactNames(o.Routed)}
	out.Admitted = &sidePart{ask.ServersSide(o.Target), artifactNames(o.Admitted)}
	return out
}

func artifactNames(ids []translators.ID) []artifactName {
	out := []artifactName{}
	for _, id := range ids {
		out = append(out, artifactName{id.Type, id.Name})
	}
	return out
}

func shareParts(shares []semantics.Share) []sharePart {
	out := []sharePart{}
	for _, s := range shares {
		out = append(out, sharePart{s.Service.String(), s.Port, s.Percent, s.Allowed, s.Partly, s.Invalid, s.Status})
	}
	return out
}

func lineParts(set *input.Set, refs []report.Ref) []linePart {
	out := []linePart{}
	for _, r := range refs {
		out = append(out, linePartOf(set, r))
	}
	return out
}

func linePartOf(set *input.Set, r report.Ref) linePart {
	out := linePart{Group: r.Group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Field: r.Field}
	if p, ok := position(set, r); ok {
		out.File, out.Line, out.Column = p.File, p.Line, p.Column
		out.Excerpt, _ = set.Excerpt(p)
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
