package controller

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators/input"
)

// verdicts are what meshes have against the objects that were written for them. Who
// leads listens to the kinds of which something is written, and to no others: those it
// may be unable to read. Of what nobody has anything against nothing is kept.
type verdicts struct {
	// open makes what is listened to, of which each term of a leader takes one.
	open func() (*feed.Feed, error)
	log  *slog.Logger
	// asked: something is written of a kind that was not listened to so far.
	asked chan struct{}
	// off: nobody listens.
	off bool

	mu       sync.Mutex
	kinds    map[string]*attention
	refusals map[spot][]sink.Refusal
}

// attention is how far a kind is listened to.
type attention struct {
	// heard: all that was said is known, or is not waited for.
	heard bool
	since time.Time
}

// patienceWithMeshes is how long is waited for what was said of a kind before this
// replica led. If it cannot be read, writing is all that is known of.
const patienceWithMeshes = 10 * time.Second

// deaf are verdicts that nobody listens to.
func deaf() *verdicts { return &verdicts{off: true} }

// listening are verdicts that are read from an API server.
func listening(cfg *rest.Config, log *slog.Logger) *verdicts {
	var kinds []feed.Kind
	var schemas []input.Schema
	for _, s := range sink.AllSpeaking() {
		kinds = append(kinds, feed.Kind{Group: s.Group, Kind: s.Kind, Resource: s.Resource, Raw: true, Idle: true})
		for _, v := range s.Versions {
			schemas = append(schemas, input.Schema{Group: s.Group, Version: v, Kind: s.Kind})
		}
	}
	o := feed.Options{Kinds: kinds, Schemas: schemas, Selector: sink.ManagedByLabel + "=" + sink.ManagedBy,
		Keep: func(k feed.Kind, object []byte) bool {
			return len(sink.Hear(schema.GroupKind{Group: k.Group, Kind: k.Kind}, object)) > 0
		}}
	return &verdicts{open: func() (*feed.Feed, error) { return feed.New(cfg, o) }, log: log, asked: make(chan struct{}, 1),
		kinds: map[string]*attention{}, refusals: map[spot][]sink.Refusal{}}
}

// written notes that something is in a slot, which has its kind listened to.
func (v *verdicts) written(s slot) {
	if v.off || s.sink != SinkCluster {
		return
	}
	kind := spotOf(s).kind
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.kinds[kind] != nil {
		return
	}
	group, name, _ := strings.Cut(kind, "/")
	v.kinds[kind] = &attention{heard: !sink.Speaks(schema.GroupKind{Group: group, Kind: name}), since: time.Now()}
	signal(v.asked)
}

// on is what came of what is written, by what its mesh says of it.
func (v *verdicts) on(s slot, o Outcome, backend string) Outcome {
	if v.off || o.State != Written || s.sink != SinkCluster {
		return o
	}
	at := spotOf(s)
	v.mu.Lock()
	defer v.mu.Unlock()
	if a := v.kinds[at.kind]; a == nil || !a.heard {
		return Outcome{Pending, "what its mesh says of it is not known yet"}
	}
	var now, former []sink.Refusal
	for _, r := range v.refusals[at] {
		switch {
		case !r.Concerns(backend):
		case r.Former:
			former = append(former, r)
		default:
			now = append(now, r)
		}
	}
	switch {
	case len(now) > 0:
		more := ""
		if len(now) > 1 {
			more = fmt.Sprintf(" (and %d more)", len(now)-1)
		}
		return Outcome{Rejected, fmt.Sprintf("%s %s: %s%s", at.kind[strings.IndexByte(at.kind, '/')+1:], at.name, now[0], more)}
	case len(former) > 0:
		return Outcome{Pending, "its mesh refused what it was before, and has said nothing since"}
	}
	return o
}

