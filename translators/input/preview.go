package input

import (
	"maps"
	"slices"
	"sync"
)

// Preview answers as a store would that was changed by edits, which changes nothing:
// neither the store nor what a memory keeps of it. Several goroutines may ask it, and
// several previews of one store may be asked at once, but not while it is changed.
type Preview struct {
	base    *Store
	changed Changed
	// byID holds what is edited, and services how many Services each namespace gains.
	byID     map[ID][]*stored
	services map[string]int

	mutex  sync.RWMutex // guards what is made when it is first asked for
	tables map[string]*patch
}

// patch is the part of an index that edits change.
type patch struct {
	index *table
	// swaps are what is taken out and put in under each key, ID by ID.
	swaps map[string][]swap
	lists map[string][]*stored // of those keys that were asked for
}

// swap is what stands under a key of one ID.
type swap struct{ was, now []*stored }

// Preview tells what Apply would come to. It costs what the edits touch.
func (s *Store) Preview(edits []Edit) *Preview {
	p := &Preview{base: s, byID: make(map[ID][]*stored, len(edits)), services: map[string]int{}, tables: map[string]*patch{}}
	for _, e := range edits { // of two with one ID the last holds
		var now []*stored
		for _, o := range e.Objects {
			now = append(now, newStored(o))
		}
		p.byID[e.ID] = now
	}
	c := &p.changed
	for _, id := range slices.SortedFunc(maps.Keys(p.byID), ID.Compare) {
		was, now := s.byID[id], p.byID[id]
		if alike(was, now) {
			continue
		}
		c.IDs = append(c.IDs, id)
		if !alike(was[:min(len(was), 1)], now[:min(len(now), 1)]) {
			c.Questions = append(c.Questions, Question{form: formGet, id: id})
		}
		if by := min(len(now), 1) - min(len(was), 1); by != 0 && p.count(id, by) {
			c.flip(id.Namespace)
		}
	}
	s.mutex.RLock()
	known := slices.Collect(maps.Values(s.tables))
	s.mutex.RUnlock()
	for _, t := range known {
		for key := range p.patch(t).swaps {
			c.Questions = append(c.Questions, Question{form: formLookup, id: ID{Group: t.index.Name, Name: key}})
		}
	}
	p.changed = c.done()
	return p
}

// Changed says what Apply would.
func (p *Preview) Changed() Changed { return p.changed }

// Under returns the objects of an ID, as Store.Under does.
func (p *Preview) Under(id ID) []Object { return objects(p.under(id)) }

func (p *Preview) under(id ID) []*stored {
	if now, edited := p.byID[id]; edited {
		return now
	}
	return p.base.byID[id]
}

// count is what Store.count says of it.
func (p *Preview) count(id ID, by int) bool {
	if id.Group != "" || id.Kind != "Service" {
		return false
	}
	was := p.base.services[id.Namespace] + p.services[id.Namespace]
	p.services[id.Namespace] += by
	return (was == 0) != (was+by == 0)
}

// patch makes and keeps the part of an index that the edits change.
func (p *Preview) patch(t *table) *patch {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if made := p.tables[t.index.Name]; made != nil {
		return made
	}
	made := &patch{index: t, swaps: map[string][]swap{}, lists: map[string][]*stored{}}
	for _, id := range p.changed.IDs {
		was, now := t.keyed(p.base.byID[id]), t.keyed(p.byID[id])
		for key, a := range was {
			if !alike(a, now[key]) {
				made.swaps[key] = append(made.swaps[key], swap{a, now[key]})
			}
		}
		for key, b := range now {
			if was[key] == nil {
				made.swaps[key] = append(made.swaps[key], swap{nil, b})
			}
		}
	}
	p.tables[t.index.Name] = made
	return made
}

func (p *Preview) lookup(index Index, key string) []*stored {
	p.mutex.RLock()
	made := p.tables[index.Name]
	p.mutex.RUnlock()
	if made == nil {
		p.base.lookup(index, key) // which makes the table
		p.base.mutex.RLock()
		t := p.base.tables[index.Name]
		p.base.mutex.RUnlock()
		made = p.patch(t)
	}
	if made.swaps[key] == nil {
		return made.index.lists[key]
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	list, known := made.lists[key]
	if !known { // by what changes an index in a store
		t := &table{lists: map[string][]*stored{key: slices.Clone(made.index.lists[key])}}
		for _, s := range made.swaps[key] {
			t.swap(key, s.was, s.now)
		}
		list = t.lists[key]
		made.lists[key] = list
	}
	return list
}

// Reader returns a reader of the previewed state. What m remembers of the store is
// taken over, except answers that are stale: those that would be forgotten, for
// something that they were made of is another. They are made anew, once for the
// reader and all that it is shared with; m stays as it is.
func (p *Preview) Reader(m *Memory, stale map[Question]bool) Reader {
	return &previewed{untracked{p.base}, p, &layer{below: m, stale: stale, own: NewMemory()}}
}

// layer is a memory on top of another one, which it leaves alone.
type layer struct {
	below *Memory
	stale map[Question]bool
	own   *Memory
}

// recall returns what is remembered of an answer, or nil.
func (l *layer) recall(q Question) *derived {
	if !l.stale[q] {
		if d := l.below.recall(q); d != nil {
			return d
		}
	}
	return l.own.recall(q)
}

// previewed is a reader of a preview. Nobody follows what it is asked, so it takes
// nothing down.
type previewed struct {
	untracked // whose settings they are
	p         *Preview
	memory    *layer
}

// Get implements Reader.
func (r *previewed) Get(id ID) (Object, bool) {
	if list := r.p.under(id); len(list) > 0 {
		return list[0].object, true
	}
	return Object{}, false
}

// Lookup implements Reader.
func (r *previewed) Lookup(index Index, key string) []Object {
	return objects(r.p.lookup(index, key))
}

// Complete implements Reader.
func (r *previewed) Complete(namespace string) bool {
	return r.p.base.services[namespace]+r.p.services[namespace] > 0 || r.Settings(namespace).Complete
}

// derive answers out of the memory, as Tracked does.
func (r *previewed) derive(d Derivation, id ID) any {
	q := d.question(id)
	if known := r.memory.recall(q); known != nil {
		return known.value
	}
	return r.memory.own.keep(q, &derived{value: d.Make(r, id)}).value
}
