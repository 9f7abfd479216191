// Package feed follows the objects of a cluster: every kind that is read, as a
// stream of changes, newest state only. It is careful about what is gone: an
// object is handed out as deleted when the API server said so of that object, and
// never because a list was empty, a right was withdrawn, a definition removed or
// the server away. What is wrong is told by State, and what was known is kept.
//
// No object is held: of each, a feed remembers its identity and resource version,
// and until they are taken the changes themselves, at most one an object.
package feed

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// Change is what an object has become: its newest state, or that it is gone.
type Change struct {
	ID input.ID
	// Object is nil where the object is gone, and for kinds that are Raw.
	Object *input.Object
	// Findings are of decoding it.
	Findings report.Report
	Meta     Meta
	// JSON is the object where the kind is Raw or KeepJSON.
	JSON []byte
	// Deleted: the API server said that this object is gone.
	Deleted bool
}

// Meta is what an object says of itself beside what it means.
type Meta struct {
	UID             string
	Generation      int64
	ResourceVersion string
	// Version is the API version that it was read in.
	Version string
}

// Batch are changes, of each object at most one.
type Batch struct {
	Changes []Change
	// At is when the first of them came in.
	At time.Time
}

// Options say what is followed and how. Zero values mean the defaults.
type Options struct {
	// Kinds that are followed. Kinds lists those of a pipeline.
	Kinds []Kind
	// Schemas decode the objects of kinds that are not Raw.
	Schemas []input.Schema
	// Selector, where it is not empty, is by which labels objects are followed.
	Selector string
	// Keep, if set, says of which Raw objects the JSON is handed out; of others no more
	// than that they are there.
	Keep func(k Kind, object []byte) bool
	// Debounce is how long nothing has to happen before changes are handed out (5 ms),
	// and they wait for 20 times that at most.
	Debounce time.Duration
	// Objects is the number of objects of all kinds that are read (200,000). Those
	// that are too many are not, which State tells; a feed that finds too many to
	// begin with is not Synced.
	Objects int
	// ObjectBytes is the size of one object as JSON without managedFields (1 MiB). A
	// larger one is handed out as rejected.
	ObjectBytes int
	// Confirmations is how many objects that a list lacks are asked for in a second (100).
	Confirmations int
	// Grace is how long objects are kept that went with their definition, from when
	// it is served again (2 minutes): until then they may be written anew.
	Grace time.Duration
	// Renew is how long a watch lasts (between 5 and 10 minutes, at random). When it
	// is renewed, a right that was withdrawn is noticed.
	Renew time.Duration
	// Survey is how often the served kinds are looked up (10 s), beside when a
	// definition changes, which a feed sees where it may watch definitions.
	Survey time.Duration
}

func (o Options) withDefaults() Options {
	o.Debounce = cmp.Or(o.Debounce, 5*time.Millisecond)
	o.Objects = cmp.Or(o.Objects, 200_000)
	o.ObjectBytes = cmp.Or(o.ObjectBytes, 1<<20)
	o.Confirmations = cmp.Or(o.Confirmations, 100)
	o.Grace = cmp.Or(o.Grace, 2*time.Minute)
	o.Survey = cmp.Or(o.Survey, 10*time.Second)
	return o
}

// Feed follows a cluster. Run it once.
type Feed struct {
	o       Options
	http    *http.Client
	client  rest.Interface
	decoder *input.Decoder
	kinds   []*kind
	rate    flowcontrol.RateLimiter

	batches chan Batch
	changed chan struct{}
	arrived chan struct{} // something is pending
	doubted chan struct{} // an object is in doubt
	poked   chan struct{} // a definition changed
	// paged: the server cannot stream lists.
	paged atomic.Bool
	// watching: definitions are watched.
	watching atomic.Bool

	mu sync.Mutex // guards what follows, and the state of kinds
	// pending is what was not yet put into a batch, and since when.
	pending map[input.ID]Change
	since   time.Time
	// objects counts those known of all kinds.
	objects int
	// surveyed: the server has told what it serves. synced never turns false again.
	surveyed, synced bool
	// back is closed, and replaced, when a kind can be read again.
	back chan struct{}
}

// New makes a feed of an API server.
func New(cfg *rest.Config, o Options) (*Feed, error) {
	if len(o.Kinds) == 0 {
		return nil, errors.New("a feed needs kinds to follow")
	}
	o = o.withDefaults()
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // a request a kind at a time, and confirmations have a rate of their own
	scheme := runtime.NewScheme()
	v1.AddToGroupVersion(scheme, schema.GroupVersion{Version: coreV1}) // an error is a Status
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	cfg.WarningHandler = rest.NoWarnings{}
	cfg.Timeout = 0 // watches last; everything else has a deadline of its own
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, err
	}
	r, err := rest.UnversionedRESTClientForConfigAndClient(cfg, client)
	if err != nil {
		return nil, err
	}
	f := &Feed{
		o: o, http: client, client: r, decoder: input.NewDecoder(input.Options{Schemas: o.Schemas}, BuiltIn()...),
		rate:    flowcontrol.NewTokenBucketRateLimiter(float32(o.Confirmations), max(1, o.Confirmations/10)),
		batches: make(chan Batch), changed: make(chan struct{}, 1), arrived: make(chan struct{}, 1),
		doubted: make(chan struct{}, 1), poked: make(chan struct{}, 1), back: make(chan struct{}),
		pending: map[input.ID]Change{},
	}
	for _, k := range o.Kinds {
		f.kinds = append(f.kinds, newKind(k, o.Schemas))
	}
	return f, nil
}

// Run follows the cluster until the context ends, which is no error. Batches is
// closed then.
func (f *Feed) Run(ctx context.Context) error {
	defer utilnet.CloseIdleConnectionsFor(f.http.Transport)
	defer close(f.batches)
	var g errgroup.Group
	run := func(what func(context.Context)) {
		g.Go(func() error { what(ctx); return nil })
	}
	run(f.pump)
	run(f.survey)
	run(f.definitions)
	run(f.confirm)
	for _, k := range f.kinds {
		run(func(ctx context.Context) { f.follow(ctx, k) })
	}
	return g.Wait()
}

// Follow begins to follow kinds that were Idle.
func (f *Feed) Follow(idle func(Kind) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.kinds {
		if k.Idle && idle(k.Kind) {
			k.Idle = false
		}
	}
	signal(f.poked)
}

// Batches hands out what changed. The first batch comes when State is Synced and
// holds everything there is: nobody ever sees half a world. What nobody takes is
// joined, the newest state of an object in the place of the one before.
func (f *Feed) Batches() <-chan Batch { return f.batches }

// Changed receives a value after State has become another; several changes may be
// one value. It is for one reader.
func (f *Feed) Changed() <-chan struct{} { return f.changed }

// signal leaves a value in a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep waits, and reports false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
