package istio

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/interpret/sidecar"
	"github.com/meshknot/meshknot/translators/semantics"
)

// asked is a request as a proxy compares it.
type asked struct {
	semantics.Request
	path, query string
	joined      bool
}

// test compares a value.
type test func(string) bool

func always(string) bool { return true }

// maxRegex is the longest expression that Istio's validation takes.
const maxRegex = 1024

// compile makes a test of a comparison. One that says nothing, or the expression
// "*", which is none, holds for every value that is there.
func (s *wireString) compile() (test, error) {
	switch {
	case s == nil:
		return always, nil
	case s.Exact != nil && s.Prefix == nil && s.Regex == nil:
		return func(v string) bool { return v == *s.Exact }, nil
	case s.Prefix != nil && s.Exact == nil && s.Regex == nil:
		if *s.Prefix == "" {
			return nil, fmt.Errorf("an empty prefix")
		}
		return func(v string) bool { return strings.HasPrefix(v, *s.Prefix) }, nil
	case s.Regex != nil && s.Exact == nil && s.Prefix == nil:
		if *s.Regex == "*" {
			return always, nil
		}
		if len(*s.Regex) > maxRegex {
			return nil, fmt.Errorf("an expression of %d characters", len(*s.Regex))
		}
		return sidecar.Whole(*s.Regex)
	case s.Exact == nil:
		return always, nil
	}
	return nil, fmt.Errorf("two comparisons in one")
}

// match is a condition on requests.
type match struct {
	place
	// path is what is compared with the path; matched is the part of it that a
	// rewrite replaces, or empty for the whole.
	path    test
	matched string
	prefix  bool
	all     []func(*asked) bool
}

func (m *match) holds(q *asked) bool {
	return m.path(q.path) && !slices.ContainsFunc(m.all, func(holds func(*asked) bool) bool { return !holds(q) })
}

// replaced is what takes a rewrite's place: the prefix compared with, or all.
func (m *match) replaced(path string) string {
	if m.prefix {
		return path[:len(m.matched)]
	}
	return path
}

// everything is what a route without a match holds for.
func everything() *match { return &match{path: always, prefix: true, matched: "/"} }

// ignored are names of headers that stand for other parts of a request, for which
// Istio does not look among the headers.
var ignored = []string{"uri", "scheme", "method", "authority"}

func newMatch(w wireMatch) (*match, error) {
	m := everything()
	m.place = place{w.Port, w.SourceNamespace, w.SourceLabels, w.Gateways}
	if err := m.uri(w); err != nil {
		return nil, err
	}
	for _, one := range []struct {
		value  *wireString
		lookup func(*asked) []string
	}{
		{w.Scheme, func(*asked) []string { return []string{"http"} }},
		{w.Method, func(q *asked) []string { return []string{q.Method} }},
		{w.Authority, func(q *asked) []string { return sidecar.Lines(q.Headers, sidecar.Host, q.joined) }},
	} {
		if one.value == nil {
			continue
		}
		holds, err := one.value.compile()
		if err != nil {
			return nil, err
		}
		m.all = append(m.all, func(q *asked) bool { return slices.ContainsFunc(one.lookup(q), holds) })
	}
	return m, m.named(w)
}

func (m *match) uri(w wireMatch) (err error) {
	if w.URI == nil {
		return nil
	}
	if m.path, err = w.URI.compile(); err != nil {
		return fmt.Errorf("uri: %w", err)
	}
	if m.prefix = w.URI.Exact == nil && w.URI.Regex == nil; w.URI.Prefix != nil {
		m.matched = *w.URI.Prefix
	}
	if w.IgnoreURICase && w.URI.Regex == nil {
		lower := &wireString{}
		if w.URI.Exact != nil {
			v := strings.ToLower(*w.URI.Exact)
			lower.Exact = &v
		} else {
			v := strings.ToLower(m.matched)
			lower.Prefix = &v
		}
		holds, err := lower.compile()
		m.path = func(path string) bool { return holds(strings.ToLower(path)) }
		return err
	}
	return nil
}

// named adds the conditions on headers and on query parameters, of which the
// first occurrence counts.
func (m *match) named(w wireMatch) error {
	for _, name := range slices.Sorted(maps.Keys(w.Headers)) {
		holds, err := w.Headers[name].compile()
		if err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
		if slices.Contains(ignored, name) {
			continue
		}
		m.all = append(m.all, func(q *asked) bool { return slices.ContainsFunc(sidecar.Lines(q.Headers, name, q.joined), holds) })
	}
	for _, name := range slices.Sorted(maps.Keys(w.WithoutHeaders)) {
		holds, err := w.WithoutHeaders[name].compile()
		if err != nil {
			return fmt.Errorf("without header %s: %w", name, err)
		}
		m.all = append(m.all, func(q *asked) bool { return !slices.ContainsFunc(sidecar.Lines(q.Headers, name, q.joined), holds) })
	}
	for _, name := range slices.Sorted(maps.Keys(w.QueryParams)) {
		holds, err := w.QueryParams[name].compile()
		if err != nil {
			return fmt.Errorf("query parameter %s: %w", name, err)
		}
		m.all = append(m.all, func(q *asked) bool {
			value, ok := sidecar.Parameter(q.query, name)
			return ok && holds(value)
		})
	}
	return nil
}

// place says for which proxies istiod writes a route at all.
type place struct {
	port      int32 // of the Service; zero: any
	namespace string
	labels    map[string]string
	gateways  []string
}

// caller is the proxy that routes. Pods are the labels of each class of pods that
// run as its account.
type caller struct {
	namespace string
	pods      []map[string]string
	port      int32
}

// sees: where gateways are named, the rest is not looked at. A request does not say
// which pod makes it, so labels count where all pods of the account carry them.
func (p place) sees(c caller) bool {
	if p.port != 0 && p.port != c.port {
		return false
	}
	if len(p.gateways) > 0 {
		return slices.Contains(p.gateways, everySidecar)
	}
	if len(p.labels) > 0 && (len(c.pods) == 0 || slices.ContainsFunc(c.pods, func(pod map[string]string) bool { return !selected{labels: p.labels}.covers(pod) })) {
		return false
	}
	return p.namespace == "" || p.namespace == c.namespace
}

// everySidecar is the name of the gateway that all sidecars are.
const everySidecar = "mesh"
