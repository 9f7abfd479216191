package input

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
	return u.store.settings.Complete || u.store.services[namespace] > 0
}

// Settings implements Reader.
func (u untracked) Settings() Settings { return u.store.settings }

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
	seen  map[Question]struct{}
	// memory of what was derived, where one is kept.
	memory *Memory
}

// Asked returns the questions so far, each once, in the order in which they were
// asked first.
func (t *Tracked) Asked() []Question { return t.asked }

func (t *Tracked) record(q Question) {
	if _, ok := t.seen[q]; !ok {
		t.seen[q] = struct{}{}
		t.asked = append(t.asked, q)
	}
}

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
	own := t.store.services[namespace] > 0
	if own || !t.store.settings.Complete {
		t.record(Question{form: formComplete, id: ID{Namespace: namespace}})
	}
	if !own {
		t.record(Question{form: formEverything})
	}
	return own || t.store.settings.Complete
}

// Settings implements Reader.
func (t *Tracked) Settings() Settings {
	t.record(Question{form: formSettings})
	return t.store.settings
}