// lead listens until ctx ends, which is when this replica no longer leads. What is
// otherwise then is told: of objects, or of all objects of kinds.
func (v *verdicts) lead(ctx context.Context, told func(objects map[spot]bool, kinds map[string]bool)) {
	if v.off {
		return
	}
	defer v.forget()
	patience := time.NewTicker(time.Second)
	defer patience.Stop()
	f, err := v.open()
	if err != nil {
		v.log.Error("it cannot be heard what meshes say of what is written", "error", err)
	}
	for ; err != nil; f, err = v.open() { // and nobody waits for it for ever
		select {
		case <-ctx.Done():
			return
		case <-patience.C:
			told(nil, v.tired(time.Now()))
		}
	}
	var running sync.WaitGroup
	running.Go(func() { _ = f.Run(ctx) }) // which ends with its context, and is no error then
	defer running.Wait()
	f.Follow(v.follows)
	troubles := map[string]string{}
	for {
		select {
		case <-ctx.Done():
			return
		case b, ok := <-f.Batches():
			if !ok {
				return
			}
			told(v.take(b.Changes))
		case <-v.asked:
			f.Follow(v.follows)
		case <-f.Changed():
			told(nil, v.troubled(f.State(), troubles))
		case <-patience.C:
			told(nil, v.tired(time.Now()))
		}
	}
}

// follows reports whether something of a kind is written.
func (v *verdicts) follows(k feed.Kind) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.kinds[k.Group+"/"+k.Kind] != nil
}

// take takes changes in. It returns of which objects something else is said, and the
// kinds of which is known now what is said: what was there of a kind comes at once.
func (v *verdicts) take(changes []feed.Change) (objects map[spot]bool, kinds map[string]bool) {
	objects, kinds = map[spot]bool{}, map[string]bool{}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range changes {
		at := spot{SinkCluster, c.ID.Group + "/" + c.ID.Kind, c.ID.Namespace + "/" + c.ID.Name}
		var now []sink.Refusal
		if !c.Deleted {
			now = sink.Hear(schema.GroupKind{Group: c.ID.Group, Kind: c.ID.Kind}, c.JSON)
		}
		if !slices.Equal(now, v.refusals[at]) {
			objects[at] = true
			v.refusals[at] = now
		}
		if len(now) == 0 {
			delete(v.refusals, at)
		}
		if v.hears(at.kind) {
			kinds[at.kind] = true
		}
	}
	return objects, kinds
}

// hears notes that what was said of a kind is known, and reports whether it was not.
func (v *verdicts) hears(kind string) bool {
	a := v.kinds[kind]
	if a == nil || a.heard {
		return false
	}
	a.heard = true
	return true
}

// troubled tells of trouble with a kind that was not told of yet, and returns those
// that are not waited for because of it.
func (v *verdicts) troubled(s feed.State, before map[string]string) (kinds map[string]bool) {
	kinds = map[string]bool{}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, k := range s.Kinds {
		kind := k.Group + "/" + k.Kind.Kind
		if k.Trouble != "" && k.Trouble != before[kind] {
			v.log.Warn("it cannot be heard what meshes say of objects of a kind", "kind", k.Kind.Kind, "group", k.Group, "trouble", k.Trouble)
		}
		if before[kind] = k.Trouble; k.Trouble != "" && v.hears(kind) {
			kinds[kind] = true
		}
	}
	return kinds
}

// tired returns the kinds of which was waited long enough for what is said of them.
func (v *verdicts) tired(now time.Time) (kinds map[string]bool) {
	kinds = map[string]bool{}
	v.mu.Lock()
	defer v.mu.Unlock()
	for kind, a := range v.kinds {
		if now.Sub(a.since) > patienceWithMeshes && v.hears(kind) {
			kinds[kind] = true
		}
	}
	return kinds
}

// forget forgets everything: who leads next listens anew.
func (v *verdicts) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.kinds)
	clear(v.refusals)
}

// said has told what meshes say otherwise than before.
func (p *publisher) said(objects map[spot]bool, kinds map[string]bool) {
	if len(objects) == 0 && len(kinds) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := range objects {
		for s := range p.claims[at] {
			p.heard[s] = true
		}
	}
	if len(kinds) > 0 {
		for s := range p.items {
			if kinds[spotOf(s).kind] {
				p.heard[s] = true
			}
		}
	}
	signal(p.news)
}

// inForce is what came of an item, by who wrote it and by who reads it.
func (p *publisher) inForce(s slot, it *item) Outcome {
	backend := ""
	if o := p.owners[s.binding]; o != nil {
		backend = o.backend
	}
	return p.verdicts.on(s, it.outcome, backend)
}
