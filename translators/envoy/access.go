package envoy

import (
	"cmp"
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	netrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/xds"
)

// server is the inbound side of one workload as it is being made.
type server struct {
	ir.Workload // INPUT
	options
	name     string // of the workload in resources
	audience ir.Audience
	refs     []report.Ref
	out      []translators.Artifact // OUTPUT
	found    report.Report
}

// workload makes the server side: who may call the processes of an account.
func workload(w ir.Workload, o options) ([]translators.Artifact, report.Report) {
	s := server{Workload: w, options: o, name: w.Account + "." + w.Namespace,
		audience: ir.Audience{Namespace: w.Namespace, Account: w.Account}, refs: append([]report.Ref{w.Ref}, w.Because...)}
	for _, g := range w.Grants {
		s.refs = append(s.refs, g.Ref)
	}
	if o.redirected(inboundOption) {
		s.virtual()
	} else {
		s.bound()
	}
	return s.out, s.found
}

func (s *server) emit(l *listenerv3.Listener) {
	s.out = append(s.out, artifact(l, s.audience, s.refs...))
}

// virtual makes the one listener that redirected connections arrive at.
func (s *server) virtual() {
	l := inbound("inbound|"+s.name, "0.0.0.0", InboundPort)
	l.ListenerFilters = []*listenerv3.ListenerFilter{restoreDestination(), tlsInspector()}
	l.FilterChains = []*listenerv3.FilterChain{unredirected(InboundPort)}
	for _, p := range s.ports() {
		if p.Number == InboundPort {
			continue // no process can listen there
		}
		process := place{host: "127.0.0.1", port: uint32(p.Number)}
		for _, c := range s.chains(p, s.local(p, process)) {
			c.FilterChainMatch.DestinationPort = wrapperspb.UInt32(uint32(p.Number))
			l.FilterChains = append(l.FilterChains, c)
		}
	}
	rest, last := s.rest()
	l.FilterChains = append(l.FilterChains, rest...)
	l.DefaultFilterChain = last
	s.emit(l)
}

// bound makes a listener for each port that the options give a place to.
func (s *server) bound() {
	ports := s.ports()
	for _, n := range s.inboundPorts(ir.Name{Namespace: s.Namespace, Name: s.Account}) {
		if !xds.HasPort(ports, n) {
			ports = append(ports, ir.WorkloadPort{Number: n, Protocol: s.unknownProtocol(n)})
		}
	}
	slices.SortFunc(ports, func(a, b ir.WorkloadPort) int { return cmp.Compare(a.Number, b.Number) })
	for _, p := range ports {
		at, process, ok, err := s.inbound(ir.Name{Namespace: s.Namespace, Name: s.Account}, p.Number)
		if err != nil {
			s.found = append(s.found, report.New(report.BadValue, s.Ref, err.Error()))
		}
		if !ok {
			continue
		}
		l := inbound(fmt.Sprintf("inbound|%s|%d", s.name, p.Number), at.host, at.port)
		l.ListenerFilters = []*listenerv3.ListenerFilter{tlsInspector()}
		l.FilterChains = s.chains(p, s.local(p, process))
		if !s.Enforced { // TLS of the application's own goes through as it is
			l.DefaultFilterChain = &listenerv3.FilterChain{Name: fmt.Sprintf("%d|rest", p.Number), Filters: l.FilterChains[1].Filters}
		}
		s.emit(l)
	}
}

func inbound(name, host string, port uint32) *listenerv3.Listener {
	return &listenerv3.Listener{Name: name, Address: xds.Address(host, port),
		TrafficDirection:                 corev3.TrafficDirection_INBOUND,
		ListenerFiltersTimeout:           durationpb.New(inspectionTimeout),
		ContinueOnListenerFiltersTimeout: true}
}

