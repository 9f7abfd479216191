package envoy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	inspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	netrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshknot/meshknot/translators/interpret/xds"
)

// listener is where connections come in.
type listener struct {
	address string
	// bound: it has a socket of its own; else others hand it connections.
	bound bool
	// handsOver: connections go on to the listener of where they wanted to.
	handsOver bool
	// restores: connections get back where they wanted to before they were redirected.
	restores bool
	// inspects: it is known whether a caller speaks TLS.
	inspects bool
	chains   []*chain
	rest     *chain // where no other matches, or nil
}

// chain is what is done with the connections that it matches.
type chain struct {
	port      uint32 // zero: any
	transport string // "": any
	protocols []string
	// tls is what is asked of callers; nil where no TLS is spoken.
	tls   *xds.Secured
	rules []xds.Rule // for the connection
	http  *manager   // either requests are looked at
	tcp   []share    // or bytes are passed on
}

// manager handles HTTP.
type manager struct {
	reading
	xds.Filters
	// rds names the routes, where they are not the manager's own.
	rds    string
	routes routes
	// ends are times after which requests end whatever the route says.
	ends      []time.Duration
	streamEnd time.Duration // where the route says nothing of idle time
}

func readListener(l *listenerv3.Listener) (*listener, error) {
	out := &listener{address: socket(l.GetAddress()),
		bound: l.GetBindToPort() == nil || l.GetBindToPort().GetValue(), handsOver: l.GetUseOriginalDst().GetValue()}
	if port := l.GetAddress().GetSocketAddress().GetPortValue(); port == 0 || l.GetAddress().GetSocketAddress().GetAddress() == "" {
		return nil, errors.New("a listener without an address is refused")
	}
	for _, f := range l.GetListenerFilters() {
		switch c := f.GetTypedConfig(); {
		case c.MessageIs(&originaldstv3.OriginalDst{}):
			out.restores = true
		case c.MessageIs(&inspectorv3.TlsInspector{}):
			out.inspects = true
		default:
			return nil, fmt.Errorf("listener filter %s is not understood", f.GetName())
		}
	}
	for _, c := range l.GetFilterChains() {
		one, err := readChain(c)
		if err != nil {
			return nil, fmt.Errorf("filter chain %s: %w", c.GetName(), err)
		}
		if slices.ContainsFunc(out.chains, one.sameMatch) {
			return nil, fmt.Errorf("filter chain %s matches what another one does", c.GetName())
		}
		out.chains = append(out.chains, one)
	}
	var err error
	if c := l.GetDefaultFilterChain(); c != nil {
		out.rest, err = readChain(c)
	} else if len(out.chains) == 0 {
		return nil, errors.New("a listener without filter chains is refused")
	}
	return out, err
}

func (c *chain) sameMatch(o *chain) bool {
	return c.port == o.port && c.transport == o.transport && slices.Equal(c.protocols, o.protocols)
}

func readChain(c *listenerv3.FilterChain) (*chain, error) {
	m := c.GetFilterChainMatch()
	out := &chain{port: m.GetDestinationPort().GetValue(), transport: m.GetTransportProtocol(), protocols: m.GetApplicationProtocols()}
	if len(m.GetServerNames()) > 0 || len(m.GetPrefixRanges()) > 0 || len(m.GetSourcePrefixRanges()) > 0 || len(m.GetSourcePorts()) > 0 ||
		m.GetSourceType() != listenerv3.FilterChainMatch_ANY || len(m.GetDirectSourcePrefixRanges()) > 0 {
		return nil, errors.New("a match on addresses or names is not understood")
	}
	if s := c.GetTransportSocket(); s != nil {
		context := &tlsv3.DownstreamTlsContext{}
		if err := xds.UnpackTo(s.GetTypedConfig(), context); err != nil {
			return nil, err
		}
		tls, err := readTLS(context.GetCommonTlsContext())
		if err != nil {
			return nil, err
		}
		if !tls.Proves {
			return nil, errors.New("TLS without a certificate is refused")
		}
		tls.Verifies = tls.Verifies && context.GetRequireClientCertificate().GetValue()
		out.tls = &tls
	}
	for _, f := range c.GetFilters() {
		if out.http != nil || out.tcp != nil {
			return nil, fmt.Errorf("filter %s stands behind the last one", f.GetName())
		}
		if err := out.readFilter(f); err != nil {
			return nil, fmt.Errorf("filter %s: %w", f.GetName(), err)
		}
	}
	if out.http == nil && out.tcp == nil {
		return nil, errors.New("no filter passes anything on")
	}
	return out, nil
}

