package smi

import (
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// The versions of SMI's groups.
const (
	v1alpha1 = "v1alpha1"
	v1alpha2 = "v1alpha2"
	v1alpha3 = "v1alpha3"
	v1alpha4 = "v1alpha4"
)

// The kinds of SMI.
const (
	KindTrafficSplit    = "TrafficSplit"
	KindHTTPRouteGroup  = "HTTPRouteGroup"
	KindTCPRoute        = "TCPRoute"
	KindUDPRoute        = "UDPRoute"
	KindTrafficTarget   = "TrafficTarget"
	KindIdentityBinding = "IdentityBinding"
)

// The kinds of an Account.
const kindServiceAccount = "ServiceAccount"

// Schemas lists every kind of SMI in every version. Decode returns *Split,
// *RouteGroup, *PortRoute, *Target or *Binding, also beside errors: such a value
// lacks what could not be read, and is fit to deny but not to allow.
func Schemas() []input.Schema {
	return []input.Schema{
		{Group: GroupSplit, Version: v1alpha1, Kind: KindTrafficSplit, Wire: wireSplit{}, Decode: decode(split1)},
		{Group: GroupSplit, Version: v1alpha2, Kind: KindTrafficSplit, Wire: wireSplit{}, Decode: decode(split1)},
		{Group: GroupSplit, Version: v1alpha3, Kind: KindTrafficSplit, Wire: wireMatchedSplit{}, Decode: decode(split3)},
		{Group: GroupSplit, Version: v1alpha4, Kind: KindTrafficSplit, Wire: wireMatchedSplit{}, Decode: decode(split3)},
		{Group: GroupSpecs, Version: v1alpha1, Kind: KindHTTPRouteGroup, Wire: wireRouteGroup1{}, Decode: decode(routeGroup1)},
		{Group: GroupSpecs, Version: v1alpha2, Kind: KindHTTPRouteGroup, Wire: wireRouteGroup2{}, Decode: decode(routeGroup2)},
		{Group: GroupSpecs, Version: v1alpha3, Kind: KindHTTPRouteGroup, Wire: wireRouteGroup3{}, Decode: decode(routeGroup3)},
		{Group: GroupSpecs, Version: v1alpha4, Kind: KindHTTPRouteGroup, Wire: wireRouteGroup3{}, Decode: decode(routeGroup3)},
		{Group: GroupSpecs, Version: v1alpha1, Kind: KindTCPRoute, Wire: wireTCPRoute1{}, Decode: decode(allPorts[wireTCPRoute1])},
		{Group: GroupSpecs, Version: v1alpha2, Kind: KindTCPRoute, Wire: wireTCPRoute2{}, Decode: decode(allPorts[wireTCPRoute2])},
		{Group: GroupSpecs, Version: v1alpha3, Kind: KindTCPRoute, Wire: wireTCPRoute3{}, Decode: decode(allPorts[wireTCPRoute3])},
		{Group: GroupSpecs, Version: v1alpha4, Kind: KindTCPRoute, Wire: wirePortRoute{}, Decode: decode(portRoute)},
		{Group: GroupSpecs, Version: v1alpha4, Kind: KindUDPRoute, Wire: wirePortRoute{}, Decode: decode(portRoute)},
		{Group: GroupAccess, Version: v1alpha1, Kind: KindTrafficTarget, Wire: wireTarget1{}, Decode: decode(target1)},
		{Group: GroupAccess, Version: v1alpha2, Kind: KindTrafficTarget, Wire: wireTarget2{}, Decode: decode(target2)},
		{Group: GroupAccess, Version: v1alpha3, Kind: KindTrafficTarget, Wire: wireTarget2{}, Decode: decode(target2)},
		{Group: GroupAccess, Version: v1alpha4, Kind: KindTrafficTarget, Wire: wireTarget4{}, Decode: decode(target4)},
		{Group: GroupAccess, Version: v1alpha4, Kind: KindIdentityBinding, Wire: wireBinding{}, Decode: decode(binding)},
	}
}

// decode makes a Schema.Decode of a function that turns a document of wire type
// W into a value.
func decode[W, V any](convert func(*decoder, W) *V) func(input.Document) (any, report.Report) {
	return func(doc input.Document) (any, report.Report) {
		d := &decoder{Document: doc}
		v := convert(d, wire[W](doc))
		return v, d.found
	}
}
