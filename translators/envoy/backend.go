// Package envoy translates the model into xDS resources for Envoy sidecars and
// for Envoys that are gateways.
//
// A Service becomes a RouteConfiguration, a Cluster and outbound Listeners per
// port; a Workload an inbound Listener and the clusters to its own process.
// Outbound calls are caught by address: a Listener stands for each cluster
// address of a Service and is handed its calls by the virtual listener on port
// 15001; inbound calls arrive at port 15006. Both ports are fed by packet
// redirection, as in any sidecar mesh.
//
// The target's options, all of them optional:
//
//	sds                            where the secrets come from: "" (the bootstrap's own
//	                               secrets), "file:DIR" (DIR/<secret>.yaml) or the name of a
//	                               cluster of the bootstrap that serves SDS
//	listen.NS/SERVICE:PORT         "HOST:PORT", where to listen for calls to the port instead of its
//	                               address; several are separated by commas, and "NS/ACCOUNT=HOST:PORT"
//	                               is for the proxies of one account
//	inbound.NS/ACCOUNT:TARGETPORT  "HOST:PORT,APPHOST:APPPORT", where to listen for calls to a port of
//	                               the workload, and where its process listens
//	gateway.NS/NAME:PORT           "HOST:PORT", where the proxies of a Gateway listen for calls to the
//	                               port, instead of at the port of every address
//
// With any listen or inbound option the virtual listener of that direction is
// left out: nothing is redirected, as in a lab without privileges.
package envoy

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/xds"
)

// backend implements translators.Backend; it has no state.
type backend struct{}

// New returns the back end.
func New() translators.Backend { return backend{} }

func (backend) Name() string { return "envoy" }

func (backend) Versions() []string { return []string{"1.40"} }

func (backend) Supports(translators.Target) feature.Table { return shown }

func (backend) Translate(u ir.Unit, t translators.Target) ([]translators.Artifact, report.Report) {
	o := newOptions(t)
	switch {
	case u.Mesh != nil:
		return mesh(o), nil
	case u.Service != nil:
		return service(*u.Service, o)
	case u.Workload != nil:
		return workload(*u.Workload, o)
	case u.Gateway != nil:
		return gateway(*u.Gateway, o)
	case u.VirtualHost != nil:
		out, _ := virtualHost(*u.VirtualHost, hosted{})
		return out, nil
	case u.Endpoints != nil:
		return endpoints(*u.Endpoints), nil
	}
	// A Namespace that denies by default needs nothing said: a proxy of an account
	// that has no Workload has no inbound listener, and redirected calls to it are
	// refused.
	return nil, nil
}

// Follow implements translators.Follower: one host name may have thousands of routes,
// of which one is edited.
func (b backend) Follow(u ir.Unit, t translators.Target, memory any) ([]translators.Artifact, report.Report, any) {
	if u.VirtualHost == nil {
		out, found := b.Translate(u, t)
		return out, found, nil
	}
	before, _ := memory.(hosted)
	out, now := virtualHost(*u.VirtualHost, before)
	return out, nil, now
}

// artifact wraps a resource for the proxies that it is for.
func artifact(m proto.Message, a ir.Audience, refs ...report.Ref) translators.Artifact {
	typeURL, name, rank := xds.Resource(m)
	return translators.Artifact{
		ID: translators.ID{Type: typeURL, Name: name}, Rank: rank, Audience: a, Payload: m, Refs: inOrder(slices.Clone(refs))}
}

// inOrder sorts references, which it changes, and leaves each there once.
func inOrder(refs []report.Ref) []report.Ref {
	refs = slices.DeleteFunc(refs, report.Ref.IsZero)
	slices.SortFunc(refs, report.Ref.Compare)
	return slices.Compact(refs)
}