// ports lists the ports that need filter chains of their own: those that calls
// go to, and those that only a probe asks.
func (s *server) ports() []ir.WorkloadPort {
	out := xds.Ports(s.Workload, s.unknownProtocol)
	for _, probe := range s.Probes {
		if !xds.HasPort(out, probe.Port) {
			out = append(out, ir.WorkloadPort{Number: probe.Port, Protocol: probe.Protocol})
		}
	}
	slices.SortFunc(out, func(a, b ir.WorkloadPort) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// unknownProtocol is how a port is handled of which nobody has said what is
// spoken there: as HTTP where a grant for it looks at requests, or speaks of
// every HTTP port; else as connections, which carry anything.
func (s *server) unknownProtocol(number int32) ir.Protocol {
	for _, g := range s.Grants {
		looks := slices.ContainsFunc(g.Matches, func(m ir.Match) bool { return !m.IsAll() })
		for _, p := range g.Ports {
			if p.Number == ir.AnyPort || looks && p.Number == number {
				return ir.HTTP
			}
		}
	}
	return ir.TCP
}

// local emits the cluster of the workload's own process on a port.
func (s *server) local(p ir.WorkloadPort, process place) string {
	name := fmt.Sprintf("local|%s|%d", s.name, p.Number)
	c := static(name, process)
	if speak(c, p.Protocol); s.probed(p) {
		speak(c, ir.HTTP) // as the kubelet does
	}
	s.out = append(s.out, artifact(c, s.audience, s.Ref))
	return name
}

// probed reports whether a kubelet makes requests on a port.
func (s *server) probed(p ir.WorkloadPort) bool {
	return slices.ContainsFunc(s.Probes, func(q ir.Probe) bool { return q.Port == p.Number && q.Protocol.IsHTTP() })
}

// chains makes the two ways into a port: with the certificate of a caller, and
// without. Both have the same rules; without a certificate no grant can hold.
func (s *server) chains(p ir.WorkloadPort, cluster string) []*listenerv3.FilterChain {
	mutual := &listenerv3.FilterChain{Name: fmt.Sprintf("%d|mtls", p.Number),
		FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: "tls"},
		TransportSocket:  s.serverTLS(p.Protocol, nil)}
	plain := &listenerv3.FilterChain{Name: fmt.Sprintf("%d|plain", p.Number), FilterChainMatch: &listenerv3.FilterChainMatch{}}
	stat := fmt.Sprintf("inbound_%d", p.Number)
	switch {
	case !s.Enforced:
		if !p.Protocol.IsHTTP() { // there may be TLS of the application's own
			mutual.FilterChainMatch.ApplicationProtocols = []string{alpnTCP}
		}
		mutual.Filters = []*listenerv3.Filter{tcpProxy(stat, to(cluster))}
		plain.Filters = mutual.Filters
	case p.Protocol.IsHTTP():
		mutual.Filters = s.requests(p, cluster)
		plain.Filters = mutual.Filters
	default:
		mutual.Filters, plain.Filters = s.connections(p, cluster)
		mutual.TransportSocket = s.serverTLS(p.Protocol, s.callers(s.Workload, p))
		if s.probed(p) {
			plain.Filters = s.requests(ir.WorkloadPort{Number: p.Number, Protocol: ir.HTTP}, cluster)
		}
	}
	return []*listenerv3.FilterChain{mutual, plain}
}

// requests lets through, one by one, the requests that some grant allows.
func (s *server) requests(p ir.WorkloadPort, cluster string) []*listenerv3.Filter {
	rules := httpFilter("envoy.filters.http.rbac", &httprbacv3.RBAC{Rules: s.rules(p)})
	m := connectionManager(fmt.Sprintf("inbound_%d", p.Number), rules)
	m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE_SET
	m.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{Uri: true}
	action := &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}
	plainAction(action)
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
		Name: cluster, ValidateClusters: wrapperspb.Bool(false),
		VirtualHosts: []*routev3.VirtualHost{{Name: cluster, Domains: []string{"*"}, Routes: []*routev3.Route{{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: ""}},
			Action: &routev3.Route_Route{Route: action}}}}}}}
	return []*listenerv3.Filter{httpConnectionManager(m)}
}

// connections lets through the connections that some grant allows. Envoy's rules
// for connections wait for the caller's first byte, and a server may speak
// before that; so the handshake already turns away every other identity, and
// whoever has none is connected to nothing.
func (s *server) connections(p ir.WorkloadPort, cluster string) (mutual, plain []*listenerv3.Filter) {
	stat := fmt.Sprintf("inbound_%d", p.Number)
	rules := rbacFilter(stat, s.rules(p))
	nowhere := []*listenerv3.Filter{rules, tcpProxy(stat, to(xds.Blackhole))}
	if len(s.callers(s.Workload, p)) == 0 {
		return nowhere, nowhere
	}
	return []*listenerv3.Filter{rules, tcpProxy(stat, to(cluster))}, nowhere
}

func (s *server) rules(p ir.WorkloadPort) *rbacconfigv3.RBAC {
	return xds.Dialect{TrustDomain: s.trustDomain, JoinsInline: true}.Allow(s.Workload, p)
}

func rbacFilter(stat string, rules *rbacconfigv3.RBAC) *listenerv3.Filter {
	return networkFilter("envoy.filters.network.rbac", &netrbacv3.RBAC{StatPrefix: stat, Rules: rules})
}

// rest makes the ways into ports that nothing is known of: open where the
// workload is, else closed, but for grants that speak of every HTTP port.
func (s *server) rest() (chains []*listenerv3.FilterChain, last *listenerv3.FilterChain) {
	if !s.Enforced {
		return nil, &listenerv3.FilterChain{Name: passthrough, Filters: []*listenerv3.Filter{tcpProxy(passthrough, to(passthrough))}}
	}
	unknown := ir.WorkloadPort{Number: ir.AnyPort, Protocol: s.unknownProtocol(ir.AnyPort)}
	if !unknown.Protocol.IsHTTP() {
		return nil, closed()
	}
	both := s.chains(unknown, passthrough)
	both[1].FilterChainMatch = nil
	return both[:1], both[1]
}

// closed is the filter chain that denies everything.
func closed() *listenerv3.FilterChain {
	deny := &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_ALLOW} // and no policy that allows
	return &listenerv3.FilterChain{Name: "closed", Filters: []*listenerv3.Filter{
		rbacFilter("closed", deny), tcpProxy("closed", to(xds.Blackhole))}}
}

// unredirected closes the port of a virtual listener to calls that are meant for
// it: passed on to where they wanted to, they would come back without end.
func unredirected(port uint32) *listenerv3.FilterChain {
	c := closed()
	c.Name = "unredirected"
	c.FilterChainMatch = &listenerv3.FilterChainMatch{DestinationPort: wrapperspb.UInt32(port)}
	return c
}
