package smi

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// maxProducts bounds how many matches one match with alternatives becomes.
const maxProducts = 16

// group is a resolved HTTPRouteGroup.
type group struct {
	input.Object
	*RouteGroup
	dialect dialect
	// own: the group says its dialect itself.
	own bool
}

// findGroup resolves a reference to an HTTPRouteGroup of a namespace. A group in
// error counts as missing: it must neither route nor grant.
func findGroup(r input.Reader, namespace string, ref RouteRef, at report.Ref) (group, report.Report) {
	o, ok := r.Get(input.ID{Group: ref.Group, Kind: KindHTTPRouteGroup, Namespace: namespace, Name: ref.Name})
	g, is := o.Value.(*RouteGroup)
	if !ok || !is || o.Rejected {
		return group{}, report.Report{unknownRoute(at, ref, namespace, ok)}
	}
	d, own, found := dialectOf(r, o)
	return group{o, g, d, own}, found
}

func unknownRoute(at report.Ref, ref RouteRef, namespace string, exists bool) report.Finding {
	why := "does not exist"
	if exists {
		why = "is in error"
	}
	return report.New(report.UnknownRoute, at, ref.Kind+" "+ref.Name+" "+why+" in namespace "+namespace)
}

// selectMatches returns the matches of a group that a reference names.
func (g group) selectMatches(ref RouteRef, at report.Ref) ([]HTTPMatch, report.Report) {
	if ref.AllMatches {
		return g.Matches, nil
	}
	var out []HTTPMatch
	var found report.Report
	for i, name := range ref.Matches {
		j := slices.IndexFunc(g.Matches, func(m HTTPMatch) bool { return m.Name == name })
		if j < 0 {
			field := input.Element(input.Field(at.Field, "matches"), i)
			f := report.New(report.UnknownMatch, at.At(field), "HTTPRouteGroup "+g.ID.Name+" has no match "+quote(name))
			found = append(found, f.With(g.Ref("")))
			continue
		}
		out = append(out, g.Matches[j])
	}
	return out, found
}

// lowerMatch turns a match into conditions of which any must hold. It reports
// false where an expression cannot be read.
func (g group) lowerMatch(m HTTPMatch) (out []ir.Match, found report.Report, ok bool) {
	base := ir.Match{Name: m.Name, Ref: g.Ref(m.Field), Path: ir.StringMatch{Kind: ir.MatchAny}, Methods: []string{ir.AnyMethod}}
	if len(m.Methods) > 0 && !slices.Contains(m.Methods, ir.AnyMethod) {
		base.Methods = slices.Compact(slices.Sorted(slices.Values(m.Methods)))
		base.MethodsRef = g.Ref(input.Field(m.Field, "methods"))
	}
	out, ok = []ir.Match{base}, true
	if m.PathRegex != "" {
		ref := g.Ref(input.Field(m.Field, "pathRegex"))
		alternatives, err := ir.ParsePattern(m.PathRegex, g.dialect.anchor())
		if err != nil {
			found, ok = append(found, badRegex(ref, m.PathRegex, err)), false
		} else if why := dead(alternatives); why != "" {
			found = append(found, report.New(report.DeadMatch, ref, "no normalised path fits "+quote(m.PathRegex)+": "+why))
		}
		out = multiply(out, alternatives, func(m *ir.Match, s ir.StringMatch) { m.Path, m.PathRef = s, ref })
	}
	for _, h := range m.Headers {
		ref := g.Ref(h.Field)
		alternatives, err := ir.ParsePattern(h.Value, ir.AnchorWhole)
		if err != nil {
			found, ok = append(found, badRegex(ref, h.Value, err)), false
		}
		out = multiply(out, alternatives, func(m *ir.Match, s ir.StringMatch) {
			m.Headers = append(slices.Clone(m.Headers), ir.HeaderMatch{Name: h.Name, Value: s, Ref: ref})
		})
	}
	return out, found, ok
}

func badRegex(at report.Ref, expr string, err error) report.Finding {
	return report.New(report.BadRegex, at, "the expression "+quote(expr)+" cannot be read: "+err.Error())
}

// multiply gives each match each alternative of one condition. Too many
// alternatives are kept in one expression.
func multiply(matches []ir.Match, alternatives []ir.StringMatch, set func(*ir.Match, ir.StringMatch)) []ir.Match {
	if len(matches)*len(alternatives) > maxProducts {
		alternatives = []ir.StringMatch{oneOf(alternatives)}
	}
	var out []ir.Match
	for _, m := range matches {
		for _, s := range alternatives {
			next := m
			set(&next, s)
			out = append(out, next)
		}
	}
	return out
}

// oneOf writes alternatives as one expression.
func oneOf(alternatives []ir.StringMatch) ir.StringMatch {
	var out []string
	for _, s := range alternatives {
		expr := regexp.QuoteMeta(s.Value)
		switch s.Kind {
		case ir.MatchAny:
			return s
		case ir.MatchRegex:
			expr = s.Value
		case ir.MatchPrefix:
			expr += ".*"
		case ir.MatchSuffix:
			expr = ".*" + expr
		case ir.MatchContains:
			expr = ".*" + expr + ".*"
		}
		out = append(out, "(?:"+expr+")")
	}
	return ir.StringMatch{Kind: ir.MatchRegex, Value: strings.Join(out, "|")}
}

// dead says why no normalised path can fit any of the alternatives, or nothing
// where one may.
func dead(alternatives []ir.StringMatch) string {
	first := ""
	for _, s := range alternatives {
		why := deadLiteral(s)
		if why == "" {
			return ""
		}
		if first == "" {
			first = why
		}
	}
	return first
}

var encodedUnreserved = regexp.MustCompile(`%(?:2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEe])`)

// deadLiteral says why no normalised path has the text of a comparison.
func deadLiteral(s ir.StringMatch) string {
	whole := s.Kind == ir.MatchExact
	switch {
	case s.Kind == ir.MatchAny || s.Kind == ir.MatchRegex:
		return ""
	case (whole || s.Kind == ir.MatchPrefix) && !strings.HasPrefix(s.Value, "/"):
		return "a path starts with a slash"
	case strings.ContainsAny(s.Value, "?#"):
		return "a path has no query and no fragment"
	case strings.Contains(s.Value, `\`):
		return "a backslash in a path becomes a slash"
	case strings.Contains(s.Value, "//"):
		return "slashes are merged"
	case strings.Contains(s.Value, "/./"), strings.Contains(s.Value, "/../"),
		(whole || s.Kind == ir.MatchSuffix) && (strings.HasSuffix(s.Value, "/.") || strings.HasSuffix(s.Value, "/..")):
		return "dot segments are removed"
	case encodedUnreserved.MatchString(s.Value):
		return "characters that need no escape are decoded"
	}
	return ""
}
