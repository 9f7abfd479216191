package routes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// Compile makes a comparison of an expression, in the dialect of a mesh. The error
// says why the mesh would not take it.
type Compile func(expression string) (func(string) bool, error)

// The limits of a route.
const (
	maxRules        = 16
	maxRuleMatches  = 64
	maxRouteMatches = 128
	maxParents      = 32
	maxWeight       = 1_000_000
	// maxList is how many backends and filters a rule has, how many headers and
	// parameters a match, and how many headers an edit.
	maxList = 16
)

// reader reads one route.
type reader struct {
	compile   Compile
	namespace string
}

// Read reads a route object. The error says what the API server, or the mesh,
// would refuse.
func Read(a translators.Artifact, compile Compile) (*Route, error) {
	var w wireRoute
	if err := Decode(a, &w); err != nil {
		return nil, err
	}
	out, err := reader{compile, w.Metadata.Namespace}.route(w)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", a.ID.Type, a.ID.Name, err)
	}
	out.ID = a.ID
	return out, nil
}

func (r reader) route(w wireRoute) (*Route, error) {
	out := &Route{Kind: w.Kind, Name: ir.Name{Namespace: w.Metadata.Namespace, Name: w.Metadata.Name},
		Created: w.Metadata.CreationTimestamp, Annotations: w.Metadata.Annotations}
	if len(w.Spec.Rules) > maxRules || len(w.Spec.ParentRefs) > maxParents {
		return nil, fmt.Errorf("more than %d rules or %d parents", maxRules, maxParents)
	}
	if w.Kind == TCPRoute && len(w.Spec.Rules) != 1 {
		return nil, fmt.Errorf("a TCPRoute has one rule")
	}
	for _, p := range w.Spec.ParentRefs {
		if p.Name == "" {
			return nil, fmt.Errorf("a parent without a name")
		}
		out.Parents = append(out.Parents, Parent{or(p.Group, Group), or(p.Kind, "Gateway"),
			ir.Name{Namespace: orText(p.Namespace, r.namespace), Name: p.Name}, p.Port, p.SectionName})
	}
	matches := 0
	for i, one := range w.Spec.Rules {
		rule, err := r.rule(w.Kind, one)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
		matches += len(rule.Matches)
		out.Rules = append(out.Rules, rule)
	}
	if matches > maxRouteMatches {
		return nil, fmt.Errorf("%d matches, and a route has %d at most", matches, maxRouteMatches)
	}
	return out, nil
}

func or(s *string, fallback string) string {
	if s == nil {
		return fallback
	}
	return *s
}

