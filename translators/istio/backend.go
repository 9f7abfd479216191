// Package istio makes Istio objects: networking.istio.io/v1 and
// security.istio.io/v1, for a mesh of sidecars.
//
// A Service that a policy routes becomes one VirtualService named as it. A
// workload that denies what is not granted becomes, for each class of its pods,
// one AuthorizationPolicy that allows nothing, one more for each object that
// grants, and a PeerAuthentication that refuses what is not mTLS, for without
// mTLS there is no caller to compare with. A namespace that denies gets the
// first and the last without a selector. Names that are made up carry a hash of
// all they stand for, so that no two can meet.
//
// In a VirtualService a prefix is string-wise: one of path segments is two
// matches, and where it is replaced, two routes. Callers of a namespace that has
// routes of its own are told apart by sourceNamespace, by which Istio leaves out
// what a proxy need not know. Edits of headers stand on the route or, where one
// backend has its own, on each backend: Envoy would do the route's last.
//
// What is left out, and why. There is no networking.istio.io Gateway: Istio reads
// those of Gateway API itself. There is no DestinationRule: Istio adds neither
// connection limits nor outlier detection by itself, its clients speak mTLS to
// every proxy unasked, and a rule of ours would compete with the user's, of
// which Istio takes one. There is no ServiceEntry: every backend is a
// Kubernetes Service, which Istio knows already; an inferred one exists in the
// cluster or its calls fail, and an entry of the same name would hide it.
// Endpoints are Kubernetes' own.
//
// Pods without a sidecar are not governed, which Istio's injection sees to. In
// ambient mode a node's proxy knows no requests: grants that look at one hold for
// nobody there, until a waypoint is named in them.
//
// Options of the target:
//
//	cluster-domain   the cluster's DNS domain; "cluster.local" when empty
//	root-namespace   Istio's root namespace; "istio-system" when empty. An
//	                 object there holds for the whole mesh, so nothing is
//	                 granted to workloads of that namespace
package istio

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

type backend struct{}

// New returns the Istio back end.
func New() translators.Backend { return backend{} }

// Name returns "istio".
func (backend) Name() string { return "istio" }

// Versions lists the minors of Istio that are known, newest first.
func (backend) Versions() []string { return []string{"1.31", "1.26"} }

// Translate makes the objects of one unit. The Mesh unit says nothing that an
// object could: trust domain and path normalisation are Istio's installation.
func (backend) Translate(u ir.Unit, t translators.Target) ([]translators.Artifact, report.Report) {
	m := meshOf(t)
	switch {
	case u.Namespace != nil:
		return m.namespace(*u.Namespace)
	case u.Service != nil:
		return m.service(*u.Service)
	case u.Workload != nil:
		return m.workload(*u.Workload)
	}
	return nil, nil
}
