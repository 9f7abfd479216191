package gatewayapi

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/feature"
)

// leaves is the accounting of Gateway API's fields, of every version: each leaf
// of each schema stands under a row that names the features it feeds, or has a
// reason for feeding none.
var leaves = slices.Concat(
	routeLeaves(KindHTTPRoute), httpLeaves(),
	routeLeaves(KindGRPCRoute), grpcLeaves(),
	routeLeaves(KindTCPRoute),
	gatewayLeaves(), ownLeaves())

// Leaves lists the rows of the accounting of Gateway API's fields.
func Leaves() []feature.Leaf { return slices.Clone(leaves) }

// row makes a row of features, or of a reason.
func row(kind, path string, features ...feature.Feature) feature.Leaf {
	return feature.Leaf{Group: Group, Kind: kind, Path: path, Features: features}
}

func because(reason feature.Reason, kind string, paths ...string) []feature.Leaf {
	var out []feature.Leaf
	for _, p := range paths {
		out = append(out, feature.Leaf{Group: Group, Kind: kind, Path: p, Reason: reason})
	}
	return out
}

// ownLeaves are the fields that every kind has, and the kinds that are not translated.
func ownLeaves() []feature.Leaf {
	var out []feature.Leaf
	seen := map[string]bool{}
	for _, s := range Schemas() {
		if seen[s.Kind] {
			continue
		}
		seen[s.Kind] = true
		out = append(out, because(feature.ReasonName, s.Kind, "apiVersion", "kind", "metadata")...)
		if s.Kind != KindReferenceGrant {
			out = append(out, because(feature.ReasonStatus, s.Kind, "status")...)
		}
	}
	for _, kind := range []string{KindTLSRoute, KindUDPRoute, KindBackendTLSPolicy} {
		out = append(out, because(feature.ReasonNotSpoken, kind, "spec")...)
	}
	return out
}

// routeLeaves are the fields that routes of every kind have.
func routeLeaves(kind string) []feature.Leaf {
	out := because(feature.ReasonKey, kind, "spec.parentRefs[]")
	out = append(out, because(feature.ReasonNotSpoken, kind, "spec.useDefaultGateways")...)
	out = append(out, because(feature.ReasonName, kind, "spec.rules[].name")...)
	const backend = "spec.rules[].backendRefs[]."
	out = append(out, row(kind, backend+"weight", feature.RouteSplit))
	for _, f := range []string{"group", "kind", "namespace", "name", "port"} {
		out = append(out, row(kind, backend+f, feature.RouteBackend, feature.RouteInvalidBackend))
	}
	return out
}

// filterLeaves are the fields of the filters that HTTPRoute and GRPCRoute share.
func filterLeaves(kind, at string) []feature.Leaf {
	return []feature.Leaf{
		row(kind, at+"type", feature.RouteHeaderEdit, feature.RouteMirror, feature.RouteStatus),
		row(kind, at+"requestHeaderModifier", feature.RouteHeaderEdit),
		row(kind, at+"responseHeaderModifier", feature.RouteHeaderEdit),
		row(kind, at+"requestMirror", feature.RouteMirror),
		row(kind, at+"extensionRef", feature.RouteStatus),
	}
}

// httpLeaves are those of HTTPRoute alone. A filter that is not understood
// answers with a status.
func httpLeaves() []feature.Leaf {
	const kind, rule = KindHTTPRoute, "spec.rules[]."
	out := []feature.Leaf{
		row(kind, "spec.hostnames[]", feature.GatewayHost),
		row(kind, rule+"matches[].path", feature.RoutePath),
		row(kind, rule+"matches[].headers", feature.RouteHeader),
		row(kind, rule+"matches[].queryParams", feature.RouteQuery),
		row(kind, rule+"matches[].method", feature.RouteMethod),
		row(kind, rule+"timeouts", feature.RouteTimeout),
		row(kind, rule+"retry", feature.Retries),
	}
	for _, at := range []string{rule + "filters[].", rule + "backendRefs[].filters[]."} {
		out = append(out, filterLeaves(kind, at)...)
		out = append(out,
			row(kind, at+"requestRedirect", feature.RouteRedirect),
			row(kind, at+"urlRewrite", feature.RouteRewrite),
			row(kind, at+"cors", feature.RouteStatus),
			row(kind, at+"externalAuth", feature.RouteStatus))
	}
	return append(out, because(feature.ReasonNotSpoken, kind, rule+"sessionPersistence")...)
}

func grpcLeaves() []feature.Leaf {
	const kind, rule = KindGRPCRoute, "spec.rules[]."
	out := []feature.Leaf{
		row(kind, "spec.hostnames[]", feature.GatewayHost),
		row(kind, rule+"matches[].method", feature.RoutePath),
		row(kind, rule+"matches[].headers", feature.RouteHeader),
	}
	out = append(out, filterLeaves(kind, rule+"filters[].")...)
	out = append(out, filterLeaves(kind, rule+"backendRefs[].filters[].")...)
	return append(out, because(feature.ReasonNotSpoken, kind, rule+"sessionPersistence")...)
}

func gatewayLeaves() []feature.Leaf {
	var out []feature.Leaf
	for _, kind := range []string{KindGateway, KindListenerSet} {
		for _, f := range []string{"name", "port", "protocol"} {
			out = append(out, row(kind, "spec.listeners[]."+f, feature.GatewayPort))
		}
		out = append(out, row(kind, "spec.listeners[].hostname", feature.GatewayHost))
		out = append(out, because(feature.ReasonKey, kind, "spec.listeners[].allowedRoutes")...)
		out = append(out, because(feature.ReasonNotSpoken, kind, "spec.listeners[].tls")...)
	}
	return slices.Concat(out,
		because(feature.ReasonKey, KindGateway, "spec.gatewayClassName", "spec.allowedListeners"),
		because(feature.ReasonNotSpoken, KindGateway, "spec.addresses[]", "spec.infrastructure", "spec.tls", "spec.defaultScope"),
		because(feature.ReasonKey, KindListenerSet, "spec.parentRef"),
		because(feature.ReasonKey, KindReferenceGrant, "spec.from[]", "spec.to[]"),
		because(feature.ReasonKey, KindGatewayClass, "spec.controllerName"),
		because(feature.ReasonNotSpoken, KindGatewayClass, "spec.parametersRef"),
		because(feature.ReasonDocumentation, KindGatewayClass, "spec.description"))
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// LeafOf returns the row for a field; the path may be generic, or hold indexes
// as in a document. A field below a row is accounted for by it, and so is an
// empty list or object by the rows of the fields that it could hold.
func LeafOf(group, kind, path string) (feature.Leaf, bool) {
	path = index.ReplaceAllString(path, "[]")
	var found feature.Leaf
	held := feature.Leaf{Group: group, Kind: kind, Path: path}
	for _, l := range leaves {
		switch {
		case l.Group != group || l.Kind != kind:
		case below(path, l.Path) && len(l.Path) > len(found.Path):
			found = l
		case below(l.Path, path):
			held.Features = append(held.Features, l.Features...)
			held.Reason = l.Reason
		}
	}
	if found.Path != "" {
		return found, true
	}
	slices.Sort(held.Features)
	if held.Features = slices.Compact(held.Features); len(held.Features) > 0 {
		held.Reason = ""
	}
	return held, len(held.Features) > 0 || held.Reason != ""
}

// below reports whether a path is another, or lies below it.
func below(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
