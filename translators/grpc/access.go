package grpc

import (
	"fmt"
	"net"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/xds"
)

// ServerListenerTemplate is what the bootstrap of a server must hold as
// server_listener_resource_name_template; "%s" stands for its own address. It
// names the account, for servers of all accounts listen on the same addresses.
func ServerListenerTemplate(id ir.Identity) string {
	return "grpc/server/" + id.Namespace + "/" + id.Account + "/%s"
}

// workload makes what the servers of an account learn: who may call them.
func workload(w ir.Workload, trustDomain string, options map[string]string) ([]translators.Artifact, report.Report) {
	id := ir.Identity{Namespace: w.Namespace, Account: w.Account}
	refs := append([]report.Ref{w.Ref}, w.Because...)
	for _, g := range w.Grants {
		refs = append(refs, g.Ref)
	}
	var out []translators.Artifact
	var found report.Report
	for _, p := range xds.Ports(w, func(int32) ir.Protocol { return ir.GRPC }) {
		if !p.Protocol.IsHTTP() {
			continue
		}
		addresses, err := listensOn(id, p.Number, options)
		if err != nil {
			found = append(found, report.New(report.BadValue, w.Ref, err.Error()))
		}
		for _, a := range addresses {
			out = append(out, artifact(server(w, p, a, trustDomain), ir.Audience{Namespace: w.Namespace, Account: w.Account}, refs...))
		}
	}
	return out, found
}

// address is where a server listens.
type address struct {
	host string
	port uint32
}

func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(int(a.port))) }

// listensOn returns the addresses at which a server may be found to listen.
func listensOn(id ir.Identity, port int32, options map[string]string) ([]address, error) {
	key := fmt.Sprintf(serveOption+"%s/%s:%d", id.Namespace, id.Account, port)
	given := options[key]
	if given == "" {
		return []address{{"0.0.0.0", uint32(port)}, {"::", uint32(port)}}, nil
	}
	host, text, err := net.SplitHostPort(given)
	if err != nil {
		return nil, fmt.Errorf("option %s: %q is not HOST:PORT", key, given)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("option %s: %q has no port between 1 and 65535", key, given)
	}
	return []address{{host, uint32(n)}}, nil
}

// server is the Listener that a server asks for by the address it listens on.
// A workload that denies lets in who has a certificate of the mesh, and then
// whom a grant names; an open one lets in everybody who speaks TLS.
func server(w ir.Workload, p ir.WorkloadPort, a address, trustDomain string) *listenerv3.Listener {
	name := fmt.Sprintf(ServerListenerTemplate(ir.Identity{Namespace: w.Namespace, Account: w.Account}), a)
	filters := []*hcmv3.HttpFilter{httpFilter("envoy.filters.http.router", &routerv3.Router{})}
	if w.Enforced {
		w.Probes = nil // they come without a certificate, so no rule could let them in
		rules := xds.Dialect{TrustDomain: trustDomain, JoinsHeaders: true}.Allow(w, p)
		filters = append([]*hcmv3.HttpFilter{httpFilter("envoy.filters.http.rbac", &rbacv3.RBAC{Rules: rules})}, filters...)
	}
	manager := &hcmv3.HttpConnectionManager{
		StatPrefix:  name,
		HttpFilters: filters,
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
			Name: name, VirtualHosts: []*routev3.VirtualHost{{Name: name, Domains: []string{"*"}, Routes: []*routev3.Route{{
				Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: ""}},
				Action: &routev3.Route_NonForwardingAction{NonForwardingAction: &routev3.NonForwardingAction{}}}}}}}},
	}
	return &listenerv3.Listener{Name: name, Address: xds.Address(a.host, a.port),
		TrafficDirection: corev3.TrafficDirection_INBOUND,
		FilterChains: []*listenerv3.FilterChain{{Name: name, TransportSocket: serverTLS(w.Enforced),
			Filters: []*listenerv3.Filter{{Name: "envoy.filters.network.http_connection_manager",
				ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: xds.Any(manager)}}}}}}
}
