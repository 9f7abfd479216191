package ir

import (
	"reflect"
	"slices"
	"time"

	"github.com/meshknot/meshknot/translators/report"
)

// Route is what becomes of the requests that match: a share for each backend
// or, where Redirect or Status is set, an answer without asking any backend.
type Route struct {
	// Name is stable: the name of the object that made it, with that of its rule
	// where there are several; or "default", or "unmatched".
	Name string     `json:"name"`
	Ref  report.Ref `json:"ref"`
	// Matches: any of them must hold. None means never.
	Matches  []Match   `json:"matches"`
	Backends []Backend `json:"backends"`
	// Redirect answers with another place to ask; then there are no backends.
	Redirect *Redirect `json:"redirect,omitempty"`
	// Status answers with an HTTP status and nothing else: 404 where requests that
	// match no route are refused, 500 where a route leads nowhere. Then there
	// are no backends. A TCP connection is closed.
	Status int `json:"status,omitempty"`
	// Rewrite changes what backends are asked for.
	Rewrite *Rewrite `json:"rewrite,omitempty"`
	// RequestHeaders and ResponseHeaders are edited, before a backend's own edits.
	RequestHeaders  *HeaderEdit `json:"requestHeaders,omitempty"`
	ResponseHeaders *HeaderEdit `json:"responseHeaders,omitempty"`
	// Mirrors get a copy of requests; their answers are thrown away.
	Mirrors []Mirror `json:"mirrors,omitempty"`
	Timeout *Timeout `json:"timeout,omitempty"`
}

// Answers reports whether a route answers by itself and has no backends.
func (r Route) Answers() bool { return r.Redirect != nil || r.Status != 0 }

// Same reports whether two routes say the same. Where they share their lists that is
// seen at once.
func (r Route) Same(o Route) bool {
	if r.Name != o.Name || r.Ref != o.Ref || r.Status != o.Status {
		return false
	}
	return r.shares(o) || equal(r, o)
}

// equal looks into everything. It is apart so that only then the routes are copied.
//
//go:noinline
func equal(a, b Route) bool { return reflect.DeepEqual(&a, &b) }

// shares reports whether all that routes refer to is the very same.
func (r Route) shares(o Route) bool {
	return shared(r.Matches, o.Matches) && shared(r.Backends, o.Backends) && shared(r.Mirrors, o.Mirrors) &&
		r.Redirect == o.Redirect && r.Rewrite == o.Rewrite && r.Timeout == o.Timeout &&
		r.RequestHeaders == o.RequestHeaders && r.ResponseHeaders == o.ResponseHeaders
}

// shared reports whether two lists are the same piece of memory.
func shared[T any](a, b []T) bool {
	return len(a) == len(b) && (a == nil) == (b == nil) && (len(a) == 0 || &a[0] == &b[0])
}

// MatchesAll reports whether every request fulfils a route.
func (r Route) MatchesAll() bool { return slices.ContainsFunc(r.Matches, Match.IsAll) }

// Refs returns the places of a route, its matches and its backends.
func (r Route) Refs() []report.Ref {
	refs := []report.Ref{r.Ref}
	for _, m := range r.Matches {
		refs = append(refs, m.Ref)
	}
	for _, b := range r.Backends {
		refs = append(refs, b.Ref)
	}
	return refs
}

// Backend takes a share of a route's requests: Weight over the sum of weights.
// Where that sum is zero every request fails with status 500.
type Backend struct {
	Service Name  `json:"service"`
	Port    int32 `json:"port"`
	// Weight is a ratio, 0 to 2^32-1; the sum over a route is in that range too.
	Weight uint32 `json:"weight"`
	// Invalid is the reason why this share of the requests fails with status
	// 500 (a TCP connection: is closed); empty when the backend is good.
	Invalid string `json:"invalid,omitempty"`
	// Servers are the accounts known to answer for the backend, which a client
	// may expect in its certificate; none when unknown.
	Servers []Identity `json:"servers,omitempty"`
	// RequestHeaders and ResponseHeaders are edited for this share alone.
	RequestHeaders  *HeaderEdit `json:"requestHeaders,omitempty"`
	ResponseHeaders *HeaderEdit `json:"responseHeaders,omitempty"`
	Ref             report.Ref  `json:"ref"`
}

