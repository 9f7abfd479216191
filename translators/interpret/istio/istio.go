// Package istio decides requests by Istio's objects, as the sidecars of a mesh
// would that istiod configures: VirtualService, DestinationRule (its subsets),
// AuthorizationPolicy and PeerAuthentication. Any other kind or field of Istio's is an
// error, for what it changes would be overlooked.
//
// What is taken for granted of the installation: every workload has a sidecar, path
// normalisation is the default (BASE), no authorization provider is configured, and
// there are no networking.istio.io Gateways, so nothing answers at one.
package istio

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/sidecar"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// mesh is what istiod was told, ready to be asked.
type mesh struct {
	world         interpret.World
	trustDomain   string
	clusterDomain string
	rootNamespace string
	// joined: the proxies join the lines of a repeated header.
	joined bool
	// hosts are the VirtualServices by the Service that they route.
	hosts map[ir.Name]*virtualService
	// subsets are known by their Service and name.
	subsets  map[subset]bool
	policies index[*policy]
	peers    index[*peer]
}

type subset struct {
	service ir.Name
	name    string
}

// reading is the default path normalisation, which does not merge slashes.
var reading = sidecar.Reading{Normal: true}

// newest is the first minor whose Envoy, 1.39 or later, compares the lines of a
// repeated header one by one.
const newest = "1.31"

// New reads objects. The error says what Istio's validation would refuse, or what
// cannot be read here.
func New(w interpret.World, t translators.Target, artifacts []translators.Artifact) (interpret.Mesh, error) {
	m := &mesh{
		world:         w,
		trustDomain:   cmp.Or(t.TrustDomain, localTrustDomain),
		clusterDomain: cmp.Or(t.Options["cluster-domain"], "cluster.local"),
		rootNamespace: cmp.Or(t.Options["root-namespace"], "istio-system"),
		joined:        t.Version != "" && t.Version != newest,
		hosts:         map[ir.Name]*virtualService{},
		subsets:       map[subset]bool{},
	}
	for _, a := range artifacts {
		if err := m.add(a); err != nil {
			return nil, fmt.Errorf("%s %s: %w", a.ID.Type, a.ID.Name, err)
		}
	}
	m.policies.build()
	m.peers.build()
	return m, nil
}

func (m *mesh) add(a translators.Artifact) error {
	o, err := read(a)
	if err != nil {
		return err
	}
	switch group, _, _ := strings.Cut(o.APIVersion, "/"); group + "/" + o.Kind {
	case "networking.istio.io/VirtualService":
		return m.addVirtualService(a.ID, o)
	case "networking.istio.io/DestinationRule":
		return m.addDestinationRule(o)
	case "security.istio.io/AuthorizationPolicy":
		return m.addPolicy(a.ID, o)
	case "security.istio.io/PeerAuthentication":
		return m.addPeer(a.ID, o)
	}
	return fmt.Errorf("%s %s is not read here", o.APIVersion, o.Kind)
}

func (m *mesh) addDestinationRule(o object) error {
	var spec wireDestinationRule
	if err := decode(o.Spec, &spec); err != nil {
		return err
	}
	service, ok := m.service(spec.Host, o.Metadata.Namespace)
	for _, s := range spec.Subsets {
		if s.Name == "" {
			return fmt.Errorf("a subset without a name")
		}
		if ok {
			m.subsets[subset{service, s.Name}] = true
		}
	}
	return nil
}

// service resolves a host as Istio does in an object of a namespace: a name
// without dots is short for a Service beside it. It reports false for what is no
// name of a Service of the cluster.
func (m *mesh) service(host, namespace string) (ir.Name, bool) {
	if host != "" && !strings.Contains(host, ".") {
		return ir.Name{Namespace: namespace, Name: host}, host != "*"
	}
	rest, ok := strings.CutSuffix(host, ".svc."+m.clusterDomain)
	name, ns, two := strings.Cut(rest, ".")
	return ir.Name{Namespace: ns, Name: name}, ok && two && name != "" && ns != "" && name != "*" && !strings.Contains(ns, ".")
}

// addressed returns the Service that a request asks for by its host. The port of
// a host does not count. What names no Service is passed on to where it was sent.
func (m *mesh) addressed(q semantics.Request, from string) (ir.Name, bool) {
	hosts := q.Headers[sidecar.Host]
	if len(hosts) == 0 {
		return q.Service, true
	}
	host, _, _ := strings.Cut(strings.ToLower(hosts[0]), ":")
	for _, a := range m.world.Services[q.Service].Addresses {
		if a == host {
			return q.Service, true
		}
	}
	name, ns, _ := strings.Cut(host, ".")
	if ns == "" {
		ns = from // a short name is one of the caller's own namespace
	}
	ns = strings.TrimSuffix(strings.TrimSuffix(ns, "."+m.clusterDomain), ".svc")
	service := ir.Name{Namespace: ns, Name: name}
	port, known := m.world.Port(ir.ServicePort{Service: service, Port: q.Port})
	return service, service == q.Service || known && port.Protocol.IsHTTP()
}
