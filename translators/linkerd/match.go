package linkerd

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// The longest values that a route takes.
const (
	maxPathValue   = 1024
	maxHeaderValue = 4096
)

// methodNames are the methods that a route can name.
var methodNames = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// request is a condition on a request as a route writes it: one method at most.
type request struct {
	path    ir.StringMatch
	method  string // "" is any
	headers []ir.HeaderMatch
	query   []ir.QueryMatch
	ref     report.Ref
}

// requestsOf writes a match as requests, and lists the methods that no route can name.
func requestsOf(m ir.Match) (out []request, unknown []string) {
	q := request{path: m.Path, headers: slices.Clone(m.Headers), query: slices.Clone(m.Query), ref: m.Ref}
	slices.SortStableFunc(q.headers, func(a, b ir.HeaderMatch) int { return strings.Compare(a.Name, b.Name) })
	if m.AnyMethod() {
		return []request{q}, nil
	}
	for _, name := range m.Methods {
		if !slices.Contains(methodNames, name) {
			unknown = append(unknown, name)
			continue
		}
		q.method = name
		out = append(out, q)
	}
	return out, unknown
}

// wholePath is the length that counts where the whole path is compared.
const wholePath = math.MaxInt

// length of the path that counts for Linkerd when it chooses between routes.
func length(m ir.StringMatch) int {
	switch m.Kind {
	case ir.MatchAny:
		return 1
	case ir.MatchSegments:
		return len(m.Value)
	}
	return wholePath
}

// outranks reports whether q is chosen over o, or is its equal, for every request
// that fulfils both. Linkerd compares the matched length, then method and numbers
// of conditions; in which order has changed, so q has to have no less of any.
func (q request) outranks(o request) bool {
	return length(q.path) >= length(o.path) && (q.method != "" || o.method == "") &&
		len(q.headers) >= len(o.headers) && len(q.query) >= len(o.query)
}

// sets compares comparisons as sets of values, and keeps what it has worked out.
type sets struct {
	known map[ir.StringMatch]set
	meets map[[2]ir.StringMatch]meeting
	// starts are what expressions begin with.
	starts map[string]string
}

type set struct {
	language
	ok bool
}

// start returns what every value begins with that a comparison holds for.
func (s *sets) start(m ir.StringMatch) string {
	switch m.Kind {
	case ir.MatchExact, ir.MatchPrefix, ir.MatchSegments:
		return m.Value
	case ir.MatchRegex:
		start, ok := s.starts[m.Value]
		if !ok {
			if re, err := regexp.Compile(m.Value); err == nil {
				start, _ = re.LiteralPrefix()
			}
			s.starts[m.Value] = start
		}
		return start
	}
	return ""
}

type meeting struct {
	both ir.StringMatch
	how  relation
}

func newSets() *sets {
	return &sets{map[ir.StringMatch]set{}, map[[2]ir.StringMatch]meeting{}, map[string]string{}}
}

func (s *sets) of(m ir.StringMatch) set {
	known, ok := s.known[m]
	if !ok {
		known.language, known.ok = languageOf(m)
		s.known[m] = known
	}
	return known
}

// relation says how two conditions stand to each other.
type relation int

// The relations.
const (
	// apart: nothing fulfils both.
	apart relation = iota
	// meets: what fulfils both is known.
	meets
	// unknown: what fulfils both cannot be written.
	unknown
)

// meet returns the comparison that holds where both do.
func (s *sets) meet(a, b ir.StringMatch) (ir.StringMatch, relation) {
	key := [2]ir.StringMatch{a, b}
	m, ok := s.meets[key]
	if !ok {
		m.both, m.how = s.compare(a, b)
		s.meets[key] = m
	}
	return m.both, m.how
}

