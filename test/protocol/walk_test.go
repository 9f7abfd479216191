package protocol

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
)

var (
	walks    = flag.Int("walks", 60, "random walks of each protocol")
	walkSeed = flag.Uint64("walkseed", 0, "the one walk to take; 0 for several")
)

// TestWalks takes random walks: resources are set and removed while a client asks
// for more and for less, accepts and refuses, goes and comes back, all without
// waiting for one another. In the end the client has exactly what the server has
// of what it asks for, and on the way nothing came twice unchanged.
func TestWalks(t *testing.T) {
	for _, on := range []variants{delta, world} {
		for n := range *walks {
			seed := uint64(n + 1)
			if *walkSeed != 0 {
				seed = *walkSeed
			}
			t.Run(fmt.Sprintf("%s/%d", on, seed), func(t *testing.T) {
				t.Parallel()
				e := example{name: "walk", on: on, run: func(s *stage) { newWalk(s, seed).take(80) }}
				if o := play(nameOurs, &ours{changes: seed%2 == 0, hasty: true}, e, on == delta, patience); o.fault != "" {
					t.Errorf("-walkseed %d: %s", seed, o.fault)
				}
			})
		}
	}
}

var (
	walkTypes = []string{CDS, EDS, LDS, RDS}
	walkNames = []string{"a", "b", "c", "d", "e", "f"}
)

// walk is the client with what it must have in the end.
type walk struct {
	*stage
	*rand.Rand
	c *client
	// everything says of which types the client wants all; named, which it has
	// named something of on this stream.
	everything, named map[string]bool
	// owed is how often a resource may come though the client has it, for it asked.
	owed map[string]int
	// refused are names whose newest content was refused.
	refused map[string]map[string]bool
	open    []response // taken and not answered
	version int
}

func newWalk(s *stage, seed uint64) *walk {
	w := &walk{stage: s, Rand: rand.New(rand.NewPCG(seed, 0)), refused: map[string]map[string]bool{}}
	for _, t := range walkTypes {
		w.refused[t] = map[string]bool{}
	}
	w.connect()
	return w
}

func (w *walk) connect() {
	w.c = w.stage.connect()
	w.c.examine = w.examine
	w.everything, w.named, w.owed, w.open = map[string]bool{}, map[string]bool{}, map[string]int{}, nil
}

func (w *walk) take(steps int) {
	for range steps {
		w.receive()
		switch n := w.IntN(100); {
		case n < 35:
			w.put()
		case n < 50:
			w.drop(pick(w, walkTypes), pick(w, walkNames))
		case n < 70:
			w.ask()
		case n < 80:
			w.leave()
		case n < 95:
			w.reply(w.IntN(6) == 0)
		case n < 98:
			w.comeBack()
		default:
			w.restart()
			w.comeBack()
		}
	}
	w.finish()
}

func pick[T any](r *walk, all []T) T { return all[r.IntN(len(all))] }

// put changes up to three resources at once, or says the same again.
func (w *walk) put() {
	var all []proto.Message
	for range 1 + w.IntN(3) {
		t, n := pick(w, walkTypes), pick(w, walkNames)
		if have := w.world[t][n]; have != nil && w.IntN(4) == 0 {
			all = append(all, have)
			continue
		}
		all = append(all, w.another(t, n))
	}
	w.set(all...)
}

// another is a resource with a content that it never had.
func (w *walk) another(t, name string) proto.Message {
	w.version++
	text := fmt.Sprint(w.version)
	switch t {
	case CDS:
		return cluster(name, text)
	case EDS:
		return endpoints(name, uint32(w.version))
	case LDS:
		return listener(name, text)
	}
	return route(name, text)
}

// ask subscribes to names, to all, or again to something.
func (w *walk) ask() {
	t := pick(w, walkTypes)
	var names []string
	switch w.IntN(5) {
	case 0:
		names = []string{"*"}
	case 1:
		if !w.named[t] && !w.everything[t] && fullState[t] {
			w.everything[t] = true // by naming nothing
			w.owe(t, walkNames...)
			w.c.subscribe(t)
			return
		}
	}
	for range w.IntN(3) + 1 {
		names = append(names, pick(w, walkNames))
	}
	w.named[t] = true
	if !w.c.delta && w.everything[t] && !w.c.of(t).names["*"] {
		w.everything[t] = false // the wildcard of a first request ends with a name
	}
	if slices.Contains(names, "*") {
		w.everything[t] = true
		w.owe(t, walkNames...)
	}
	w.owe(t, names...)
	w.c.subscribe(t, names...)
	w.forgetOthers(t)
}

func (w *walk) owe(t string, names ...string) {
	for _, n := range append(names, "") { // "" in the state of the world: any
		w.owed[t+n]++
	}
}

