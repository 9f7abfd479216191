package input

import (
	"maps"
	"slices"
	"sync"
)

// Derivation is something that is made of answers and asked for by an ID, such as
// what an object comes to. Many may ask for it; where a Memory is kept it is made
// once, and again when an answer that it was made of is another.
type Derivation struct {
	// Name stands for the function: two derivations of one name are the same. All of
	// its IDs are of one group.
	Name string
	// Make is pure: it knows what the reader answers. Nobody changes what it returns.
	Make func(r Reader, id ID) any
}

// Of returns what the derivation makes for an ID, on behalf of a reader.
func (d Derivation) Of(r Reader, id ID) any {
	switch r := r.(type) {
	case *Tracked:
		if r.memory != nil {
			return r.derive(d, id)
		}
	case *previewed:
		return r.derive(d, id)
	}
	return d.Make(r, id)
}

// question is what is asked of a memory.
func (d Derivation) question(id ID) Question {
	return Question{form: formDerived, id: ID{Group: d.Name, Kind: id.Kind, Namespace: id.Namespace, Name: id.Name}}
}

// Memory keeps what was derived of one store. Several goroutines may derive at
// once; whoever changes the store forgets what the change concerns before that.
type Memory struct {
	mutex   sync.Mutex
	derived map[Question]*derived
	made    []Question // since they were last asked for
}

type derived struct {
	value any
	asked []Question
}

// NewMemory remembers nothing yet.
func NewMemory() *Memory { return &Memory{derived: map[Question]*derived{}} }

// TrackIn returns a reader that records what it is asked, and derives by a memory.
func (s *Store) TrackIn(m *Memory) *Tracked {
	t := s.Track()
	t.memory = m
	return t
}

// Derived reports whether the answer is derived: see Memory.Asked.
func (q Question) Derived() bool { return q.form == formDerived }

// Made returns what was derived since Made was last called.
func (m *Memory) Made() []Question {
	made := m.made
	m.made = nil
	return made
}

// Asked returns the questions of whose answers a derived answer was made. It
// reports false where nothing is remembered.
func (m *Memory) Asked(q Question) ([]Question, bool) {
	if d := m.derived[q]; d != nil {
		return d.asked, true
	}
	return nil, false
}

// Forget lets an answer be derived again. It reports whether it was remembered.
func (m *Memory) Forget(q Question) bool {
	_, known := m.derived[q]
	delete(m.derived, q)
	return known
}

// Compact gives back the memory of what was forgotten.
func (m *Memory) Compact() { m.derived = maps.Clone(m.derived) }

// derive answers out of the memory. Who asked hangs on the derived answer alone,
// unless making it fails: then on what was asked for it.
func (t *Tracked) derive(d Derivation, id ID) any {
	q := d.question(id)
	if known := t.memory.recall(q); known != nil {
		return t.told(q, known)
	}
	own, failed := t.store.TrackIn(t.memory), true
	defer func() {
		if failed {
			t.record(q)
			for _, q := range own.asked {
				t.record(q)
			}
		}
	}()
	value := d.Make(own, id)
	failed = false
	return t.told(q, t.memory.keep(q, &derived{value, slices.Clip(own.asked)}))
}

// recall returns what is remembered of an answer, or nil.
func (m *Memory) recall(q Question) *derived {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.derived[q]
}

// keep remembers an answer, unless somebody was first.
func (m *Memory) keep(q Question, d *derived) *derived {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if first := m.derived[q]; first != nil {
		return first
	}
	m.derived[q] = d
	m.made = append(m.made, q)
	return d
}
