package input

// untracked answers without recording.
type untracked struct{ store *Store }

// Get implements Reader.
func (u untracked) Get(id ID) (Object, bool) {
	if e := u.store.byID[id]; e != nil {
		return e.object, true
	}
	return Object{}, false
}

// Lookup implements Reader.
func (u untracked) Lookup(index Index, key string) []Object {
	return objects(u.store.lookup(index, key))
}

// Complete implements Reader.
func (u untracked) Complete(namespace string) bool { return u.store.isComplete(namespace) }

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

// question is a lookup: the name of an index and a key.
type question struct{ index, key string }

// answer is the digest of what a lookup returned, and how to ask again.
type answer struct {
	index  Index
	digest digest
}

// Answers are the questions that somebody asked a Tracked reader, with the
// digests of what it was told. Whoever is told the same makes the same of it.
type Answers struct {
	gets     map[ID]digest
	lookups  map[question]answer
	complete map[string]bool
	settings *digest
}

// Tracked is a Reader that records every question, misses included, with a
// digest of its answer. It is for one goroutine.
type Tracked struct {
	store   *Store
	answers Answers
}

// Answers returns what was recorded so far. The reader is not to be used after it.
func (t *Tracked) Answers() Answers { return t.answers }

// Get implements Reader.
func (t *Tracked) Get(id ID) (Object, bool) {
	t.answers.gets[id] = t.store.getDigest(id)
	return untracked{t.store}.Get(id)
}

// Lookup implements Reader.
func (t *Tracked) Lookup(index Index, key string) []Object {
	list := t.store.lookup(index, key)
	t.answers.lookups[question{index.Name, key}] = answer{index, listDigest(list)}
	return objects(list)
}

// Complete implements Reader.
func (t *Tracked) Complete(namespace string) bool {
	c := t.store.isComplete(namespace)
	t.answers.complete[namespace] = c
	return c
}

// Settings implements Reader.
func (t *Tracked) Settings() Settings {
	d := t.store.settingsDigest()
	t.answers.settings = &d
	return t.store.settings
}
