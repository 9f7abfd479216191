package controller_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/lab"
)

// replica is a process of "meshknot controller".
type replica struct {
	*lab.Process
	health, metrics, xds, admin int32
}

func (c *cluster) replica(args ...string) *replica {
	c.Helper()
	r := &replica{}
	for _, port := range []*int32{&r.health, &r.metrics, &r.xds, &r.admin} {
		var err error
		if *port, err = lab.FreePort(); err != nil {
			c.Fatal(err)
		}
	}
	var err error
	r.Process, err = c.lab.StartMeshknot(append([]string{"controller", "--kubeconfig=" + c.kube.Kubeconfig, "--leader-elect", "--namespace=default", "--webhook-bind-address=0",
		"--health-probe-bind-address=" + lab.Local(r.health), "--metrics-bind-address=" + lab.Local(r.metrics), "--metrics-secure=false",
		"--xds-listen=" + lab.Local(r.xds), "--admin-listen=" + lab.Local(r.admin)}, args...)...)
	if err != nil {
		c.Fatal(err)
	}
	if err := c.lab.Ready(r.Process, "http://"+lab.Local(r.health)+"/readyz", within); err != nil {
		c.Fatal(err)
	}
	return r
}

// metric is the line of a metric.
func (r *replica) metric(name string) string {
	answer, err := http.Get("http://" + lab.Local(r.metrics) + "/metrics")
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Two replicas are ready, one of which writes; when it is killed the other one goes
// on; while the API server is away both live and are ready; and who is asked to stop
// gives the lease back.
func TestReplicas(t *testing.T) {
	c := newCluster(t)
	c.apply(shop)
	c.apply(strings.ReplaceAll(binding, "BACKEND", "{name: istio}"))
	c.apply(split("9", "1"))
	all := []*replica{c.replica(), c.replica()}
	leader := func(of ...*replica) (lead *replica) {
		c.eventually("one leader", func() (bool, any) {
			var seen []string
			n := 0
			for _, r := range of {
				v := r.metric("meshknot_leader")
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
		if got := r.metric("meshknot_ready"); got != "1" {
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
		v := other.metric("meshknot_leader")
		return v == "0", v
	})
	if err := c.lab.Ready(other.Process, "http://"+lab.Local(other.health)+"/readyz", time.Second); err != nil {
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
	lease, err := c.kube.Get(object("coordination.k8s.io/v1", "Lease", "default", "meshknot-controller"))
	if holder := dig(lease, "spec", "holderIdentity"); err != nil || holder != "" && holder != nil {
		t.Errorf("the lease is held by %v (%v)", fmt.Sprint(holder), err)
	}
}
