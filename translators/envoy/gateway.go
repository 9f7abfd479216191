package envoy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/xds"
)

// gateway makes a listener for each port of a Gateway, and the frame of its
// routes: without any it answers every request with 404, as it does where no
// virtual host is for the host that is asked for.
func gateway(g ir.Gateway, o options) ([]translators.Artifact, report.Report) {
	var out []translators.Artifact
	var found report.Report
	name := ir.Name{Namespace: g.Namespace, Name: g.Name}
	who := gatewayProxies(name, g.Identity)
	for _, p := range g.Ports {
		if !p.Protocol.IsHTTP() {
			continue
		}
		at, err := o.gateway(name, p.Number)
		if err != nil {
			found = append(found, report.New(report.BadValue, p.Ref, err.Error()))
			continue
		}
		if o.taken(at) {
			found = append(found, report.New(report.BadValue, p.Ref, fmt.Sprintf("Envoy itself listens on port %d, for redirected connections", at.port)).WithClass(report.Dropped).
				WithHint(fmt.Sprintf("choose another port, or another place: --option envoy.%s%s:%d=HOST:PORT", gatewayOption, name, p.Number)))
			continue
		}
		refs := []report.Ref{g.Ref, p.Ref}
		for _, l := range p.Listeners {
			refs = append(refs, l.Ref)
		}
		frame := artifact(&routev3.RouteConfiguration{Name: portName(name, p.Number)}, who, refs...)
		frame.Part = "port"
		out = append(out, frame, artifact(entrance(portName(name, p.Number), at), who, refs...))
	}
	return out, found
}

// hosted is what was made of a virtual host.
type hosted struct {
	made xds.Made
	own  []report.Ref // that are not of its routes
	refs []report.Ref // of the artifact, in order
}

// virtualHost makes one virtual host among the routes of a Gateway's port. What was
// made of it before is taken over where it says the same.
func virtualHost(v ir.VirtualHost, before hosted) ([]translators.Artifact, hosted) {
	o := router{port: v.Port}
	if !strings.HasPrefix(v.Host, "*") {
		o.host = v.Host
	}
	now := hosted{made: before.made.Again(v.Routes, v.Port, o.complete)}
	routes := &routev3.RouteConfiguration{
		Name: portName(v.Gateway, v.Port),
		VirtualHosts: []*routev3.VirtualHost{{
			Name: v.Host, Domains: []string{v.Host}, Routes: now.made.Entries}},
	}
	a := artifact(routes, gatewayProxies(v.Gateway, v.Identity), v.Ref)
	a.Part = "host " + v.Host
	if slices.Equal(before.own, a.Refs) && slices.EqualFunc(before.made.Routes, v.Routes, sameRefs) {
		now.own, now.refs = before.own, before.refs
	} else {
		now.own, now.refs = a.Refs, inOrder(append(routeRefs(v.Routes), v.Ref))
	}
	a.Refs = now.refs
	return []translators.Artifact{a}, now
}

// sameRefs reports whether two routes are of the same places.
func sameRefs(a, b ir.Route) bool {
	return a.Same(b) || slices.Equal(routeRefs([]ir.Route{a}), routeRefs([]ir.Route{b}))
}

// Assemble implements translators.Assembler: the virtual hosts of a Gateway's
// port are one resource. The port in a Host header does not count, and stays
// what it is for whoever is asked.
func (backend) Assemble(parts []translators.Artifact) (translators.Artifact, report.Report) {
	all := &routev3.RouteConfiguration{IgnorePortInHostMatching: true}
	for _, p := range parts {
		c := p.Payload.(*routev3.RouteConfiguration)
		all.Name = c.GetName()
		all.VirtualHosts = append(all.VirtualHosts, c.GetVirtualHosts()...)
	}
	return translators.Artifact{Payload: all}, nil
}

// entrance listens for calls from outside. Who calls is whoever connects, and
// backends hear of it; what callers say of themselves in headers for proxies
// is not believed.
func entrance(name string, at place) *listenerv3.Listener {
	m := connectionManager(name, httpFilter(xds.FaultFilter, &faultv3.HTTPFault{}))
	m.UseRemoteAddress = wrapperspb.Bool(true)
	m.InternalAddressConfig = nobody()
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: xds.ADS(), RouteConfigName: name}}
	return &listenerv3.Listener{
		Name:             name,
		Address:          xds.Address(at.host, at.port),
		TrafficDirection: corev3.TrafficDirection_INBOUND,
		FilterChains:     []*listenerv3.FilterChain{{Name: name, Filters: []*listenerv3.Filter{httpConnectionManager(m)}}},
	}
}

// nobody is trusted to set times and retries by headers of Envoy's own, as every
// private address would be where nothing is said.
func nobody() *hcmv3.HttpConnectionManager_InternalAddressConfig {
	return &hcmv3.HttpConnectionManager_InternalAddressConfig{CidrRanges: []*corev3.CidrRange{
		{AddressPrefix: "0.0.0.0", PrefixLen: wrapperspb.UInt32(32)}}} // from which nobody calls
}

// gatewayProxies are the proxies of a Gateway: never everybody's.
func gatewayProxies(g ir.Name, id ir.Identity) ir.Audience {
	return ir.Audience{Namespace: cmp.Or(id.Namespace, g.Namespace), Account: cmp.Or(id.Account, g.Name)}
}

// portName names the listener of a Gateway's port, and its routes.
func portName(g ir.Name, port int32) string {
	return fmt.Sprintf("gateway|%s.%s|%d", g.Name, g.Namespace, port)
}
