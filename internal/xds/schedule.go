package xds

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/meshknot/meshknot/translators/ir"
)

// schedule decides what a stream is sent next. It knows no network and no clock,
// and belongs to the lock of its Server. What can happen: the client asks for
// something or answers (delta.go, sotw.go); something that it sees changes
// (changed); it can be sent something (next).
//
// Nothing breaks on the way from one state to the next. New content goes in the
// order of the kinds, and a kind waits until what was sent of those before it
// was answered, and until the endpoints of clusters that were sent are at the
// client. Endpoints alone wait for no answer: an Envoy that runs gives none on clusters
// until it has theirs. What is gone is taken away after all of that, in reverse order.
type schedule struct {
	options *Options
	store   *store
	slot    uint32 // of the stream in the store, once it has joined
	joined  bool
	who     ir.Identity
	sotw    bool
	salt    [4]byte // begins every nonce, so that no other stream has the same
	count   uint32
	subs    [kinds]*subscription
	// parents are clusters that were sent, the newest at parentsAt, whose endpoints
	// the client may not have asked for yet.
	parents   []uint32
	parentsAt time.Time
	// heads are listeners that were sent, the newest at headsAt, whose routes the client
	// may not have asked for yet.
	heads    []uint32
	headsAt  time.Time
	removing time.Time // since when there is something to take away; zero if there is not
}

// window is how many responses of a kind a delta client may leave unanswered
// before it is sent no more of it, and windowBytes what they may keep alive.
const (
	window      = 8
	windowBytes = 128 << 10
)

// next returns what to send now; nil for nothing, and then after how long to ask
// again, zero for not before something happens.
func (c *schedule) next(now time.Time) (*response, time.Duration) {
	if c.quiet() {
		c.removing = time.Time{} // what was to be taken away is there again
		return nil, 0
	}
	var gate time.Time
	for k, sub := range c.subs {
		if !gate.IsZero() && kind(k) != endpoints {
			break
		}
		if sub != nil {
			if r := c.update(sub, now); r != nil {
				return r, 0
			}
		}
		gate = sooner(gate, c.gate(kind(k), now))
	}
	r, until := c.removal(now, gate)
	if c.quiet() {
		c.removing, until = time.Time{}, time.Time{}
	}
	if r != nil || until.IsZero() {
		return r, 0
	}
	return nil, until.Sub(now)
}

// quiet reports whether there is nothing to say, and nothing to wait for.
func (c *schedule) quiet() bool {
	for _, sub := range c.subs {
		if sub != nil && !sub.idle() {
			return false
		}
	}
	return true
}

// update is the next response with new content of a kind.
func (c *schedule) update(sub *subscription, now time.Time) *response {
	if sub.idle() {
		return nil
	}
	if c.sotw {
		if len(sub.flights) > 0 {
			return nil
		}
		return c.sotwUpdate(sub, now)
	}
	weight := 0
	for _, f := range sub.flights {
		weight += f.weight
	}
	if len(sub.flights) >= window || weight >= windowBytes {
		return nil
	}
	return c.deltaUpdate(sub, now)
}

// gate says until when later kinds wait for this one; zero if they do not.
func (c *schedule) gate(k kind, now time.Time) time.Time {
	if sub := c.subs[k]; sub != nil && len(sub.flights) > 0 {
		if at := sub.flights[len(sub.flights)-1].at.Add(c.options.Patience); at.After(now) {
			return at
		}
	}
	if k != endpoints {
		return time.Time{}
	}
	for n := len(c.parents); n > 0 && !c.childless(c.parents[n-1]); n = len(c.parents) {
		c.parents = c.parents[:n-1]
	}
	if at := c.parentsAt.Add(c.options.Patience); len(c.parents) > 0 && at.After(now) {
		return at
	}
	c.parents = nil
	return time.Time{}
}

// childless reports whether there are endpoints of a cluster that the client has
// not asked for.
func (c *schedule) childless(cluster uint32) bool { return c.missing(clusters, cluster, endpoints) }

