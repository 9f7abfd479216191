package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/translators"
)

// notebook is a sink that writes down in which order it is told what. It stands for
// nothing that a server does: see test/e2e for that.
type notebook struct {
	mu     sync.Mutex
	said   []string
	stored map[string][]sink.Stored // by binding
	// fails are the errors of the next calls for a name.
	fails map[string][]error
	lists error
}

func (n *notebook) List(_ context.Context, o sink.Owner) ([]sink.Stored, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.stored[o.Binding]), n.lists
}

func (n *notebook) say(what string, o sink.Owner, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, what+" "+o.Binding+" "+name)
	if list := n.fails[name]; len(list) > 0 {
		n.fails[name] = list[1:]
		return list[0]
	}
	return nil
}

func (n *notebook) Put(_ context.Context, o sink.Owner, a translators.Artifact) (bool, error) {
	return true, n.say("put", o, a.ID.Name)
}

func (n *notebook) Delete(_ context.Context, o sink.Owner, id translators.ID) (bool, error) {
	return true, n.say("delete", o, id.Name)
}

// heard returns what was said since it was last asked.
func (n *notebook) heard() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.said = nil }()
	return n.said
}

func newMetrics(t testing.TB) *telemetry.Metrics {
	t.Helper()
	m, err := telemetry.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (n *notebook) publisher(t testing.TB) *publisher {
	p := newPublisher(map[string]Sink{SinkCluster: n}, func(a translators.Artifact) (string, error) { return fmt.Sprint(a.Payload), nil }, newMetrics(t), telemetry.NoTraces())
	p.pace.workers = 1 // so that the order within a rank is told
	return p
}

func artifact(name string, rank int, payload string) translators.Artifact {
	return translators.Artifact{ID: translators.ID{Type: "g/v1/K", Name: name}, Rank: rank, Payload: payload}
}

func put(binding, backend string, all ...translators.Artifact) translators.Change {
	return translators.Change{Target: translators.Target{Name: binding, Backend: backend}, Put: all}
}

func remove(binding, backend string, names ...string) translators.Change {
	c := translators.Change{Target: translators.Target{Name: binding, Backend: backend}}
	for _, n := range names {
		c.Remove = append(c.Remove, translators.Slot{ID: translators.ID{Type: "g/v1/K", Name: n}})
	}
	return c
}

func owners(backend string, names ...string) map[string]terms {
	out := map[string]terms{}
	for _, n := range names {
		out[n] = terms{owner: sink.Owner{Binding: n, UID: "u"}, backend: backend}
	}
	return out
}

// leading runs a publisher until f is done.
func leading(t *testing.T, p *publisher, f func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); p.lead(ctx) }()
	f()
	cancel()
	<-ended
}

func expect(t *testing.T, n *notebook, want ...string) {
	t.Helper()
	synctest.Wait()
	if d := cmp.Diff(want, n.heard()); d != "" {
		t.Errorf("what the sink was told (-want +got):\n%s", d)
	}
}

// What is new is written before what is old is deleted: in the order of ranks over
// all bindings, and in reverse.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{}
		p := n.publisher(t)
		leading(t, p, func() {
			p.hand(work{bindings: owners("istio", "a", "b"), changes: []translators.Change{
				put("a", "istio", artifact("a2", 2, "x"), artifact("a1", 1, "x")), put("b", "istio", artifact("b1", 1, "x"), artifact("b2", 2, "x"))}})
			expect(t, n, "put a a1", "put b b1", "put a a2", "put b b2")
			p.hand(work{changes: []translators.Change{remove("a", "istio", "a1", "a2"), put("b", "istio", artifact("b3", 3, "x")), remove("b", "istio", "b1")}})
			expect(t, n, "put b b3", "delete a a2", "delete b b1", "delete a a1")
		})
	})
}

// A binding that moves to another mesh keeps what both make, and what cannot be
// written yet keeps what it replaces, for a while.
func TestSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{fails: map[string][]error{}}
		p := n.publisher(t)
		leading(t, p, func() {
			p.hand(work{bindings: owners("istio", "a"), changes: []translators.Change{put("a", "istio", artifact("old", 1, "x"), artifact("both", 1, "x"))}})
			expect(t, n, "put a both", "put a old")
			n.fails["new"] = []error{errors.New("not now"), errors.New("not now")}
			p.hand(work{bindings: owners("linkerd", "a"), changes: []translators.Change{
				remove("a", "istio", "old", "both"), put("a", "linkerd", artifact("new", 1, "y"), artifact("both", 1, "y"))}})
			expect(t, n, "put a both", "put a new")
			time.Sleep(time.Second / 2)
			expect(t, n, "put a new")
			time.Sleep(time.Minute)
			expect(t, n, "put a new", "delete a old")
		})
	})
}

// However long the new mesh may not be written, what is left of the old one stays,
// unless it is taken out of the policies themselves.
func TestSwitchDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{fails: map[string][]error{}, stored: map[string][]sink.Stored{"a": {{ID: artifact("old", 1, "x").ID}}}}
		p := n.publisher(t)
		leading(t, p, func() {
			p.hand(work{bindings: owners("istio", "a"), changes: []translators.Change{put("a", "istio", artifact("old", 1, "x"))}})
			expect(t, n, "put a old")
			for range 12 {
				n.fails["new"] = append(n.fails["new"], &sink.Refused{Denied: true}, &sink.Missing{})
			}
			p.hand(work{bindings: owners("linkerd", "a"), changes: []translators.Change{
				remove("a", "istio", "old"), put("a", "linkerd", artifact("new", 1, "y"), artifact("good", 1, "y"))}})
			expect(t, n, "put a good", "put a new")
			p.hand(work{changes: []translators.Change{remove("a", "linkerd", "good")}})
			expect(t, n, "delete a good")
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			if said := n.heard(); slices.ContainsFunc(said, func(s string) bool { return s != "put a new" }) || len(said) < 5 {
				t.Errorf("while it may not be written: %v", said)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if said := n.heard(); !slices.Contains(said, "delete a old") {
				t.Errorf("once it was written: %v", said)
			}
		})
	})
}

