package consul

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// object is a configuration entry, or a part of one, as JSON has it.
type object = manifest.Object

// The order of application. Consul refuses permissions and routes of a service of
// which it does not know that it speaks HTTP; a deny stands before what leads there.
const (
	rankProtocol = iota
	rankAccess
	rankSplit
	rankRoute
)

// kind is a kind of entry, and of the object that stands for it.
type kind struct{ entry, object string }

var (
	kindDefaults   = kind{"service-defaults", "ServiceDefaults"}
	kindRouter     = kind{"service-router", "ServiceRouter"}
	kindSplitter   = kind{"service-splitter", "ServiceSplitter"}
	kindResolver   = kind{"service-resolver", "ServiceResolver"}
	kindIntentions = kind{"service-intentions", "ServiceIntentions"}
	kindMesh       = kind{"mesh", "Mesh"}
)

const group = "consul.hashicorp.com/v1alpha1"

// artifact makes an entry, or an object, of a body in the words of an entry.
// Consul keeps one of a kind for a name, so namespaces are no part of its ID.
func (m mesh) artifact(k kind, name string, body object) translators.Artifact {
	if m.kubernetes {
		return m.object(k, name, body)
	}
	entry := object{"Kind": k.entry, "Meta": object{"managed-by": "meshknot"}}
	if k != kindMesh { // which has none
		entry["Name"] = name
	}
	for field, v := range body {
		entry[field] = v
	}
	return translators.Artifact{ID: translators.ID{Type: "consul/" + k.entry, Name: name}, Payload: entry}
}

// object makes the object that stands for an entry. All are made in one
// namespace, for Consul on Kubernetes refuses a second one of a name elsewhere.
func (m mesh) object(k kind, name string, body object) translators.Artifact {
	spec := lower(body).(object)
	if k == kindIntentions {
		spec["destination"] = object{"name": name}
		if name == everybody {
			name = nameOf("meshknot-all", name)
		}
	}
	return translators.Artifact{
		ID: translators.ID{Type: group + "/" + k.object, Name: m.namespace + "/" + name},
		Payload: object{
			"apiVersion": group, "kind": k.object, "spec": spec,
			"metadata": object{
				"name": name, "namespace": m.namespace,
				"labels": object{"app.kubernetes.io/managed-by": "meshknot"},
			},
		},
	}
}

// lower writes the fields of an entry as those of an object: "PathExact" as
// "pathExact". Names of headers, which are keys too, are lower case already.
func lower(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, in := range v {
			if k == "HTTP" {
				k = "http"
			}
			out[strings.ToLower(k[:1])+k[1:]] = lower(in)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = lower(v[i])
		}
		return out
	}
	return v
}

// referring notes the places that artifacts say.
func referring(out []translators.Artifact, refs []report.Ref) []translators.Artifact {
	refs = slices.DeleteFunc(refs, report.Ref.IsZero)
	for i := range out {
		out[i].Refs = slices.Clone(refs)
	}
	return out
}

// nameLimit is the longest name that a DNS label can have, as Consul wishes.
const nameLimit = 63

// nameOf makes a name that people can read and that stands for its whole key:
// two keys never share one, however their parts are cut.
func nameOf(readable string, key ...string) string {
	suffix := "-" + manifest.Hash(key...)
	readable = strings.NewReplacer(".", "-", "/", "-", ":", "-").Replace(strings.ToLower(readable))
	if most := nameLimit - len(suffix); len(readable) > most {
		readable = readable[:most]
	}
	return strings.TrimRight(readable, "-") + suffix
}
