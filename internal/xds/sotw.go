package xds

import (
	"math"
	"slices"
	"time"
)

// asksWhole takes a request of the state-of-the-world protocol. One that answers
// anything but what was sent last has been overtaken: another follows, which says
// all that this one does.
func (c *schedule) asksWhole(sub *subscription, q *request, now time.Time) (answer, error) {
	nonce := q.whole.GetResponseNonce()
	if nonce != "" && sub.nonce != "" && nonce != sub.nonce {
		return answer{}, nil
	}
	said := c.settle(sub, nonce, q.whole.GetErrorDetail())
	return said, c.resubscribe(sub, q, now)
}

// resubscribe makes the names of a request all that is subscribed.
func (c *schedule) resubscribe(sub *subscription, q *request, now time.Time) error {
	all := false
	next, joined := make([]uint32, 0, q.many), make([]uint32, 0, q.many)
	for name := range q.fields(wholeNames) {
		sub.named = true
		if string(name) == everyName {
			all = true
			continue
		}
		id, added, err := c.name(sub, name)
		if err != nil {
			sub.ids = merge(sub.ids, joined)
			return err
		}
		next = append(next, id)
		if added {
			joined = append(joined, id)
		}
	}
	all = all || !sub.named && sub.kind.whole()
	sub.ids = merge(sub.ids, slices.Clone(joined))
	if !sub.wildcard {
		sub.fresh = merge(sub.fresh, joined)
	}
	if all && !sub.wildcard {
		c.subscribeAll(sub, nil, nil, now)
	} else if !all {
		c.everything(sub, false)
	}
	slices.Sort(next)
	if next = slices.Compact(next); len(next) < len(sub.ids) {
		for _, id := range slices.Clone(sub.ids) {
			if !contains(next, id) {
				c.part(sub, id)
			}
		}
	}
	return c.checkSubscribed(sub)
}

// sotwUpdate is the next response with new content: of kinds that are sent whole
// all that the client is to have and what it is to lose later, of others what is new.
func (c *schedule) sotwUpdate(sub *subscription, now time.Time) *response {
	shelf := &c.store.kinds[sub.kind]
	r := &response{}
	b := &batch{schedule: c, sub: sub, limit: c.options.ChunkBytes}
	if sub.kind.whole() {
		b.limit = math.MaxInt
	}
	asked := sub.first || len(sub.fresh) > 0
	b.addFresh()
	for _, id := range sub.sorted() {
		p, current := sub.pending[id], shelf.view(id, c.who)
		switch sub.judge(id, p, current) {
		case drop:
			c.unmark(sub, id)
		case absent:
			asked = true
			c.unmark(sub, id)
		case send:
			if asked = asked || p.answer; b.add(id, current) {
				b.replace(id)
				c.unmark(sub, id)
			}
		}
	}
	fresh := b.items
	slices.SortFunc(fresh, byID)
	if !sub.kind.whole() {
		if len(fresh) == 0 && !sub.first {
			return nil
		}
		r.items = fresh
		r.version = versionOf(sum(fresh))
		return c.sent(sub, r, fresh, b.had, now)
	}
	r.items = c.whole(sub)
	if s := sum(r.items); asked || len(fresh) > 0 && s != sub.sum {
		sub.sum, r.version = s, versionOf(s)
		return c.sent(sub, r, fresh, b.had, now)
	}
	return nil
}

// sotwRemoval sends a kind whole without what is gone. Of other kinds nothing can
// be taken away: the client forgets what nothing speaks of any more.
func (c *schedule) sotwRemoval(sub *subscription, now time.Time) *response {
	if len(sub.flights) > 0 {
		return nil
	}
	if len(sub.fresh) > 0 {
		return nil // it waits for others, and would be in the response
	}
	shelf := &c.store.kinds[sub.kind]
	for id, p := range sub.pending {
		if sub.judge(id, p, shelf.view(id, c.who)) == send {
			return nil
		}
	}
	b := &batch{schedule: c, sub: sub}
	for id := range sub.pending {
		if c.needed(sub.kind, shelf.entries[id].name, now) {
			continue
		}
		b.replace(id)
		delete(sub.refused, id)
		c.unmark(sub, id)
	}
	sub.vanished = nil
	if !sub.kind.whole() {
		return nil
	}
	r := &response{items: c.whole(sub)}
	s := sum(r.items)
	if s == sub.sum {
		return nil
	}
	sub.sum, r.version = s, versionOf(s)
	return c.sent(sub, r, nil, b.had, now)
}

// whole is all that a client is to have of a kind, and what of it is pending to
// be taken away.
func (c *schedule) whole(sub *subscription) []item {
	shelf := &c.store.kinds[sub.kind]
	var out []item
	ids := sub.ids
	if sub.wildcard {
		ids = shelf.all(c.who)
	}
	for _, id := range ids {
		if r := shelf.view(id, c.who); r != nil {
			out = append(out, item{id, r})
		}
	}
	for id, p := range sub.pending {
		if p.had != nil && shelf.view(id, c.who) == nil {
			out = append(out, item{id, p.had})
		}
	}
	slices.SortFunc(out, byID)
	return out
}

// sum is the version of several resources; their order does not matter.
func sum(items []item) uint64 {
	var out uint64
	for _, i := range items {
		out += i.resource.hash
	}
	return out
}
