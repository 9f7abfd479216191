package controller

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
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
	own := xds.NodeStatus{Node: "p1", Backend: "envoy", Namespace: "shop", Account: "web", Since: time.Unix(1, 0), Settled: true}
	other := "a"
	for xds.Share(other) != xds.Share(vs.Name)+1 {
		other += "a"
	}
	// what is served is a letter for the object, and one for others
	shares := func(served string) map[string]xds.Shares {
		if served == "" {
			return nil
		}
		var s xds.Shares
		s[xds.Share(vs.Name)], s[xds.Share(vs.Name)+1] = uint32(served[0]), uint32(served[1])
		return map[string]xds.Shares{"envoy": s}
	}
	says := func(served string, inSync bool, refusals ...proxyRefusal) []account {
		return []account{{Served: shares(served), Proxies: []proxyGroup{{"envoy", "shop", "web", inSync}}, Refusals: refusals}}
	}
	refused := proxyRefusal{"p9", "envoy", "route: weights do not add up", []report.Ref{splitRef.At("spec.backends[0].weight")}}
	for _, step := range []struct {
		name   string
		served string
		edit   bool
		known  bool
		said   []account
		taken  bool
	}{
		{"nobody was heard yet", "ax", false, false, nil, false},
		{"there is nobody", "ax", false, true, nil, false},
		{"it was edited, which the other replica does not know", "bx", true, true, says("ax", true), false},
		{"whose proxies have yet to acknowledge it", "bx", false, true, says("bx", false), false},
		{"and have", "bx", false, true, says("bx", true), false},
		{"one refuses it", "bx", false, true, says("bx", true, refused), false},
		{"it was edited, and what was refused is what was before", "cx", true, true, says("bx", true, refused), false},
		{"now it is refused too", "cx", false, true, says("cx", true, refused), false},
		{"something else was edited", "cy", false, true, says("cx", true, refused), false},
		{"it was edited, and the other replica has something else for others", "dy", true, true, says("dx", true), false},
		{"it was edited, and more is meant than either has", "", true, true, []account{{Proxies: says("dx", true)[0].Proxies}}, false},
		{"the other replica has more to say than it can", "ex", false, true, []account{{More: true}}, false},
		{"the other replica is gone", "ex", false, true, nil, false},
		{"it was edited, and something was taken away that the other replica still has", "fy", true, true, says("fx", true), true},
		{"both are without", "fy", false, true, says("fy", true), false},
		{"it was edited, and a replica to which proxies may go has what was before", "gy", true, true, []account{{Served: shares("fy")}}, false},
	} {
		server.status = xds.Status{Nodes: []xds.NodeStatus{own}, Served: shares(step.served), Revision: server.status.Revision + 1}
		others.said, others.known = step.said, step.known
		if step.edit {
			edit := translators.Change{Target: translators.Target{Name: "edge", Backend: "envoy"}, Put: []translators.Artifact{{ID: vs, Refs: []report.Ref{splitRef.At("spec")}}}}
			if step.taken {
				edit.Remove = []translators.Slot{{ID: translators.ID{Type: vs.Type, Name: other}}}
			}
			p.changed(edit, nil)
		}
		p.look()
		c := p.programmed(splitRef, mesh, all)
		whole := p.all("envoy")
		fmt.Fprintf(&b, "%s\n  %s=%s %s: %s\n  binding: %s=%s %s: %s\n", step.name, c.Type, c.Status, c.Reason, c.Message, whole.Type, whole.Status, whole.Reason, whole.Message)
	}
	golden(t, "replicas.txt", b.String())
}

