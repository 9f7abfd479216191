package gatewayapi

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// The kinds that are known and not translated.
const (
	KindTLSRoute         = "TLSRoute"
	KindUDPRoute         = "UDPRoute"
	KindBackendTLSPolicy = "BackendTLSPolicy"
)

// Schemas lists the kinds of Gateway API in every version that is served.
func Schemas() []input.Schema {
	const v1, v1beta1, v1alpha2, v1alpha3 = "v1", "v1beta1", "v1alpha2", "v1alpha3"
	var out []input.Schema
	for _, k := range []struct {
		kind     string
		versions []string
		cluster  bool
		wire     any
		decode   func(input.Document) (any, report.Report)
	}{
		{KindGatewayClass, []string{v1beta1, v1}, true, gatewayv1.GatewayClass{}, decode(gatewayClass)},
		{KindGateway, []string{v1beta1, v1}, false, gatewayv1.Gateway{}, decode(gateway)},
		{KindListenerSet, []string{v1}, false, gatewayv1.ListenerSet{}, decode(listenerSet)},
		{KindReferenceGrant, []string{v1alpha2, v1beta1, v1}, false, gatewayv1.ReferenceGrant{}, decode(referenceGrant)},
		{KindHTTPRoute, []string{v1beta1, v1}, false, gatewayv1.HTTPRoute{}, decode(httpRoute)},
		{KindGRPCRoute, []string{v1alpha2, v1}, false, gatewayv1.GRPCRoute{}, decode(grpcRoute)},
		{KindTCPRoute, []string{v1alpha2, v1}, false, gatewayv1.TCPRoute{}, decode(tcpRoute)},
		{KindTLSRoute, []string{v1alpha2, v1alpha3, v1}, false, gatewayv1.TLSRoute{}, unspokenKind("TLSRoutes are not translated: nothing is routed by them")},
		{KindUDPRoute, []string{v1alpha2, v1}, false, gatewayv1.UDPRoute{}, unspokenKind("UDPRoutes are not translated: nothing is routed by them")},
		{KindBackendTLSPolicy, []string{v1alpha3, v1}, false, gatewayv1.BackendTLSPolicy{}, unspokenKind("TLS to backends is not translated: what speaks TLS has to be called through a port of TCP")},
	} {
		for _, version := range k.versions {
			out = append(out, input.Schema{Group: Group, Version: version, Kind: k.kind, Cluster: k.cluster, Wire: k.wire, Decode: k.decode})
		}
	}
	return out
}
