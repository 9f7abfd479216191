package feed

import (
	"context"
	"fmt"
	"time"

	"github.com/meshknot/meshknot/translators/input"
)

// kind is the state of one kind. Feed.mu guards all of it but what never changes.
type kind struct {
	Kind
	// versions are those that can be read; nil where Kind.Version says it.
	versions []string

	// served is the version that is read, or empty. restart ends what runs and makes
	// follow look here again.
	served  string
	restart context.CancelFunc
	// again: a list is needed before a watch. resume is where a watch goes on.
	again  bool
	resume string
	// latest is the newest resource version that the server spoke of.
	latest string
	// listed: everything was read once. over counts what was too much.
	listed bool
	over   int

	entries map[input.ID]entry
	doubts  map[input.ID]doubt
	// definition is the UID of the definition whose objects were listed. returned: it
	// was gone, or is another now, since.
	definition string
	returned   bool
	// ending: the definition is being removed, and takes objects along.
	ending bool

	troubles [aspects]trouble
	told     KindState // as State last gave it out
}

// doubt is an object that may be gone.
type doubt struct {
	entry
	// told: the server said so; else a list lacks it. held: it said so, but a
	// definition went, too.
	told, held bool
	// from when it may be looked at.
	from time.Time
}

func newKind(k Kind, schemas []input.Schema) *kind {
	out := &kind{Kind: k, again: true, entries: map[input.ID]entry{}, doubts: map[input.ID]doubt{}}
	if k.Version != "" {
		out.versions = []string{k.Version}
		return out
	}
	for _, s := range schemas {
		if s.Group == k.Group && s.Kind == k.Kind {
			out.versions = append(out.versions, s.Version)
		}
	}
	return out
}

// list is a list that is being read.
type list struct {
	k    *kind
	api  string
	seen map[input.ID]bool
	news map[input.ID]staged
}

type staged struct {
	head
	change Change
}

func newList(k *kind, api string) *list {
	return &list{k, api, map[input.ID]bool{}, map[input.ID]staged{}}
}

// add reads an object of a list, unless it is known as it is.
func (f *Feed) add(l *list, raw []byte) error {
	h, err := l.k.headOf(raw)
	if err != nil {
		return err
	}
	f.mu.Lock()
	known, ok := l.k.entries[h.id]
	room := ok || f.objects+len(l.news) < f.o.Objects
	f.mu.Unlock()
	l.seen[h.id] = true
	switch {
	case ok && known.older(h, l.api):
	case room:
		l.news[h.id] = staged{h, f.change(l.k.Kind, l.api, h, raw)}
	default:
		l.news[h.id] = staged{head: h} // counted when the list ends
	}
	return nil
}

// commit takes over a list that was read to its end. Nothing is taken away: what
// it lacks is in doubt.
func (f *Feed) commit(l *list, version string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := l.k
	if before(version, k.latest) {
		return fmt.Errorf("the API server answers from the past: resource version %s after %s", version, k.latest)
	}
	k.over = 0
	for _, s := range l.news {
		f.take(k, l.api, s.head, s.change)
	}
	from := time.Now()
	if k.returned {
		from = from.Add(f.o.Grace)
	}
	for id, e := range k.entries {
		switch d, doubted := k.doubts[id]; {
		case l.seen[id]:
			delete(k.doubts, id)
		case !doubted || d.told || k.returned:
			k.doubts[id] = doubt{entry: e, from: from}
		}
	}
	if k.returned && len(k.doubts) > 0 {
		k.trouble(doubtful, "objects went with their definition; they are kept until "+from.UTC().Format(time.RFC3339)+" for somebody to write them anew")
	}
	k.again, k.returned = false, false
	k.resume, k.latest = version, version
	k.listed = k.listed || k.over == 0
	f.reached(k)
	k.clear(definition)
	if len(k.doubts) > 0 {
		signal(f.doubted)
	}
	f.complete()
	return nil
}

// take takes over what an object is now. f.mu is held.
func (f *Feed) take(k *kind, api string, h head, c Change) {
	known, ok := k.entries[h.id]
	if ok && known.older(h, api) {
		return
	}
	if !ok && f.objects >= f.o.Objects || c.Meta.UID == "" {
		k.over++
		return
	}
	if !ok {
		f.objects++
	}
	k.entries[h.id] = entryOf(h, api)
	delete(k.doubts, h.id)
	f.put(c)
}

// drop takes an object out that is gone for sure. f.mu is held.
func (f *Feed) drop(k *kind, id input.ID) {
	e := k.entries[id]
	delete(k.entries, id)
	delete(k.doubts, id)
	f.objects--
	f.put(Change{ID: id, Deleted: true, Meta: Meta{e.uid, e.generation, e.version, e.api}})
	if f.objects > f.o.Objects*19/20 {
		return
	}
	for _, k := range f.kinds { // there is room again
		if k.over > 0 {
			k.relist()
		}
	}
}

// relist has a kind listed again. Feed.mu is held.
func (k *kind) relist() {
	k.again = true
	if k.restart != nil {
		k.restart()
	}
}

// event takes over one event of a watch.
func (f *Feed) event(k *kind, api string, e event) error {
	h, err := k.headOf(e.Object)
	if err != nil {
		return err
	}
	var c Change
	if e.Type == added || e.Type == modified {
		c = f.change(k.Kind, api, h, e.Object)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if before(h.version, k.latest) || h.version == k.latest && e.Type != bookmark {
		return nil // a server that is behind repeats what is over
	}
	k.resume, k.latest = h.version, h.version
	switch e.Type {
	case added, modified:
		f.take(k, api, h, c)
	case deleted:
		f.deleted(k, h)
	}
	f.tell(k)
	return nil
}

// deleted takes over that the server calls an object gone. Where a definition may
// have taken it along, that is looked up first. f.mu is held.
func (f *Feed) deleted(k *kind, h head) {
	known, ok := k.entries[h.id]
	switch {
	case !ok && k.over > 0:
		k.over--
	case !ok || known.uid != h.uid:
	case k.builtIn():
		f.drop(k, h.id)
	default:
		k.doubts[h.id] = doubt{entry: known, told: true}
		signal(f.doubted)
	}
}