// What was edited is in force when all that came of the edit is, also where that does
// not speak of the object any more; and an object of which nothing was said has nothing
// to be taken back.
func TestWhatAnEditTakesAway(t *testing.T) {
	all := []translators.Artifact{{ID: vs, Audience: ir.Audience{Namespace: "shop"}}}
	mesh := service{"edge", "envoy", ""}
	server := &statusBoard{}
	p := newProxies(server, newMetrics(t))
	is := func(want string) {
		t.Helper()
		server.status.Revision++
		p.look()
		if c := p.programmed(splitRef, mesh, all); c.Reason != want {
			t.Errorf("it is %s, not %s", c.Reason, want)
		}
	}
	own := xds.NodeStatus{Node: "p1", Backend: "envoy", Namespace: "shop", Account: "web", Settled: true}
	other := translators.Change{Target: translators.Target{Name: "edge", Backend: "envoy"}, Put: []translators.Artifact{{ID: translators.ID{Name: "other"}}}}
	p.changed(other, []report.Ref{splitRef})
	if len(p.standing) > 0 {
		t.Errorf("%d objects have a standing of which nothing was said", len(p.standing))
	}
	server.status.Nodes = []xds.NodeStatus{own}
	is(reasonProgrammed)
	own.Settled = false
	server.status.Nodes = []xds.NodeStatus{own}
	p.changed(other, nil)
	is(reasonProgrammed) // something else is under way
	p.changed(other, []report.Ref{splitRef})
	is(reasonPending)
	p.forget(splitRef)
	if len(p.standing) > 0 {
		t.Error("what is gone has a standing")
	}
}

// An account is read as it was written. However many proxies there are, and whatever they
// say, it finds room in an object, and those stay that are waited for.
func TestAccounts(t *testing.T) {
	var s xds.Status
	s.Served = map[string]xds.Shares{"envoy": {1, 2, 3}, "grpc": {255: 7}}
	for i := range 20_000 {
		n := xds.NodeStatus{Node: fmt.Sprint("proxy-", i), Backend: "envoy", Namespace: fmt.Sprint("namespace-", i%300), Account: fmt.Sprint("account-", i), Settled: i%100 > 0}
		if i%2 == 0 {
			n.Refusals = []xds.Nack{{Text: strings.Repeat("ä", 1000), Refs: slices.Repeat([]report.Ref{splitRef}, i%3)}}
		}
		s.Nodes = append(s.Nodes, n)
	}
	a := accountOf(s)
	packed, err := a.packed()
	if err != nil || len(packed) > mostPacked {
		t.Fatalf("%d bytes: %v", len(packed), err)
	}
	got, err := unpacked(packed)
	if err != nil || !got.same(a) {
		t.Errorf("read otherwise than it was written: %v", err)
	}
	if late := waitedFor(a); late != 200 || len(a.Proxies) != mostGroups || a.More {
		t.Errorf("%d of 200 that are waited for; %d groups, more: %t", late, len(a.Proxies), a.More)
	}
	if len(a.Refusals) != 3 || !utf8.ValidString(a.Refusals[0].Text) || len(a.Refusals[0].Text) > mostText {
		t.Errorf("%d refusals of three that are alike", len(a.Refusals))
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

func waitedFor(a account) (n int) {
	for _, g := range a.Proxies {
		if !g.InSync {
			n++
		}
	}
	return n
}

// What an account has no room for is waited for.
func TestAccountsThatAreTooLong(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	noise := func(n int) string {
		b := make([]byte, n/2)
		random.Read(b)
		return hex.EncodeToString(b)
	}
	var many, loud, late xds.Status
	for i := range mostRefusals + 10 {
		many.Nodes = append(many.Nodes, xds.NodeStatus{Node: fmt.Sprint(i), Account: fmt.Sprint(i), Settled: true, Refusals: []xds.Nack{{Text: fmt.Sprint(i), Refs: []report.Ref{splitRef}}}})
	}
	many.Nodes[0].Refusals[0].Refs = slices.Repeat([]report.Ref{splitRef}, mostRefs+1)
	if a := accountOf(many); waitedFor(a) != 11 || a.More {
		t.Errorf("%d of 11 are waited for that refuse more than is said", waitedFor(a))
	}
	loud.Nodes = []xds.NodeStatus{{Node: noise(400 << 10), Settled: true, Refusals: []xds.Nack{{Text: "no", Refs: []report.Ref{splitRef}}}}}
	if packed, err := accountOf(loud).packed(); err != nil || len(packed) > 2<<10 {
		t.Errorf("what a proxy is called takes %d bytes: %v", len(packed), err)
	}
	for range mostGroups {
		late.Nodes = append(late.Nodes, xds.NodeStatus{Namespace: noise(63), Account: noise(63)})
	}
	packed, err := accountOf(late).packed()
	if err != nil || len(packed) > mostPacked {
		t.Fatalf("%d bytes: %v", len(packed), err)
	}
	if a, err := unpacked(packed); err != nil || !a.More || len(a.Proxies) == 0 {
		t.Errorf("%d proxies, more: %t, %v", len(a.Proxies), a.More, err)
	}
}
