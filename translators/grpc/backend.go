// Package grpc translates the model into xDS resources for gRPC applications
// that speak xDS themselves, without a proxy.
//
// A Service's HTTP ports become what a client asks for by "xds:///SERVICE.NAMESPACE:PORT":
// a Listener, its RouteConfiguration, a Cluster and endpoints. A Workload's
// HTTP ports become what a server asks for, a Listener by the name that
// ServerListenerTemplate makes of the address that it listens on; the server's
// bootstrap must hold the template of its own account. Certificates come from
// the certificate provider instance CertificateInstance of the bootstrap.
//
// The target's options:
//
//	serve.NS/ACCOUNT:TARGETPORT  "HOST:PORT", the address that the server listens on,
//	                             instead of every address of the pod at the target port
//
// Applications must ask for xDS credentials; those that do not have no identity,
// and guarded servers deny them.
package grpc

import (
	"cmp"
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

const serveOption = "serve."

// Options implements translators.Configurable.
func (backend) Options() []translators.Option {
	return []translators.Option{{Key: serveOption, Form: "serve.NS/ACCOUNT:TARGETPORT=HOST:PORT", Help: "the address that the server listens on"}}
}

// New returns the back end.
func New() translators.Backend { return backend{} }

func (backend) Name() string { return "grpc" }

func (backend) Versions() []string { return nil }

func (backend) Supports(translators.Target) feature.Table { return shown }

func (backend) Translate(u ir.Unit, t translators.Target) ([]translators.Artifact, report.Report) {
	trustDomain := cmp.Or(t.TrustDomain, "cluster.local")
	switch {
	case u.Mesh != nil:
		return mesh(), nil
	case u.Service != nil:
		return service(*u.Service, trustDomain), nil
	case u.Workload != nil:
		return workload(*u.Workload, trustDomain, t.Options)
	case u.Endpoints != nil:
		return endpoints(*u.Endpoints), nil
	}
	return nil, nil // a server that nobody has named is told nothing, and does not serve
}

// artifact wraps a resource for the applications that it is for.
func artifact(m proto.Message, a ir.Audience, refs ...report.Ref) translators.Artifact {
	typeURL, name, rank := xds.Resource(m)
	refs = slices.DeleteFunc(slices.Clone(refs), report.Ref.IsZero)
	slices.SortFunc(refs, report.Ref.Compare)
	return translators.Artifact{
		ID: translators.ID{Type: typeURL, Name: name}, Rank: rank, Audience: a, Payload: m, Refs: slices.Compact(refs)}
}