// A write that never succeeds does not keep what is withdrawn in force for ever.
func TestStuckWriteDoesNotHoldForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{fails: map[string][]error{"new": slices.Repeat([]error{errors.New("no")}, 1000)}}
		p := n.publisher(t)
		leading(t, p, func() {
			p.hand(work{bindings: owners("istio", "a"), changes: []translators.Change{put("a", "istio", artifact("old", 1, "x"))}})
			synctest.Wait()
			p.hand(work{changes: []translators.Change{remove("a", "istio", "old"), put("a", "istio", artifact("new", 1, "x"))}})
			time.Sleep(time.Minute)
			synctest.Wait()
			if said := n.heard(); !slices.Contains(said, "delete a old") || said[len(said)-1] == "delete a old" && len(said) < 5 {
				t.Errorf("got %v", said)
			}
		})
	})
}

// Who leads anew writes what differs from what is there, and nothing else.
func TestSurvey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := func(name, digest string, drifted bool) sink.Stored {
			return sink.Stored{ID: translators.ID{Type: "g/v1/K", Name: name}, Digest: digest, Drifted: drifted}
		}
		n := &notebook{stored: map[string][]sink.Stored{"a": {stored("same", "x", false), stored("other", "y", false), stored("drifted", "x", true), stored("unwanted", "x", false)},
			"gone": {stored("left", "x", false)}}}
		p := n.publisher(t)
		p.hand(work{bindings: owners("istio", "a", "gone"), changes: []translators.Change{put("a", "istio", artifact("same", 1, "x"), artifact("other", 1, "x"),
			artifact("drifted", 1, "x"), artifact("missing", 1, "x"))}})
		p.hand(work{bindings: owners("istio", "a")})
		leading(t, p, func() {
			expect(t, n, "put a drifted", "put a missing", "put a other", "delete a unwanted", "delete gone left")
			if _, left := p.settled(); !slices.Equal(left, []string{"gone"}) {
				t.Errorf("left %v", left)
			}
		})
		n.stored["a"] = []sink.Stored{stored("same", "x", false), stored("other", "x", false), stored("drifted", "x", false), stored("missing", "x", false)}
		leading(t, p, func() { expect(t, n) })
	})
}

// Nothing is written or deleted before everything is known, of what cannot be
// listed, of a paused binding, and while an output is withheld.
func TestWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{lists: errors.New("away"), stored: map[string][]sink.Stored{"a": {{ID: translators.ID{Type: "g/v1/K", Name: "old"}}}}}
		p := n.publisher(t)
		leading(t, p, func() {
			expect(t, n)
			p.hand(work{bindings: owners("istio", "a"), changes: []translators.Change{put("a", "istio", artifact("new", 1, "x"))}})
			expect(t, n)
			paused := owners("istio", "a")
			paused["a"] = terms{owner: paused["a"].owner, backend: "istio", paused: true}
			p.hand(work{bindings: paused})
			n.lists = nil
			time.Sleep(time.Minute)
			expect(t, n)
			p.hand(work{bindings: owners("istio", "a"), changes: []translators.Change{{Target: translators.Target{Name: "a", Backend: "istio"}, Withheld: true}}})
			time.Sleep(time.Minute)
			expect(t, n)
			p.hand(work{changes: []translators.Change{put("a", "istio", artifact("newer", 1, "x"))}})
			expect(t, n, "put a new", "put a newer", "delete a old")
		})
	})
}

// What is refused for what it says is not tried again until something else is wanted,
// and what is refused for want of a right is; what somebody else has is left alone; all
// are told.
func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := translators.ID{Type: "g/v1/K", Name: "x"}
		n := &notebook{fails: map[string][]error{"w": {&sink.Refused{ID: id, Message: "no right", Denied: true}}, "x": {&sink.Refused{ID: id, Message: "no such field"}}, "y": {&sink.Foreign{ID: id, Manager: "kubectl"}}, "z": {&sink.Missing{ID: id}}}}
		p := n.publisher(t)
		leading(t, p, func() {
			p.hand(work{bindings: owners("istio", "a"), changes: []translators.Change{put("a", "istio", artifact("w", 1, "1"), artifact("x", 1, "1"), artifact("y", 1, "1"), artifact("z", 1, "1"))}})
			expect(t, n, "put a w", "put a x", "put a y", "put a z")
			for name, want := range map[string]OutcomeState{"w": Refused, "x": Refused, "y": Foreign, "z": Missing} {
				if o, _ := p.outcomeOf(slot{"a", SinkCluster, translators.ID{Type: "g/v1/K", Name: name}}); o.State != want {
					t.Errorf("%s: %v", name, o)
				}
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			said := n.heard() // perhaps it was handed over, or is served by now; which comes first is chance
			if slices.Sort(said); !slices.Equal(said, []string{"put a w", "put a y", "put a z"}) {
				t.Errorf("got %v", said)
			}
			p.hand(work{changes: []translators.Change{put("a", "istio", artifact("x", 1, "2"))}})
			expect(t, n, "put a x")
			if o, _ := p.outcomeOf(slot{"a", SinkCluster, id}); o.State != Written {
				t.Errorf("%v", o)
			}
		})
	})
}
