package gatewayapi

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
)

// Group is the API group of Gateway API.
const Group = "gateway.networking.k8s.io"

// The kinds of Gateway API that are read.
const (
	KindHTTPRoute      = "HTTPRoute"
	KindGRPCRoute      = "GRPCRoute"
	KindTCPRoute       = "TCPRoute"
	KindGateway        = "Gateway"
	KindGatewayClass   = "GatewayClass"
	KindListenerSet    = "ListenerSet"
	KindReferenceGrant = "ReferenceGrant"
)

// HTTPRoute is what matters of an HTTPRoute.
type HTTPRoute struct{ Spec gatewayv1.HTTPRouteSpec }

// GRPCRoute is what matters of a GRPCRoute.
type GRPCRoute struct{ Spec gatewayv1.GRPCRouteSpec }

// TCPRoute is what matters of a TCPRoute.
type TCPRoute struct{ Spec gatewayv1.TCPRouteSpec }

// Gateway is what matters of a Gateway.
type Gateway struct{ Spec gatewayv1.GatewaySpec }

// GatewayClass is what matters of a GatewayClass.
type GatewayClass struct{ Spec gatewayv1.GatewayClassSpec }

// ListenerSet is what matters of a ListenerSet.
type ListenerSet struct{ Spec gatewayv1.ListenerSetSpec }

// ReferenceGrant is what matters of a ReferenceGrant.
type ReferenceGrant struct{ Spec gatewayv1.ReferenceGrantSpec }

// routeOf returns what routes of every kind have; false for other objects.
func routeOf(o input.Object) (common gatewayv1.CommonRouteSpec, hostnames []gatewayv1.Hostname, ok bool) {
	switch v := o.Value.(type) {
	case *HTTPRoute:
		if v != nil {
			return v.Spec.CommonRouteSpec, v.Spec.Hostnames, true
		}
	case *GRPCRoute:
		if v != nil {
			return v.Spec.CommonRouteSpec, v.Spec.Hostnames, true
		}
	case *TCPRoute:
		if v != nil {
			return v.Spec.CommonRouteSpec, nil, true
		}
	}
	return common, nil, false
}

// value returns what a pointer points at, or a default.
func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
