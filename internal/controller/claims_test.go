package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/translators"
)

// aged are bindings of which each is younger than the one before.
func aged(backend string, names ...string) map[string]terms {
	out := owners(backend, names...)
	for i, n := range names {
		t := out[n]
		t.created = time.Unix(int64(i), 0)
		out[n] = t
	}
	return out
}

// with changes what a notebook does.
func (n *notebook) with(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func outcomeAt(p *publisher, binding, name string) string {
	o, ok := p.outcomeOf(slot{binding, SinkCluster, translators.ID{Type: "g/v1/K", Name: name}})
	return fmt.Sprint(ok, " ", o.State)
}

func check(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Of two bindings that want one place the older has it, whoever came first; it is
// handed over without a gap when the older one no longer wants it.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{}
		p := n.publisher(t)
		leading(t, p, func() {
			p.hand(work{bindings: aged("istio", "z", "a"), changes: []translators.Change{put("a", "istio", artifact("x", 1, "of a"))}})
			expect(t, n, "put a x")
			p.hand(work{changes: []translators.Change{put("z", "istio", artifact("x", 1, "of z"))}})
			expect(t, n, "put z x")
			check(t, outcomeAt(p, "a", "x"), "true claimed")
			check(t, outcomeAt(p, "z", "x"), "true written")
			p.hand(work{changes: []translators.Change{put("a", "istio", artifact("x", 1, "of a again"))}})
			expect(t, n)
			check(t, outcomeAt(p, "a", "x"), "true claimed")
			n.with(func() { // it was first once
				n.stored = map[string][]sink.Stored{"a": {{ID: translators.ID{Type: "g/v1/K", Name: "x"}, Digest: "of a again"}}}
			})
			time.Sleep(time.Hour) // surveys write what is not stored, which is what z wants
			synctest.Wait()
			if said := n.heard(); slices.Contains(said, "put a x") || !slices.Contains(said, "put z x") {
				t.Errorf("at a survey: %v", said)
			}
			check(t, outcomeAt(p, "a", "x"), "true claimed")
			n.with(func() { n.stored = nil })
			p.hand(work{changes: []translators.Change{remove("z", "istio", "x")}})
			expect(t, n, "put a x", "delete z x")
			check(t, outcomeAt(p, "a", "x"), "true written")
		})
	})
}

// Who makes the very same as the one who has the place has nothing to complain of,
// once it is written.
func TestSameClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{fails: map[string][]error{"x": {errors.New("not now")}}}
		p := n.publisher(t)
		leading(t, p, func() {
			p.hand(work{bindings: aged("istio", "z", "a"), changes: []translators.Change{put("a", "istio", artifact("x", 1, "same")), put("z", "istio", artifact("x", 1, "same"))}})
			expect(t, n, "put z x")
			check(t, outcomeAt(p, "a", "x"), "true pending")
			time.Sleep(time.Minute)
			expect(t, n, "put z x")
			check(t, outcomeAt(p, "a", "x"), "true written")
			if !p.landed("a") || !p.settledAll() {
				t.Error("there is something left to do")
			}
		})
	})
}

// A binding that is gone leaves a place only when the one that gets it has written
// there, or cannot for long.
func TestHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{fails: map[string][]error{}}
		p := n.publisher(t)
		leading(t, p, func() {
			p.hand(work{bindings: aged("istio", "z", "a"), changes: []translators.Change{put("z", "istio", artifact("x", 1, "of z")), put("a", "istio", artifact("x", 1, "of a"))}})
			expect(t, n, "put z x")
			n.with(func() { n.fails["x"] = []error{errors.New("not now")} })
			p.hand(work{bindings: aged("istio", "a"), changes: []translators.Change{remove("z", "istio", "x")}})
			expect(t, n, "put a x")
			time.Sleep(time.Minute)
			expect(t, n, "put a x", "delete z x")
		})
	})
}

// orphans is a notebook that finds what is left of bindings that are gone.
type orphans struct {
	*notebook
	of    []string
	asked [][]string
	fails error
}

func (o *orphans) Orphans(_ context.Context, bindings []string) ([]sink.Owner, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, bindings)
	var out []sink.Owner
	for _, name := range o.of {
		if !slices.Contains(bindings, name) {
			out = append(out, sink.Owner{Part: sink.ApplySetID(name)})
		}
	}
	return out, o.fails
}

// What bindings left that went while nobody led is deleted, but not while it is not
// known which bindings there are, and nothing of a binding that is back.
func TestOrphans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := translators.ID{Type: "g/v1/K", Name: "x"}
		n := &notebook{stored: map[string][]sink.Stored{"": {{ID: id}}}}
		o := &orphans{notebook: n, of: []string{"lost"}}
		p := newPublisher(map[string]Sink{SinkCluster: o}, func(a translators.Artifact) (string, error) { return "", nil }, newMetrics(t), telemetry.NoTraces())
		leading(t, p, func() {
			p.hand(work{bindings: owners("istio", "a")})
			expect(t, n)
			o.with(func() {
				if len(o.asked) > 0 {
					t.Errorf("it was asked for orphans of %v", o.asked)
				}
			})
			o.with(func() { o.fails = errors.New("away") })
			p.hand(work{bindings: owners("istio", "a"), there: map[string]bool{"a": true, "unusable": true}})
			expect(t, n)
			o.with(func() { o.fails = nil })
			time.Sleep(time.Minute)
			expect(t, n, "delete  x")
			o.mu.Lock()
			defer o.mu.Unlock()
			if got := fmt.Sprint(o.asked[0]); got != "[a unusable]" {
				t.Errorf("it was asked for all but %s", got)
			}
			if !p.settledAll() {
				t.Error("there is something left to do")
			}
		})
		again := newPublisher(map[string]Sink{SinkCluster: o}, func(a translators.Artifact) (string, error) { return "", nil }, newMetrics(t), telemetry.NoTraces())
		again.hand(work{bindings: owners("istio", "a"), there: map[string]bool{"a": true}})
		again.found(SinkCluster, []sink.Owner{{Part: sink.ApplySetID("lost")}}, nil)
		again.hand(work{bindings: owners("istio", "a", "lost"), there: map[string]bool{"a": true, "lost": true}})
		leading(t, again, func() { expect(t, n) })
	})
}

// Nothing is written to Consul before something keeps the binding until that is
// deleted; and of a binding that is being deleted everything goes, whoever led when
// that began.
func TestGuarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entry := translators.Artifact{ID: translators.ID{Type: "consul/service-defaults", Name: "web"}, Payload: "x"}
		n := &notebook{stored: map[string][]sink.Stored{"going": {{ID: entry.ID}}}}
		p := newPublisher(map[string]Sink{SinkConsul: n}, func(a translators.Artifact) (string, error) { return "", nil }, newMetrics(t), telemetry.NoTraces())
		leading(t, p, func() {
			b := owners("consul", "a", "going")
			a := b["a"]
			a.unguarded = true
			b["a"], b["going"] = a, terms{owner: b["going"].owner, leaving: true}
			p.hand(work{bindings: b, changes: []translators.Change{put("a", "consul", entry)}})
			time.Sleep(time.Minute)
			expect(t, n, "delete going web")
			if _, left := p.settled(); !slices.Equal(left, []string{"going"}) {
				t.Errorf("left %v", left)
			}
			p.hand(work{bindings: owners("consul", "a")})
			expect(t, n, "put a web")
		})
	})
}
