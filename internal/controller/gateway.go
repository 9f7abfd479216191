package controller

import (
	"encoding/json"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// gatewayController is the name under which we take part in statuses of Gateway
// API; a test holds it against translators/gatewayapi.
const gatewayController = "meshknot.io/gateway-controller"

const gatewayGroup = "gateway.networking.k8s.io"

// apiStatus is the status of an object of Gateway API in the shapes that it has in
// translators/gatewayapi: of a route, or of anything else.
type apiStatus struct {
	Parents              []parentStatus   `json:"parents,omitempty"`
	AttachedListenerSets int              `json:"attachedListenerSets,omitempty"`
	Conditions           []condition      `json:"conditions,omitempty"`
	Listeners            []listenerStatus `json:"listeners,omitempty"`
}

type parentStatus struct {
	ParentRef  map[string]any `json:"parentRef"`
	Conditions []condition    `json:"conditions"`
}

type listenerStatus struct {
	Name           string      `json:"name"`
	AttachedRoutes int64       `json:"attachedRoutes"`
	SupportedKinds []any       `json:"supportedKinds"`
	Conditions     []condition `json:"conditions"`
}

// readStatus reads what translators/gatewayapi computes.
func readStatus(v any) (apiStatus, error) {
	var s apiStatus
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

// setParents writes our entries of a route's status and leaves those of others as
// and where they are. Entries of ours about parents that the route does not have
// any more go.
func setParents(o *unstructured.Unstructured, want []parentStatus) bool {
	status, _ := o.Object["status"].(map[string]any)
	there, _ := status["parents"].([]any)
	at := time.Now()
	left := slices.Clone(want)
	out := []any{}
	differs := false
	for _, p := range there {
		entry, ok := p.(map[string]any)
		if !ok || entry["controllerName"] != gatewayController {
			out = append(out, p)
			continue
		}
		i := slices.IndexFunc(left, func(w parentStatus) bool { return sameParent(w.ParentRef, entry["parentRef"]) })
		if i < 0 {
			differs = true
			continue
		}
		conditions, changed := only(entries(entry["conditions"]), left[i].Conditions, o.GetGeneration(), at)
		differs = differs || changed
		out = append(out, map[string]any{"parentRef": entry["parentRef"], "controllerName": gatewayController, "conditions": jsonOf(conditions)})
		left = slices.Delete(left, i, i+1)
	}
	for _, w := range left {
		conditions, _ := merge(nil, w.Conditions, o.GetGeneration(), at)
		out = append(out, map[string]any{"parentRef": numbers(w.ParentRef), "controllerName": gatewayController, "conditions": jsonOf(conditions)})
		differs = true
	}
	if differs {
		if status == nil {
			status = map[string]any{}
		}
		status["parents"] = out
		o.Object["status"] = status
	}
	return differs
}

// only is merge for an entry that is ours alone: conditions of other types go.
func only(there []entry, want []condition, generation int64, at time.Time) ([]entry, bool) {
	ours := slices.DeleteFunc(slices.Clone(there), func(e entry) bool {
		return !slices.ContainsFunc(want, func(c condition) bool { return c.Type == e.Type })
	})
	out, differs := merge(ours, want, generation, at)
	return out, differs || len(ours) != len(there)
}

// sameParent compares references to parents, whose group and kind have defaults.
func sameParent(a map[string]any, v any) bool {
	b, ok := v.(map[string]any)
	if !ok {
		return false
	}
	field := func(m map[string]any, name, otherwise string) any {
		if v, ok := m[name]; ok && v != nil {
			return numbers(v)
		}
		return otherwise
	}
	for name, otherwise := range map[string]string{"group": gatewayGroup, "kind": "Gateway", "namespace": "", "name": "", "sectionName": "", "port": ""} {
		if field(a, name, otherwise) != field(b, name, otherwise) {
			return false
		}
	}
	return true
}

// setListeners writes the status of a Gateway or a ListenerSet of ours, and of a
// GatewayClass: what is in it of others' making stays.
func setListeners(o *unstructured.Unstructured, want apiStatus) bool {
	status, _ := o.Object["status"].(map[string]any)
	at := time.Now()
	conditions, differs := merge(entries(status["conditions"]), want.Conditions, o.GetGeneration(), at)
	if status == nil {
		status = map[string]any{}
	}
	there, _ := status["listeners"].([]any)
	var listeners []any
	for _, l := range want.Listeners {
		i := slices.IndexFunc(there, func(v any) bool {
			m, _ := v.(map[string]any)
			return m != nil && m["name"] == l.Name
		})
		old := map[string]any{}
		if i >= 0 {
			old, _ = there[i].(map[string]any)
		}
		merged, changed := merge(entries(old["conditions"]), l.Conditions, o.GetGeneration(), at)
		kinds, _ := jsonOf(l.SupportedKinds).([]any)
		now := map[string]any{"name": l.Name, "attachedRoutes": l.AttachedRoutes, "supportedKinds": kinds, "conditions": jsonOf(merged)}
		differs = differs || changed || i < 0 || old["attachedRoutes"] != l.AttachedRoutes || digestOf(old["supportedKinds"]) != digestOf(now["supportedKinds"])
		listeners = append(listeners, now)
	}
	differs = differs || len(listeners) != len(there)
	if !differs {
		return false
	}
	status["conditions"] = jsonOf(conditions)
	if listeners != nil {
		status["listeners"] = listeners
	} else {
		delete(status, "listeners")
	}
	o.Object["status"] = status
	return true
}
