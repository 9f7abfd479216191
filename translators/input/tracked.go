package input

import "slices"

// untracked answers without recording.
type untracked struct{ store *Store }

// Get implements Reader.
func (u untracked) Get(id ID) (Object, bool) {
	if list := u.store.byID[id]; len(list) > 0 {
		return list[0].object, true
	}
	return Object{}, false
}

// Lookup implements Reader.
func (u untracked) Lookup(index Index, key string) []Object {
	return objects(u.store.lookup(index, key))
}

// Complete implements Reader.
func (u untracked) Complete(namespace string) bool {
	return u.store.services[namespace] > 0 || u.Settings(namespace).Complete
}

// Settings implements Reader.
func (u untracked) Settings(namespace string) Settings {
	if own, ok := u.store.own[namespace]; ok {
		return own
	}
	return u.store.settings
}

func objects(list []*stored) []Object {
	if len(list) == 0 {
		return nil
	}
	out := make([]Object, len(list))
	for i, e := range list {
		out[i] = e.object
	}
	return out
}

// Tracked is a Reader that records every question, misses included. Who is told
// the same again makes the same of it. It is for one goroutine.
type Tracked struct {
	store *Store
	asked []Question
	// seen are those that were asked, where they are more than a few.
	seen map[Question]struct{}
	// memory of what was derived, where one is kept, and what of it was asked for.
	memory  *Memory
	derived map[*derived]struct{}
	// expected is how many questions there will be.
	expected int
}

// Asked returns the questions so far, each once, in the order in which they were
// asked first.
func (t *Tracked) Asked() []Question { return t.asked }

// few questions are looked through in less time and memory than a map takes. Most
// units have no more.
const few = 16

func (t *Tracked) record(q Question) {
	switch {
	case t.seen != nil:
	case len(t.asked) <= few:
		if !slices.Contains(t.asked, q) {
			t.asked = append(t.asked, q)
		}
		return
	default:
		t.seen = make(map[Question]struct{}, 2*few)
		for _, q := range t.asked {
			if !q.Derived() { // those are in derived
				t.seen[q] = struct{}{}
			}
		}
	}
	if _, ok := t.seen[q]; !ok {
		t.seen[q] = struct{}{}
		t.asked = append(t.asked, q)
	}
}

// told records that a derived answer was given. There may be thousands: they are told
// apart by where they are remembered, which takes less than their names.
func (t *Tracked) told(q Question, d *derived) any {
	if t.derived == nil {
		t.derived = make(map[*derived]struct{}, t.expected)
	}
	if _, ok := t.derived[d]; !ok {
		t.derived[d] = struct{}{}
		t.asked = append(t.asked, q)
	}
	return d.value
}

// Expect says how many questions there will be, more or less.
func (t *Tracked) Expect(n int) { t.asked, t.expected = slices.Grow(t.asked, n), n }

// Get implements Reader.
func (t *Tracked) Get(id ID) (Object, bool) {
	t.record(Question{form: formGet, id: id})
	return untracked{t.store}.Get(id)
}

// Lookup implements Reader.
func (t *Tracked) Lookup(index Index, key string) []Object {
	t.record(Question{form: formLookup, id: ID{Group: index.Name, Name: key}})
	return untracked{t.store}.Lookup(index, key)
}

// Complete implements Reader. What makes a namespace complete is its own Services
// or the settings, and the answer hangs on what was looked at.
func (t *Tracked) Complete(namespace string) bool {
	own, said := t.store.services[namespace] > 0, untracked{t.store}.Settings(namespace).Complete
	if own || !said {
		t.record(Question{form: formComplete, id: ID{Namespace: namespace}})
	}
	if !own {
		t.recordSaid(formEverything, namespace)
	}
	return own || said
}

// Settings implements Reader.
func (t *Tracked) Settings(namespace string) Settings {
	t.recordSaid(formSettings, namespace)
	return untracked{t.store}.Settings(namespace)
}

// recordSaid takes down a question about the settings of a namespace: the answer
// hangs on its own, and where it has none on those of the run too.
func (t *Tracked) recordSaid(f form, namespace string) {
	if namespace != "" {
		t.record(Question{form: f, id: ID{Namespace: namespace}})
	}
	if _, own := t.store.own[namespace]; !own {
		t.record(Question{form: f})
	}
}
