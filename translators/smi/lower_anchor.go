package smi

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// ambiguous reports an expression for a path that grants more in one dialect
// than in another, unless its object says which one is meant.
func (g group) ambiguous(m HTTPMatch) report.Report {
	if m.PathRegex == "" || g.own {
		return nil
	}
	path, ok := counterExample(m.PathRegex)
	if !ok {
		return nil
	}
	reading := "grants"
	if g.dialect.anchor() == ir.AnchorWhole {
		reading = "does not grant"
	}
	return report.Report{report.New(report.AnchorAmbiguous, g.Ref(input.Field(m.Field, "pathRegex")),
		quote(m.PathRegex)+" "+reading+" "+path+" in the dialect "+string(g.dialect)+"; dialects differ about it")}
}

// counterExample returns a path that an expression matches where it is tied to
// the start of the path alone, and not where it is tied to the end too.
func counterExample(expr string) (string, bool) {
	start, err1 := ir.ParsePattern(expr, ir.AnchorStart)
	whole, err2 := ir.ParsePattern(expr, ir.AnchorWhole)
	if err1 != nil || err2 != nil || slices.Equal(start, whole) {
		return "", false
	}
	example := ir.Example(expr)
	for _, more := range []string{"/x", "x"} {
		path := strings.TrimSuffix(example, "/") + more
		if strings.HasPrefix(path, "/") && anyMatches(start, path) && !anyMatches(whole, path) {
			return path, true
		}
	}
	return "", false
}

func anyMatches(alternatives []ir.StringMatch, s string) bool {
	return slices.ContainsFunc(alternatives, func(m ir.StringMatch) bool { return m.Matches(s) })
}
