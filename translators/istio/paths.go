package istio

import (
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// part is matches of a route for which the path is replaced in one way.
type part struct {
	matches []ir.Match
	path    replaced
}

// replaced is a value in place of the whole path, or of the prefix that a match
// compares with; the zero value leaves the path alone.
type replaced struct {
	how   int
	value string
}

const (
	pathWhole = iota + 1
	pathPrefix
)

// parts takes a route apart where a prefix is replaced: each match has a prefix
// of its own, and one for path segments is two in Istio, the path itself and
// what lies below it.
func parts(r ir.Route) ([]part, report.Report) {
	var e *ir.PathEdit
	switch {
	case r.Redirect != nil:
		e = r.Redirect.Path
	case r.Rewrite != nil:
		e = r.Rewrite.Path
	}
	if e == nil {
		return []part{{matches: r.Matches}}, nil
	}
	if !e.Prefix {
		return []part{{r.Matches, replaced{pathWhole, rooted(e.Value)}}}, nil
	}
	var out []part
	var found report.Report
	for _, m := range r.Matches {
		split, ok := prefixed(m, strings.TrimSuffix(e.Value, "/"))
		if out = append(out, split...); !ok {
			found = append(found, report.New(report.Lossy, m.Ref,
				"Istio replaces the prefix that a match compares with, and this one compares with none; the match is left out").WithClass(report.Dropped))
		}
	}
	return out, found
}

// prefixed puts a base, which does not end in a slash, before what a match
// leaves of the path. It reports false where the match has no prefix.
func prefixed(m ir.Match, base string) ([]part, bool) {
	one := func(kind ir.MatchKind, path string, r replaced) part {
		m := m
		m.Path = ir.StringMatch{Kind: kind, Value: path}
		return part{[]ir.Match{m}, r}
	}
	switch path := m.Path.Value; m.Path.Kind {
	case ir.MatchSegments:
		return []part{
			one(ir.MatchExact, path, replaced{pathWhole, rooted(base)}),
			one(ir.MatchPrefix, path+"/", replaced{pathPrefix, base + "/"}),
		}, true
	case ir.MatchExact:
		return []part{one(ir.MatchExact, path, replaced{pathWhole, rooted(base + path)})}, true
	case ir.MatchPrefix:
		return []part{one(ir.MatchPrefix, path, replaced{pathPrefix, base + path})}, true
	case ir.MatchAny:
		if base == "" {
			return []part{{matches: []ir.Match{m}}}, true
		}
		return []part{one(ir.MatchPrefix, "/", replaced{pathPrefix, base + "/"})}, true
	}
	return nil, false
}

// rooted: an empty path is the root.
func rooted(path string) string {
	if path == "" {
		return "/"
	}
	return path
}
