package consul

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/interpret/sidecar"
	"github.com/meshknot/meshknot/translators/semantics"
)

// asked is a request as a proxy compares it.
type asked struct {
	semantics.Request
	path, query string
}

// joined: the Envoys that the known minors of Consul support compare the lines of
// a repeated header as one, joined with commas.
const joined = true

// condition is what a route or a permission looks at.
type condition struct {
	// matched is the prefix that is compared with, empty for the whole path.
	matched string
	prefix  bool
	all     []func(*asked) bool
}

func (c *condition) holds(q *asked) bool {
	return !slices.ContainsFunc(c.all, func(holds func(*asked) bool) bool { return !holds(q) })
}

// replaced is the part of a path that a rewrite replaces.
func (c *condition) replaced(path string) string {
	if c.prefix {
		return path[:len(c.matched)]
	}
	return path
}

// methods are the ones that Consul takes.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"}

// catchAll is the condition of a route that has none.
func catchAll() *condition { return &condition{prefix: true, matched: "/"} }

func newCondition(w *wireCondition) (*condition, error) {
	c := catchAll()
	if w == nil {
		return c, nil
	}
	if err := c.path(w); err != nil {
		return nil, err
	}
	for i, m := range w.Methods {
		if !slices.Contains(methods, m) || slices.Contains(w.Methods[:i], m) {
			return nil, fmt.Errorf("the method %q is none, or there already", m)
		}
	}
	if len(w.Methods) > 0 {
		c.all = append(c.all, func(q *asked) bool { return slices.Contains(w.Methods, q.Method) })
	}
	for _, h := range w.Header {
		holds, err := h.compile(true)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", h.Name, err)
		}
		c.all = append(c.all, func(q *asked) bool { return h.among(sidecar.Lines(q.Headers, h.Name, joined), holds) })
	}
	for _, p := range w.QueryParam {
		holds, err := p.compile(false)
		if err != nil {
			return nil, fmt.Errorf("query parameter %s: %w", p.Name, err)
		}
		c.all = append(c.all, func(q *asked) bool {
			value, ok := sidecar.Parameter(q.query, p.Name)
			return ok && holds(value)
		})
	}
	return c, nil
}

// path adds the comparison of the path, of which there is one at most. A prefix
// is one of strings.
func (c *condition) path(w *wireCondition) error {
	fold := func(s string) string { return s }
	if w.CaseInsensitive {
		fold = strings.ToLower
	}
	some := 0
	for _, v := range []string{w.PathExact, w.PathPrefix, w.PathRegex} {
		if v != "" {
			some++
		}
	}
	switch {
	case some > 1:
		return fmt.Errorf("a path compared in two ways")
	case w.PathExact != "":
		c.prefix = false
		c.all = append(c.all, func(q *asked) bool { return fold(q.path) == fold(w.PathExact) })
	case w.PathPrefix != "":
		c.matched = w.PathPrefix
		c.all = append(c.all, func(q *asked) bool { return strings.HasPrefix(fold(q.path), fold(w.PathPrefix)) })
	case w.PathRegex != "":
		c.prefix = false
		holds, err := sidecar.Whole(w.PathRegex)
		if err != nil {
			return err
		}
		c.all = append(c.all, func(q *asked) bool { return holds(q.path) })
	}
	for _, v := range []string{w.PathExact, w.PathPrefix} {
		if v != "" && v[0] != '/' {
			return fmt.Errorf("the path %q does not begin with a slash", v)
		}
	}
	return nil
}

// compile makes a test of a comparison. An empty value is none, and one there has
// to be. Query parameters are compared in fewer ways.
func (w wireComparison) compile(header bool) (func(string) bool, error) {
	fold := func(s string) string { return s }
	if w.IgnoreCase {
		fold = strings.ToLower
	}
	var tests []func(string) bool
	add := func(value string, holds func(s, value string) bool) {
		if value != "" {
			tests = append(tests, func(s string) bool { return holds(fold(s), fold(value)) })
		}
	}
	add(w.Exact, func(s, v string) bool { return s == v })
	add(w.Prefix, strings.HasPrefix)
	add(w.Suffix, strings.HasSuffix)
	add(w.Contains, strings.Contains)
	if w.Regex != "" {
		holds, err := sidecar.Whole(w.Regex)
		if err != nil {
			return nil, err
		}
		tests = append(tests, holds)
	}
	if w.Present {
		tests = append(tests, func(string) bool { return true })
	}
	if len(tests) != 1 || w.Name == "" || w.IgnoreCase && (w.Regex != "" || w.Present) ||
		!header && (w.Prefix != "" || w.Suffix != "" || w.Contains != "" || w.Invert || w.IgnoreCase) {
		return nil, fmt.Errorf("not one comparison that Consul knows")
	}
	return tests[0], nil
}

// among compares the lines of a header. A header that is absent never fulfils a
// comparison of its value, not even one that is turned around.
func (w wireComparison) among(lines []string, holds func(string) bool) bool {
	if w.Present {
		return (len(lines) > 0) != w.Invert
	}
	return len(lines) > 0 && slices.ContainsFunc(lines, holds) != w.Invert
}
