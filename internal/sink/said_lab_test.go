package sink

import (
	"slices"
	"testing"
)

// What is said of the status of kinds holds of the definitions of their meshes: who
// speaks has one, in each version that is written, and who does not speak has none.
func TestStatusesAreDefined(t *testing.T) {
	k := StartKube(t)
	for _, kind := range AllKinds() {
		list, err := k.other.served.client.ServerResourcesForGroupVersion(kind.GroupVersion().String())
		if err != nil {
			t.Fatal(err)
		}
		resource, _, err := k.other.served.resource(t.Context(), kind)
		if err != nil {
			t.Fatal(err)
		}
		status := false
		for _, r := range list.APIResources {
			status = status || r.Name == resource.Resource+"/status"
		}
		i := slices.IndexFunc(AllSpeaking(), func(s Speaking) bool { return s.GroupKind == kind.GroupKind() })
		if status != (i >= 0) {
			t.Errorf("%s has a status: %v", kind, status)
		}
		if i >= 0 && AllSpeaking()[i].Resource != resource.Resource {
			t.Errorf("%s is served as %s", kind, resource.Resource)
		}
	}
}
