package feed

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is how far a feed has come, and what is wrong.
type State struct {
	// Synced: everything that is served was listed once. It stays true.
	Synced bool
	Kinds  []KindState
}

// KindState is the state of one kind.
type KindState struct {
	// Kind has the version that is read, where one is served.
	Kind
	Served, Synced bool
	// Objects is how many are known; Kept are those of them that the server does not
	// show and that are not known to be gone.
	Objects, Kept int
	// Trouble is empty, or says what is wrong and since when. What was known is kept.
	Trouble string
}

// Troubled lists the kinds that have trouble.
func (s State) Troubled() []KindState {
	return slices.DeleteFunc(slices.Clone(s.Kinds), func(k KindState) bool { return k.Trouble == "" })
}

// aspect is what a trouble is about; a kind has one of each at most.
type aspect int

const (
	reach      aspect = iota // the server does not answer, or not as it should
	definition               // the kind is not served as it was
	doubtful                 // objects are kept that may be gone
	limit                    // there are more objects than are read
	aspects
)

type trouble struct {
	text  string
	since time.Time
}

// trouble notes what is wrong. Feed.mu is held.
func (k *kind) trouble(a aspect, text string) {
	if k.troubles[a].text == "" {
		k.troubles[a].since = time.Now()
	}
	k.troubles[a].text = text
}

// reached notes that a kind can be read. f.mu is held.
func (f *Feed) reached(k *kind) {
	if k.troubles[reach].text != "" { // then others need not wait any longer
		close(f.back)
		f.back = make(chan struct{})
	}
	k.clear(reach)
}

func (k *kind) clear(a aspect) { k.troubles[a] = trouble{} }

// State returns how far the feed has come.
func (f *Feed) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := State{Synced: f.synced}
	for _, k := range f.kinds {
		s.Kinds = append(s.Kinds, k.state())
	}
	return s
}

func (k *kind) state() KindState {
	if k.over > 0 {
		k.trouble(limit, fmt.Sprintf("%d objects are not read: there are more than Objects allows", k.over))
	} else {
		k.clear(limit)
	}
	s := KindState{Kind: k.Kind, Served: k.served != "", Synced: k.listed, Objects: len(k.entries)}
	if k.served != "" {
		s.Version = k.served
	}
	var said []string
	for _, d := range k.doubts {
		if !d.told || d.held || k.served == "" {
			s.Kept++
		}
	}
	if s.Kept == 0 {
		k.clear(doubtful)
	} else if k.troubles[doubtful].text == "" {
		k.trouble(doubtful, "the server does not list objects that were not deleted as far as is known; each is asked for")
	}
	for _, t := range k.troubles {
		if t.text != "" {
			said = append(said, t.text+", since "+t.since.UTC().Format(time.RFC3339))
		}
	}
	s.Trouble = strings.Join(said, "; ")
	return s
}

// tell lets Changed know if the state of kinds is another. f.mu is held. The number
// of objects alone is no reason.
func (f *Feed) tell(kinds ...*kind) {
	for _, k := range kinds {
		now := k.state()
		now.Objects = 0
		if now != k.told {
			k.told = now
			signal(f.changed)
		}
	}
}

// complete looks whether everything was listed. f.mu is held.
func (f *Feed) complete() {
	defer f.tell(f.kinds...)
	if f.synced || !f.surveyed {
		return
	}
	for _, k := range f.kinds {
		if k.served != "" && !k.listed {
			return
		}
	}
	f.synced = true
	signal(f.changed)
	signal(f.arrived)
}
