package grpc

import (
	"errors"
	"fmt"
	"strings"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators/interpret/xds"
)

// client is what a client is told of a name that it calls.
type client struct{ manager }

// server is what a server is told of an address that it listens on.
type server struct {
	manager
	address string
	tls     *xds.Secured
	// demands: nobody gets in without a certificate.
	demands bool
}

// manager handles calls.
type manager struct {
	xds.Filters
	rds    string // names the routes, where they are not here
	routes routes
	// timeout of calls whose route says nothing of time.
	timeout time.Duration
}

func readClient(l *listenerv3.Listener) (client, error) {
	config := &hcmv3.HttpConnectionManager{}
	if err := xds.UnpackTo(l.GetApiListener().GetApiListener(), config); err != nil {
		return client{}, err
	}
	m, err := readManager(config)
	return client{m}, err
}

func readServer(l *listenerv3.Listener) (server, error) {
	s := l.GetAddress().GetSocketAddress()
	out := server{address: fmt.Sprintf("%s:%d", s.GetAddress(), s.GetPortValue())}
	if strings.Contains(s.GetAddress(), ":") {
		out.address = fmt.Sprintf("[%s]:%d", s.GetAddress(), s.GetPortValue())
	}
	switch {
	case s.GetAddress() == "" || s.GetPortValue() == 0:
		return out, errors.New("a server's listener without an address is refused")
	case len(l.GetListenerFilters()) > 0 || l.GetUseOriginalDst().GetValue():
		return out, errors.New("listener_filters and use_original_dst are refused")
	case len(l.GetFilterChains()) != 1 || l.GetDefaultFilterChain() != nil:
		return out, errors.New("other than one filter chain is not understood")
	}
	chain := l.GetFilterChains()[0]
	if !proto.Equal(chain.GetFilterChainMatch(), (*listenerv3.FilterChainMatch)(nil)) && !proto.Equal(chain.GetFilterChainMatch(), &listenerv3.FilterChainMatch{}) {
		return out, errors.New("a match of a filter chain is not understood")
	}
	if len(chain.GetFilters()) != 1 {
		return out, errors.New("a filter chain with other than one filter is refused")
	}
	config := &hcmv3.HttpConnectionManager{}
	if err := xds.UnpackTo(chain.GetFilters()[0].GetTypedConfig(), config); err != nil {
		return out, err
	}
	var err error
	if out.manager, err = readManager(config); err != nil || chain.GetTransportSocket() == nil {
		return out, err
	}
	context := &tlsv3.DownstreamTlsContext{}
	if err := xds.UnpackTo(chain.GetTransportSocket().GetTypedConfig(), context); err != nil {
		return out, err
	}
	tls, err := readTLS(chain.GetTransportSocket().GetName(), context.GetCommonTlsContext())
	if err != nil {
		return out, err
	}
	out.tls, out.demands = &tls, context.GetRequireClientCertificate().GetValue()
	switch {
	case !tls.Proves:
		return out, errors.New("a server without a certificate is refused")
	case out.demands && !tls.Verifies:
		return out, errors.New("a certificate that is demanded and not checked is refused")
	}
	return out, nil
}

func readManager(m *hcmv3.HttpConnectionManager) (manager, error) {
	out := manager{timeout: m.GetCommonHttpProtocolOptions().GetMaxStreamDuration().AsDuration()}
	if m.GetXffNumTrustedHops() != 0 || len(m.GetOriginalIpDetectionExtensions()) > 0 {
		return out, errors.New("what is said of other proxies is refused")
	}
	var err error
	switch r := m.GetRouteSpecifier().(type) {
	case *hcmv3.HttpConnectionManager_Rds:
		if out.rds = r.Rds.GetRouteConfigName(); out.rds == "" || r.Rds.GetConfigSource().GetAds() == nil && r.Rds.GetConfigSource().GetSelf() == nil {
			return out, errors.New("routes that do not come by the stream itself are refused")
		}
	case *hcmv3.HttpConnectionManager_RouteConfig:
		if out.routes, err = readRoutes(r.RouteConfig); err != nil {
			return out, err
		}
	default:
		return out, fmt.Errorf("routes by %T are refused", r)
	}
	out.Filters, err = xds.HTTPFilters(m.GetHttpFilters(), readRules)
	return out, err
}

// readRules refuses conditions on headers that gRPC keeps to itself.
func readRules(r *rbacconfigv3.RBAC) (xds.Rule, error) {
	for name, p := range r.GetPolicies() {
		for _, permission := range p.GetPermissions() {
			if h := reserved(permission); h != "" {
				return nil, fmt.Errorf("policy %s: a condition on header %s is refused", name, h)
			}
		}
	}
	return xds.Rules(r)
}

// reserved returns the first header of a permission that is gRPC's own.
func reserved(p *rbacconfigv3.Permission) string {
	name := strings.ToLower(p.GetHeader().GetName())
	if strings.HasPrefix(name, "grpc-") || name == ":scheme" {
		return name
	}
	inner := append(append([]*rbacconfigv3.Permission{}, p.GetAndRules().GetRules()...), p.GetOrRules().GetRules()...)
	if p.GetNotRule() != nil {
		inner = append(inner, p.GetNotRule())
	}
	for _, one := range inner {
		if h := reserved(one); h != "" {
			return h
		}
	}
	return ""
}