func (s *sets) compare(a, b ir.StringMatch) (ir.StringMatch, relation) {
	switch {
	case a == b, b.Kind == ir.MatchAny:
		return a, meets
	case a.Kind == ir.MatchAny:
		return b, meets
	case a.Kind == ir.MatchExact:
		return a, relationOf(b.Matches(a.Value))
	case b.Kind == ir.MatchExact:
		return b, relationOf(a.Matches(b.Value))
	}
	if x, y := s.start(a), s.start(b); !strings.HasPrefix(x, y) && !strings.HasPrefix(y, x) {
		return a, apart
	}
	if a.Kind == ir.MatchPrefix && b.Kind == ir.MatchPrefix { // most are, and need no automaton
		if strings.HasPrefix(a.Value, b.Value) {
			return a, meets
		}
		return b, meets
	}
	left, right := s.of(a), s.of(b)
	if !left.ok || !right.ok {
		return a, unknown
	}
	both, ok := left.and(right.language)
	switch {
	case !ok:
		return a, unknown
	case both.empty():
		return a, apart
	case left.within(right.language):
		return a, meets
	case right.within(left.language):
		return b, meets
	}
	expr, ok := both.expression()
	if !ok {
		return a, unknown
	}
	return ir.StringMatch{Kind: ir.MatchRegex, Value: expr}, meets
}

func relationOf(together bool) relation {
	if together {
		return meets
	}
	return apart
}

// within reports whether o holds all that l does.
func (l language) within(o language) bool {
	rest, ok := l.but(o)
	return ok && rest.empty()
}

// contains reports whether b holds wherever a does; when in doubt it does not.
func (s *sets) contains(b, a ir.StringMatch) bool {
	both, how := s.meet(a, b)
	return how == meets && both == a
}

// meetRequests returns the request that is fulfilled where both are. Where a header
// is repeated its lines may fulfil two conditions that one line cannot; that is
// not followed, and such requests are the affair of whichever is chosen.
func (s *sets) meetRequests(a, b request) (request, relation) {
	out := request{method: cmp.Or(a.method, b.method), ref: a.ref}
	if a.method != "" && b.method != "" && a.method != b.method {
		return out, apart
	}
	path, how := s.meet(a.path, b.path)
	if how == apart {
		return out, apart
	}
	out.path = path
	if most := max(length(a.path), length(b.path)); length(path) < most { // it must not count for less
		out.path = ir.StringMatch{Kind: ir.MatchRegex, Value: expression(path)}
	}
	out.headers = slices.Clone(a.headers)
	for _, h := range b.headers {
		i := slices.IndexFunc(out.headers, func(o ir.HeaderMatch) bool { return o.Name == h.Name })
		if i < 0 {
			out.headers = append(out.headers, h)
			continue
		}
		value, one := s.meet(out.headers[i].Value, h.Value)
		if one == apart {
			return out, apart
		}
		out.headers[i].Value, how = value, max(how, one)
	}
	slices.SortStableFunc(out.headers, func(a, b ir.HeaderMatch) int { return strings.Compare(a.Name, b.Name) })
	out.query = slices.Clone(a.query)
	for _, p := range b.query {
		i := slices.IndexFunc(out.query, func(o ir.QueryMatch) bool { return o.Name == p.Name })
		if i < 0 {
			out.query = append(out.query, p)
			continue
		}
		value, one := s.meet(out.query[i].Value, p.Value)
		if one == apart {
			return out, apart
		}
		out.query[i].Value, how = value, max(how, one)
	}
	return out, how
}

// covers reports whether o is fulfilled wherever q is.
func (s *sets) covers(o, q request) bool {
	if o.method != "" && o.method != q.method || !s.contains(o.path, q.path) {
		return false
	}
	for _, h := range o.headers {
		if !slices.ContainsFunc(q.headers, func(x ir.HeaderMatch) bool { return x.Name == h.Name && s.contains(h.Value, x.Value) }) {
			return false
		}
	}
	for _, p := range o.query {
		if !slices.ContainsFunc(q.query, func(x ir.QueryMatch) bool { return x.Name == p.Name && s.contains(p.Value, x.Value) }) {
			return false
		}
	}
	return true
}

