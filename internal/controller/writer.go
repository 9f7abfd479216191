package controller

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"

	"github.com/meshknot/meshknot/internal/telemetry"
)

// digest stands for what something says, times left out.
type digest [sha256.Size]byte

func digestOf(v any) digest {
	text, err := json.Marshal(v)
	if err != nil {
		return digest{} // of nothing that is written
	}
	return sha256.Sum256(text)
}

// topic is something that the controller says in the cluster: a report, a status.
type topic struct {
	what, group, kind, namespace, name string
}

// saying is how a topic is to be. say makes it so and returns the resource version
// that it has then; it is called again after an error.
type saying struct {
	digest digest
	say    func(context.Context) (version string, err error)
}

// known is what a topic says at the API server.
type known struct {
	version string
	digest  digest
}

// writer says things in the cluster while it leads: of each topic the newest, and
// nothing that is said already. It is safe for concurrent use.
type writer struct {
	metrics *telemetry.Metrics
	log     *slog.Logger
	workers int
	// slowest and soonest bound how long is waited before something that failed is
	// tried again.
	soonest, slowest time.Duration
	// pace is how many things are said a second, when there is much to be said.
	pace flowcontrol.RateLimiter

	mu    sync.Mutex
	known map[topic]known
	todo  map[topic]saying
	queue workqueue.TypedRateLimitingInterface[topic] // nil while another one leads
}

func newWriter(m *telemetry.Metrics, log *slog.Logger) *writer {
	return &writer{metrics: m, log: log, workers: 8, pace: flowcontrol.NewTokenBucketRateLimiter(200, 200), soonest: 100 * time.Millisecond, slowest: time.Minute,
		known: map[topic]known{}, todo: map[topic]saying{}}
}

// saw notes what a topic says at the API server; a zero digest means that it is not
// there. What is older than what was written ourselves is no news. It reports whether
// somebody else made it say something else.
func (w *writer) saw(t topic, version string, d digest) (differs bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k, ok := w.known[t]
	if ok && version != "" && older(version, k.version) {
		return false
	}
	if d == (digest{}) {
		delete(w.known, t)
		return ok
	}
	w.known[t] = known{version, d}
	return !ok || k.digest != d
}

func older(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c < 0
}

// said reports whether a topic is there at all, as far as is known.
func (w *writer) said(t topic) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.known[t]
	return ok
}

// want has something said, unless it is said already.
func (w *writer) want(t topic, s saying) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k, there := w.known[t]
	if there && k.digest == s.digest || !there && s.digest == (digest{}) {
		delete(w.todo, t) // whatever was to be said, this is it
		return
	}
	w.todo[t] = s
	if w.queue != nil {
		w.queue.Forget(t)
		w.queue.Add(t)
	}
}

// settled reports whether there is nothing left to say.
func (w *writer) settled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue != nil && len(w.todo) == 0
}

// lead writes until ctx ends, and then forgets what it did not get to.
func (w *writer) lead(ctx context.Context) {
	limit := workqueue.NewTypedItemExponentialFailureRateLimiter[topic](w.soonest, w.slowest)
	queue := workqueue.NewTypedRateLimitingQueue(limit)
	w.mu.Lock()
	w.queue = queue
	for t := range w.todo {
		queue.Add(t)
	}
	w.mu.Unlock()
	var group sync.WaitGroup
	for range w.workers {
		group.Go(func() { w.work(ctx, queue) })
	}
	<-ctx.Done()
	w.mu.Lock()
	w.queue = nil
	clear(w.todo)
	w.mu.Unlock()
	queue.ShutDown()
	group.Wait()
}

// work says one thing after the other.
func (w *writer) work(ctx context.Context, queue workqueue.TypedRateLimitingInterface[topic]) {
	for {
		t, shut := queue.Get()
		if shut {
			return
		}
		if ctx.Err() == nil {
			w.one(ctx, queue, t)
		}
		queue.Done(t)
	}
}

func (w *writer) one(ctx context.Context, queue workqueue.TypedRateLimitingInterface[topic], t topic) {
	w.mu.Lock()
	s, ok := w.todo[t]
	w.mu.Unlock()
	if !ok {
		queue.Forget(t)
		return
	}
	if w.pace.Wait(ctx) != nil {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	version, err := s.say(bounded)
	if ctx.Err() != nil {
		return
	}
	w.metrics.Reported(t.what, err)
	if err != nil {
		w.log.Warn("a report could not be written; it is tried again", "what", t.what, "kind", t.kind, "namespace", t.namespace, "name", t.name, "error", err)
		queue.AddRateLimited(t)
		return
	}
	queue.Forget(t)
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.digest == (digest{}) {
		delete(w.known, t)
	} else {
		w.known[t] = known{version, s.digest}
	}
	if w.todo[t].digest == s.digest {
		delete(w.todo, t)
	}
}
