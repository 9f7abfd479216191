// Package envoy reads xDS resources as Envoy 1.40 does, in the sidecars of a
// mesh and in the proxies of Gateways. Packets are redirected to the virtual
// listeners as in any sidecar mesh, unless the target's options say where
// proxies listen.
package envoy

import (
	"cmp"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/xds"
	"github.com/meshknot/meshknot/translators/ir"
)

// The ports that redirected connections arrive at.
const (
	outboundPort = "15001"
	inboundPort  = "15006"
)

// mesh is what Envoys are told.
type mesh struct {
	world       interpret.World
	trustDomain string
	options     options
	// said is what proxies say in the handshake to a port of a Service on which no
	// HTTP is spoken, and alpn what they say to any.
	said      map[ir.ServicePort][]string
	alpn      []string
	clusters  xds.Index[cluster]
	routes    xds.Index[routes]
	listeners xds.Index[*listener]
	// at are the names of the listeners at an address, by audience.
	at map[string]map[ir.Audience]string
}

// New reads artifacts. The error says what Envoy would refuse.
func New(w interpret.World, t translators.Target, artifacts []translators.Artifact) (interpret.Mesh, error) {
	m := &mesh{world: w, trustDomain: cmp.Or(t.TrustDomain, "cluster.local"), options: t.Options,
		clusters: xds.Index[cluster]{}, routes: xds.Index[routes]{}, listeners: xds.Index[*listener]{}, at: map[string]map[ir.Audience]string{}, said: map[ir.ServicePort][]string{}}
	for _, a := range artifacts {
		if err := m.read(a); err != nil {
			return nil, fmt.Errorf("%s %s: %w", a.ID.Type, a.ID.Name, err)
		}
	}
	return m, nil
}

func (m *mesh) read(a translators.Artifact) error {
	if err := xds.Check(a); err != nil {
		return err
	}
	switch r := a.Payload.(type) {
	case *clusterv3.Cluster:
		c, err := readCluster(m.world, m.trustDomain, r)
		if err != nil {
			return err
		}
		m.clusters.Add(a, c)
		if c.alpn != nil {
			m.alpn = c.alpn
		}
		m.said[c.to] = c.alpn
	case *endpointv3.ClusterLoadAssignment: // which addresses there are is no policy
	case *routev3.RouteConfiguration:
		c, err := readRoutes(r)
		if err != nil {
			return err
		}
		m.routes.Add(a, c)
	case *listenerv3.Listener:
		l, err := readListener(r)
		if err != nil {
			return err
		}
		if l.bound && !m.options.local(l.address) {
			return fmt.Errorf("cannot listen at %s, which is no address of the proxy", l.address)
		}
		m.listeners.Add(a, l)
		if m.at[l.address] == nil {
			m.at[l.address] = map[ir.Audience]string{}
		}
		if other, ok := m.at[l.address][a.Audience]; ok {
			return fmt.Errorf("listens at %s, where %s does", l.address, other)
		}
		m.at[l.address][a.Audience] = r.GetName()
	default:
		return fmt.Errorf("%T is no resource", a.Payload)
	}
	return nil
}

// listenerAt returns the listener that a proxy has at an address.
func (m *mesh) listenerAt(address string, proxy ir.Identity) (xds.Entry[*listener], bool) {
	here := m.at[address]
	for _, a := range xds.Audiences(proxy) {
		name, ok := here[a]
		if !ok {
			continue
		}
		if l, ok := m.listeners.For(name, proxy); ok && l.Value.address == address {
			return l, true
		}
	}
	return xds.Entry[*listener]{}, false
}