func orText(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func (r reader) rule(kind string, w wireRule) (Rule, error) {
	var out Rule
	if len(w.Matches) > maxRuleMatches || len(w.BackendRefs) > maxList || len(w.Filters) > maxList {
		return out, fmt.Errorf("more than %d matches, or %d backends or filters", maxRuleMatches, maxList)
	}
	if len(w.Matches) == 0 { // every request
		w.Matches = []wireMatch{{}}
	}
	for i, one := range w.Matches {
		m, err := r.match(kind, one)
		if err != nil {
			return out, fmt.Errorf("match %d: %w", i, err)
		}
		out.Matches = append(out.Matches, m)
	}
	for i, one := range w.BackendRefs {
		b, err := r.backend(one)
		if err != nil {
			return out, fmt.Errorf("backend %d: %w", i, err)
		}
		out.Backends = append(out.Backends, b)
	}
	if err := r.filters(w.Filters, &out); err != nil {
		return out, err
	}
	if err := out.consistent(kind); err != nil {
		return out, err
	}
	return out, r.timeouts(w, &out.Timeout)
}

// consistent holds against what the API server demands of a rule as a whole.
func (r Rule) consistent(kind string) error {
	if r.Redirect != nil && r.Rewrite != nil {
		return fmt.Errorf("a redirect beside a rewrite")
	}
	if r.Redirect != nil && len(r.Backends) > 0 {
		return fmt.Errorf("a redirect beside backends")
	}
	prefix := r.Redirect != nil && r.Redirect.Path != nil && r.Redirect.Path.Prefix || r.Rewrite != nil && r.Rewrite.Path != nil && r.Rewrite.Path.Prefix
	if prefix && (len(r.Matches) != 1 || r.Matches[0].Path.Type != PathPrefix) {
		return fmt.Errorf("a prefix is replaced, and there is not one match, by prefix")
	}
	if kind == TCPRoute && len(r.Backends) == 0 {
		return fmt.Errorf("a TCPRoute without backends")
	}
	return nil
}

func (r reader) timeouts(w wireRule, out *ir.Timeout) error {
	for _, t := range []struct {
		text *string
		into *time.Duration
	}{{w.Timeouts.Request, &out.Request}, {w.Timeouts.BackendRequest, &out.Backend}} {
		if t.text == nil {
			continue
		}
		d, err := time.ParseDuration(*t.text)
		if err != nil || d < 0 || strings.ContainsAny(*t.text, ".µun-+") {
			return fmt.Errorf("%q is no duration", *t.text)
		}
		*t.into = d
	}
	if out.Request > 0 && out.Backend > out.Request {
		return fmt.Errorf("the timeout of an attempt is longer than that of the request")
	}
	return nil
}

func (r reader) match(kind string, w wireMatch) (Match, error) {
	out := Match{Path: Condition{Type: PathPrefix, Value: "/"}}
	var err error
	if w.Path != nil {
		if out.Path, err = r.path(*w.Path); err != nil {
			return out, err
		}
	}
	if out.Headers, err = r.conditions(w.Headers, true); err != nil {
		return out, err
	}
	if out.Query, err = r.conditions(w.QueryParams, false); err != nil {
		return out, err
	}
	if len(w.Method) == 0 {
		return out, nil
	}
	if kind == GRPCRoute {
		return out, r.call(w.Method, &out)
	}
	if err := json.Unmarshal(w.Method, &out.Method); err != nil || !slices.Contains(methods, out.Method) {
		return out, fmt.Errorf("there is no method %s", w.Method)
	}
	return out, nil
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// maxPath is the longest path, or expression for one, that a match takes.
const maxPath = 1024

func (r reader) path(w wireValue) (Condition, error) {
	c := Condition{Type: or(w.Type, PathPrefix), Value: or(w.Value, "/")}
	if len(c.Value) > maxPath {
		return c, fmt.Errorf("a path is compared with %d characters at most", maxPath)
	}
	if c.Type != Expression {
		if err := plain(c.Value); err != nil {
			return c, err
		}
	}
	if c.Type == PathPrefix {
		return c, nil
	}
	return c, r.compare(&c)
}

// plain reports what a path may not hold that is not compared as an expression.
func plain(path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("the path %q does not begin with a slash", path)
	}
	for _, not := range []string{"//", "/./", "/../", "%2f", "%2F", "#"} {
		if strings.Contains(path, not) {
			return fmt.Errorf("the path %q holds %q", path, not)
		}
	}
	if strings.HasSuffix(path, "/..") || strings.HasSuffix(path, "/.") {
		return fmt.Errorf("the path %q ends in dots", path)
	}
	return nil
}

// compare sets Holds by type and value.
func (r reader) compare(c *Condition) error {
	value := c.Value
	switch c.Type {
	case Exact:
		c.Holds = func(s string) bool { return s == value }
		return nil
	case Expression:
		holds, err := r.compile(value)
		c.Holds = holds
		return err
	}
	return fmt.Errorf("there is no comparison of type %q", c.Type)
}

func (r reader) conditions(all []wireValue, headers bool) ([]Condition, error) {
	if len(all) > maxList {
		return nil, fmt.Errorf("more than %d conditions", maxList)
	}
	var out []Condition
	for _, w := range all {
		c := Condition{Type: or(w.Type, Exact), Name: w.Name, Value: or(w.Value, "")}
		if c.Name == "" || c.Value == "" {
			return nil, fmt.Errorf("a condition without a name or a value")
		}
		if headers {
			c.Name = strings.ToLower(c.Name)
		}
		if slices.ContainsFunc(out, func(o Condition) bool { return o.Name == c.Name }) {
			return nil, fmt.Errorf("two conditions on %s", c.Name)
		}
		if err := r.compare(&c); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// call reads the method of a GRPCRoute's match.
func (r reader) call(text json.RawMessage, out *Match) error {
	var w wireCall
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	if w.Service == nil && w.Method == nil {
		return fmt.Errorf("a method names a service, or a method of one, or both")
	}
	for _, part := range []struct {
		text *string
		into **Condition
	}{{w.Service, &out.Service}, {w.Method, &out.Call}} {
		if part.text == nil || *part.text == "" {
			continue
		}
		c := Condition{Type: or(w.Type, Exact), Value: *part.text}
		if err := r.compare(&c); err != nil {
			return err
		}
		*part.into = &c
	}
	return nil
}
