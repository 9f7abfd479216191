package input

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Store answers questions about objects. It may be used by several goroutines at
// once, except while Apply, Become or Configure changes it.
type Store struct {
	// settings hold for every namespace that has none of its own.
	settings Settings
	// own are the settings of namespaces, where they differ from those.
	own map[string]Settings
	// byID holds what is known under each ID, in the order in which it was given.
	byID map[ID][]*stored
	// services counts the Services of each namespace: where one was given,
	// everything was.
	services map[string]int

	mutex sync.RWMutex // guards what is made when it is first asked for
	// sorted is every object by ID; nil where it has to be made anew.
	sorted []*stored
	tables map[string]*table
}

// stored is an object as a reader gives it out and, beside it, what no unit may
// depend on. It does not change, and stores share it.
type stored struct {
	object  Object
	version string
	leaves  []string

	once sync.Once
	sum  digest
}

// NewStore makes a store of what was read, rejected objects included.
func NewStore(s *Set, settings Settings) *Store {
	return StoreOf(slices.Concat(s.Objects, s.Rejected), settings)
}

// StoreOf makes a store of objects. Of several with one ID, Get returns the
// first and Lookup all.
func StoreOf(objects []Object, settings Settings) *Store {
	s := &Store{settings: settings, byID: make(map[ID][]*stored, len(objects)), services: map[string]int{}, tables: map[string]*table{}}
	for _, o := range objects {
		if s.byID[o.ID] = append(s.byID[o.ID], newStored(o)); len(s.byID[o.ID]) == 1 {
			s.count(o.ID, 1)
		}
	}
	return s
}

func newStored(o Object) *stored {
	e := &stored{object: o, version: o.Version, leaves: o.Leaves}
	e.object.Version, e.object.Leaves = "", nil
	return e
}

// digest stands for the object, as a reader gives it out.
func (e *stored) digest() digest {
	e.once.Do(func() { e.sum = digestOf(projection(e.object)) })
	return e.sum
}

// Objects returns every object, sorted by ID, rejected ones included. It is for
// who decides which units there are; a unit is made through a Reader.
func (s *Store) Objects() []Object {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.sorted == nil {
		for _, list := range s.byID {
			s.sorted = append(s.sorted, list...)
		}
		slices.SortStableFunc(s.sorted, func(a, b *stored) int { return a.object.ID.Compare(b.object.ID) })
	}
	out := make([]Object, len(s.sorted))
	for i, e := range s.sorted {
		out[i] = e.object
		out[i].Version, out[i].Leaves = e.version, e.leaves
	}
	return out
}

// Len is the number of IDs of which something is known.
func (s *Store) Len() int { return len(s.byID) }

// Under returns the objects of an ID in the order in which they were given,
// without what no unit may depend on.
func (s *Store) Under(id ID) []Object { return objects(s.byID[id]) }

// Reader returns a reader that records nothing.
func (s *Store) Reader() Reader { return untracked{s} }

// Track returns a reader that records what it is asked.
func (s *Store) Track() *Tracked { return &Tracked{store: s} }

// count takes down that a Service came or went. It reports whether that decides
// whether its namespace is complete.
func (s *Store) count(id ID, by int) bool {
	if id.Group != "" || id.Kind != "Service" {
		return false
	}
	was := s.services[id.Namespace]
	if was+by == 0 {
		delete(s.services, id.Namespace)
	} else {
		s.services[id.Namespace] = was + by
	}
	return (was == 0) != (was+by == 0)
}

// lookup returns what an index holds under a key, making its table at first use.
func (s *Store) lookup(index Index, key string) []*stored {
	s.mutex.RLock()
	t, ok := s.tables[index.Name]
	s.mutex.RUnlock()
	if !ok {
		t = s.table(index)
	}
	return t.lists[key]
}

func (s *Store) table(index Index) *table {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if t, ok := s.tables[index.Name]; ok {
		return t
	}
	t := &table{index: index, lists: map[string][]*stored{}}
	for _, list := range s.byID {
		for _, e := range list {
			for _, k := range t.keys(e) {
				t.lists[k] = append(t.lists[k], e)
			}
		}
	}
	for _, list := range t.lists {
		slices.SortStableFunc(list, inOrder)
	}
	s.tables[index.Name] = t
	return t
}

// table is what an index holds: under each key the objects, older first.
type table struct {
	index Index
	lists map[string][]*stored
}

// keys returns the keys of an object, each once.
func (t *table) keys(e *stored) []string {
	keys := t.index.Keys(e.object)
	if len(keys) < 2 {
		return keys
	}
	return slices.Compact(slices.Sorted(slices.Values(keys)))
}

func inOrder(a, b *stored) int { return olderFirst(a.object, b.object) }

// olderFirst orders objects by creation time, those without one last, then by
// namespace and name, then by kind. Only those of one ID can be equal.
func olderFirst(a, b Object) int {
	return cmp.Or(
		compareTimes(a.Created, b.Created),
		strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), a.ID.Compare(b.ID))
}

func compareTimes(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}

// digest stands for an object, or for settings.
type digest [sha256.Size]byte

// projection is an object as readers give it out, in a shape whose JSON does
// not depend on how Object is embedded.
func projection(o Object) any {
	return struct {
		ID                  ID
		Labels, Annotations map[string]string
		Created             time.Time
		Value               any
		Type                string
		Rejected            bool
	}{o.ID, o.Labels, o.Annotations, o.Created, o.Value, fmt.Sprintf("%T", o.Value), o.Rejected}
}

// digestOf hashes a value by its JSON. A value that has none is told apart by
// its printed form, which at worst makes equal values differ.
func digestOf(v any) digest {
	text, err := json.Marshal(v)
	if err != nil {
		text = fmt.Appendf(nil, "%#v", v)
	}
	return sha256.Sum256(text)
}

// Questions returns the questions whose answers hold something that is known under
// an ID: that for the ID itself, and those for keys of indexes that were asked.
func (s *Store) Questions(id ID) []Question {
	out := []Question{{form: formGet, id: id}}
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	for name, t := range s.tables {
		for key := range t.keyed(s.byID[id]) {
			out = append(out, Question{form: formLookup, id: ID{Group: name, Name: key}})
		}
	}
	return out
}
