package xds

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// subscription is what one stream has asked for of one kind, and what is known
// of what it has. Of a name that is not mentioned below, the client has, or will
// have when it reads on, what the store has for it.
type subscription struct {
	kind     kind
	wildcard bool     // it wants everything
	named    bool     // it has named something: naming nothing never means everything again
	ids      []uint32 // names it subscribed, sorted
	unknown  int      // bytes that unknown names among them cost, or more
	first    bool     // an answer is owed even if there is nothing
	// fresh are names, sorted, of which it has nothing and is to be sent what there is,
	// pending those of which it has something else than it should, or may have.
	fresh   []uint32
	pending map[uint32]pending
	// refused is what was refused and is not sent again. What the client has of these
	// names is not known, but that it may still use what is kept; nil for it is not
	// known what.
	refused map[uint32]refused
	kept    map[uint32]*resource
	// vanished are names of which the client had something when it came, and which
	// are nobody's any more.
	vanished []string
	flights  []*flight // sent and not answered, the oldest first
	nonce    string    // of what was sent last
	sum      uint64    // of what was sent last as a whole
	status   TypeStatus
}

// pending says what is known of such a name.
type pending struct {
	had     *resource // what it has; nil for nothing
	unsure  bool      // had may be wrong
	answer  bool      // the client asked: it is told in any case
	renewed bool      // it waits for it, for the parent was sent
}

// refused is what is known of a name after a response with it was refused.
type refused struct {
	hash uint64 // of the content
	// with it are names that were in the response and that the client did not speak
	// of. They are sent again, as they are, when this one is.
	with []uint32
}

// flight is a response that the client has not answered yet. It keeps no content
// alive but what may be in use still.
type flight struct {
	version, nonce string
	at             time.Time
	cargo          []mark
	// fresh is what of it the client did not have, where that is not all.
	fresh []mark
	// had is what the client had of what was replaced or taken away, where that may
	// refer to other things; nil for it is not known what.
	had    map[uint32]*resource
	weight int // bytes that all of this keeps alive
}

// mark is what is known of a resource that was sent.
type mark struct {
	id   uint32
	hash uint64
}

func marks(items []item) []mark {
	out := make([]mark, len(items))
	for n, i := range items {
		out[n] = mark{i.id, i.resource.hash}
	}
	return out
}

// item is a resource in a response.
type item struct {
	id       uint32
	resource *resource
}

func (f *flight) has(id uint32) bool {
	_, found := slices.BinarySearchFunc(f.cargo, id, func(m mark, id uint32) int { return cmp.Compare(m.id, id) })
	return found
}

// forgive forgets what was refused of a name.
func (s *subscription) forgive(id uint32) {
	delete(s.refused, id)
	delete(s.kept, id)
}

// waiting is what is pending, keeps what is kept, of a subscription or none.
func (s *subscription) waiting() map[uint32]pending {
	if s == nil {
		return nil
	}
	return s.pending
}

func (s *subscription) keeps() map[uint32]*resource {
	if s == nil {
		return nil
	}
	return s.kept
}

// covers reports whether a name is subscribed.
func (s *subscription) covers(id uint32) bool {
	return s.wildcard || contains(s.ids, id)
}

// idle reports whether nothing is owed.
func (s *subscription) idle() bool {
	return len(s.pending) == 0 && len(s.fresh) == 0 && len(s.vanished) == 0 && !s.first
}

// mark notes that a name has to be looked at before the next response.
func (c *schedule) mark(sub *subscription, id uint32, p pending) {
	if sub.pending == nil {
		sub.pending = map[uint32]pending{}
	}
	if _, ok := sub.pending[id]; !ok {
		c.store.kinds[sub.kind].entries[id].holds++
	}
	sub.pending[id] = p
}

// unmark notes that nothing needs to be done about a name.
func (c *schedule) unmark(sub *subscription, id uint32) {
	if _, ok := sub.pending[id]; ok {
		delete(sub.pending, id)
		c.store.kinds[sub.kind].release(id)
	}
	if len(sub.pending) == 0 {
		sub.pending = nil // a map keeps the size that it once had
	}
}

// changed notes that a stream sees something else of a name than before.
func (c *schedule) changed(k kind, id uint32, before, after *resource, now time.Time) {
	sub := c.subs[k]
	if contains(sub.fresh, id) {
		return
	}
	r, unsure := sub.refused[id]
	if _, ok := sub.pending[id]; !ok {
		c.mark(sub, id, pending{had: before, unsure: unsure})
	}
	for _, other := range r.with {
		if other != id {
			c.retry(sub, other)
		}
	}
	if after == nil && c.removing.IsZero() {
		c.removing = now
	}
}

// retry sends a name again that was refused for the sake of another.
func (c *schedule) retry(sub *subscription, id uint32) {
	if _, ok := sub.refused[id]; !ok || !sub.covers(id) {
		return
	}
	delete(sub.refused, id)
	p, ok := sub.pending[id]
	if !ok {
		p.had = c.store.kinds[sub.kind].view(id, c.who)
	}
	p.unsure = true
	c.mark(sub, id, p)
}

// merge adds numbers, which need not be sorted, to a sorted set.
func merge(set, more []uint32) []uint32 {
	if len(more) == 0 {
		return set
	}
	slices.Sort(more)
	if len(set) == 0 && 2*len(more) >= cap(more) {
		return slices.Clip(more)
	}
	set = append(set, more...)
	if n := len(set) - len(more); n > 0 && set[n-1] >= more[0] {
		slices.Sort(set)
		set = slices.Compact(set)
	}
	return slices.Clip(set)
}

// part unsubscribes a name. It stays pending where everything is wanted: then
// the client is told what there is.
func (c *schedule) part(sub *subscription, id uint32) {
	if !contains(sub.ids, id) {
		return
	}
	sub.ids = without(sub.ids, id)
	if !sub.wildcard {
		sub.fresh = without(sub.fresh, id)
		c.unmark(sub, id)
		sub.forgive(id)
	}
	c.store.kinds[sub.kind].unsubscribe(id, c.slot)
}

// everything begins to want, or no longer wants, all that the client can see.
func (c *schedule) everything(sub *subscription, wanted bool) {
	if sub.wildcard == wanted {
		return
	}
	sub.wildcard = wanted
	shelf := &c.store.kinds[sub.kind]
	shelf.everything(c.slot, wanted)
	if wanted {
		return
	}
	sub.vanished = nil
	sub.fresh = slices.DeleteFunc(sub.fresh, func(id uint32) bool { return !sub.covers(id) })
	for id := range sub.pending {
		if !sub.covers(id) {
			c.unmark(sub, id)
		}
	}
	for _, ids := range [][]uint32{slices.Collect(maps.Keys(sub.refused)), slices.Collect(maps.Keys(sub.kept))} {
		for _, id := range ids {
			if !sub.covers(id) {
				sub.forgive(id)
			}
		}
	}
}

// quit ends all subscriptions.
func (c *schedule) quit() {
	for _, sub := range c.subs {
		if sub == nil {
			continue
		}
		shelf := &c.store.kinds[sub.kind]
		shelf.everything(c.slot, false)
		for id := range sub.pending {
			c.unmark(sub, id)
		}
		for _, id := range sub.ids {
			shelf.unsubscribe(id, c.slot)
		}
	}
	c.subs = [kinds]*subscription{}
}