// leave gives up names, or the wildcard.
func (w *walk) leave() {
	t := pick(w, walkTypes)
	if !w.named[t] {
		return // a request without names would ask for everything
	}
	names := []string{pick(w, walkNames)}
	if w.IntN(3) == 0 {
		names = []string{"*"}
		w.everything[t] = false
	}
	w.owe(t, names...) // where all is wanted the client is told what there is
	w.c.unsubscribe(t, names...)
	w.forgetOthers(t)
}

func (w *walk) wants(t, name string) bool { return w.everything[t] || w.c.of(t).names[name] }

// forgetOthers drops what the client no longer wants.
func (w *walk) forgetOthers(t string) {
	for n := range w.c.has[t] {
		if !w.wants(t, n) {
			delete(w.c.has[t], n)
		}
	}
	for n := range w.refused[t] {
		if !w.wants(t, n) {
			delete(w.refused[t], n)
		}
	}
}

// receive takes what has come, without answering it.
func (w *walk) receive() {
	for len(w.c.got) > 0 {
		if r, ok := w.c.poll(w.wait); ok {
			w.open = append(w.open, r)
		}
	}
}

// reply answers the oldest response.
func (w *walk) reply(refuse bool) {
	if len(w.open) == 0 {
		return
	}
	r := w.open[0]
	w.open = w.open[1:]
	if r.typeURL == SDS || len(r.names) == 0 {
		refuse = false
	}
	if refuse {
		for _, n := range r.names {
			w.refused[r.typeURL][n] = true
			w.owe(r.typeURL, n) // what the client has of it is not known now
		}
		w.c.answer(r, "no, by chance")
		return
	}
	for _, n := range r.names {
		delete(w.refused[r.typeURL], n)
	}
	w.c.answer(r, "")
	w.forgetOthers(r.typeURL)
}

// examine fails when something comes that the client has and did not ask for.
func (w *walk) examine(r response) {
	once(seen{r})
	if r.typeURL == SDS {
		return
	}
	have := w.c.has[r.typeURL]
	if !w.c.delta {
		news := fullState[r.typeURL] && len(have) != len(r.resources)
		for n, b := range r.resources {
			news = news || !bytes.Equal(have[n].value, b.value)
		}
		if !news {
			w.repeated(r.typeURL, "")
		}
		return
	}
	for n, b := range r.resources {
		if h, ok := have[n]; ok && h.version == b.version {
			w.repeated(r.typeURL, n)
		}
	}
}

// repeated takes note of what comes though the client has it.
func (w *walk) repeated(t, name string) {
	if w.owed[t+name]--; w.owed[t+name] < 0 {
		fail("%s %s came twice unchanged", short(t), name)
	}
}

// comeBack connects anew, as Envoy does: a delta says what it has.
func (w *walk) comeBack() {
	before, everything := w.c, w.everything
	w.c.close()
	w.connect()
	for _, t := range walkTypes {
		names := slices.Sorted(maps.Keys(before.of(t).names))
		if len(names) == 0 && !everything[t] {
			continue
		}
		w.everything[t] = everything[t]
		w.named[t] = len(names) > 0
		if everything[t] && !slices.Contains(names, "*") && len(names) > 0 {
			names = append(names, "*") // there were names after a first request without
		}
		if before.delta {
			w.c.has[t] = before.has[t]
		}
		for n := range w.refused[t] {
			delete(w.c.has[t], n) // it may have been applied in part
		}
		w.refused[t] = map[string]bool{}
		if !before.delta {
			w.owe(t) // an answer
		}
		w.c.resume(t, w.c.has[t], names...)
	}
}

// finish mends what was refused, answers everything, and waits until the client
// has what it must.
func (w *walk) finish() {
	for len(w.open) > 0 || len(w.c.got) > 0 {
		w.receive()
		w.reply(false)
	}
	for _, t := range walkTypes {
		for n := range w.refused[t] {
			if w.world[t][n] != nil {
				w.world.put(w.another(t, n))
			}
		}
	}
	w.flush()
	last := ""
	for end := time.Now().Add(w.wait); ; {
		if last = w.differs(); last == "" {
			break
		}
		r, ok := w.c.poll(time.Until(end))
		if !ok {
			fail("%s", last)
		}
		w.open = append(w.open, r)
		w.reply(false)
	}
	w.settle(w.c)
	if last = w.differs(); last != "" {
		fail("after all was well: %s", last)
	}
}

// differs says where the client has something else than the server of what it wants.
func (w *walk) differs() string {
	for _, t := range walkTypes {
		for n, m := range w.world[t] {
			if b, ok := w.c.has[t][n]; w.wants(t, n) && (!ok || !b.is(m)) {
				return fmt.Sprintf("%s %s is not what it is at the server", short(t), n)
			}
		}
		for n := range w.c.has[t] {
			if w.world[t][n] == nil && (w.c.delta || fullState[t]) {
				return fmt.Sprintf("%s %s is gone, and the client was not told", short(t), n)
			}
			if !w.wants(t, n) {
				return fmt.Sprintf("%s %s came though it is not wanted", short(t), n)
			}
		}
	}
	return ""
}
