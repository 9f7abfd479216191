package controller

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// statusClient writes the status of objects that others made. Every write names
// the state that it was made of, so nothing that somebody else wrote is lost.
type statusClient struct{ client dynamic.Interface }

// edit has a function change the status of an object, and writes it if it says
// that it did. It returns the object's resource version.
func (c statusClient) edit(ctx context.Context, at schema.GroupVersionResource, namespace, name, uid string, change func(o *unstructured.Unstructured) bool) (string, error) {
	var r dynamic.ResourceInterface = c.client.Resource(at)
	if namespace != "" {
		r = c.client.Resource(at).Namespace(namespace)
	}
	o, err := r.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return gone(err)
	}
	if uid != "" && string(o.GetUID()) != uid {
		return "", nil // another one by now, of which the loop will hear
	}
	if !change(o) {
		return o.GetResourceVersion(), nil
	}
	o, err = r.UpdateStatus(ctx, o, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil {
		return gone(err)
	}
	return o.GetResourceVersion(), nil
}

// entry is a condition as JSON has it.
type entry struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
	ObservedGeneration int64  `json:"observedGeneration,omitempty"`
	LastTransitionTime string `json:"lastTransitionTime"`
}

// said is an entry without its time.
func (e entry) timeless() entry {
	e.LastTransitionTime = ""
	return e
}

// entries reads conditions of any object; what is no condition is left out.
func entries(v any) []entry {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out []entry
	if json.Unmarshal(text, &out) != nil {
		return nil
	}
	return out
}

// merge makes conditions of those that are there and those that are wanted: which
// are in the place of those of their type, with the time of those where the status
// is the same. Conditions of other types stay. It reports whether anything differs.
func merge(there []entry, want []condition, generation int64, at time.Time) ([]entry, bool) {
	out := slices.Clone(there)
	differs := false
	for _, c := range want {
		now := entry{c.Type, c.Status, c.Reason, cut(c.Message, 32768), generation, at.UTC().Format(time.RFC3339)}
		i := slices.IndexFunc(out, func(e entry) bool { return e.Type == c.Type })
		if i < 0 {
			out, differs = append(out, now), true
			continue
		}
		if out[i].Status == now.Status && out[i].LastTransitionTime != "" {
			now.LastTransitionTime = out[i].LastTransitionTime
		}
		differs = differs || out[i].timeless() != now.timeless()
		out[i] = now
	}
	return out, differs
}

// jsonOf turns a value into maps and lists.
func jsonOf(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	if json.Unmarshal(text, &out) != nil {
		return nil
	}
	return numbers(out)
}

// numbers makes whole numbers of those that JSON reads as floating ones, which is
// what objects of the API machinery hold.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = numbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = numbers(e)
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}

// setConditions writes conditions into status.conditions of an object.
func setConditions(o *unstructured.Unstructured, want []condition) bool {
	status, _ := o.Object["status"].(map[string]any)
	merged, differs := merge(entries(status["conditions"]), want, o.GetGeneration(), time.Now())
	if !differs {
		return false
	}
	if status == nil {
		status = map[string]any{}
	}
	status["conditions"] = jsonOf(merged)
	o.Object["status"] = status
	return true
}

// foremost joins the conditions that an object has on several meshes to one of each
// type: the worst, with the name of the binding in front where there are several.
func foremost(of map[string][]metav1.Condition) []condition {
	rank := map[metav1.ConditionStatus]int{metav1.ConditionTrue: 0, metav1.ConditionUnknown: 1, metav1.ConditionFalse: 2}
	var names []string
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []condition
	for _, name := range names {
		for _, c := range of[name] {
			now := condition{c.Type, string(c.Status), c.Reason, c.Message}
			if len(names) > 1 && now.Message != "" {
				now.Message = name + ": " + now.Message
			}
			i := slices.IndexFunc(out, func(o condition) bool { return o.Type == c.Type })
			switch {
			case i < 0:
				out = append(out, now)
			case rank[c.Status] > rank[metav1.ConditionStatus(out[i].Status)]:
				out[i] = now
			}
		}
	}
	return out
}
