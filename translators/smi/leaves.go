package smi

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/feature"
)

// leaves is the accounting of SMI's fields, of every version: each leaf of each
// schema feeds features, or has a reason for feeding none.
var leaves = slices.Concat(splitLeaves(), routeLeaves(), accessLeaves(), ownLeaves())

// Leaves lists the rows of the accounting of SMI's fields.
func Leaves() []feature.Leaf { return slices.Clone(leaves) }

// feeds and because make rows.
func feeds(group, kind, path string, features ...feature.Feature) feature.Leaf {
	return feature.Leaf{Group: group, Kind: kind, Path: path, Features: features}
}

func because(reason feature.Reason, group, kind, path string) feature.Leaf {
	return feature.Leaf{Group: group, Kind: kind, Path: path, Reason: reason}
}

// ownLeaves are the fields that every kind has.
func ownLeaves() []feature.Leaf {
	var out []feature.Leaf
	seen := map[string]bool{}
	for _, s := range Schemas() {
		if seen[s.Kind] {
			continue
		}
		seen[s.Kind] = true
		out = append(out,
			because(feature.ReasonName, s.Group, s.Kind, "apiVersion"),
			because(feature.ReasonName, s.Group, s.Kind, "kind"),
			because(feature.ReasonName, s.Group, s.Kind, "metadata"),
			because(feature.ReasonStatus, s.Group, s.Kind, "status"))
	}
	return out
}

func splitLeaves() []feature.Leaf {
	const g, k = GroupSplit, KindTrafficSplit
	return []feature.Leaf{
		because(feature.ReasonKey, g, k, "spec.service"),
		feeds(g, k, "spec.backends[].service", feature.RouteBackend, feature.RouteInvalidBackend),
		feeds(g, k, "spec.backends[].weight", feature.RouteSplit),
		because(feature.ReasonKey, g, k, "spec.matches[].apiGroup"),
		because(feature.ReasonKey, g, k, "spec.matches[].kind"),
		because(feature.ReasonKey, g, k, "spec.matches[].name"),
	}
}

func routeLeaves() []feature.Leaf {
	const g, k = GroupSpecs, KindHTTPRouteGroup
	var out []feature.Leaf
	for _, list := range []string{"matches[]", "spec.matches[]"} { // until v1alpha2, since v1alpha3
		out = append(out,
			because(feature.ReasonKey, g, k, list+".name"),
			feeds(g, k, list+".pathRegex", feature.RoutePath, feature.AccessPath),
			feeds(g, k, list+".methods[]", feature.RouteMethod, feature.AccessMethod),
			feeds(g, k, list+".headers", feature.RouteHeader, feature.AccessHeader))
	}
	out = append(out, feeds(g, KindTCPRoute, "spec", feature.AccessPort, feature.AccessWhole)) // v1alpha3: empty
	for _, kind := range []string{KindTCPRoute, KindUDPRoute} {
		out = append(out,
			because(feature.ReasonKey, g, kind, "spec.matches.name"),
			feeds(g, kind, "spec.matches", feature.AccessPort, feature.AccessWhole))
	}
	return out
}

func accessLeaves() []feature.Leaf {
	const g, k, b = GroupAccess, KindTrafficTarget, KindIdentityBinding
	var out []feature.Leaf
	for _, at := range []string{"", "spec."} { // v1alpha1, and since
		for _, f := range []string{"kind", "name", "namespace"} {
			out = append(out,
				feeds(g, k, at+"destination."+f, feature.AccessSelector, feature.DefaultDeny),
				feeds(g, k, at+"sources[]."+f, feature.AccessSource, feature.IdentityMapping))
		}
		out = append(out, feeds(g, k, at+"destination.port", feature.AccessPort))
	}
	for _, list := range []string{"specs[]", "spec.rules[]"} {
		for _, f := range []string{"kind", "name", "matches[]"} {
			out = append(out, because(feature.ReasonKey, g, k, list+"."+f))
		}
	}
	return append(out,
		feeds(g, k, "spec.destination.group", feature.AccessSelector, feature.DefaultDeny),
		feeds(g, k, "spec.sources[].group", feature.AccessSource, feature.IdentityMapping),
		feeds(g, b, "spec.schemes.podLabelSelector.matchLabels", feature.AccessSource),
		feeds(g, b, "spec.schemes.spiffeIdentities[]", feature.AccessSource),
		feeds(g, b, "spec.schemes.serviceAccount", feature.AccessSource))
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// LeafOf returns the row for a field; the path may be generic, or hold indexes
// as in a document. A field below a row is accounted for by it, and so is an
// empty list or object by the rows of the fields that it could hold.
func LeafOf(group, kind, path string) (feature.Leaf, bool) {
	path = index.ReplaceAllString(path, "[]")
	var found feature.Leaf
	parent := feature.Leaf{Group: group, Kind: kind, Path: path}
	for _, l := range leaves {
		switch {
		case l.Group != group || l.Kind != kind:
		case below(path, l.Path) && len(l.Path) > len(found.Path):
			found = l
		case below(l.Path, path):
			parent = join(parent, l)
		}
	}
	if found.Path != "" {
		return found, true
	}
	return parent, len(parent.Features) > 0 || parent.Reason != ""
}

// join adds what a row says to a row for the object or list around it, which has
// a reason only where no row has features.
func join(parent, l feature.Leaf) feature.Leaf {
	for _, f := range l.Features {
		if !slices.Contains(parent.Features, f) {
			parent.Features = append(parent.Features, f)
		}
	}
	switch {
	case len(parent.Features) > 0:
		parent.Reason = ""
	case parent.Reason == "":
		parent.Reason = l.Reason
	}
	return parent
}

// below reports whether a path is another, or lies below it.
func below(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
