package ask

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// refuses says why a grant does not allow a call; where it does it returns the
// places of what allows it.
func refuses(g ir.Grant, port int32, called ir.ServicePort, http bool, q semantics.Request) ([]string, []report.Ref) {
	if q.From == nil {
		return []string{"source: the caller has no identity"}, sourceRefs(g)
	}
	s := slices.IndexFunc(g.Sources, func(s ir.Source) bool {
		return s.Identity.URI(trustDomain) == q.From.URI(trustDomain)
	})
	if s < 0 {
		return []string{"source: it names " + sources(g)}, sourceRefs(g)
	}
	p := slices.IndexFunc(g.Ports, func(p ir.GrantPort) bool {
		return !slices.Contains(p.Also, called) && (p.Number == port || p.Number == ir.AnyPort && http)
	})
	if p < 0 {
		return []string{"port: it opens " + ports(g)}, []report.Ref{g.Ref}
	}
	least := map[report.Ref][]string{} // by condition in the input, which may be several of the model
	var parts []report.Ref
	for _, m := range g.Matches {
		failed, places := failures(q, m, http)
		if len(failed) == 0 {
			return nil, []report.Ref{g.Sources[s].Ref, m.Ref}
		}
		known, ok := least[m.Ref]
		if !ok {
			parts = append(parts, places...)
		}
		if !ok || len(failed) < len(known) {
			least[m.Ref] = failed
		}
	}
	return missing(g, least), parts
}

// missing says of each condition of a grant what it lacks, in their order.
func missing(g ir.Grant, least map[report.Ref][]string) []string {
	var why []string
	for _, m := range g.Matches {
		failed, ok := least[m.Ref]
		if !ok {
			continue
		}
		delete(least, m.Ref)
		text := strings.Join(failed, " and ")
		if m.Name != "" {
			text = m.Name + ": " + text
		}
		why = append(why, text)
	}
	if len(why) == 0 {
		return []string{"it allows no request"}
	}
	return why
}

// trustDomain stands for the mesh's own, as in semantics.
const trustDomain = "cluster.local"

func sourceRefs(g ir.Grant) []report.Ref {
	var out []report.Ref
	for _, s := range g.Sources {
		out = append(out, s.Ref)
	}
	return out
}

func sources(g ir.Grant) string {
	var names []string
	for _, s := range g.Sources {
		names = append(names, semantics.Caller(&s.Identity))
	}
	return some(names, "nobody")
}

func ports(g ir.Grant) string {
	var names []string
	for _, p := range g.Ports {
		if p.Number == ir.AnyPort {
			names = append(names, "every HTTP port")
			continue
		}
		names = append(names, fmt.Sprint(p.Number))
	}
	return some(names, "no port")
}

// some joins at most three names.
func some(names []string, none string) string {
	if len(names) == 0 {
		return none
	}
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}

// failures lists the conditions of a match that a request does not fulfil.
func failures(q semantics.Request, m ir.Match, http bool) (why []string, parts []report.Ref) {
	switch {
	case m.IsAll():
		return nil, nil
	case !http:
		return []string{"no HTTP request is made or told apart here"}, []report.Ref{m.Ref}
	}
	try := func(alone ir.Match, at report.Ref, text string) {
		if semantics.Fulfils(q, alone) {
			return
		}
		if at.IsZero() {
			at = m.Ref
		}
		why, parts = append(why, text), append(parts, at)
	}
	all := ir.MatchAll(m.Ref)
	path := all
	path.Path = m.Path
	try(path, m.PathRef, fmt.Sprintf("path %s is not %s", semantics.NormalisePath(q.Path), compared(m.Path)))
	method := all
	method.Methods = m.Methods
	try(method, m.MethodsRef, fmt.Sprintf("method %s is not %s", q.Method, strings.Join(m.Methods, " or ")))
	for _, h := range m.Headers {
		one := all
		one.Headers = []ir.HeaderMatch{h}
		try(one, h.Ref, condition("header "+h.Name, q.Headers[h.Name], h.Value))
	}
	for _, p := range m.Query {
		one := all
		one.Query = []ir.QueryMatch{p}
		try(one, p.Ref, fmt.Sprintf("query parameter %s is not %s", p.Name, compared(p.Value)))
	}
	return why, parts
}

func condition(what string, have []string, want ir.StringMatch) string {
	if len(have) == 0 {
		return what + " is not there"
	}
	return fmt.Sprintf("%s %q is not %s", what, strings.Join(have, ", "), compared(want))
}

// compared says what a string is compared with.
func compared(m ir.StringMatch) string {
	switch m.Kind {
	case ir.MatchPrefix:
		return "prefixed with " + m.Value
	case ir.MatchSegments:
		return "at or below " + m.Value
	case ir.MatchSuffix:
		return "ending in " + m.Value
	case ir.MatchContains:
		return "containing " + m.Value
	case ir.MatchRegex:
		return "matching " + m.Value
	case ir.MatchAny:
		return "anything"
	}
	return m.Value
}
