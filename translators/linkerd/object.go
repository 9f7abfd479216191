package linkerd

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/report"
)

// object is a Kubernetes object, or a part of one, as JSON has it.
type object = map[string]any

// The order of application: a server closes its port before what opens it again,
// and whatever is referred to stands before what refers to it.
const (
	rankServer = iota
	rankAuthentication
	rankServerRoute
	rankAuthorization
	rankRoute
)

const (
	gatewayGroup  = "gateway.networking.k8s.io"
	policyGroup   = "policy.linkerd.io"
	httpRoutes    = gatewayGroup + "/v1"
	tcpRoutes     = gatewayGroup + "/v1alpha2"
	servers       = policyGroup + "/v1beta3"
	authorization = policyGroup + "/v1alpha1"
)

// artifact makes an object of a specification. The sources are named on the
// object, without their fields, so that its reader finds what to edit.
func artifact(apiVersion, kind, namespace, name string, spec object, refs []report.Ref) translators.Artifact {
	metadata := object{
		"name":      name,
		"namespace": namespace,
		"labels":    object{"app.kubernetes.io/managed-by": "meshknot"},
	}
	if s := sourcesOf(refs); s != "" {
		metadata["annotations"] = object{sourceAnnotation: s}
	}
	return translators.Artifact{
		ID:      translators.ID{Type: apiVersion + "/" + kind, Name: namespace + "/" + name},
		Payload: object{"apiVersion": apiVersion, "kind": kind, "metadata": metadata, "spec": spec},
		Refs:    slices.DeleteFunc(slices.Clone(refs), report.Ref.IsZero),
	}
}

const sourceAnnotation = "meshknot.io/source"

func sourcesOf(refs []report.Ref) string {
	var names []string
	for _, r := range refs {
		if r.Kind != "" {
			names = append(names, r.Kind+"/"+strings.TrimPrefix(r.Namespace+"/"+r.Name, "/"))
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",")
}

// nameLimit is the longest name that Kubernetes takes for an object.
const nameLimit = 253

// hashLength of hexadecimal digits that a made-up name ends in.
const hashLength = 10

// nameOf makes a name that people can read and that stands for its whole key:
// two keys never share one, however their parts are cut.
func nameOf(readable string, key ...string) string {
	h := sha256.New()
	for _, k := range key {
		h.Write([]byte(k))
		h.Write([]byte{0})
	}
	suffix := "-" + hex.EncodeToString(h.Sum(nil))[:hashLength]
	if most := nameLimit - len(suffix); len(readable) > most {
		readable = readable[:most]
	}
	return strings.TrimRight(readable, "-.") + suffix
}

func anys[T any](in []T) []any {
	out := make([]any, len(in))
	for i, v := range in {
		out[i] = v
	}
	return out
}
