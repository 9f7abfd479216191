package controller

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// While not everything that is wanted was handed over, nothing that is stored is taken
// for what nobody wants, nor is there later what has no last good here.
func TestBeginsWithWhatIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := func(name string) translators.ID { return artifact(name, 1, "").ID }
		n := &notebook{stored: map[string][]sink.Stored{"a": {{ID: id("wanted"), Digest: "x"}, {ID: id("stays")}, {ID: id("left")}}}}
		p := n.publisher(t)
		leading(t, p, func() {
			p.hand(work{bindings: owners("istio", "a"), early: true})
			expect(t, n)
			p.hand(work{changes: []translators.Change{put("a", "istio", artifact("wanted", 1, "x"))}, early: true})
			p.hand(work{stays: map[slot]bool{{"a", SinkCluster, id("stays")}: true}, early: true})
			time.Sleep(time.Minute)
			expect(t, n)
			p.hand(work{})
			expect(t, n, "delete a left")
			p.hand(work{stays: map[slot]bool{}})
			time.Sleep(time.Second)
			synctest.Wait()
			if said := n.heard(); !strings.Contains(strings.Join(said, ","), "delete a stays") {
				t.Errorf("once it need not stay: %v", said)
			}
		})
	})
}

// Who asks something of a unit whose last good is kept is told so, unless it asks what
// it asked when that was good.
func TestBehind(t *testing.T) {
	other := report.Ref{Group: "specs.smi-spec.io", Kind: "HTTPRouteGroup", Namespace: "shop", Name: "api"}
	u := ir.Unit{Service: &ir.Service{Namespace: "shop", Name: "reviews", Ports: []ir.Port{{Number: 80,
		Routes: []ir.Route{{Ref: splitRef.At("spec"), Backends: []ir.Backend{{Weight: 1}, {Weight: 2}}}}}}}}
	if !asks(u, splitRef) || asks(u, other) {
		t.Fatal("the split asks, and nobody else")
	}
	k := ir.Key{Kind: ir.KindService, Namespace: "shop", Name: "reviews"}
	piece := engine.NamedPiece{Name: "a", Kept: true, Piece: translators.Piece{Unit: u, Findings: report.Report{report.New(report.Refused, other.At("spec"), "istio cannot say it")}}}
	l := &loop{turn: 7, kept: newKeeping()}
	of := func(since uint64, p engine.NamedPiece) string {
		made := engine.Made{Unit: u, Pieces: []engine.NamedPiece{p}}
		l.keeps(k, made)
		id := input.ID{Group: splitRef.Group, Kind: splitRef.Kind, Namespace: splitRef.Namespace, Name: splitRef.Name}
		return l.behind(&source{id: id, since: since}, k, made, p)
	}
	if why := of(7, piece); !strings.HasSuffix(why, "shop/api: istio cannot say it") {
		t.Errorf("what came with it: %q", why)
	}
	l.turn = 9
	if why := of(8, piece); why == "" {
		t.Error("what came later is in force")
	}
	if why := of(6, piece); why != "" {
		t.Errorf("what was there before is not in force: %q", why)
	}
	good := piece
	good.Kept = false
	if why := of(9, good); why != "" || len(l.kept.since) > 0 {
		t.Errorf("where nothing is kept: %q", why)
	}
	s := subject{ref: splitRef, bindings: []service{{binding: "a", backend: "istio"}}, made: []engine.Made{{Unit: u, Pieces: []engine.NamedPiece{piece}}}, behind: map[string]string{"a": "why"}}
	for _, c := range s.status().Backends[0].Conditions {
		if want := c.Type == v1alpha1.ConditionTranslated || c.Type == v1alpha1.ConditionProgrammed; want != (c.Reason == reasonLastGood) {
			t.Errorf("%s is %s: %s", c.Type, c.Reason, c.Message)
		}
	}
}

// At the start reports wait for as long as what there is to write is being written, and
// then no longer than usual.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{}
		l := newLoop(Options{Sinks: map[string]Sink{SinkCluster: n}, Metrics: newMetrics(t)}, nil, nil, nil, nil, nil, "test")
		a, b := input.ID{Name: "a"}, input.ID{Name: "b"}
		waits := func(id input.ID, after time.Duration, want bool) {
			t.Helper()
			time.Sleep(after)
			if got := l.later(id); got != want {
				t.Errorf("%s waits after %v: %v", id.Name, time.Since(l.started), got)
			}
		}
		waits(a, 0, true)
		waits(a, firstPatience-time.Second, true)
		l.publisher.wrote = time.Now()
		waits(a, time.Second, true)
		waits(a, usualPatience-time.Second, true)
		waits(a, usualPatience, false) // nothing is written any more
		l.publisher.wrote, l.publisher.through = time.Now(), true
		waits(b, 0, true)
		waits(b, usualPatience-1, true)
		l.publisher.wrote = time.Now()
		waits(b, 1, false) // whatever is written now

		l.publisher.through = false
		for !time.Now().After(l.started.Add(longestPatience)) {
			l.publisher.wrote = time.Now()
			waits(b, usualPatience-1, true)
		}
		l.publisher.wrote = time.Now()
		waits(b, usualPatience-1, false) // however long that takes
	})
}

// Whoever leads once more has to write anew what is not there by then.
func TestEachTermWritesWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{fails: map[string][]error{}}
		p := n.publisher(t)
		p.pace.patience = 1 // a failure ends the round
		goesOn := func(when string, want bool) {
			t.Helper()
			synctest.Wait()
			p.mu.Lock()
			p.wrote = time.Now()
			p.mu.Unlock()
			if p.goesOn(time.Now()) != want {
				t.Errorf("%s it is said to go on: %v", when, !want)
			}
		}
		leading(t, p, func() {
			p.hand(work{bindings: owners("istio", "a"), changes: []translators.Change{put("a", "istio", artifact("x", 1, "x"))}})
			goesOn("once everything is written", false)
		})
		n.with(func() { n.fails["x"] = []error{errors.New("away")} })
		leading(t, p, func() {
			goesOn("in another term, before that", true)
			time.Sleep(time.Minute)
			goesOn("in another term, after that", false)
		})
	})
}

// What a binding has in Consul cannot be deleted without an address of Consul, so the
// binding stays; and without one nothing is written there that had to be guarded.
func TestLeavesConsul(t *testing.T) {
	for _, name := range []string{SinkCluster, SinkConsul} {
		l := newLoop(Options{Sinks: map[string]Sink{name: &notebook{}}, Metrics: newMetrics(t), Log: slog.New(slog.DiscardHandler)}, nil, nil, nil, nil, nil, "test")
		l.leading = true
		l.bindings["a"] = &bound{owner: sink.Owner{Binding: "a"}}
		l.bindings["a"].Target = translators.Target{Name: "a", Backend: "consul"}
		wants := func() bool { _, ok := l.writer.todo[topicFinalizer("a")]; return ok }
		if l.guard(l.bindings["a"]); wants() != (name == SinkConsul) {
			t.Errorf("with a sink for %s only it is guarded: %v", name, wants())
		}
		clear(l.writer.todo)
		l.writer.known[topicFinalizer("a")] = known{"1", digestOf(true)}
		l.bindings["a"].leaving, l.bindings["a"].finalized = true, true
		l.publisher.hand(work{bindings: map[string]terms{"a": {owner: sink.Owner{Binding: "a"}, leaving: true}}})
		l.publisher.owners["a"].surveyed[name] = true
		if l.written(); wants() != (name == SinkConsul) {
			t.Errorf("with a sink for %s only it is let go: %v", name, wants())
		}
	}
}
