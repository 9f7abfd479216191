package deploy

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

// Arguments are those of the container, for every set of values. What knows the flags
// knows this package too, so the test that compares stands outside of it.
func Arguments(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for name, values := range sets() {
		var d appsv1.Deployment
		typed(t, one(t, render(t, values), "Deployment"), &d)
		out[name] = d.Spec.Template.Spec.Containers[0].Args
	}
	return out
}
