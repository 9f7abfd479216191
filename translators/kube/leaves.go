package kube

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/feature"
)

// leaves is the accounting of the fields of context kinds. Those that are kept
// feed features or join objects; whatever else a kind has stands under a row for
// the whole object, which says why no policy is about it.
var leaves = slices.Concat(serviceLeaves(), podLeaves(), endpointLeaves(), otherLeaves())

// Leaves lists the rows of the accounting of context fields.
func Leaves() []feature.Leaf { return slices.Clone(leaves) }

func serviceLeaves() []feature.Leaf {
	row := rows("", KindService)
	return slices.Concat(
		row.because(feature.ReasonAddress, "spec", "spec.clusterIP", "spec.clusterIPs", "spec.type", "spec.externalName"),
		row.because(feature.ReasonKey, "spec.ports[].targetPort", "spec.ports[].port"),
		row.feeds([]feature.Feature{feature.AccessSelector}, "spec.selector"),
		row.feeds([]feature.Feature{feature.ProtocolSelection}, "spec.ports[].name", "spec.ports[].protocol", "spec.ports[].appProtocol"),
		row.because(feature.ReasonStatus, "status"))
}

// specs are where the kinds that run pods have the spec of a pod.
var specs = []struct{ group, kind, spec string }{
	{"", "Pod", "spec"},
	{"apps", "Deployment", "spec.template.spec"},
	{"apps", "StatefulSet", "spec.template.spec"},
	{"apps", "DaemonSet", "spec.template.spec"},
	{"apps", "ReplicaSet", "spec.template.spec"},
	{"batch", "Job", "spec.template.spec"},
	{"batch", "CronJob", "spec.jobTemplate.spec.template.spec"},
}

func podLeaves() []feature.Leaf {
	var out []feature.Leaf
	for _, s := range specs {
		row := rows(s.group, s.kind)
		out = append(out, row.because(feature.ReasonPod, "spec")...)
		out = append(out, row.because(feature.ReasonStatus, "status")...)
		if template, ok := strings.CutSuffix(s.spec, ".spec"); ok {
			out = append(out, row.feeds([]feature.Feature{feature.AccessSelector}, template+".metadata.labels")...)
		}
		out = append(out, row.feeds([]feature.Feature{feature.AccessSelector, feature.IdentityMapping},
			s.spec+".serviceAccountName", s.spec+".serviceAccount")...)
		for _, list := range []string{".containers[]", ".initContainers[]"} {
			out = append(out, row.because(feature.ReasonKey, s.spec+list+".ports[].name", s.spec+list+".ports[].containerPort", s.spec+list+".ports[].protocol")...)
			for _, probe := range []string{".livenessProbe", ".readinessProbe", ".startupProbe"} {
				out = append(out, row.feeds([]feature.Feature{feature.Probes},
					s.spec+list+probe+".httpGet", s.spec+list+probe+".tcpSocket", s.spec+list+probe+".grpc")...)
			}
		}
	}
	return out
}

func endpointLeaves() []feature.Leaf {
	slice, old := rows("discovery.k8s.io", "EndpointSlice"), rows("", "Endpoints")
	return slices.Concat(
		slice.because(feature.ReasonAddress, "addressType", "endpoints"),
		slice.because(feature.ReasonKey, "endpoints[].addresses", "ports"),
		slice.feeds([]feature.Feature{feature.UnreadyBackend}, "endpoints[].conditions.ready"),
		old.because(feature.ReasonKey, "subsets"),
		old.feeds([]feature.Feature{feature.UnreadyBackend}, "subsets[].notReadyAddresses"))
}

func otherLeaves() []feature.Leaf {
	account, namespace := rows("", KindServiceAccount), rows("", "Namespace")
	out := slices.Concat(
		account.because(feature.ReasonPod, "secrets", "imagePullSecrets", "automountServiceAccountToken"),
		namespace.because(feature.ReasonAddress, "spec"),
		namespace.because(feature.ReasonStatus, "status"))
	for _, s := range Schemas() {
		out = append(out, rows(s.Group, s.Kind).because(feature.ReasonName, "apiVersion", "kind", "metadata")...)
	}
	return out
}

// maker makes rows of one kind.
type maker struct{ group, kind string }

func rows(group, kind string) maker { return maker{group, kind} }

func (m maker) because(r feature.Reason, paths ...string) []feature.Leaf {
	var out []feature.Leaf
	for _, p := range paths {
		out = append(out, feature.Leaf{Group: m.group, Kind: m.kind, Path: p, Reason: r})
	}
	return out
}

func (m maker) feeds(features []feature.Feature, paths ...string) []feature.Leaf {
	var out []feature.Leaf
	for _, p := range paths {
		out = append(out, feature.Leaf{Group: m.group, Kind: m.kind, Path: p, Features: features})
	}
	return out
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// LeafOf returns the row for a field, the nearest at or above its path, which
// may be generic or hold indexes as in a document.
func LeafOf(group, kind, path string) (feature.Leaf, bool) {
	path = index.ReplaceAllString(path, "[]")
	var found feature.Leaf
	for _, l := range leaves {
		if l.Group == group && l.Kind == kind && len(l.Path) > len(found.Path) && below(path, l.Path) {
			found = l
		}
	}
	return found, found.Path != ""
}

// below reports whether a path is another, or lies below it.
func below(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
