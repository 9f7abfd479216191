// Package consul makes Consul's configuration entries, for the community
// edition: service-defaults, service-resolver, service-splitter, service-router,
// service-intentions and mesh.
//
// A Service becomes a Consul service of its name. Where a policy routes it there
// is a service-router, and for each route that shares requests a service of a
// made-up name with a service-splitter: Consul follows splitters from one
// service to the next, and one at a Service's own name would hold for everybody
// who sends a share there. A share that fails leads to a service that nobody is.
// The router's last route is written out, with its timeouts off, before the one
// that Consul appends.
//
// A workload that denies what is not granted becomes service-intentions for each
// Service that leads to its pods, or for its account's name where none is known.
// Each lists who may call, and ends by denying the rest, requests and callers
// alike, so that it means the same whatever the agents do by default. Consul
// knows callers and callees by service and has no namespaces here: where several
// accounts stand behind one service, a call passes that all of them allow.
//
// What is left out, and why. A caller's proxy in transparent mode learns of the
// services that intentions let it call: to be routed by a Service that nobody
// stands behind, a caller needs an intention for that one too on agents that deny
// by default. Nothing asks for subsets or failover, so the only resolvers are those
// of Services whose connections, of which no requests are seen, all go elsewhere.
// An entry is replaced as a whole, whoever wrote it: the mesh entry too.
//
// Options of the target:
//
//	default          what the agents do with a call that no intention speaks of:
//	                 "deny", or "allow"; "deny" when empty. Where they allow, a
//	                 run that denies everywhere denies in all of Consul
//	form             "config" for configuration entries, "kubernetes" for the
//	                 objects of Consul on Kubernetes; "config" when empty
//	namespace        where those objects are made; "default" when empty
//	service.NS/NAME  how Consul knows a Service, or an account that no Service
//	                 is known for; NAME when not given
package consul

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

type backend struct{}

// New returns the Consul back end.
func New() translators.Backend { return backend{} }

// Name returns "consul".
func (backend) Name() string { return "consul" }

// Versions lists the minors of Consul's servers that are known, newest first.
func (backend) Versions() []string { return []string{"1.22", "1.21", "1.20"} }

// Translate makes the entries of one unit. Nothing is made of a namespace, for
// Consul has none here; the Mesh unit denies for all of them, or nobody does.
func (backend) Translate(u ir.Unit, t translators.Target) ([]translators.Artifact, report.Report) {
	m := meshOf(t)
	switch {
	case u.Mesh != nil:
		return m.mesh(*u.Mesh)
	case u.Namespace != nil:
		return nil, m.alone(*u.Namespace)
	case u.Service != nil:
		return m.service(*u.Service)
	case u.Workload != nil:
		return m.workload(*u.Workload)
	}
	return nil, nil
}
