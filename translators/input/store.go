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

// Store answers questions about objects. It does not change: new input is a
// new Store. It may be used by several goroutines at once.
type Store struct {
	settings Settings
	entries  []*stored
	byID     map[ID]*stored
	// complete are the namespaces in which a Service was given.
	complete map[string]bool
	mutex    sync.Mutex
	indexes  map[string]map[string][]*stored
}

// stored is an object as a reader gives it out, and the digest of that.
type stored struct {
	full   Object
	object Object
	digest func() digest
}

// NewStore makes a store of what was read, rejected objects included.
func NewStore(s *Set, settings Settings) *Store {
	return StoreOf(slices.Concat(s.Objects, s.Rejected), settings)
}

// StoreOf makes a store of objects. Of several with one ID, Get returns the
// first and Lookup all.
func StoreOf(objects []Object, settings Settings) *Store {
	s := &Store{settings: settings, byID: make(map[ID]*stored, len(objects)), complete: map[string]bool{}, indexes: map[string]map[string][]*stored{}}
	objects = slices.Clone(objects)
	slices.SortStableFunc(objects, func(a, b Object) int { return a.ID.Compare(b.ID) })
	for _, o := range objects {
		e := newStored(o)
		s.entries = append(s.entries, e)
		if s.byID[o.ID] == nil {
			s.byID[o.ID] = e
		}
		if o.Group == "" && o.Kind == "Service" {
			s.complete[o.Namespace] = true
		}
	}
	return s
}

func newStored(o Object) *stored {
	e := &stored{full: o, object: o}
	e.object.Version, e.object.Leaves = "", nil
	e.digest = sync.OnceValue(func() digest { return digestOf(projection(e.object)) })
	return e
}

// Objects returns every object, sorted by ID, rejected ones included. It is for
// who decides which units there are; a unit is made through a Reader.
func (s *Store) Objects() []Object {
	out := make([]Object, len(s.entries))
	for i, e := range s.entries {
		out[i] = e.full
	}
	return out
}

// Reader returns a reader that records nothing.
func (s *Store) Reader() Reader { return untracked{s} }

// Track returns a reader that records what it is asked.
func (s *Store) Track() *Tracked {
	return &Tracked{store: s, answers: Answers{
		gets: map[ID]digest{}, lookups: map[question]answer{}, complete: map[string]bool{},
	}}
}

// Same reports whether the store gives all of the answers again.
func (s *Store) Same(a Answers) bool {
	if a.settings != nil && *a.settings != s.settingsDigest() {
		return false
	}
	for id, d := range a.gets {
		if s.getDigest(id) != d {
			return false
		}
	}
	for namespace, c := range a.complete {
		if s.isComplete(namespace) != c {
			return false
		}
	}
	for q, was := range a.lookups {
		if listDigest(s.lookup(was.index, q.key)) != was.digest {
			return false
		}
	}
	return true
}

func (s *Store) isComplete(namespace string) bool {
	return s.settings.Complete || s.complete[namespace]
}

// lookup returns what an index holds under a key, making its table at first use.
func (s *Store) lookup(index Index, key string) []*stored {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	table, ok := s.indexes[index.Name]
	if !ok {
		table = s.table(index)
		s.indexes[index.Name] = table
	}
	return table[key]
}

func (s *Store) table(index Index) map[string][]*stored {
	out := map[string][]*stored{}
	for _, e := range s.entries {
		keys := slices.Sorted(slices.Values(index.Keys(e.object)))
		for _, k := range slices.Compact(keys) {
			out[k] = append(out[k], e)
		}
	}
	for _, list := range out {
		slices.SortStableFunc(list, func(a, b *stored) int { return olderFirst(a.object, b.object) })
	}
	return out
}

// olderFirst orders objects by creation time, those without one last, then by
// namespace and name, then by kind.
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

// digest stands for an answer; the zero digest for a miss.
type digest [sha256.Size]byte

func (s *Store) getDigest(id ID) digest {
	if e := s.byID[id]; e != nil {
		return e.digest()
	}
	return digest{}
}

func (s *Store) settingsDigest() digest { return digestOf(s.settings) }

func listDigest(list []*stored) digest {
	h := sha256.New()
	for _, e := range list {
		d := e.digest()
		h.Write(d[:])
	}
	return digest(h.Sum(nil))
}

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