func (c *chain) readFilter(f *listenerv3.Filter) error {
	message, err := xds.Unpack(f.GetTypedConfig())
	if err != nil {
		return err
	}
	switch config := message.(type) {
	case *hcmv3.HttpConnectionManager:
		c.http, err = readManager(config)
	case *tcpv3.TcpProxy:
		c.tcp, err = readProxy(config)
	case *netrbacv3.RBAC:
		if config.GetRules() != nil { // else nothing is enforced
			var rule xds.Rule
			rule, err = xds.Rules(config.GetRules())
			c.rules = append(c.rules, rule)
		}
		if config.GetStatPrefix() == "" {
			err = errors.New("rules without a stat_prefix are refused")
		}
	default:
		err = fmt.Errorf("%T is not understood", config)
	}
	return err
}

func readProxy(p *tcpv3.TcpProxy) ([]share, error) {
	if p.GetStatPrefix() == "" {
		return nil, errors.New("a proxy without a stat_prefix is refused")
	}
	if p.GetCluster() != "" {
		return []share{{cluster: p.GetCluster(), weight: 1}}, nil
	}
	var total uint64
	var out []share
	for _, c := range p.GetWeightedClusters().GetClusters() {
		if c.GetName() == "" || c.GetWeight() == 0 {
			return nil, errors.New("a share without a cluster or weight is refused")
		}
		total += uint64(c.GetWeight())
		out = append(out, share{cluster: c.GetName(), weight: c.GetWeight()})
	}
	return out, xds.Total(total)
}

func readManager(m *hcmv3.HttpConnectionManager) (*manager, error) {
	out := &manager{reading: reading{m.GetNormalizePath().GetValue(), m.GetMergeSlashes(), m.GetPathWithEscapedSlashesAction()}}
	if m.GetStatPrefix() == "" {
		return nil, errors.New("a manager without a stat_prefix is refused")
	}
	if m.GetStripMatchingHostPort() || m.GetStripPortMode() != nil {
		return nil, errors.New("ports taken off hosts are not understood")
	}
	for _, d := range []*time.Duration{given(m.GetRequestTimeout()), given(m.GetRequestHeadersTimeout()), given(m.GetCommonHttpProtocolOptions().GetMaxStreamDuration())} {
		if d != nil && *d > 0 {
			out.ends = append(out.ends, *d)
		}
	}
	out.streamEnd = 5 * time.Minute
	if d := given(m.GetStreamIdleTimeout()); d != nil {
		out.streamEnd = *d
	}
	var err error
	switch r := m.GetRouteSpecifier().(type) {
	case *hcmv3.HttpConnectionManager_Rds:
		if out.rds = r.Rds.GetRouteConfigName(); out.rds == "" || r.Rds.GetConfigSource().GetConfigSourceSpecifier() == nil {
			return nil, errors.New("routes that come from nowhere are refused")
		}
	case *hcmv3.HttpConnectionManager_RouteConfig:
		if out.routes, err = readRoutes(r.RouteConfig); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("routes by %T are not understood", r)
	}
	out.Filters, err = xds.HTTPFilters(m.GetHttpFilters(), xds.Rules)
	return out, err
}

// arrived is a connection as a listener sees it.
type arrived struct {
	port uint32
	tls  bool
	alpn []string
}

// chainFor returns the filter chain of a connection, or nil: by port, then by
// whether TLS is spoken, then by protocol; what is said exactly wins at each, and
// then counts alone.
func (l *listener) chainFor(a arrived) *chain {
	transport := "raw_buffer"
	if a.tls && l.inspects {
		transport = "tls"
	}
	var few [8]*chain
	left := exactly(append(few[:0], l.chains...), func(c *chain) (said, holds bool) { return c.port != 0, c.port == a.port })
	left = exactly(left, func(c *chain) (said, holds bool) { return c.transport != "", c.transport == transport })
	left = exactly(left, func(c *chain) (said, holds bool) {
		return len(c.protocols) > 0, a.tls && l.inspects && slices.ContainsFunc(c.protocols, func(p string) bool { return slices.Contains(a.alpn, p) })
	})
	if len(left) == 0 {
		return l.rest
	}
	return left[0]
}

// exactly keeps, in place, the chains that say what holds, or those that say
// nothing where there are none.
func exactly(all []*chain, criterion func(*chain) (said, holds bool)) []*chain {
	exact := slices.ContainsFunc(all, func(c *chain) bool { said, holds := criterion(c); return said && holds })
	left := all[:0]
	for _, c := range all {
		if said, holds := criterion(c); said == exact && (!said || holds) {
			left = append(left, c)
		}
	}
	return left
}
