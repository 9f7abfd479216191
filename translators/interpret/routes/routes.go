// Package routes reads the route objects of Gateway API for the interpreters of
// those who take them. It knows the form of the objects, the defaults of their
// fields and their limits; what a mesh makes of them is the interpreter's.
package routes

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// Group is the API group of the objects.
const Group = "gateway.networking.k8s.io"

// The kinds of routes.
const (
	HTTPRoute = "HTTPRoute"
	GRPCRoute = "GRPCRoute"
	TCPRoute  = "TCPRoute"
)

// Route is a route object.
type Route struct {
	ID   translators.ID
	Kind string
	// Name of the object, and what else its metadata says.
	Name        ir.Name
	Created     string
	Annotations map[string]string
	Parents     []Parent
	Rules       []Rule
}

// Parent is what a route is attached to; Port is zero where all ports are meant.
type Parent struct {
	Group, Kind string
	Name        ir.Name
	Port        int32
	Section     string
}

// IsService reports whether the parent is a Service.
func (p Parent) IsService() bool { return p.Group == "" && p.Kind == "Service" }

// Rule says what becomes of the requests that fulfil any of Matches.
type Rule struct {
	Matches  []Match
	Backends []Backend
	Edits    Edits
	Redirect *Redirect
	Rewrite  *Rewrite
	Mirrors  []Mirror
	// Timeout is zero where nothing is said, or zero is.
	Timeout ir.Timeout
}

// Edits are what is done to headers; nil is nothing.
type Edits struct{ Request, Response *ir.HeaderEdit }

// The types of conditions.
const (
	Exact      = "Exact"
	PathPrefix = "PathPrefix"
	Expression = "RegularExpression"
)

// Match is a condition on a request. Path is that of an HTTPRoute, Service and
// Call that of a GRPCRoute; where these are nil every call fulfils it.
type Match struct {
	Path    Condition
	Method  string // empty: any
	Service *Condition
	Call    *Condition
	Headers []Condition
	Query   []Condition
}

// Condition compares a value. Name is that of a header, lower case, or of a
// query parameter. Holds is nil for PathPrefix.
type Condition struct {
	Type, Name, Value string
	Holds             func(string) bool
}

// Backend is where requests are sent. Weight is at most 1,000,000.
type Backend struct {
	Group, Kind string
	Service     ir.Name
	Port        int32
	Weight      int64
	Edits       Edits
}

// IsService reports whether the backend is a Service, with its port.
func (b Backend) IsService() bool { return b.Group == "" && b.Kind == "Service" && b.Port != 0 }

// Redirect answers with another place to ask. What is empty stays as asked.
type Redirect struct {
	Scheme, Host string
	Port         int32
	Path         *ir.PathEdit
	// Status is zero where nothing is said.
	Status int
}

// Rewrite changes what is asked for.
type Rewrite struct {
	Host string
	Path *ir.PathEdit
}

// Mirror copies Percent of the requests, 0 to 100.
type Mirror struct {
	Backend Backend
	Percent float64
}

// Of reports whether an artifact is a route object.
func Of(a translators.Artifact) bool {
	version, kind := Kind(a)
	group, _, _ := strings.Cut(version, "/")
	return group == Group && slices.Contains([]string{HTTPRoute, GRPCRoute, TCPRoute}, kind)
}

// Sort brings routes into the order in which they count between equals: the
// oldest first, then by name. One without an age counts behind those that have one.
func Sort(all []*Route) {
	slices.SortStableFunc(all, func(a, b *Route) int {
		return cmp.Or(cmp.Compare(boolInt(a.Created == ""), boolInt(b.Created == "")),
			strings.Compare(a.Created, b.Created), strings.Compare(a.Name.Name, b.Name.Name), strings.Compare(a.Name.Namespace, b.Name.Namespace))
	})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Target cuts a request target into path and query.
func Target(target string) (path, query string) {
	target, _, _ = strings.Cut(target, "#")
	path, query, _ = strings.Cut(target, "?")
	return path, query
}

// HeadersHold reports whether for each condition some line of its header does.
func HeadersHold(conditions []Condition, headers map[string][]string) bool {
	for _, c := range conditions {
		if !slices.ContainsFunc(headers[c.Name], c.Holds) {
			return false
		}
	}
	return true
}

// UnderPath reports whether a path is a prefix's own, or lies below it: whole
// segments are compared, and a slash at the end of the prefix does not count.
func UnderPath(prefix, path string) bool {
	prefix = strings.TrimRight(prefix, "/")
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}
