// Package sidecar is what an Envoy does with a request beside a workload, whoever
// configures it: how it reads a path, compares headers and query parameters, and
// in which order it edits. The interpreters of Istio and Consul share it.
package sidecar

import (
	"fmt"
	"regexp"
	"strings"
)

// Reading is how a proxy reads the path of a request before it looks at it, and
// what it passes on.
type Reading struct {
	// Normal: escapes of unreserved characters are decoded, dot segments removed,
	// backslashes read as slashes, and what no path may hold is escaped.
	Normal bool
	// Merged: runs of slashes are one slash.
	Merged bool
}

// Split cuts a request target into path and query, which starts with "?".
func Split(target string) (path, query string) {
	if i := strings.IndexByte(target, '?'); i >= 0 {
		return target[:i], target[i:]
	}
	return target, ""
}

// Path returns the path of a request target as a proxy reads it, and the query.
// A fragment, for which an Envoy refuses the request, counts for nothing here.
func (r Reading) Path(target string) (path, query string) {
	target, _, _ = strings.Cut(target, "#")
	path, query = Split(target)
	if r.Normal {
		path = withoutDots(escaped(path))
	}
	if r.Merged {
		path = merged(path)
	}
	return path, query
}

// merged is a path in which runs of slashes are one; of nothing but slashes two stay.
func merged(path string) string {
	if len(path) > 1 && strings.Trim(path, "/") == "" {
		return "//"
	}
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// escaped writes a path as a URL has it: what need not be escaped is not, and
// what must be is.
func escaped(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '\\':
			b.WriteByte('/')
		case c == '%' && i+2 < len(path) && unreserved(unhex(path[i+1])<<4|unhex(path[i+2])) && isHex(path[i+1]) && isHex(path[i+2]):
			b.WriteByte(unhex(path[i+1])<<4 | unhex(path[i+2]))
			i += 2
		case c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>^`{|}", c) >= 0:
			b.WriteString("%" + string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15]))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// withoutDots resolves dot segments. An empty segment counts as one.
func withoutDots(path string) string {
	if path == "" || path[0] != '/' {
		return path
	}
	out := []string{}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if s != "." && s != ".." {
			out = append(out, s)
			continue
		}
		if s == ".." && len(out) > 0 {
			out = out[:len(out)-1]
		}
		if i == len(segments)-1 {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

// Replaced is a path whose beginning, which a condition compared with, gives way
// to another.
func Replaced(path, matched, by string) string {
	return by + strings.TrimPrefix(path, matched)
}

// Parameter returns the first occurrence of a query parameter as it is written,
// in a query that starts with "?".
func Parameter(query, name string) (string, bool) {
	for _, pair := range strings.Split(strings.TrimPrefix(query, "?"), "&") {
		if key, value, _ := strings.Cut(pair, "="); pair != "" && key == name {
			return value, true
		}
	}
	return "", false
}

// Whole compiles an expression that has to match a whole value.
func Whole(expr string) (func(string) bool, error) {
	re, err := regexp.Compile(`^(?:` + expr + `)$`)
	if err != nil {
		return nil, err
	}
	return re.MatchString, nil
}

// Substitution replaces every match of an expression in a path. In what takes its
// place, a backslash and a digit stand for a group, and two for one.
func Substitution(expr, by string) (func(path string) string, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for i := 0; i < len(by); i++ {
		switch c := by[i]; {
		case c == '$':
			b.WriteString("$$")
		case c != '\\':
			b.WriteByte(c)
		case i+1 < len(by) && by[i+1] == '\\':
			b.WriteByte('\\')
			i++
		case i+1 < len(by) && by[i+1] >= '0' && by[i+1] <= '9' && int(by[i+1]-'0') <= re.NumSubexp():
			b.WriteString("${" + by[i+1:i+2] + "}")
			i++
		default:
			return nil, fmt.Errorf("the substitution %q", by)
		}
	}
	template := b.String()
	return func(path string) string { return re.ReplaceAllString(path, template) }, nil
}