// missing reports whether the client has not asked for a child that there is of a
// resource.
func (c *schedule) missing(k kind, id uint32, of kind) bool {
	r := c.store.kinds[k].view(id, c.who)
	if r == nil {
		return false
	}
	shelf := &c.store.kinds[of]
	for _, name := range r.children {
		id, ok := shelf.ids[name]
		if sub := c.subs[of]; ok && shelf.view(id, c.who) != nil && (sub == nil || !sub.covers(id)) {
			return true
		}
	}
	return false
}

// unasked reports whether the client, which came at a time, has yet to ask for what it
// will want: an Envoy asks for listeners once its clusters are warm, and whoever has
// listeners for their routes. Who asks for long for neither does not want it.
func (c *schedule) unasked(since, now time.Time) bool {
	if c.subs[clusters] != nil && c.subs[listeners] == nil && now.Before(since.Add(2*c.options.RemovalPatience)) {
		return true
	}
	return now.Before(c.headsAt.Add(c.options.RemovalPatience)) && slices.ContainsFunc(c.heads, c.routeless)
}

// routeless reports whether there are routes of a listener that the client has not
// asked for.
func (c *schedule) routeless(listener uint32) bool { return c.missing(listeners, listener, routes) }

// removal is the next response that takes something away, or when to ask again.
func (c *schedule) removal(now, gate time.Time) (*response, time.Time) {
	if c.removing.IsZero() {
		return nil, gate
	}
	overdue := c.removing.Add(c.options.RemovalPatience)
	if overdue.After(now) {
		if gate = sooner(gate, c.unanswered(now)); !gate.IsZero() {
			return nil, sooner(gate, overdue)
		}
	}
	for _, sub := range slices.Backward(c.subs[:]) {
		if sub == nil || len(sub.pending) == 0 && len(sub.vanished) == 0 {
			continue
		}
		if r := c.takeAway(sub, now); r != nil {
			return r, time.Time{}
		}
	}
	if overdue.After(now) && c.clings() {
		gate = sooner(gate, overdue)
	}
	return nil, gate
}

// unanswered says until when removals wait for an answer; zero if all are there.
func (c *schedule) unanswered(now time.Time) (until time.Time) {
	for _, sub := range c.subs {
		if sub == nil || len(sub.flights) == 0 {
			continue
		}
		if at := sub.flights[len(sub.flights)-1].at.Add(c.options.RemovalPatience); at.After(now) {
			until = sooner(until, at)
		}
	}
	return until
}

// sooner is the earlier of two times, where zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// needed reports whether the client may still refer to a resource, by its name:
// it goes on with something old, because it refused what was to replace it. Where
// it is not known with what, it is given time and no more.
func (c *schedule) needed(k kind, name string, now time.Time) bool {
	if !c.clings() {
		return false
	}
	if k == endpoints { // with their clusters
		for _, p := range c.subs[clusters].waiting() {
			if p.had != nil && slices.Contains(p.had.children, name) && c.needed(clusters, p.had.name, now) {
				return true
			}
		}
		return false
	}
	overdue := !c.removing.Add(c.options.RemovalPatience).After(now)
	return slices.ContainsFunc(referrers[k], func(by kind) bool {
		if by == clusters { // of these it is not kept what they refer to
			return !overdue && c.subs[by] != nil && len(c.subs[by].refused) > 0
		}
		for _, r := range c.subs[by].keeps() {
			if r == nil && !overdue || r != nil && bytes.Contains(r.delta.ReadOnlyData(), []byte(name)) {
				return true
			}
		}
		return false
	})
}

// clings reports whether the client goes on with anything old.
func (c *schedule) clings() bool {
	return slices.ContainsFunc(c.subs[:], func(sub *subscription) bool {
		return sub != nil && (len(sub.kept) > 0 || len(sub.refused) > 0)
	})
}

// takeAway is the response of a kind that takes away what is gone.
func (c *schedule) takeAway(sub *subscription, now time.Time) *response {
	if c.sotw {
		return c.sotwRemoval(sub, now)
	}
	return c.deltaRemoval(sub, now)
}

