package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// neighbourhood are other replicas of a test.
type neighbourhood struct {
	said  []account
	known bool
}

func (n *neighbourhood) tell(xds.Status)             {}
func (n *neighbourhood) accounts() ([]account, bool) { return n.said, n.known }

// What is said of objects is of the proxies of all replicas, and of what is meant now: what
// a replica says that has something else for its proxies is of that.
func TestConditionsOfOtherReplicas(t *testing.T) {
	var b strings.Builder
	all := []translators.Artifact{{ID: vs, Audience: ir.Audience{Namespace: "shop"}}}
	mesh := service{"edge", "envoy", ""}
	server := &statusBoard{}
	others := &neighbourhood{}
	p := newProxies(server, newMetrics(t))
	p.peers = others
	own := xds.NodeStatus{Node: "p1", Backend: "envoy", Namespace: "shop", Account: "web", Since: time.Unix(1, 0), InSync: true}
	says := func(served string, inSync bool, refusals ...proxyRefusal) []account {
		return []account{{Served: map[string]string{"envoy": served}, Proxies: []proxyGroup{{"envoy", "shop", "web", inSync}}, Refusals: refusals}}
	}
	refused := proxyRefusal{"p9", "envoy", "route: weights do not add up", []report.Ref{splitRef.At("spec.backends[0].weight")}}
	for _, step := range []struct {
		name   string
		served string
		edit   bool
		known  bool
		said   []account
	}{
		{"nobody was heard yet", "a", false, false, nil},
		{"there is nobody", "a", false, true, nil},
		{"it was edited, which the other replica does not know", "b", true, true, says("a", true)},
		{"whose proxies have yet to acknowledge it", "b", false, true, says("b", false)},
		{"and have", "b", false, true, says("b", true)},
		{"one refuses it", "b", false, true, says("b", true, refused)},
		{"it was edited, and what was refused is what was before", "c", true, true, says("b", true, refused)},
		{"now it is refused too", "c", false, true, says("c", true, refused)},
		{"something else was edited", "d", false, true, says("c", true, refused)},
		{"the other replica is gone", "d", false, true, nil},
	} {
		server.status = xds.Status{Nodes: []xds.NodeStatus{own}, Served: map[string]string{"envoy": step.served}, Revision: server.status.Revision + 1}
		others.said, others.known = step.said, step.known
		if step.edit {
			p.changed(translators.Change{Target: translators.Target{Name: "edge", Backend: "envoy"}, Put: []translators.Artifact{{ID: vs, Refs: []report.Ref{splitRef.At("spec")}}}})
		}
		p.look()
		c := p.programmed(splitRef, mesh, all)
		whole := p.all("envoy")
		fmt.Fprintf(&b, "%s\n  %s=%s %s: %s\n  binding: %s=%s %s: %s\n", step.name, c.Type, c.Status, c.Reason, c.Message, whole.Type, whole.Status, whole.Reason, whole.Message)
	}
	golden(t, "replicas.txt", b.String())
}

// An account is read as it was written. However many proxies there are, and whatever they
// say, it finds room in an object, and those stay that are waited for.
func TestAccounts(t *testing.T) {
	var s xds.Status
	s.Served = map[string]string{"envoy": "x", "grpc": "y"}
	for i := range 20_000 {
		n := xds.NodeStatus{Node: fmt.Sprint("proxy-", i), Backend: "envoy", Namespace: fmt.Sprint("namespace-", i%300), Account: fmt.Sprint("account-", i), InSync: i%100 > 0}
		if i%2 == 0 {
			n.Refusals = []xds.Nack{{Text: strings.Repeat("ä", 1000), Refs: slices.Repeat([]report.Ref{splitRef}, 1000)}}
		}
		s.Nodes = append(s.Nodes, n)
	}
	a := accountOf(s)
	packed, err := a.packed()
	if err != nil || len(packed) > 200<<10 {
		t.Fatalf("%d bytes: %v", len(packed), err)
	}
	got, err := unpacked(packed)
	if err != nil || !got.same(a) {
		t.Errorf("read otherwise than it was written: %v", err)
	}
	late := 0
	for _, g := range a.Proxies {
		if !g.InSync {
			late++
		}
	}
	if late != 200 || len(a.Proxies) != mostGroups || len(a.Refusals) != mostRefusals || len(a.Refusals[0].Refs) != mostRefs || !utf8.ValidString(a.Refusals[0].Text) {
		t.Errorf("%d of 200 that are waited for; %d groups, %d refusals", late, len(a.Proxies), len(a.Refusals))
	}
	for _, text := range []string{"", "-", "aGVsbG8="} {
		if _, err := unpacked(text); err == nil {
			t.Errorf("%q is an account", text)
		}
	}
	if a := accountOf(xds.Status{Nodes: []xds.NodeStatus{{Backend: "envoy"}, {Backend: "envoy"}}}); len(a.Proxies) != 1 {
		t.Errorf("proxies of which the same is to be said are %d", len(a.Proxies))
	}
}