// same reports whether two requests are written alike.
func (q request) same(o request) bool {
	return q.path == o.path && q.method == o.method &&
		slices.EqualFunc(q.headers, o.headers, func(a, b ir.HeaderMatch) bool { return a.Name == b.Name && a.Value == b.Value }) &&
		slices.EqualFunc(q.query, o.query, func(a, b ir.QueryMatch) bool { return a.Name == b.Name && a.Value == b.Value })
}

// object writes a request as a match of a route. The error is for people.
func (q request) object() (object, string) {
	out, why := conditionsOf(q)
	if why == "" && q.path.Kind != ir.MatchAny {
		out["path"], why = pathObject(q.path)
	} else if why == "" {
		out["path"] = object{"type": "PathPrefix", "value": "/"}
	}
	return out, why
}

// conditionsOf writes everything but the path.
func conditionsOf(q request) (object, string) {
	out := object{}
	if q.method != "" {
		out["method"] = q.method
	}
	var headers, params []any
	for i, h := range q.headers {
		if i > 0 && q.headers[i-1].Name == h.Name {
			return nil, "a route compares each header with one value"
		}
		value, why := valueObject(h.Name, h.Value, maxHeaderValue)
		if why != "" {
			return nil, why
		}
		headers = append(headers, value)
	}
	for i, p := range q.query {
		if slices.ContainsFunc(q.query[:i], func(o ir.QueryMatch) bool { return o.Name == p.Name }) {
			return nil, "a route compares each query parameter with one value"
		}
		value, why := valueObject(p.Name, p.Value, maxPathValue)
		if why != "" {
			return nil, why
		}
		params = append(params, value)
	}
	if len(headers) > maxConditions || len(params) > maxConditions {
		return nil, "a route takes 16 headers and 16 query parameters in a match"
	}
	if len(headers) > 0 {
		out["headers"] = headers
	}
	if len(params) > 0 {
		out["queryParams"] = params
	}
	return out, ""
}

// maxConditions is how many headers a match takes, and how many parameters.
const maxConditions = 16

var (
	plainPath  = regexp.MustCompile(`^/(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})*$`)
	dotSegment = regexp.MustCompile(`/\.\.?(/|$)`)
	plainValue = regexp.MustCompile("^[!-~]+([\t ]?[!-~]+)*$")
	plainName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+\\-.^_`|~]{1,256}$")
)

// pathObject writes a comparison of a path; what is compared with and is no plain
// path is written as an expression.
func pathObject(m ir.StringMatch) (object, string) {
	plain := plainPath.MatchString(m.Value) && !dotSegment.MatchString(m.Value) && !strings.Contains(m.Value, "//") &&
		!strings.Contains(strings.ToLower(m.Value), "%2f") && len(m.Value) <= maxPathValue
	switch {
	case m.Kind == ir.MatchExact && plain:
		return object{"type": "Exact", "value": m.Value}, ""
	case m.Kind == ir.MatchSegments && plain:
		return object{"type": "PathPrefix", "value": m.Value}, ""
	}
	return expressionObject(m, maxPathValue)
}

func expressionObject(m ir.StringMatch, most int) (object, string) {
	expr, ok := anchored(m)
	if !ok {
		return nil, "the expression cannot be written for Linkerd"
	}
	return regexObject(expr, most)
}

func regexObject(expr string, most int) (object, string) {
	if len(expr) > most {
		return nil, "the expression that is needed is too long for a route"
	}
	return object{"type": "RegularExpression", "value": expr}, ""
}

func valueObject(name string, m ir.StringMatch, most int) (object, string) {
	if !plainName.MatchString(name) {
		return nil, "a route cannot name it"
	}
	out := object{"type": "Exact", "value": m.Value}
	if m.Kind != ir.MatchExact || !plainValue.MatchString(m.Value) || len(m.Value) > most {
		var why string
		if out, why = expressionObject(m, most); why != "" {
			return nil, why
		}
	}
	out["name"] = name
	return out, ""
}
