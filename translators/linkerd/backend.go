// Package linkerd makes objects for Linkerd: routes of Gateway API and Linkerd's
// own policies.
//
// A port of a Service that a policy routes becomes an HTTPRoute whose parent is
// that port, or a TCPRoute; what the callers of one namespace see becomes one more
// in theirs. A workload that denies what is not granted becomes one Server for
// each port that is known and each class of its pods, which closes the port. Who
// is granted everything there is named in an AuthorizationPolicy for the Server;
// who is granted some requests, in one for an HTTPRoute of those requests. The
// callers themselves stand in a MeshTLSAuthentication for each object that grants.
// Names are made up and begin with "meshknot"; where they would not say all that
// they stand for they end in a hash of it.
//
// Linkerd chooses the route with the most specific match, by the length of the path
// that matched, where an expression counts as the whole path, and only then by
// methods and conditions; between equals, the first of a route and the older of two.
// The order of the model is kept by adding what fulfils two matches as one more,
// and grants to different callers are cut so that no two routes tie.
//
// A path is compared as it was sent. What is granted for a path is written so that
// it holds for paths in their normal form only: to a prefix belongs an expression
// that no ".." fulfils.
//
// What is left out, and why. There is no ServiceProfile, for Linkerd would ignore
// the routes of a Service that has one, and no GRPCRoute, which would hide its
// HTTPRoutes; gRPC is routed as the HTTP that it is. An object of the user's that is
// of these kinds, or another Server on the same port of the same pods, does the same
// to what is made here. Linkerd neither mirrors nor rewrites: a route that asks for
// it is not taken at all.
//
// To be installed: the definitions of Gateway API, of the experimental channel where
// TCPRoutes are made, as Linkerd reads v1alpha2 and the standard channel serves it
// no more.
//
// Options of the target:
//
//	control-plane-namespace  where Linkerd is installed, which is in every
//	                         identity; "linkerd" when empty
//	default-inbound-policy   what Linkerd does on ports without a Server, for the
//	                         whole mesh; "all-unauthenticated" when empty. With
//	                         "deny" ports that are not known are closed too, and
//	                         a run can deny everywhere
//	probe-networks           where the kubelet's probes come from, with commas
//	                         between; everywhere when empty
package linkerd

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

type backend struct{}

// New returns the Linkerd back end.
func New() translators.Backend { return backend{} }

// Name returns "linkerd".
func (backend) Name() string { return "linkerd" }

// Versions lists the minors of Linkerd that are known, newest first.
func (backend) Versions() []string { return []string{"2.20"} }

// Translate makes the objects of one unit. Nothing is made of the Mesh unit, for
// what holds everywhere is Linkerd's installation, nor of a gateway's.
func (backend) Translate(u ir.Unit, t translators.Target) ([]translators.Artifact, report.Report) {
	m := meshOf(t)
	switch {
	case u.Namespace != nil:
		return nil, m.namespace(*u.Namespace)
	case u.Service != nil:
		return m.service(*u.Service)
	case u.Workload != nil:
		return m.workload(*u.Workload)
	}
	return nil, nil
}
