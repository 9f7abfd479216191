package gamma

import (
	"regexp"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// The types of a path's condition.
const (
	typeExact  = "Exact"
	typePrefix = "PathPrefix"
	typeRegex  = "RegularExpression"
)

// everyPath is the expression that every path fulfils.
const everyPath = ".*"

// maxPath is the longest path, or expression, that a match takes.
const maxPath = 1024

// path is a path's condition as it is written.
type path struct{ kind, value string }

// plainPath is what an Exact or PathPrefix condition may consist of.
var plainPath = regexp.MustCompile(`^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$`)

// writable reports whether a path may stand in an Exact or PathPrefix condition.
func writable(p string) bool {
	if !strings.HasPrefix(p, "/") || !plainPath.MatchString(p) || strings.HasSuffix(p, "/..") || strings.HasSuffix(p, "/.") {
		return false
	}
	for _, not := range []string{"//", "/./", "/../", "%2f", "%2F"} {
		if strings.Contains(p, not) {
			return false
		}
	}
	return true
}

// pathOf writes a comparison. A PathPrefix holds for whole segments: a prefix as
// the model has it, string-wise, has no such form and becomes an expression.
// Every path starts with a slash, so the prefix "/" is every path.
func pathOf(m ir.StringMatch) path {
	switch {
	case everything(m):
		return path{typePrefix, "/"}
	case m.Kind == ir.MatchExact && writable(m.Value):
		return path{typeExact, m.Value}
	case m.Kind == ir.MatchSegments && writable(m.Value):
		return path{typePrefix, m.Value}
	}
	return path{typeRegex, expression(m)}
}

func everything(m ir.StringMatch) bool {
	return m.Kind == ir.MatchAny || m.Kind == ir.MatchPrefix && (m.Value == "" || m.Value == "/")
}

// expression writes a comparison as a regular expression for the whole value.
// Some meshes search for an expression and some tie it at its start only, so
// those that could end early are tied at both ends.
func expression(m ir.StringMatch) string {
	quoted := regexp.QuoteMeta(m.Value)
	switch m.Kind {
	case ir.MatchAny:
		return everyPath
	case ir.MatchPrefix:
		return quoted + ".*"
	case ir.MatchSegments:
		return "^" + quoted + "(?:/.*)?$"
	case ir.MatchSuffix:
		return ".*" + quoted + "$"
	case ir.MatchContains:
		return ".*" + quoted + ".*"
	case ir.MatchRegex:
		return "^(?:" + m.Value + ")$"
	}
	return "^" + quoted + "$"
}
