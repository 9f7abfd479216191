package xds

import (
	"slices"
	"time"

	"github.com/meshknot/meshknot/translators/ir"
)

// store is what one back end has for its proxies, and who is interested in what.
// It belongs to the lock of its Server. What can happen: a variant of a resource is
// set or taken away; a stream comes, subscribes to a name or to everything,
// unsubscribes, and goes.
type store struct {
	ready chan struct{} // closed when there is something to say
	kinds [kinds]shelf
	// streams by slot, the small number that stands for a stream; nil where free.
	streams []*stream
	vacant  []uint32
}

// shelf is what there is of one kind. Names are interned to numbers while there
// is a resource or anybody interested.
type shelf struct {
	ids     map[string]uint32
	entries []entry
	free    []uint32
	// byAudience are the names that have a variant for an audience, sorted, so that
	// what a role sees can be listed without looking at what it does not see.
	byAudience map[ir.Audience][]uint32
	wild       []uint32 // slots of those interested in everything, sorted
	sum        uint64   // of all hashes
	shares     Shares
}

// entry is what there is of a name.
type entry struct {
	name     string
	variants []*resource // by audience, sorted: the narrowest of those that include somebody is the last
	slots    []uint32    // of the streams that subscribed the name, sorted
	holds    int         // how many streams still have to be told of it
}

func newStore() *store {
	s := &store{ready: make(chan struct{})}
	for k := range s.kinds {
		s.kinds[k] = shelf{ids: map[string]uint32{}, byAudience: map[ir.Audience][]uint32{}}
	}
	return s
}

// isReady reports whether the store was ever filled.
func (s *store) isReady() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// join gives a stream a slot, leave takes it back.
func (s *store) join(st *stream) uint32 {
	if n := len(s.vacant); n > 0 {
		slot := s.vacant[n-1]
		s.vacant = s.vacant[:n-1]
		s.streams[slot] = st
		return slot
	}
	s.streams = append(s.streams, st)
	return uint32(len(s.streams) - 1)
}

func (s *store) leave(slot uint32) {
	s.streams[slot] = nil
	s.vacant = append(s.vacant, slot)
	if len(s.vacant) == len(s.streams) { // who comes next begins anew, in order
		s.streams, s.vacant = s.streams[:0], s.vacant[:0]
	}
}

// intern returns the number of a name.
func (s *shelf) intern(name string) uint32 {
	if id, ok := s.ids[name]; ok {
		return id
	}
	var id uint32
	if n := len(s.free); n > 0 {
		id = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		id = uint32(len(s.entries))
		s.entries = append(s.entries, entry{})
	}
	s.entries[id] = entry{name: name}
	s.ids[name] = id
	return id
}

// forget lets go of a name that is nobody's.
func (s *shelf) forget(id uint32) {
	e := &s.entries[id]
	if len(e.variants) > 0 || len(e.slots) > 0 || e.holds > 0 {
		return
	}
	delete(s.ids, e.name)
	*e = entry{}
	s.free = append(s.free, id)
}

func (s *shelf) release(id uint32) {
	s.entries[id].holds--
	s.forget(id)
}

// known reports whether anybody has a resource of a name.
func (s *shelf) known(id uint32) bool { return len(s.entries[id].variants) > 0 }

// subscribe notes that a stream wants a name; false if that was known.
func (s *shelf) subscribe(id, slot uint32) bool {
	e := &s.entries[id]
	before := len(e.slots)
	e.slots = insert(e.slots, slot)
	return len(e.slots) > before
}

func (s *shelf) unsubscribe(id, slot uint32) {
	s.entries[id].slots = without(s.entries[id].slots, slot)
	s.forget(id)
}

// everything notes whether a stream wants all that it can see.
func (s *shelf) everything(slot uint32, wanted bool) {
	if wanted {
		s.wild = insert(s.wild, slot)
	} else {
		s.wild = without(s.wild, slot)
	}
}

// insert adds to a sorted set, without takes from it; nil is the empty one.
func insert(set []uint32, n uint32) []uint32 {
	if len(set) == 0 || set[len(set)-1] < n {
		return append(set, n)
	}
	if i, found := slices.BinarySearch(set, n); !found {
		return slices.Insert(set, i, n)
	}
	return set
}

