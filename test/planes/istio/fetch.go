package istio

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// inboundListener is the listener that takes all calls to a pod.
const inboundListener = "virtualInbound"

// config is what istiod tells a sidecar, by name.
type config struct {
	listeners map[string]*listenerv3.Listener
	routes    map[string]*routev3.RouteConfiguration
	clusters  map[string]*clusterv3.Cluster
	endpoints map[string]*endpointv3.ClusterLoadAssignment
}

// fetch asks istiod for all that the sidecar of a pod would be told now.
func (p *Plane) fetch(one *pod) (config, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	stream, err := p.ads.StreamAggregatedResources(ctx)
	if err != nil {
		return config{}, err
	}
	node, err := one.node()
	if err != nil {
		return config{}, err
	}
	ask := asker{stream, node}
	var c config
	if c.clusters, err = asked(ask, &clusterv3.Cluster{}, nil); err != nil {
		return c, err
	}
	if c.listeners, err = asked(ask, &listenerv3.Listener{}, nil); err != nil {
		return c, err
	}
	names, err := routesOf(c.listeners)
	if err != nil {
		return c, err
	}
	if c.routes, err = asked(ask, &routev3.RouteConfiguration{}, names); err != nil {
		return c, err
	}
	names = nil
	for _, cl := range c.clusters {
		if cl.GetType() == clusterv3.Cluster_EDS {
			names = append(names, cl.GetName())
		}
	}
	c.endpoints, err = asked(ask, &endpointv3.ClusterLoadAssignment{}, names)
	return c, err
}

// node is what a sidecar says of itself.
func (p *pod) node() (*corev3.Node, error) {
	labels := map[string]any{}
	for k, v := range p.labels {
		labels[k] = v
	}
	m, err := structpb.NewStruct(map[string]any{"NAMESPACE": p.namespace, "LABELS": labels, "SERVICE_ACCOUNT": p.account,
		"CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": istioVersion, "INSTANCE_IPS": p.ip, "MESH_ID": "cluster.local",
		"INTERCEPTION_MODE": "REDIRECT", "WORKLOAD_NAME": p.account})
	return &corev3.Node{Id: fmt.Sprintf("sidecar~%s~%s.%s~%s.svc.cluster.local", p.ip, p.name, p.namespace, p.namespace), Metadata: m}, err
}

type asker struct {
	stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	node   *corev3.Node
}

// asked asks for resources of the type of like: all, or those that are named.
func asked[T proto.Message](a asker, like T, names []string) (map[string]T, error) {
	out := map[string]T{}
	kind, err := anypb.New(like)
	if err != nil {
		return nil, err
	}
	wild := kind.TypeUrl == clusterType || kind.TypeUrl == listenerType
	if !wild && len(names) == 0 {
		return out, nil
	}
	slices.Sort(names)
	if err := a.stream.Send(&discoveryv3.DiscoveryRequest{Node: a.node, TypeUrl: kind.TypeUrl, ResourceNames: names}); err != nil {
		return nil, err
	}
	for {
		r, err := a.stream.Recv()
		if err != nil {
			return nil, fmt.Errorf("istiod, asked for %s: %w", kind.TypeUrl, err)
		}
		if r.TypeUrl != kind.TypeUrl { // a push of what was asked before
			continue
		}
		for _, res := range r.Resources {
			m := like.ProtoReflect().New().Interface().(T)
			if err := res.UnmarshalTo(m); err != nil {
				return nil, err
			}
			out[nameOf(m)] = m
		}
		return out, nil
	}
}

const (
	clusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
)

func nameOf(m proto.Message) string {
	if e, ok := m.(*endpointv3.ClusterLoadAssignment); ok {
		return e.GetClusterName()
	}
	return m.(interface{ GetName() string }).GetName()
}

// routesOf lists the route configurations that listeners name.
func routesOf(listeners map[string]*listenerv3.Listener) ([]string, error) {
	names := map[string]bool{}
	for _, l := range listeners {
		for _, chain := range append(slices.Clone(l.GetFilterChains()), l.GetDefaultFilterChain()) {
			for _, f := range chain.GetFilters() {
				m := &hcmv3.HttpConnectionManager{}
				if !f.GetTypedConfig().MessageIs(m) {
					continue
				}
				if err := f.GetTypedConfig().UnmarshalTo(m); err != nil {
					return nil, err
				}
				if name := m.GetRds().GetRouteConfigName(); name != "" {
					names[name] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}
