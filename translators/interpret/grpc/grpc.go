// Package grpc reads xDS resources as gRPC applications do that speak xDS
// themselves (grpc-go 1.85). What a client or server would refuse is an error.
//
// A call is taken for one that an application makes, whatever its method and
// path: an application calls every path by POST, and asks the server's rules as
// the request says.
package grpc

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

// mesh is what applications are told.
type mesh struct {
	world       interpret.World
	trustDomain string
	// serve are the options that say where servers listen.
	serve    map[string]string
	clients  xds.Index[client]
	servers  xds.Index[server]
	routes   xds.Index[routes]
	clusters xds.Index[cluster]
}

// New reads artifacts. The error says what applications would refuse.
func New(w interpret.World, t translators.Target, artifacts []translators.Artifact) (interpret.Mesh, error) {
	m := &mesh{world: w, trustDomain: cmp.Or(t.TrustDomain, "cluster.local"), serve: t.Options,
		clients: xds.Index[client]{}, servers: xds.Index[server]{}, routes: xds.Index[routes]{}, clusters: xds.Index[cluster]{}}
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
	case *endpointv3.ClusterLoadAssignment: // which addresses there are is no policy
		if err := checkEndpoints(r); err != nil {
			return err
		}
	case *routev3.RouteConfiguration:
		c, err := readRoutes(r)
		if err != nil {
			return err
		}
		m.routes.Add(a, c)
	case *listenerv3.Listener:
		if err := m.readListener(a, r); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%T is no resource", a.Payload)
	}
	return nil
}

// checkEndpoints refuses what no client takes.
func checkEndpoints(a *endpointv3.ClusterLoadAssignment) error {
	seen := map[string]bool{}
	for _, l := range a.GetEndpoints() {
		if l.GetLocality() == nil || l.GetLoadBalancingWeight().GetValue() == 0 && len(l.GetLbEndpoints()) > 0 {
			return fmt.Errorf("endpoints without a locality, or without weight, are not seen")
		}
		for _, e := range l.GetLbEndpoints() {
			s := e.GetEndpoint().GetAddress().GetSocketAddress()
			at := fmt.Sprintf("%s:%d", s.GetAddress(), s.GetPortValue())
			if seen[at] || s.GetAddress() == "" || s.GetPortValue() == 0 {
				return fmt.Errorf("the address %s is refused", at)
			}
			seen[at] = true
		}
	}
	return nil
}

// readListener reads what a client or a server asks for.
func (m *mesh) readListener(a translators.Artifact, l *listenerv3.Listener) error {
	if l.GetApiListener() != nil {
		c, err := readClient(l)
		m.clients.Add(a, c)
		return err
	}
	s, err := readServer(l)
	m.servers.Add(a, s)
	return err
}

// hostPort is where a port of a workload's server listens.
func (m *mesh) hostPort(w ir.Name, port int32) string {
	return cmp.Or(m.serve[fmt.Sprintf("serve.%s:%d", w, port)], fmt.Sprintf("0.0.0.0:%d", port))
}