// verdict is what becomes of a pending name.
type verdict uint8

const (
	drop   verdict = iota // the client has it, or refused it
	send                  // it is new to the client
	absent                // the client asked, and there is none
	remove                // the client has it, and there is none any more
)

func (sub *subscription) judge(id uint32, p pending, current *resource) verdict {
	if current == nil {
		switch {
		case p.answer:
			return absent
		case p.had != nil || p.unsure:
			return remove
		}
		return drop
	}
	if p.answer || p.renewed {
		return send
	}
	r, ok := sub.refused[id]
	if ok && r.hash == current.hash || !p.unsure && same(p.had, current) {
		return drop
	}
	return send
}

// sent notes a response that goes out now. fresh are the resources in it that the
// client does not have: what it asks for anew because of them is sent again. had is
// what it has of what that replaces, as in a flight.
func (c *schedule) sent(sub *subscription, r *response, fresh []item, had map[uint32]*resource, now time.Time) *response {
	r.kind, r.sotw = sub.kind, c.sotw
	c.count++
	r.nonce = hex.EncodeToString(binary.BigEndian.AppendUint32(c.salt[:], c.count))
	if len(sub.kept) > 0 && !c.removing.IsZero() {
		c.removing = now // removals waited for this, and now wait for the answer
	}
	sub.first = false
	sub.nonce = r.nonce
	sub.status.Sent = r.version
	r.flight = &flight{version: r.version, nonce: r.nonce, at: now, cargo: marks(r.items), had: had}
	if len(fresh) < len(r.items) {
		r.flight.fresh = marks(fresh)
	}
	r.flight.weight = (len(r.items) + len(r.flight.fresh)) * 16
	for _, h := range had {
		if h != nil {
			r.flight.weight += h.delta.Len()
		}
	}
	sub.flights = append(sub.flights, r.flight)
	if len(sub.refused) > 0 {
		for _, i := range r.items {
			delete(sub.refused, i.id)
		}
	}
	if children, ok := sub.kind.children(); ok {
		c.renew(children, fresh)
	}
	c.leads(sub.kind, fresh, now)
	return r
}

// leads notes what a client was sent that will make it ask for other things.
func (c *schedule) leads(k kind, fresh []item, now time.Time) {
	if len(fresh) == 0 {
		return
	}
	switch k {
	case listeners:
		c.heads = slices.DeleteFunc(c.heads, func(id uint32) bool { return !c.routeless(id) })
		for _, i := range fresh {
			if len(i.resource.children) > 0 && !slices.Contains(c.heads, i.id) {
				c.heads, c.headsAt = append(c.heads, i.id), now
			}
		}
	case clusters:
		c.parents, c.parentsAt = slices.Grow(c.parents, len(fresh)), now
		for _, i := range fresh {
			if len(i.resource.children) > 0 {
				c.parents = append(c.parents, i.id)
			}
		}
	}
}

// renew sends a client again what it waits for after it was sent the parents.
func (c *schedule) renew(k kind, parents []item) {
	sub := c.subs[k]
	if sub == nil || len(sub.ids) == 0 && !sub.wildcard {
		return
	}
	shelf := &c.store.kinds[k]
	for _, parent := range parents {
		for _, name := range parent.resource.children {
			id, ok := shelf.ids[name]
			if !ok || !sub.covers(id) || contains(sub.fresh, id) {
				continue
			}
			p, ok := sub.pending[id]
			if !ok {
				p.had = shelf.view(id, c.who)
			}
			p.renewed = true
			c.mark(sub, id, p)
		}
	}
}

// expire lets go of what need not be known any more.
func (c *schedule) expire(now time.Time) {
	if now.Sub(c.parentsAt) > c.options.Patience {
		c.parents = nil
	}
}

// sorted returns the pending names in the order of their numbers.
func (sub *subscription) sorted() []uint32 { return slices.Sorted(maps.Keys(sub.pending)) }

func byID(a, b item) int { return cmp.Compare(a.id, b.id) }
