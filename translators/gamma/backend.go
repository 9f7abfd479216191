// Package gamma makes Gateway API routes for a mesh, as GAMMA has it: HTTPRoute,
// GRPCRoute and TCPRoute in version v1, attached to the Services that are called.
//
// Each routed port of a Service gets one route object, and more where one is
// full (16 rules, 64 matches in a rule, 128 in a route). Callers of a namespace
// that have routes of their own get them in their namespace, as consumer routes.
// A gRPC port gets a GRPCRoute where that can say everything, else an HTTPRoute.
//
// The model tries routes in their order, Gateway API tries the most specific
// match first: order.go adds what two matches have in common where the two
// orders differ, and reports where that cannot be written. Once a route is
// attached, a request that no rule matches gets 404, so the Service itself is
// written as the last rule unless 404 is what is meant.
//
// What a mesh makes of a regular expression, and where it ranks it, is its own
// choice. Where a port has any, whatever does not look at the path is written as
// the expression ".*": Istio ranks every prefix, even "/", before expressions, and
// would never try them otherwise.
//
// Gateway API has no authorization. The option "authorization" names the mesh in
// whose own form it is written; without it grants are refused, and so is any
// output where something has to be denied.
//
// Gateways and what is attached to them are in this form already, and are not
// written again.
//
// Options of the target:
//
//	authorization      the back end that writes who may call: one of those that
//	                   New was given, with @VERSION behind it if not its newest
//	authorization.KEY  an option of that back end
package gamma

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

type backend struct{ authorization []translators.Backend }

// New returns the back end. Gateway API has no authorization: the given back
// ends write it, where the option "authorization" names one of them.
func New(authorization ...translators.Backend) translators.Backend { return backend{authorization} }

// Name returns "gateway-api".
func (backend) Name() string { return "gateway-api" }

// Versions returns none: what is written is v1 of every kind.
func (backend) Versions() []string { return nil }

// Translate makes the routes of a Service; what is not about routing is the
// authorization's.
func (b backend) Translate(u ir.Unit, t translators.Target) ([]translators.Artifact, report.Report) {
	if u.Service != nil {
		return service(*u.Service)
	}
	return b.authorize(u, t)
}
