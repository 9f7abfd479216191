package sink

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/meshknot/meshknot/translators"
)

// wanted is an object as it is to be.
type wanted struct {
	id     translators.ID
	part   string // the ApplySet that it is a member of
	digest string
	object map[string]any
}

// want makes the object that stands for an artifact of an owner.
func want(owner Owner, a translators.Artifact) (wanted, error) {
	w := wanted{id: a.ID, part: owner.part()}
	text, err := json.Marshal(a.Payload)
	if err == nil {
		err = utiljson.Unmarshal(text, &w.object)
	}
	if err != nil {
		return wanted{}, fmt.Errorf("%s: %w", named(a.ID), err)
	}
	w.digest = digest(text)
	for _, set := range []struct{ in, key, value string }{
		{"labels", ManagedByLabel, ManagedBy}, {"labels", PartOfLabel, w.part}, {"annotations", DigestAnnotation, w.digest},
	} {
		if err := unstructured.SetNestedField(w.object, set.value, "metadata", set.in, set.key); err != nil {
			return wanted{}, fmt.Errorf("%s: %w", named(a.ID), err)
		}
	}
	return w, nil
}

// in reports whether a live object says everything that is wanted, each field
// still ours: what somebody else changed or took away is no longer.
func (w wanted) in(live *unstructured.Unstructured) bool {
	entry, ok := applied(live)
	if !ok {
		return false
	}
	var fields map[string]any
	if entry.FieldsV1 == nil || json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
		return false
	}
	for k, v := range w.object {
		switch k {
		case "apiVersion", "kind":
			continue
		case "metadata": // of which nobody owns the name
			of := metadataOf(w.object)
			v = map[string]any{"labels": of["labels"], "annotations": of["annotations"]}
		}
		below, ok := fields["f:"+k].(map[string]any)
		if !ok || !says(v, live.Object[k], below) {
			return false
		}
	}
	return entry.APIVersion == w.object["apiVersion"]
}

func metadataOf(o map[string]any) map[string]any {
	m, _ := o["metadata"].(map[string]any)
	return m
}

// says reports whether a live value says a wanted one. Owned are the fields below
// it that are ours, as managedFields has them. Where they go no deeper, everything
// below is ours, and what is there besides are defaults of the server's.
func says(wanted, live any, owned map[string]any) bool {
	switch wanted := wanted.(type) {
	case map[string]any:
		live, ok := live.(map[string]any)
		if !ok {
			return len(wanted) == 0 && live == nil
		}
		for k, v := range wanted {
			below, ok := owned["f:"+k].(map[string]any)
			if !ok && len(owned) > 0 || !says(v, live[k], below) {
				return false
			}
		}
		return true
	case []any:
		live, _ := live.([]any)
		if keyed(owned) {
			return sayAll(wanted, live)
		}
		return slices.EqualFunc(wanted, live, func(w, l any) bool { return says(w, l, nil) })
	}
	return scalar64(wanted) == scalar64(live)
}

// keyed reports whether what is owned are single items of a list, beside which
// others may have theirs.
func keyed(owned map[string]any) bool {
	for k := range owned {
		if strings.HasPrefix(k, "k:") || strings.HasPrefix(k, "v:") {
			return true
		}
	}
	return false
}

func sayAll(wanted, live []any) bool {
	return !slices.ContainsFunc(wanted, func(w any) bool {
		return !slices.ContainsFunc(live, func(l any) bool { return says(w, l, nil) })
	})
}

// scalar64 makes numbers comparable, whatever they were read into.
func scalar64(v any) any {
	if n, ok := v.(int64); ok {
		return float64(n)
	}
	return v
}

// applied is what the server noted of the last time that we wrote an object.
func applied(live *unstructured.Unstructured) (metav1.ManagedFieldsEntry, bool) {
	for _, e := range live.GetManagedFields() {
		if e.Manager == FieldManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == "" {
			return e, true
		}
	}
	return metav1.ManagedFieldsEntry{}, false
}

// partOf is the ApplySet that an object of ours is a member of. It is nothing for
// an object that we did not write, whatever its labels: they are copied easily.
func partOf(live *unstructured.Unstructured) string {
	labels := live.GetLabels()
	if _, ok := applied(live); !ok || labels[ManagedByLabel] != ManagedBy {
		return ""
	}
	return labels[PartOfLabel]
}

// managerOf names who manages an object of somebody else's.
func managerOf(live *unstructured.Unstructured) string {
	if by := live.GetLabels()[ManagedByLabel]; by != "" && by != ManagedBy {
		return by
	}
	var names []string
	for _, e := range live.GetManagedFields() {
		if e.Subresource == "" && e.Manager != FieldManager {
			names = append(names, e.Manager)
		}
	}
	if len(names) == 0 {
		return "nobody known"
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// stripped is what of a live object is compared, without its status and what
// belongs to others alone, so that many can be kept.
func stripped(live *unstructured.Unstructured) *unstructured.Unstructured {
	out := &unstructured.Unstructured{Object: maps.Clone(live.Object)}
	delete(out.Object, "status")
	out.Object["metadata"] = maps.Clone(metadataOf(live.Object))
	out.SetManagedFields(nil)
	if entry, ok := applied(live); ok {
		out.SetManagedFields([]metav1.ManagedFieldsEntry{entry})
	}
	return out
}

// fingerprint stands for what an object says, whoever owns it.
func fingerprint(live *unstructured.Unstructured) string {
	o := maps.Clone(live.Object)
	m := metadataOf(o)
	delete(o, "status")
	o["metadata"] = map[string]any{"labels": m["labels"], "annotations": m["annotations"], "uid": m["uid"]}
	text, err := json.Marshal(o)
	if err != nil {
		return "" // which is the fingerprint of none
	}
	return digest(text)
}
