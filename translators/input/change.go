package input

import (
	"maps"
	"slices"
)

// Edit replaces everything that is known under an ID. Without objects there is
// nothing any more. Objects of another ID have no place in it.
type Edit struct {
	ID      ID
	Objects []Object
}

// Changed says what a change of a store comes to. An object that is written
// otherwise and reads the same is not in it.
type Changed struct {
	// IDs under which something else is known now, each once.
	IDs []ID
	// Questions that have another answer now; some may stand here twice. A Lookup
	// whose index was never asked is left out.
	Questions []Question
	// flipped are the namespaces that are complete now and were not, or the other
	// way round, where true.
	flipped map[string]bool
}

// Question is something that a reader was asked. Equal questions have equal answers.
type Question struct {
	form form
	// id that was asked for by Get. Of a Lookup, Group is the name of the index and
	// Name the key; of Complete and of settings, Namespace is what was asked; of what is derived, Group
	// is the name of the derivation.
	id ID
}

type form uint8

const (
	formGet form = iota
	formLookup
	formComplete
	formEverything // whether the settings call everything complete
	formSettings
	formDerived // of other answers
)

// Apply changes what is known under the IDs of edits; of two with one ID the last
// holds. It costs what the edits touch, whatever else is in the store.
func (s *Store) Apply(edits []Edit) Changed {
	last := make(map[ID]int, len(edits))
	for i, e := range edits {
		last[e.ID] = i
	}
	var c Changed
	for i, e := range edits {
		if last[e.ID] != i {
			continue
		}
		var now []*stored
		for _, o := range e.Objects {
			now = append(now, newStored(o))
		}
		s.replace(e.ID, now, &c)
	}
	return c.done()
}

// Become makes the content and all settings those of another store, which stays
// as it is.
func (s *Store) Become(o *Store) Changed {
	var c Changed
	for id, now := range o.byID {
		if !slices.Equal(s.byID[id], now) {
			s.replace(id, now, &c)
		}
	}
	for id := range s.byID {
		if _, stays := o.byID[id]; !stays {
			s.replace(id, nil, &c)
		}
	}
	s.configure(o.settings, o.own, &c)
	return c.done()
}

// done asks what could be known only when everything was replaced.
func (c Changed) done() Changed {
	for namespace, flipped := range c.flipped {
		if flipped {
			c.Questions = append(c.Questions, Question{form: formComplete, id: ID{Namespace: namespace}})
		}
	}
	return c
}

// flip takes down that a namespace came to be complete, or is so no more.
func (c *Changed) flip(namespace string) {
	if c.flipped == nil {
		c.flipped = map[string]bool{}
	}
	c.flipped[namespace] = !c.flipped[namespace]
}

// replace changes what is known under an ID and takes down which answers differ.
func (s *Store) replace(id ID, now []*stored, c *Changed) {
	was := s.byID[id]
	if len(now) == 0 {
		delete(s.byID, id)
	} else {
		s.byID[id] = now
	}
	s.sorted = nil
	if alike(was, now) {
		return // and the tables may keep what reads the same
	}
	c.IDs = append(c.IDs, id)
	if !alike(was[:min(len(was), 1)], now[:min(len(now), 1)]) {
		c.Questions = append(c.Questions, Question{form: formGet, id: id})
	}
	if by := min(len(now), 1) - min(len(was), 1); by != 0 && s.count(id, by) {
		c.flip(id.Namespace)
	}
	for name, t := range s.tables {
		for _, key := range t.replace(was, now) {
			c.Questions = append(c.Questions, Question{form: formLookup, id: ID{Group: name, Name: key}})
		}
	}
}

// alike reports whether readers cannot tell two lists of objects apart.
func alike(a, b []*stored) bool {
	return slices.EqualFunc(a, b, func(x, y *stored) bool { return x == y || x.digest() == y.digest() })
}

// replace puts objects in the place of others of their ID. It returns the keys
// under which something differs.
func (t *table) replace(was, now []*stored) []string {
	before, after := t.keyed(was), t.keyed(now)
	var changed []string
	for key, a := range before {
		if !alike(a, after[key]) {
			t.swap(key, a, after[key])
			changed = append(changed, key)
		}
	}
	for key, b := range after {
		if before[key] == nil {
			t.swap(key, nil, b)
			changed = append(changed, key)
		}
	}
	return changed
}

// keyed lists objects by the keys that the index gives them.
func (t *table) keyed(list []*stored) map[string][]*stored {
	var out map[string][]*stored
	for _, e := range list {
		for _, k := range t.keys(e) {
			if out == nil {
				out = map[string][]*stored{}
			}
			out[k] = append(out[k], e)
		}
	}
	return out
}

// swap takes objects of one ID out of a list and puts others in.
func (t *table) swap(key string, was, now []*stored) {
	list := t.lists[key]
	if len(was) == 1 && len(now) == 1 && inOrder(was[0], now[0]) == 0 {
		i, _ := slices.BinarySearchFunc(list, was[0], inOrder)
		list[i] = now[0] // by far the most frequent change
		return
	}
	for _, e := range was {
		i, _ := slices.BinarySearchFunc(list, e, inOrder)
		end := i
		for end < len(list) && inOrder(list[end], e) == 0 { // those of one ID are taken out together
			end++
		}
		list = slices.Delete(list, i, end)
	}
	for _, e := range now {
		i, _ := slices.BinarySearchFunc(list, e, func(a, b *stored) int {
			if inOrder(a, b) == 0 {
				return -1 // behind what is equal
			}
			return inOrder(a, b)
		})
		list = slices.Insert(list, i, e)
	}
	if t.lists[key] = list; len(list) == 0 {
		delete(t.lists, key)
	}
}

// Compact gives back the memory of what has left the store.
func (s *Store) Compact() {
	s.byID, s.services = maps.Clone(s.byID), maps.Clone(s.services)
	for _, t := range s.tables {
		t.lists = maps.Clone(t.lists)
		for k, list := range t.lists {
			t.lists[k] = slices.Clone(list)
		}
	}
}
