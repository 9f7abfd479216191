package gamma

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

// rankRoute is behind whatever denies or allows, in any mesh's order.
const rankRoute = 100

const (
	group      = "gateway.networking.k8s.io"
	apiVersion = group + "/v1"
)

// artifact makes a route object. The sources are named on it, without their
// fields, so that its reader finds what to edit.
func artifact(kind, namespace, name string, spec object, sources []report.Ref) translators.Artifact {
	metadata := object{
		"name":      name,
		"namespace": namespace,
		"labels":    object{"app.kubernetes.io/managed-by": "meshknot"},
	}
	if s := sourcesOf(sources); s != "" {
		metadata["annotations"] = object{"meshknot.io/source": s}
	}
	return translators.Artifact{
		ID:      translators.ID{Type: apiVersion + "/" + kind, Name: namespace + "/" + name},
		Rank:    rankRoute,
		Payload: object{"apiVersion": apiVersion, "kind": kind, "metadata": metadata, "spec": spec},
		Refs:    sources,
	}
}

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

// hashLength of hexadecimal digits that a made-up name ends in.
const hashLength = 10

func hashOf(key ...string) string {
	h := sha256.New()
	for _, k := range key {
		h.Write([]byte(k))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:hashLength]
}
