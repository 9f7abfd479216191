package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// replica starts a process of "meshknot controller" that writes while it leads.
func (c *world) replica() *cluster.Controller {
	c.Helper()
	r, err := c.cluster.Controller("--leader-elect")
	if err != nil {
		c.Fatal(err)
	}
	return r
}

// Two replicas are ready, one of which writes; when it is killed the other one goes
// on; while the API server is away both live and are ready; and who is asked to stop
// gives the lease back.
func TestReplicas(t *testing.T) {
	c := newWorld(t)
	c.apply(shop)
	c.apply(strings.ReplaceAll(binding, "BACKEND", "{name: istio}"))
	c.apply(split("9", "1"))
	all := []*cluster.Controller{c.replica(), c.replica()}
	leader := func(of ...*cluster.Controller) (lead *cluster.Controller) {
		c.eventually("one leader", func() (bool, any) {
			var seen []string
			n := 0
			for _, r := range of {
				v := r.Metric("meshknot_leader")
				if seen = append(seen, v); v == "1" {
					lead, n = r, n+1
				}
			}
			return n == 1, seen
		})
		return lead
	}
	first := leader(all...)
	c.eventually("a VirtualService", func() (bool, any) { w := c.weights(); return has(w, "reviews-v1", 9), w })
	for _, r := range all {
		if got := r.Metric("meshknot_ready"); got != "1" {
			t.Errorf("ready is %q", got)
		}
	}
	first.Stop()
	other := all[0]
	if first == other {
		other = all[1]
	}
	leader(other)
	c.apply(split("3", "4"))
	c.eventually("the other one to write", func() (bool, any) { w := c.weights(); return has(w, "reviews-v1", 3), w })

	c.kube.Stop()
	c.eventually("a leader that knows that it may no longer write", func() (bool, any) {
		v := other.Metric("meshknot_leader")
		return v == "0", v
	})
	if err := c.lab.Ready(other.Process, "http://"+lab.Local(other.Health)+"/readyz", time.Second); err != nil {
		t.Errorf("without an API server: %v", err)
	}
	if err := c.kube.Start(); err != nil {
		t.Fatal(err)
	}
	leader(other)
	c.apply(split("5", "6"))
	c.eventually("what changed since", func() (bool, any) { w := c.weights(); return has(w, "reviews-v1", 5), w })
	if err := other.Terminate(30 * time.Second); err != nil {
		t.Errorf("asked to stop: %v", err)
	}
	lease, err := c.kube.Get(cluster.Object("coordination.k8s.io/v1", "Lease", cluster.Namespace, "meshknot-controller"))
	if holder := cluster.Dig(lease, "spec", "holderIdentity"); err != nil || holder != "" && holder != nil {
		t.Errorf("the lease is held by %v (%v)", fmt.Sprint(holder), err)
	}
}
