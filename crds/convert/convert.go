// Package convert turns an object of SMI in one version into the same object in
// another, for the conversion webhook of an API server.
//
// What is meant stays the same, or the conversion fails: a condition that the
// other version cannot say would be lost, and more would get through. Where the
// meaning is the same but the notation is not, as with weights that are
// quantities, the notation is kept in an annotation and comes back, as long as
// nobody has changed what was made of it.
//
// Only the content is converted. Metadata and status are the same in all versions.
package convert

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/json"

	"github.com/meshknot/meshknot/translators/smi"
)

// Annotation holds the content of the object in the version that it was written
// in, as JSON {"version": "v1alpha1", "content": {...}}, where that version says
// the same in another notation.
const Annotation = "convert.meshknot.io/from"

// longest is how much of an object is kept in the annotation, in bytes; a longer
// one loses its notation. An object may have 256 KiB of annotations.
const longest = 64 << 10

// Error says why an object cannot be said in a version.
type Error struct {
	// Field of the object that is in the way, such as "spec.matches"; empty where
	// the object as a whole is.
	Field string
	// Message says what cannot be said.
	Message string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

func refuse(field, format string, args ...any) error {
	return &Error{field, fmt.Sprintf(format, args...)}
}

// content is what an object says: its fields without apiVersion, kind, metadata
// and status.
type content map[string]any

// kinds are those of which there is more than one version.
var kinds = map[string]func(from, to string, c content) error{
	smi.GroupSplit + "/" + smi.KindTrafficSplit:   split,
	smi.GroupSpecs + "/" + smi.KindHTTPRouteGroup: routeGroup,
	smi.GroupSpecs + "/" + smi.KindTCPRoute:       tcpRoute,
	smi.GroupAccess + "/" + smi.KindTrafficTarget: target,
}

// Convert returns an object of SMI in another version of its group, such as
// "split.smi-spec.io/v1alpha4". The object is not changed, and shares nothing
// with what is returned. An error is of type *Error.
func Convert(object map[string]any, desiredAPIVersion string) (map[string]any, error) {
	out, err := clone(object)
	if err != nil {
		return nil, refuse("", "the object is no JSON: %v", err)
	}
	group, from, to, err := versions(out, desiredAPIVersion)
	if err != nil {
		return nil, err
	}
	if from == to {
		return out, nil
	}
	kind, _ := out["kind"].(string)
	between := kinds[group+"/"+kind]
	body := take(out)
	if k, ok := unkeep(out); ok {
		if again, err := convert(between, k.Version, from, k.Content); err == nil && same(again, body) {
			from, body = k.Version, k.Content
		}
	}
	made, err := convert(between, from, to, body)
	if err != nil {
		return nil, err
	}
	if back, err := convert(between, to, from, made); err != nil || !same(back, body) {
		keep(out, kept{from, body})
	}
	for name, value := range made {
		out[name] = value
	}
	out["apiVersion"] = desiredAPIVersion
	return out, nil
}

// convert makes the content of one version of that of another, which stays as it is.
func convert(between func(from, to string, c content) error, from, to string, c content) (content, error) {
	out, err := clone(c)
	if err != nil || from == to {
		return out, err
	}
	if between == nil {
		return nil, refuse("", "the kind has no version but %s", from)
	}
	return out, between(from, to, out)
}

// versions reads what is to be converted to what.
func versions(object map[string]any, desired string) (group, from, to string, err error) {
	written, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	group, from, _ = strings.Cut(written, "/")
	wanted, to, _ := strings.Cut(desired, "/")
	if group != wanted {
		return "", "", "", refuse("apiVersion", "%s is no version of the group of %s", desired, written)
	}
	for _, version := range []string{from, to} {
		if !slices.ContainsFunc(smi.Schemas(), func(s known) bool { return s.Group == group && s.Version == version && s.Kind == kind }) {
			return "", "", "", refuse("apiVersion", "there is no %s in %s/%s", kind, group, version)
		}
	}
	return group, from, to, nil
}

// take takes the content out of an object.
func take(object map[string]any) content {
	c := content{}
	for name, value := range object {
		if !slices.Contains([]string{"apiVersion", "kind", "metadata", "status"}, name) {
			c[name] = value
			delete(object, name)
		}
	}
	return c
}

type kept struct {
	Version string  `json:"version"`
	Content content `json:"content"`
}

// keep notes in an object in what notation it was written.
func keep(object map[string]any, k kept) {
	text, err := json.Marshal(k)
	if err != nil || len(text) > longest {
		return
	}
	metadata := inner(object, "metadata")
	annotations := inner(metadata, "annotations")
	annotations[Annotation] = string(text)
	metadata["annotations"], object["metadata"] = annotations, metadata
}

// unkeep takes the note out of an object.
func unkeep(object map[string]any) (kept, bool) {
	annotations := inner(inner(object, "metadata"), "annotations")
	text, ok := annotations[Annotation].(string)
	if !ok {
		return kept{}, false
	}
	delete(annotations, Annotation)
	if len(annotations) == 0 {
		delete(inner(object, "metadata"), "annotations")
	}
	var k kept
	if len(text) > longest || json.Unmarshal([]byte(text), &k) != nil || k.Content == nil {
		return kept{}, false
	}
	kind, _ := object["kind"].(string)
	group, _, _ := strings.Cut(fmt.Sprint(object["apiVersion"]), "/")
	return k, slices.ContainsFunc(smi.Schemas(), func(s known) bool { return s.Group == group && s.Version == k.Version && s.Kind == kind })
}

// inner returns the object in a field, or an empty one.
func inner(object map[string]any, field string) map[string]any {
	if m, ok := object[field].(map[string]any); ok {
		return m
	}
	return map[string]any{}
}

// clone copies a JSON value, with whole numbers as int64, as an API server has them.
func clone[M ~map[string]any](m M) (M, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, err
	}
	return out, nil
}

// same reports whether two contents are equal; both came from clone.
func same(a, b content) bool { return reflect.DeepEqual(a, b) }
