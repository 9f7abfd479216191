package envoy

import (
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	inspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
)

// passthrough is the cluster that connects to wherever the caller wanted to.
const passthrough = "passthrough"

// mesh makes what every proxy has: the listener that hands calls out to the
// listeners of Services, and lets through what none of them is for.
func mesh(o options) []translators.Artifact {
	out := []translators.Artifact{
		artifact(static(xds.Blackhole), ir.Audience{}),
		artifact(originalDestination(), ir.Audience{}),
	}
	if o.redirected(listenOption) {
		out = append(out, artifact(&listenerv3.Listener{
			Name: "outbound", Address: xds.Address("0.0.0.0", OutboundPort),
			TrafficDirection:   corev3.TrafficDirection_OUTBOUND,
			UseOriginalDst:     wrapperspb.Bool(true),
			FilterChains:       []*listenerv3.FilterChain{unredirected(OutboundPort)},
			DefaultFilterChain: &listenerv3.FilterChain{Name: passthrough, Filters: []*listenerv3.Filter{tcpProxy(passthrough, to(passthrough))}},
		}, ir.Audience{}))
	}
	return out
}

func originalDestination() *clusterv3.Cluster {
	c := xds.Unlimited(passthrough)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST}
	c.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
	speak(c, ir.HTTP)
	return c
}

// static makes a cluster of fixed places.
func static(name string, places ...place) *clusterv3.Cluster {
	c := xds.Unlimited(name)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.LoadAssignment = &endpointv3.ClusterLoadAssignment{ClusterName: name}
	for _, p := range places {
		c.LoadAssignment.Endpoints = append(c.LoadAssignment.Endpoints, &endpointv3.LocalityLbEndpoints{
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
				Endpoint: &endpointv3.Endpoint{Address: xds.Address(p.host, p.port)}}}}})
	}
	return c
}

// places returns where calls to a port are caught: where the options say, else
// at each cluster address.
func (o options) places(s ir.Service, p ir.Port) ([]place, error) {
	given, err := o.listen(ir.Name{Namespace: s.Namespace, Name: s.Name}, p.Number)
	if err != nil || given != nil || p.Number == ir.AnyPort {
		return given, err
	}
	var out []place
	for _, address := range s.Addresses {
		out = append(out, place{host: address, port: uint32(p.Number)})
	}
	return out, nil
}

// outbound catches the calls to a port of a Service at one place.
func outbound(s ir.Service, p ir.Port, at place) *listenerv3.Listener {
	host := xds.Host(ir.Name{Namespace: s.Namespace, Name: s.Name}, p.Number)
	filter := tcpProxy(host, connections(p)...)
	if p.Protocol.IsHTTP() {
		m := connectionManager(host, httpFilter(xds.FaultFilter, &faultv3.HTTPFault{}))
		m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: xds.ADS(), RouteConfigName: host}}
		filter = httpConnectionManager(m)
	}
	l := &listenerv3.Listener{
		Name:             fmt.Sprintf("outbound|%s|%s", host, at),
		Address:          xds.Address(at.host, at.port),
		TrafficDirection: corev3.TrafficDirection_OUTBOUND,
		FilterChains:     []*listenerv3.FilterChain{{Name: host, Filters: []*listenerv3.Filter{filter}}},
	}
	if !at.bind {
		l.BindToPort = wrapperspb.Bool(false)
	}
	return l
}

// String names a place within a port: by account or, for a place that is
// everybody's, by address.
func (p place) String() string {
	if p.audience != (ir.Audience{}) {
		return p.audience.Namespace + "/" + p.audience.Account
	}
	return p.host
}

func listenerFilter(name string, config proto.Message) *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{Name: name, ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: xds.Any(config)}}
}

// tlsInspector tells callers that speak TLS from those that do not.
func tlsInspector() *listenerv3.ListenerFilter {
	return listenerFilter("envoy.filters.listener.tls_inspector", &inspectorv3.TlsInspector{})
}

// restoreDestination gives a redirected connection its own destination back.
func restoreDestination() *listenerv3.ListenerFilter {
	return listenerFilter("envoy.filters.listener.original_dst", &originaldstv3.OriginalDst{})
}
