package istio

import (
	"fmt"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// leftOut are the filters that only Istio's build of Envoy has, by name, with
// what is lost by leaving them out. Any other filter stays as istiod wrote it.
var leftOut = map[string]string{
	"istio.stats":             "counts, and decides nothing",
	"istio.metadata_exchange": "exchanges what is known of the other side, for counting",
	"istio.alpn":              "tells the server's proxy what is spoken inside mTLS, which the cluster's own list says instead",
	"istio.http.peer_metadata": "exchanges what is known of the other side, for counting; as " +
		"waypoint_downstream_peer_metadata and waypoint_upstream_peer_metadata it is another proxy's",
}

// listenerFiltersOut need packets that were redirected, and here none are.
var listenerFiltersOut = map[string]bool{"envoy.filters.listener.original_dst": true}

// filters rewrites the filters of a chain: those of Istio's own build are left
// out, routes are put in, and clusters are renamed.
func (r rewriter) filters(chain *listenerv3.FilterChain) error {
	var out []*listenerv3.Filter
	for _, f := range chain.GetFilters() {
		if leftOut[f.GetName()] != "" {
			continue
		}
		if err := r.filter(f); err != nil {
			return fmt.Errorf("filter %s: %w", f.GetName(), err)
		}
		out = append(out, f)
	}
	chain.Filters = out
	return nil
}

func (r rewriter) filter(f *listenerv3.Filter) error {
	var m proto.Message
	switch config := f.GetTypedConfig(); {
	case config.MessageIs(&hcmv3.HttpConnectionManager{}):
		h := &hcmv3.HttpConnectionManager{}
		if err := config.UnmarshalTo(h); err != nil {
			return err
		}
		if err := r.connectionManager(h); err != nil {
			return err
		}
		m = h
	case config.MessageIs(&tcpv3.TcpProxy{}):
		t := &tcpv3.TcpProxy{}
		if err := config.UnmarshalTo(t); err != nil {
			return err
		}
		r.connections(t)
		m = t
	case config.MessageIs(&tcprbacv3.RBAC{}):
		b := &tcprbacv3.RBAC{}
		if err := config.UnmarshalTo(b); err != nil {
			return err
		}
		r.ports(b.GetRules())
		m = b
	default:
		return nil
	}
	text, err := anypb.New(m)
	f.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: text}
	return err
}

// connections renames where connections go.
func (r rewriter) connections(t *tcpv3.TcpProxy) {
	t.AccessLog = nil
	switch to := t.GetClusterSpecifier().(type) {
	case *tcpv3.TcpProxy_Cluster:
		to.Cluster = r.rename(to.Cluster)
	case *tcpv3.TcpProxy_WeightedClusters:
		for _, c := range to.WeightedClusters.GetClusters() {
			c.Name = r.rename(c.Name)
		}
	}
}

// connectionManager leaves out filters, and puts in the routes that istiod serves apart.
func (r rewriter) connectionManager(h *hcmv3.HttpConnectionManager) error {
	h.AccessLog, h.Tracing = nil, nil
	var filters []*hcmv3.HttpFilter
	for _, f := range h.GetHttpFilters() {
		if leftOut[f.GetName()] != "" {
			continue
		}
		if err := r.permissions(f); err != nil {
			return err
		}
		filters = append(filters, f)
	}
	h.HttpFilters = filters
	routes := h.GetRouteConfig()
	if name := h.GetRds().GetRouteConfigName(); name != "" {
		if routes = r.config.routes[name]; routes == nil {
			return fmt.Errorf("istiod told nothing of the routes %s", name)
		}
		routes = proto.Clone(routes).(*routeConfiguration)
	}
	r.routes(routes)
	h.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: routes}
	return nil
}

// permissions rewrites a filter of HTTP requests, if it is Envoy's RBAC.
func (r rewriter) permissions(f *hcmv3.HttpFilter) error {
	b := &httprbacv3.RBAC{}
	if !f.GetTypedConfig().MessageIs(b) {
		return nil
	}
	if err := f.GetTypedConfig().UnmarshalTo(b); err != nil {
		return err
	}
	r.ports(b.GetRules())
	text, err := anypb.New(b)
	f.ConfigType = &hcmv3.HttpFilter_TypedConfig{TypedConfig: text}
	return err
}

// ports has rules speak of the port of loopback where they speak of the pod's.
func (r rewriter) ports(rules *rbacv3.RBAC) {
	for _, policy := range rules.GetPolicies() {
		for _, p := range policy.GetPermissions() {
			r.port(p)
		}
	}
}

func (r rewriter) port(p *rbacv3.Permission) {
	switch rule := p.GetRule().(type) {
	case *rbacv3.Permission_AndRules:
		for _, one := range rule.AndRules.GetRules() {
			r.port(one)
		}
	case *rbacv3.Permission_OrRules:
		for _, one := range rule.OrRules.GetRules() {
			r.port(one)
		}
	case *rbacv3.Permission_NotRule:
		r.port(rule.NotRule)
	case *rbacv3.Permission_DestinationPort:
		switch rule.DestinationPort {
		case uint32(r.pod):
			rule.DestinationPort = uint32(r.at)
		case uint32(r.at): // by chance: it is another port of the pod
			rule.DestinationPort = uint32(r.pod)
		}
	}
}
