package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// Of two replicas one writes. It is paused until its lease is lost and goes on then,
// with edits of that time before it; its successor is killed. Never do two write at a
// time, and nobody writes in turn.
func TestReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.KubeOptions{Audit: true}, everything...)
	w.must(w.Apply(bound(binding, onIstio)))
	all := []*cluster.Controller{w.direct("--leader-elect", "--roles=writer"), w.direct("--leader-elect", "--roles=writer")}
	first := w.leader(all...)
	second := all[1-slices.Index(all, first)]
	w.weight(1)

	w.must(first.Pause())
	w.eventually("other leader", func() (bool, any) { v := second.Metric("meshknot_leader"); return v == "1", v })
	for n := 2; n < 5; n++ {
		w.weight(n)
	}
	w.must(first.Resume())
	w.eventually("former leader that knows it", func() (bool, any) { v := first.Metric("meshknot_leader"); return v == "0", v })
	w.weight(5)
	w.barrier()

	second.Stop()
	w.leader(first)
	w.weight(6)
	w.barrier()

	turns := w.turns()
	if len(turns) != 3 || turns[0] != turns[2] || turns[0] == turns[1] {
		t.Errorf("writers took turns %d times: %v", len(turns), turns)
	}
}

// leader waits until one of some leads, and only that.
func (w *world) leader(of ...*cluster.Controller) (lead *cluster.Controller) {
	w.Helper()
	w.eventually("one leader", func() (bool, any) {
		var seen []string
		lead = nil
		for _, r := range of {
			v := r.Metric("meshknot_leader")
			if seen = append(seen, v); v == "1" {
				lead = r
			}
		}
		return strings.Count(strings.Join(seen, " "), "1") == 1, seen
	})
	return lead
}

// turns are those that wrote what users see, in the order of time, each named by the
// token that it was given alone; who writes several times in a row counts once.
func (w *world) turns() []string {
	w.Helper()
	events, err := w.Audited()
	w.must(err)
	const token = "authentication.kubernetes.io/credential-id"
	own := "system:serviceaccount:" + cluster.Namespace + ":" + cluster.Account
	received := func(e lab.Object) string { return e["requestReceivedTimestamp"].(string) }
	slices.SortStableFunc(events, func(a, b lab.Object) int { return strings.Compare(received(a), received(b)) })
	var out []string
	n := 0
	for _, e := range events {
		if cluster.Dig(e, "user", "username") != own || cluster.Dig(e, "objectRef", "resource") == "leases" {
			continue
		}
		if uri, _ := e["requestURI"].(string); !strings.Contains(uri, "fieldManager=meshknot-") && e["verb"] != "delete" {
			w.Errorf("%v %s was not written as meshknot's", e["verb"], uri)
		}
		n++
		who := fmt.Sprint(cluster.Dig(e, "user", "extra", token))
		if who == "<nil>" {
			w.Fatalf("the audit log does not tell who wrote: %v", e)
		}
		if len(out) == 0 || out[len(out)-1] != who {
			out = append(out, who)
		}
	}
	w.Logf("%d writes", n)
	return out
}
