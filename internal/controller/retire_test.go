package controller

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
)

// proxyConfig is what a server of proxies was given, by name.
type proxyConfig map[string]bool

func (p proxyConfig) Apply(changes []translators.Change) error {
	for _, c := range changes {
		for _, s := range c.Remove {
			delete(p, s.ID.Name)
		}
		for _, a := range c.Put {
			p[a.ID.Name] = true
		}
	}
	return nil
}

func (proxyConfig) Status() xds.Status { return xds.Status{} }

func (proxyConfig) OnAnswer(func()) {}

// moved is a loop whose binding was served by xDS and is one of a mesh now.
func moved(t *testing.T, n *notebook, p proxyConfig) *loop {
	t.Helper()
	l := newLoop(Options{Sinks: map[string]Sink{SinkCluster: n}, Metrics: newMetrics(t)}, nil, p, nil, nil, nil, "test")
	l.compiled = true
	l.proxies = nil // nobody asks what they say
	serve(l, "envoy", put("a", "envoy", artifact("old", 1, "x"), artifact("both", 1, "x")))
	serve(l, "istio", remove("a", "envoy", "old", "both"))
	l.publisher.hand(work{bindings: owners("istio", "a"), changes: []translators.Change{put("a", "istio", artifact("new", 1, "x"))}})
	return l
}

// serve has the binding on a back end, with a change for proxies.
func serve(l *loop, backend string, c translators.Change) {
	l.lastUsable["a"] = binding.Binding{Name: "a", Target: translators.Target{Name: "a", Backend: backend}}
	if l.bindings["a"] == nil {
		l.bindings["a"] = &bound{generation: 1}
	}
	l.serve(l.withhold([]translators.Change{c}))
	l.release(true)
}

func (p proxyConfig) is(t *testing.T, l *loop, when, want string) {
	t.Helper()
	l.release(false)
	if got := fmt.Sprint(map[string]bool(p)); got != want {
		t.Errorf("%s proxies have %s, want %s", when, got, want)
	}
}

const (
	everything = "map[both:true old:true]"
	nothing    = "map[]"
)

// Whoever leads goes on to serve what a binding has left until the new mesh has it.
func TestRetiredByLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{fails: map[string][]error{"new": {errors.New("not now"), errors.New("not now"), errors.New("not now")}}}
		p := proxyConfig{}
		l := moved(t, n, p)
		l.leading = true
		p.is(t, l, "before anything is written", everything)
		leading(t, l.publisher, func() {
			synctest.Wait()
			p.is(t, l, "while it fails", everything)
			time.Sleep(time.Hour)
			synctest.Wait()
			p.is(t, l, "once it is written", nothing)
		})
	})
}

// The others learn of it by the status of the binding, for its generation.
func TestRetiredByFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := proxyConfig{}
		l := moved(t, &notebook{}, p)
		b := l.bindings["a"]
		b.generation = 2
		time.Sleep(time.Hour)
		for _, s := range []stated{{}, {holds("", reasonProgrammed, ""), 1}, {unknown(reasonPending, ""), 2}, {fails("", reasonWithheld, ""), 2}} {
			b.said = s
			p.is(t, l, fmt.Sprint("at ", s), everything)
		}
		b.said = stated{fails("", reasonRefused, ""), 2}
		p.is(t, l, "once the mesh has all that it takes", nothing)

		p = proxyConfig{}
		l = moved(t, &notebook{}, p)
		l.bindings["a"].said = stated{fails("", reasonRefused, ""), 1}
		p.is(t, l, "before the rest may be written", everything)
		l.bindings["a"].said = stated{holds("", reasonProgrammed, ""), 1}
		p.is(t, l, "once it is programmed", nothing)
	})
}

// A binding that comes back is served what it has then, whatever was to go.
func TestRetiredAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := proxyConfig{}
		l := moved(t, &notebook{}, p)
		serve(l, "envoy", put("a", "envoy", artifact("both", 1, "y")))
		p.is(t, l, "back at envoy", "map[both:true]")
	})
}

// What is withheld replaces nothing, and who is paused keeps all.
func TestRetiredWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := proxyConfig{}
		l := moved(t, &notebook{}, p)
		l.leading = true
		leading(t, l.publisher, func() {
			l.withheld["a"] = true
			synctest.Wait()
			p.is(t, l, "while it is withheld", everything)
			b := l.lastUsable["a"]
			b.Paused = true
			l.lastUsable["a"], l.withheld["a"] = b, false
			p.is(t, l, "while it is paused", everything)
			b.Paused = false
			l.lastUsable["a"] = b
			p.is(t, l, "then", nothing)
		})
	})
}
