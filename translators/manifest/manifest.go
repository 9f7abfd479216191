// Package manifest makes Kubernetes objects, and names for them, for the back
// ends whose configuration consists of such. It knows none of them.
package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/report"
)

// Object is a Kubernetes object, or a part of one, as JSON has it.
type Object = map[string]any

// SourceAnnotation names, on an object, the objects that it says something of.
const SourceAnnotation = "meshknot.io/source"

// New makes an object of a specification. Its sources are named on it, without
// their fields, so that its reader finds what to edit.
func New(apiVersion, kind, namespace, name string, spec Object, sources []report.Ref) translators.Artifact {
	metadata := Object{
		"name":      name,
		"namespace": namespace,
		"labels":    Object{"app.kubernetes.io/managed-by": "meshknot"},
	}
	if s := Sources(sources); s != "" {
		metadata["annotations"] = Object{SourceAnnotation: s}
	}
	return translators.Artifact{
		ID:      translators.ID{Type: apiVersion + "/" + kind, Name: namespace + "/" + name},
		Payload: Object{"apiVersion": apiVersion, "kind": kind, "metadata": metadata, "spec": spec},
		Refs:    slices.DeleteFunc(slices.Clone(sources), report.Ref.IsZero),
	}
}

// Sources lists objects as "Kind/namespace/name", sorted, with commas between.
func Sources(refs []report.Ref) string {
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

// Name makes a name that people can read and that stands for its whole key: two
// keys never share one, however their parts are cut.
func Name(readable string, key ...string) string {
	suffix := "-" + Hash(key...)
	if most := nameLimit - len(suffix); len(readable) > most {
		readable = readable[:most]
	}
	return strings.TrimRight(readable, "-.") + suffix
}

// Hash stands for a key in a name.
func Hash(key ...string) string {
	h := sha256.New()
	for _, k := range key {
		h.Write([]byte(k))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:hashLength]
}

// Anys makes a list of an object's of a list.
func Anys[T any](in []T) []any {
	out := make([]any, len(in))
	for i, v := range in {
		out[i] = v
	}
	return out
}

// CommonDivisor returns the greatest number that divides both, by which weights
// are brought into the range of an object without changing their ratio.
func CommonDivisor(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
