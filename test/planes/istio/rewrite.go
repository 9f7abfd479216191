package istio

import (
	"fmt"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type routeConfiguration = routev3.RouteConfiguration

// rewriter makes what istiod tells a sidecar fit for our Envoy: the proxies of all
// pods are listeners of one, and pods are ports of loopback.
type rewriter struct {
	config config
	// prefix tells the clusters of this proxy from those of others.
	prefix string
	// server: calls come in from the mesh.
	server bool
	// pod is the port of the pod that calls come to, at that of loopback.
	pod, at int32
	// passthrough is the cluster for what Istio sends on to where it was going.
	passthrough string
	// places are the ports of loopback behind addresses of pods.
	places map[string]int32
	files  certificate
}

// rename returns the name by which our Envoy knows a cluster.
func (r rewriter) rename(name string) string {
	if r.passthrough != "" && strings.Contains(name, "PassthroughCluster") {
		return r.passthrough
	}
	return r.prefix + name
}

// routes renames the clusters of routes.
func (r rewriter) routes(c *routev3.RouteConfiguration) {
	c.ValidateClusters = wrapperspb.Bool(false)
	for _, host := range c.GetVirtualHosts() {
		for _, route := range host.GetRoutes() {
			// What is said for a filter that is left out would be refused.
			for name := range route.GetTypedPerFilterConfig() {
				if leftOut[name] != "" {
					delete(route.TypedPerFilterConfig, name)
				}
			}
			action := route.GetRoute()
			switch to := action.GetClusterSpecifier().(type) {
			case *routev3.RouteAction_Cluster:
				to.Cluster = r.rename(to.Cluster)
			case *routev3.RouteAction_WeightedClusters:
				for _, c := range to.WeightedClusters.GetClusters() {
					c.Name = r.rename(c.Name)
				}
			}
			for _, m := range action.GetRequestMirrorPolicies() {
				m.Cluster = r.rename(m.Cluster)
			}
		}
	}
}

// place moves a listener to a port of loopback, and makes its chains ours.
func (r rewriter) place(l *listenerv3.Listener, name string, port int32, chains []*listenerv3.FilterChain, at uint32) (*listenerv3.Listener, error) {
	out := &listenerv3.Listener{Name: name, Address: address("127.0.0.1", port), FilterChains: chains,
		TrafficDirection:                 l.GetTrafficDirection(),
		ListenerFiltersTimeout:           l.GetListenerFiltersTimeout(),
		ContinueOnListenerFiltersTimeout: l.GetContinueOnListenerFiltersTimeout()}
	for _, f := range l.GetListenerFilters() {
		if listenerFiltersOut[f.GetName()] || disabled(f.GetFilterDisabled(), at) {
			continue
		}
		f = proto.Clone(f).(*listenerv3.ListenerFilter)
		f.FilterDisabled = nil
		out.ListenerFilters = append(out.ListenerFilters, f)
	}
	if !r.server {
		out.DefaultFilterChain = l.GetDefaultFilterChain()
	}
	for _, chain := range append(slices.Clone(chains), out.DefaultFilterChain) {
		if chain == nil {
			continue
		}
		if err := r.filters(chain); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if socket := chain.GetTransportSocket(); socket != nil {
			if err := r.downstream(socket); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// disabled reports whether a listener's filter is not for calls to a port.
func disabled(p *listenerv3.ListenerFilterChainMatchPredicate, port uint32) bool {
	switch rule := p.GetRule().(type) {
	case *listenerv3.ListenerFilterChainMatchPredicate_OrMatch:
		return slices.ContainsFunc(rule.OrMatch.GetRules(), func(one *listenerv3.ListenerFilterChainMatchPredicate) bool { return disabled(one, port) })
	case *listenerv3.ListenerFilterChainMatchPredicate_NotMatch:
		return !disabled(rule.NotMatch, port)
	case *listenerv3.ListenerFilterChainMatchPredicate_DestinationPortRange:
		return int64(port) >= int64(rule.DestinationPortRange.GetStart()) && int64(port) < int64(rule.DestinationPortRange.GetEnd())
	case *listenerv3.ListenerFilterChainMatchPredicate_AnyMatch:
		return rule.AnyMatch
	}
	return false
}

func address(ip string, port int32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)}}}}
}

// cluster makes a cluster ours: with addresses of loopback and our certificates.
func (r rewriter) cluster(c *clusterv3.Cluster, ends *endpointv3.ClusterLoadAssignment, http string) (*clusterv3.Cluster, error) {
	c = proto.Clone(c).(*clusterv3.Cluster)
	c.Name = r.prefix + c.GetName()
	c.EdsClusterConfig, c.UpstreamBindConfig = nil, nil
	c.Filters = slices.DeleteFunc(c.GetFilters(), func(f *clusterv3.Filter) bool { return leftOut[f.GetName()] != "" })
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	if c.GetLbPolicy() == clusterv3.Cluster_CLUSTER_PROVIDED {
		c.LbPolicy, c.LbConfig = clusterv3.Cluster_ROUND_ROBIN, nil
	}
	c.LoadAssignment = &endpointv3.ClusterLoadAssignment{ClusterName: c.Name}
	if ends != nil {
		c.LoadAssignment = proto.Clone(ends).(*endpointv3.ClusterLoadAssignment)
		c.LoadAssignment.ClusterName = c.Name
	}
	for _, locality := range c.LoadAssignment.GetEndpoints() {
		for _, e := range locality.GetLbEndpoints() {
			if err := r.endpoint(e.GetEndpoint()); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
		}
	}
	sockets := []*corev3.TransportSocket{c.GetTransportSocket()}
	for _, m := range c.GetTransportSocketMatches() {
		sockets = append(sockets, m.GetTransportSocket())
	}
	for _, s := range sockets {
		if err := r.upstream(s, http); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return c, nil
}

// endpoint leads an address of a pod to where it is played.
func (r rewriter) endpoint(e *endpointv3.Endpoint) error {
	s := e.GetAddress().GetSocketAddress()
	at := fmt.Sprintf("%s:%d", s.GetAddress(), s.GetPortValue())
	port, ok := r.places[at]
	if !ok {
		return fmt.Errorf("the address %s is nobody's", at)
	}
	e.Address = address("127.0.0.1", port)
	return nil
}

// own is a cluster of ours: ports of loopback, in plain text.
func own(name string, ports ...int32) *clusterv3.Cluster {
	ends := &endpointv3.LocalityLbEndpoints{}
	for _, p := range ports {
		ends.LbEndpoints = append(ends.LbEndpoints, &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
			Endpoint: &endpointv3.Endpoint{Address: address("127.0.0.1", p)}}})
	}
	return &clusterv3.Cluster{Name: name, ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{ends}}}
}
