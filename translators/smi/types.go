// Package smi reads the Service Mesh Interface, every version of it, and lowers
// it into the model. Versions converge here: whatever version an object was
// written in, Decode makes the one form of this file of it, without loss, and
// Lower knows no other. Paths of fields stay as the author wrote them.
//
// Specification: https://github.com/servicemeshinterface/smi-spec (v0.6.0).
package smi

// The API groups of SMI.
const (
	GroupSplit  = "split.smi-spec.io"
	GroupSpecs  = "specs.smi-spec.io"
	GroupAccess = "access.smi-spec.io"
)

// Split is a TrafficSplit.
type Split struct {
	// Service is the root as written: "svc", "svc.ns" or a qualified name.
	Service      string
	ServiceField string
	// Matches are references to HTTPRouteGroups; none: every request is split.
	Matches  []RouteRef
	Backends []SplitBackend
}

// SplitBackend takes a share of a split.
type SplitBackend struct {
	Service string
	// Weight is a ratio in lowest terms over the object, so that Quantity and
	// whole-number versions with the same meaning are the same Split.
	Weight uint32
	// Field is the path of the list element, such as "spec.backends[0]".
	Field string
}

// RouteRef refers to a route object of the referring object's own namespace.
type RouteRef struct {
	Group, Kind, Name string
	// Matches are the names of matches; AllMatches says that none were given,
	// which means all of them.
	Matches    []string
	AllMatches bool
	Field      string
}

// RouteGroup is an HTTPRouteGroup.
type RouteGroup struct{ Matches []HTTPMatch }

// HTTPMatch is a named condition on requests.
type HTTPMatch struct {
	Name string
	// PathRegex as written; empty means every path.
	PathRegex string
	// Methods as written, upper case; empty, or with "*", means every method.
	Methods []string
	// Headers all hold; in the order written.
	Headers []Header
	// Field is the path of the list element, such as "spec.matches[0]".
	Field string
}

// Header is a condition on a header: an expression for its value.
type Header struct{ Name, Value, Field string }

// PortRoute is a TCPRoute or a UDPRoute.
type PortRoute struct {
	// Name of its one match, by which rules may refer to it; mostly empty.
	Name string
	// Ports of the destination's Services; AllPorts when the list was empty or
	// the version has no ports.
	Ports    []int32
	AllPorts bool
	// Field is the path of the list of ports, or of spec, or empty.
	Field string
}

// Account is a source or destination of a TrafficTarget.
type Account struct {
	// Kind is "ServiceAccount" or "IdentityBinding".
	Kind, Name, Namespace string
	Field                 string
}

// Target is a TrafficTarget.
type Target struct {
	Destination Account
	// Port restricts the destination in v1alpha1 and v1alpha2; 0 when unset.
	Port      int32
	PortField string
	Rules     []RouteRef
	// RulesField and SourcesField are the paths of the lists.
	RulesField   string
	Sources      []Account
	SourcesField string
}

// Binding is an IdentityBinding (access v1alpha4, never released): other names
// for an identity, valid in its own namespace.
type Binding struct {
	// PodLabels select pods; SPIFFE lists identities as URIs; Account names a
	// ServiceAccount. Any of them holds.
	PodLabels map[string]string
	SPIFFE    []string
	Account   string
	Field     string
}
