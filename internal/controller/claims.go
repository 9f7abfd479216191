package controller

import (
	"fmt"
	"strings"
	"time"
)

// Two bindings may want an artifact at the same place: linkerd and gateway-api both
// write HTTPRoutes of the same names. To a sink the second one looks like a binding
// that takes over from the first, so both would write it in turn for ever. Therefore
// the older binding has the place, as with namespaces, and the other one is told so,
// until the older no longer wants it.

// spot is a place in a sink, in whichever version something is there.
type spot struct{ sink, kind, name string }

func spotOf(s slot) spot {
	kind := s.id.Type
	if parts := strings.Split(kind, "/"); len(parts) == 3 && s.sink == SinkCluster {
		kind = parts[0] + "/" + parts[2] // without the version
	}
	return spot{s.sink, kind, s.id.Name}
}

// older reports whether a binding was there before another one.
func (t terms) older(name string, o terms, other string) bool {
	if t.created.IsZero() != o.created.IsZero() {
		return o.created.IsZero()
	}
	if c := t.created.Compare(o.created); c != 0 {
		return c < 0
	}
	return name < other
}

// claim notes whether a binding wants a place. Whom that concerns is looked at again:
// all others where somebody else has the place now, or who has it wants something else.
func (p *publisher) claim(s slot, wants bool) {
	at := spotOf(s)
	was := p.holder(at)
	if wants {
		if p.claims[at] == nil {
			p.claims[at] = map[slot]bool{}
		}
		p.claims[at][s] = true
	} else if delete(p.claims[at], s); len(p.claims[at]) == 0 {
		delete(p.claims, at)
	}
	if now := p.holder(at); now != was || now == s {
		p.contest(at, s)
	}
}

// contest has all but one of those that want a place looked at again.
func (p *publisher) contest(at spot, but slot) {
	for other := range p.claims[at] {
		if it := p.items[other]; other != but && it != nil {
			it.due = time.Time{}
			p.dirty[other] = true
		}
	}
}

// reorder has looked at again what a binding wants whose age is another.
func (p *publisher) reorder(name string) {
	for s := range p.items {
		if s.binding == name {
			p.contest(spotOf(s), slot{})
		}
	}
}

// holder is who has a place: the oldest of the bindings that want it.
func (p *publisher) holder(at spot) (first slot) {
	var oldest *owned
	for s := range p.claims[at] {
		if o := p.owners[s.binding]; o != nil && (oldest == nil || o.older(s.binding, oldest.terms, first.binding)) {
			first, oldest = s, o
		}
	}
	return first
}

// yield settles what another binding has the place of, and reports whether one has.
// Where that one makes the very same of it, there is nothing to complain of.
func (p *publisher) yield(s slot, it *item) bool {
	by := p.holder(spotOf(s))
	if by == s {
		return false
	}
	o := Outcome{Claimed, fmt.Sprintf("the older MeshBinding %s makes %s %s too, and has it", by.binding, s.id.Type, s.id.Name)}
	if held := p.items[by]; held != nil && held.artifact != nil && by.id == s.id && p.same(it, held) {
		if o = held.outcome; o.State != Written {
			o.State = Pending
		}
	}
	p.settle(s, it, o)
	delete(p.dirty, s)
	return true
}

// same reports whether two bindings make the same.
func (p *publisher) same(a, b *item) bool {
	x, err := p.digest(*a.artifact)
	if err != nil {
		return false
	}
	y, err := p.digest(*b.artifact)
	return err == nil && x == y
}

// awaited reports whether somebody else wants the place of a deletion, and may still
// come to write there: then what is there stays until it is taken over.
func (p *publisher) awaited(s slot) bool {
	by := p.holder(spotOf(s))
	it, o := p.items[by], p.owners[by.binding]
	if by == s || it == nil || o == nil {
		return false
	}
	return it.outcome.State == Failed && it.fails < p.pace.hold || it.outcome.State == Pending && p.open(o, by)
}

// landed reports whether the sinks have everything of a binding that they take.
func (p *publisher) landed(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.owners[name]; o == nil || !p.seen(o) {
		return false
	}
	for s, it := range p.items {
		if s.binding == name && it.artifact != nil && (it.outcome.State == Pending || it.outcome.State == Failed) {
			return false
		}
	}
	return true
}