// Match is a condition on a request: path AND method AND every header AND
// every query parameter.
type Match struct {
	// Name is the name of the match where it has one.
	Name string `json:"name,omitempty"`
	// Path is compared with the normalised path without its query.
	Path    StringMatch `json:"path"`
	PathRef report.Ref  `json:"pathRef,omitzero"`
	// Methods: any of them, upper case. AnyMethod stands for all.
	Methods    []string   `json:"methods"`
	MethodsRef report.Ref `json:"methodsRef,omitzero"`
	// Headers must all hold; a header that is absent never holds.
	Headers []HeaderMatch `json:"headers,omitempty"`
	// Query parameters must all hold; one that is absent never holds.
	Query []QueryMatch `json:"query,omitempty"`
	Ref   report.Ref   `json:"ref"`
}

// AnyMethod is the one element of Match.Methods when every method matches.
const AnyMethod = "*"

// MatchAll returns the match that every request fulfils, on behalf of ref.
func MatchAll(ref report.Ref) Match {
	return Match{Path: StringMatch{Kind: MatchAny}, Methods: []string{AnyMethod}, Ref: ref}
}

// IsAll reports whether every request fulfils m.
func (m Match) IsAll() bool {
	return m.Path.Kind == MatchAny && m.AnyMethod() && len(m.Headers) == 0 && len(m.Query) == 0
}

// AnyMethod reports whether m holds for every method.
func (m Match) AnyMethod() bool { return slices.Contains(m.Methods, AnyMethod) }

// HeaderMatch is a condition on one header. Name is lower case. Each line of a
// repeated header is compared alone; one that matches is enough.
type HeaderMatch struct {
	Name  string      `json:"name"`
	Value StringMatch `json:"value"`
	Ref   report.Ref  `json:"ref"`
}

// QueryMatch is a condition on one query parameter, whose first occurrence
// counts, compared as it is written: no escape in it is decoded.
type QueryMatch struct {
	Name  string      `json:"name"`
	Value StringMatch `json:"value"`
	Ref   report.Ref  `json:"ref"`
}

// HeaderEdit changes headers: first Remove, then Set, then Add. Names are lower case
// and a name stands in one list only.
type HeaderEdit struct {
	// Set replaces all lines of a header by one.
	Set []Header `json:"set,omitempty"`
	// Add puts a line behind those that are there.
	Add    []Header   `json:"add,omitempty"`
	Remove []string   `json:"remove,omitempty"`
	Ref    report.Ref `json:"ref"`
}

// Header is a header and its value.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// PathEdit replaces a path.
type PathEdit struct {
	// Prefix: only what the match's path (MatchSegments, or MatchAny for "/")
	// says is replaced by Value, else the whole path. The query stays.
	Prefix bool   `json:"prefix,omitempty"`
	Value  string `json:"value"`
}

// Redirect answers with another place to ask. What is not set stays as asked.
type Redirect struct {
	Scheme string `json:"scheme,omitempty"`
	Host   string `json:"host,omitempty"`
	// Port of the new place; 0: that of the scheme if one is set, else the one
	// that was called (which is not written where the scheme implies it).
	Port int32     `json:"port,omitempty"`
	Path *PathEdit `json:"path,omitempty"`
	// Status is 301, 302, 303, 307 or 308.
	Status int        `json:"status"`
	Ref    report.Ref `json:"ref"`
}

// Rewrite changes host and path of a request on its way.
type Rewrite struct {
	Host string     `json:"host,omitempty"`
	Path *PathEdit  `json:"path,omitempty"`
	Ref  report.Ref `json:"ref"`
}

// Mirror copies Numerator of Denominator requests to a backend, whose weight
// means nothing. An invalid backend gets none.
type Mirror struct {
	Backend     Backend    `json:"backend"`
	Numerator   uint32     `json:"numerator"`
	Denominator uint32     `json:"denominator"`
	Ref         report.Ref `json:"ref"`
}

// Timeout ends requests that take too long with status 504. Zero means none.
type Timeout struct {
	// Request is from the first byte of the request to the last of the answer.
	Request time.Duration `json:"request,omitempty"`
	// Backend is for one attempt at a backend; at most Request where that is set.
	Backend time.Duration `json:"backend,omitempty"`
	Ref     report.Ref    `json:"ref"`
}