func without(set []uint32, n uint32) []uint32 {
	if i, found := slices.BinarySearch(set, n); found {
		if len(set) == 1 {
			return nil
		}
		return slices.Delete(set, i, i+1)
	}
	return set
}

func contains(set []uint32, n uint32) bool {
	_, found := slices.BinarySearch(set, n)
	return found
}

// view is what somebody sees of a name: of its variants the one with the
// narrowest audience that they are in.
func (s *shelf) view(id uint32, who ir.Identity) *resource {
	return view(s.entries[id].variants, who)
}

func view(variants []*resource, who ir.Identity) *resource {
	if len(variants) == 1 { // as most have
		if r := variants[0]; r.audience == (ir.Audience{}) || r.audience.Includes(who) {
			return r
		}
		return nil
	}
	if len(variants) > 8 { // worth four searches
		for _, a := range audiences(who) {
			if i, found := findVariant(variants, a); found {
				return variants[i]
			}
		}
		return nil
	}
	for _, r := range slices.Backward(variants) {
		if r.audience.Includes(who) {
			return r
		}
	}
	return nil
}

// audiences are those that somebody is in, the narrowest first.
func audiences(who ir.Identity) [4]ir.Audience {
	return [4]ir.Audience{{Namespace: who.Namespace, Account: who.Account}, {Namespace: who.Namespace}, {Account: who.Account}, {}}
}

func findVariant(variants []*resource, a ir.Audience) (int, bool) {
	return slices.BinarySearchFunc(variants, a, func(r *resource, a ir.Audience) int { return r.audience.Compare(a) })
}

// all is everything that somebody sees, sorted.
func (s *shelf) all(who ir.Identity) []uint32 {
	var out []uint32
	for _, a := range audiences(who) {
		some := s.byAudience[a]
		first := len(out) == 0
		out = slices.Grow(out, len(some))
		for _, id := range some {
			if first || s.view(id, who).audience == a { // else it is seen by a narrower one
				out = append(out, id)
			}
		}
		if !first && len(some) > 0 {
			slices.Sort(out)
		}
	}
	return out
}

// set puts a variant into its place, or empties the place where r is nil, and
// tells every stream that sees the difference. Those are passed to told.
func (s *store) set(k kind, name string, a ir.Audience, r *resource, now time.Time, told func(*stream)) {
	shelf := &s.kinds[k]
	id := shelf.intern(name)
	before, changed := shelf.place(id, a, r)
	if !changed {
		shelf.forget(id)
		return
	}
	e := &shelf.entries[id]
	e.holds++
	tell := func(slot uint32) {
		st := s.streams[slot]
		if !a.Includes(st.schedule.who) {
			return
		}
		if was, is := view(before, st.schedule.who), view(e.variants, st.schedule.who); !same(was, is) {
			st.schedule.changed(k, id, was, is, now)
			told(st)
		}
	}
	for _, slot := range e.slots {
		tell(slot)
	}
	for _, slot := range shelf.wild {
		if !contains(e.slots, slot) {
			tell(slot)
		}
	}
	shelf.release(id)
}

// place puts a variant into its place and returns the variants before, which are
// never changed, and whether any content is another now.
func (s *shelf) place(id uint32, a ir.Audience, r *resource) ([]*resource, bool) {
	e := &s.entries[id]
	before := e.variants
	i, found := findVariant(before, a)
	var old *resource
	if found {
		old = before[i]
		s.sum -= old.hash
		s.shares[Share(e.name)] -= old.weight()
	}
	switch {
	case r != nil && found:
		e.variants = slices.Clone(before)
		e.variants[i] = r
	case r != nil:
		e.variants = slices.Insert(slices.Clone(before), i, r)
		s.byAudience[a] = insert(s.byAudience[a], id)
	case found:
		e.variants = slices.Delete(slices.Clone(before), i, i+1)
		if s.byAudience[a] = without(s.byAudience[a], id); s.byAudience[a] == nil {
			delete(s.byAudience, a)
		}
	}
	if r != nil {
		s.sum += r.hash
		s.shares[Share(e.name)] += r.weight()
	}
	return before, !same(old, r)
}
