package planes

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/semantics"
)

// methods are those that Envoy's parser takes with a path.
var methods = []string{"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "TRACE", "PATCH"}

// Unspeakable says why a request cannot be put into HTTP/1.1 for an Envoy, or
// nothing. Without a method or a path lab.Words says what is usual.
func Unspeakable(q semantics.Request) string {
	switch {
	case q.Method != "" && !slices.Contains(methods, q.Method):
		return "Envoy's parser takes registered methods only"
	case strings.Contains(q.Path, "#"):
		return "no client sends a fragment"
	case q.Path != "" && !strings.HasPrefix(q.Path, "/"):
		return "a path begins with a slash"
	case strings.ContainsFunc(q.Path, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "a path holds no blanks"
	}
	for name, lines := range q.Headers {
		if strings.HasPrefix(name, ":") {
			return "HTTP/1.1 has no pseudo-headers"
		}
		if slices.ContainsFunc(lines, func(v string) bool { return v != strings.TrimSpace(v) || strings.ContainsAny(v, "\r\n\x00") }) {
			return "a header's value has no blanks around it, and no line breaks"
		}
	}
	return ""
}
