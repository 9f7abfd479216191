package faults

import (
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// An edit that is not good enough for a binding leaves routing as it was, and so does
// a process that begins with it.
func TestLastGoodSurvives(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.KubeOptions{}, everything...)
	strict := bound(binding, onGateway)
	strict["spec"].(lab.Object)["lossGate"] = "exact"
	w.must(w.Apply(strict))
	r := w.replica("--roles=writer")
	w.inForce(binding, w.apply(split(1)))
	matching := split(2)
	matching["spec"].(lab.Object)["matches"] = []any{lab.Object{"kind": "HTTPRouteGroup", "name": "reviews-api"}}
	expression := group("GET")
	cluster.Dig(expression, "spec", "matches").([]any)[0].(lab.Object)["pathRegex"] = "/a(b|c)[0-9]+.*$"
	w.must(w.Apply(expression))
	generation := w.apply(matching)
	kept := func(r *cluster.Controller, when string) {
		t.Helper()
		w.eventually("report on what stays, "+when, func() (bool, any) {
			said := w.splitReport(binding)
			return said.Generation == generation && strings.HasPrefix(said.Conditions["Programmed"], "False/"), said
		})
		w.barrier()
		w.settled(r)
		if got := w.weightsOf(gatewayGroup, "HTTPRoute", "rules", "backendRefs"); got != reduced(1) {
			t.Errorf("%s, there are %q: %s", when, got, w.splitReport(binding))
		}
	}
	kept(r, "after the edit")
	r.Stop()
	kept(w.replica("--roles=writer"), "after a restart")
	w.must(w.Delete(matching))
	w.eventually("end of what stayed, with the split", func() (bool, any) {
		list, err := w.List(gatewayGroup, "HTTPRoute", shop)
		return err == nil && len(list) == 0, list
	})
}
