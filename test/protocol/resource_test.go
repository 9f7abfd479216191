package protocol

import (
	"fmt"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// The types of resources, by their short names.
const (
	prefix = "type.googleapis.com/"
	CDS    = prefix + "envoy.config.cluster.v3.Cluster"
	EDS    = prefix + "envoy.config.endpoint.v3.ClusterLoadAssignment"
	LDS    = prefix + "envoy.config.listener.v3.Listener"
	RDS    = prefix + "envoy.config.route.v3.RouteConfiguration"
	SDS    = prefix + "envoy.extensions.transport_sockets.tls.v3.Secret"
)

// order is that in which what is new has to come.
var order = []string{CDS, EDS, LDS, RDS, SDS}

// fullState are the types of which a response in the state of the world has all
// that there is: what is not in it is gone.
var fullState = map[string]bool{CDS: true, LDS: true}

func short(typeURL string) string {
	switch typeURL {
	case CDS:
		return "cluster"
	case EDS:
		return "endpoints"
	case LDS:
		return "listener"
	case RDS:
		return "route"
	case SDS:
		return "secret"
	}
	return typeURL[strings.LastIndex(typeURL, ".")+1:]
}

func typeOf(m proto.Message) string { return prefix + string(m.ProtoReflect().Descriptor().FullName()) }

func nameOf(m proto.Message) string {
	if e, ok := m.(*endpointv3.ClusterLoadAssignment); ok {
		return e.GetClusterName()
	}
	return m.(interface{ GetName() string }).GetName()
}

// nameIn reads the name of a resource that has none beside it; there is none in
// what is not of the type.
func nameIn(typeURL string, a *anypb.Any) string {
	m, err := a.UnmarshalNew()
	if err != nil || typeOf(m) != typeURL {
		return ""
	}
	return nameOf(m)
}

// cluster has its endpoints in itself, and a text in which its contents differ.
func cluster(name, text string) *clusterv3.Cluster {
	return &clusterv3.Cluster{Name: name, AltStatName: text, ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: name}}
}

// edsCluster asks for its endpoints under its own name, or under that of a service.
func edsCluster(name, service, text string) *clusterv3.Cluster {
	return &clusterv3.Cluster{Name: name, AltStatName: text, ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig: &clusterv3.Cluster_EdsClusterConfig{ServiceName: service, EdsConfig: ads()}}
}

func ads() *corev3.ConfigSource {
	return &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3, ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}}
}

// endpoints are ports of loopback.
func endpoints(name string, ports ...uint32) *endpointv3.ClusterLoadAssignment {
	e := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	if len(ports) == 0 {
		return e
	}
	l := &endpointv3.LocalityLbEndpoints{Locality: &corev3.Locality{Region: "here"}}
	for _, p := range ports {
		l.LbEndpoints = append(l.LbEndpoints, &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
			Endpoint: &endpointv3.Endpoint{Address: address(p)}}})
	}
	e.Endpoints = []*endpointv3.LocalityLbEndpoints{l}
	return e
}

func address(port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}}}}
}

// listener says nothing; rdsListener asks for a route.
func listener(name, text string) *listenerv3.Listener {
	return &listenerv3.Listener{Name: name, StatPrefix: text}
}

func rdsListener(name, route, text string) *listenerv3.Listener {
	hcm := &hcmv3.HttpConnectionManager{StatPrefix: name, RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{
		Rds: &hcmv3.Rds{RouteConfigName: route, ConfigSource: ads()}}}
	typed, err := anypb.New(hcm)
	if err != nil {
		panic(err)
	}
	return &listenerv3.Listener{Name: name, StatPrefix: text, FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
		Name: "http", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: typed}}}}}}
}

// route sends what asks for /CLUSTER to the cluster.
func route(name string, clusters ...string) *routev3.RouteConfiguration {
	host := &routev3.VirtualHost{Name: name, Domains: []string{"*"}}
	for _, c := range clusters {
		host.Routes = append(host.Routes, &routev3.Route{Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/" + c}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: c}}}})
	}
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{host}}
}

func secret(name, text string) *tlsv3.Secret {
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{
		Secret: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}}}}}
}

// resources are those that a server has, by type and name.
type resources map[string]map[string]proto.Message

func (r resources) put(m proto.Message) {
	if r[typeOf(m)] == nil {
		r[typeOf(m)] = map[string]proto.Message{}
	}
	r[typeOf(m)][nameOf(m)] = m
}

func (r resources) clone() resources {
	out := resources{}
	for _, of := range r {
		for _, m := range of {
			out.put(m)
		}
	}
	return out
}

// many are resources of one make with numbered names.
func many(n int, of func(name string) proto.Message) []proto.Message {
	var out []proto.Message
	for i := range n {
		out = append(out, of(fmt.Sprintf("many-%d", i)))
	}
	return out
}
