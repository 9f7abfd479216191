package xds

import (
	"slices"
	"time"
)

// everyName is the name that stands for all.
const everyName = "*"

// asks takes a request, and says whether it answers a response. An error ends
// the stream. A type that is not known is one of a later version of the API, of
// which there is nothing.
func (c *schedule) asks(q *request, now time.Time) (answer, error) {
	k, ok := kindOf(q.typeURL())
	if !ok {
		return answer{}, nil
	}
	sub := c.subs[k]
	first := sub == nil
	if first {
		sub = &subscription{kind: k, status: TypeStatus{TypeURL: k.url()}}
		c.subs[k] = sub
	}
	if c.sotw {
		return c.asksWhole(sub, q, now)
	}
	said := c.settle(sub, q.delta.GetResponseNonce(), q.delta.GetErrorDetail())
	for name := range q.fields(deltaUnsubscribe) {
		if err := c.unsubscribe(sub, name); err != nil {
			return said, err
		}
	}
	return said, c.subscribe(sub, q, first, now)
}

// holding is what a client says that it has of a name.
type holding struct {
	id      uint32
	current bool // it is what it should have
}

// holdings are what a client that has just come says that it has, sorted by
// number. What is not its any more has vanished.
func (c *schedule) holdings(sub *subscription, q *request) (out []holding, vanished []string) {
	shelf := &c.store.kinds[sub.kind]
	var owed map[uint32]bool
	for entry := range q.fields(deltaInitialVersions) {
		name, version := pair(entry)
		if out == nil {
			out, owed = make([]holding, 0, q.many), c.owed(sub)
		}
		id, ok := shelf.ids[string(name)]
		if !ok {
			vanished = append(vanished, string(name))
			continue
		}
		r := shelf.view(id, c.who)
		if r == nil {
			vanished = append(vanished, string(name))
		}
		out = append(out, holding{id, r != nil && r.version == string(version) && !owed[id]})
	}
	slices.SortFunc(out, func(a, b holding) int { return int(a.id) - int(b.id) })
	slices.Sort(vanished)
	return out, vanished
}

// owed are the endpoints that a client waits for, though it says that it has
// them, because it was just sent their clusters.
func (c *schedule) owed(sub *subscription) map[uint32]bool {
	if sub.kind != endpoints || len(c.parents) == 0 {
		return nil
	}
	out := map[uint32]bool{}
	for _, parent := range c.parents {
		if r := c.store.kinds[clusters].view(parent, c.who); r != nil {
			for _, name := range r.children {
				if id, ok := c.store.kinds[endpoints].ids[name]; ok {
					out[id] = true
				}
			}
		}
	}
	return out
}

// subscribe takes what a request asks for. The first request of a type says what
// the client has.
func (c *schedule) subscribe(sub *subscription, q *request, first bool, now time.Time) error {
	var has []holding
	var vanished []string
	if first {
		has, vanished = c.holdings(sub, q)
	}
	all := q.star
	if first && sub.kind.whole() && q.seen&(1<<deltaSubscribe) == 0 {
		all = true // until it gives up "*", whatever it names besides
	}
	if all && !sub.wildcard {
		c.subscribeAll(sub, has, vanished, now)
	}
	joined, fresh := make([]uint32, 0, q.many), make([]uint32, 0, q.many)
	shelf := &c.store.kinds[sub.kind]
	for name := range q.fields(deltaSubscribe) {
		if string(name) == everyName {
			continue
		}
		id, added, err := c.name(sub, name)
		if err != nil {
			sub.ids = merge(sub.ids, joined)
			return err
		}
		if added {
			joined = append(joined, id)
		}
		i, held := slices.BinarySearchFunc(has, id, func(h holding, id uint32) int { return int(h.id) - int(id) })
		switch {
		case held && has[i].current, contains(sub.fresh, id):
		case held:
			c.mark(sub, id, pending{had: shelf.view(id, c.who), unsure: true, answer: true})
		case added && !sub.wildcard:
			fresh = append(fresh, id)
		default:
			p := sub.pending[id]
			p.answer = true
			c.mark(sub, id, p)
		}
	}
	sub.ids, sub.fresh = merge(sub.ids, joined), merge(sub.fresh, fresh)
	c.once(sub)
	if len(has) > 0 && sub.idle() { // it has all, and is not told so
		sub.status.Sent = versionOf(shelf.sum)
		sub.status.Accepted = sub.status.Sent
	}
	return c.checkSubscribed(sub)
}

// once sees to it that no name is both fresh and pending: it may come twice in a
// request.
func (c *schedule) once(sub *subscription) {
	if len(sub.pending) > 0 {
		for _, id := range sub.fresh {
			c.unmark(sub, id)
		}
	}
}

// name notes that a client wants a name, and reports whether that is new. Its
// number is to be added to sub.ids.
func (c *schedule) name(sub *subscription, name []byte) (uint32, bool, error) {
	shelf := &c.store.kinds[sub.kind]
	id, ok := shelf.ids[string(name)]
	if !ok {
		if err := c.options.checkName(name); err != nil {
			return 0, false, err
		}
		id = shelf.intern(string(name))
	}
	added := shelf.subscribe(id, c.slot)
	if added && !shelf.known(id) {
		sub.unknown += nameCost + len(name)
	}
	return id, added, nil
}

// subscribeAll begins to tell a client of everything. What it says it has is not
// sent again, and what it has no right to, or nobody has, is taken from it.
func (c *schedule) subscribeAll(sub *subscription, has []holding, vanished []string, now time.Time) {
	shelf := &c.store.kinds[sub.kind]
	fresh := shelf.all(c.who)
	for _, h := range has {
		if !h.current && shelf.view(h.id, c.who) != nil {
			c.mark(sub, h.id, pending{unsure: true})
		}
	}
	if len(has) > 0 || len(sub.ids) > 0 {
		next := has
		fresh = slices.DeleteFunc(fresh, func(id uint32) bool {
			for len(next) > 0 && next[0].id < id {
				next = next[1:]
			}
			return len(next) > 0 && next[0].id == id || contains(sub.ids, id)
		})
	}
	sub.fresh = merge(sub.fresh, fresh)
	c.everything(sub, true)
	sub.first = len(has) == 0 && len(vanished) == 0
	if sub.vanished = vanished; len(vanished) > 0 && c.removing.IsZero() {
		c.removing = now
	}
}

// unsubscribe takes back a name. Who wants everything is told what there is.
func (c *schedule) unsubscribe(sub *subscription, name []byte) error {
	if string(name) == everyName {
		c.everything(sub, false)
		return nil
	}
	shelf := &c.store.kinds[sub.kind]
	id, ok := shelf.ids[string(name)]
	if !ok && sub.wildcard {
		if err := c.options.checkName(name); err != nil {
			return err
		}
		id, ok = shelf.intern(string(name)), true
		sub.unknown += nameCost + len(name)
	}
	if !ok {
		return nil
	}
	if sub.wildcard && !contains(sub.fresh, id) {
		p := sub.pending[id]
		p.answer = true
		c.mark(sub, id, p)
	}
	c.part(sub, id)
	return nil
}

// deltaUpdate is the next response with new content: resources, as many as may
// be in one, or else names that were asked for and are not there.
func (c *schedule) deltaUpdate(sub *subscription, now time.Time) *response {
	shelf := &c.store.kinds[sub.kind]
	b := &batch{schedule: c, sub: sub, limit: c.options.ChunkBytes}
	b.addFresh()
	var missing []uint32
	for _, id := range sub.sorted() {
		current := shelf.view(id, c.who)
		switch sub.judge(id, sub.pending[id], current) {
		case drop:
			c.unmark(sub, id)
		case absent:
			missing = append(missing, id)
		case send:
			if b.add(id, current) {
				b.replace(id)
				c.unmark(sub, id)
			}
		}
	}
	r := &response{version: versionOf(shelf.sum), items: b.items}
	if len(r.items) > 0 {
		slices.SortFunc(r.items, byID)
		return c.sent(sub, r, r.items, b.had, now)
	}
	full := c.room(r)
	for _, id := range missing {
		name := shelf.entries[id].name
		if full(name) {
			break
		}
		r.removed = append(r.removed, name)
		c.unmark(sub, id)
	}
	if len(r.removed) > 0 || sub.first {
		return c.sent(sub, r, nil, nil, now)
	}
	return nil
}

// room reports whether a response, to which names are added, has no room for one more.
func (c *schedule) room(r *response) func(name string) bool {
	size := 0
	return func(name string) bool {
		size += len(name) + 4
		return size > c.options.ChunkBytes && len(r.removed) > 0
	}
}

// batch collects the resources of a response.
type batch struct {
	schedule *schedule
	sub      *subscription
	limit    int // bytes
	size     int
	items    []item
	had      map[uint32]*resource // as in a flight
}

// replace notes what the client has of a pending name that it is sent something
// for, or that is taken away.
func (b *batch) replace(id uint32) {
	p := b.sub.pending[id]
	if !b.sub.kind.refers() || p.had == nil && !p.unsure {
		return
	}
	if b.had == nil {
		b.had = map[uint32]*resource{}
	}
	b.had[id] = p.had
	if p.unsure {
		b.had[id] = nil
	}
}

// add adds a resource if there is room.
func (b *batch) add(id uint32, r *resource) bool {
	if b.size += r.delta.Len(); b.size > b.limit && len(b.items) > 0 {
		return false
	}
	b.items = append(b.items, item{id, r})
	return true
}

// addFresh adds what the client has nothing of. What there is not any more is
// pending then, where the client asked for it.
func (b *batch) addFresh() {
	shelf := &b.schedule.store.kinds[b.sub.kind]
	fresh := b.sub.fresh
	b.items = make([]item, 0, len(fresh))
	for i, id := range fresh {
		r := shelf.view(id, b.schedule.who)
		switch {
		case r == nil && contains(b.sub.ids, id):
			b.schedule.mark(b.sub, id, pending{answer: true})
		case r != nil && !b.add(id, r):
			b.sub.fresh = fresh[i:]
			return
		}
	}
	b.sub.fresh = nil
}

// deltaRemoval is the next response that takes away what is gone.
func (c *schedule) deltaRemoval(sub *subscription, now time.Time) *response {
	shelf := &c.store.kinds[sub.kind]
	r := &response{version: versionOf(shelf.sum)}
	b := &batch{schedule: c, sub: sub}
	full := c.room(r)
	for _, id := range sub.sorted() {
		name := shelf.entries[id].name
		if sub.judge(id, sub.pending[id], shelf.view(id, c.who)) != remove || c.needed(sub.kind, name, now) {
			continue
		}
		if full(name) {
			break
		}
		r.removed = append(r.removed, name)
		b.replace(id)
		delete(sub.refused, id)
		c.unmark(sub, id)
	}
	for len(sub.vanished) > 0 && !full(sub.vanished[0]) {
		name := sub.vanished[0]
		sub.vanished = sub.vanished[1:]
		if id, ok := shelf.ids[name]; !ok || shelf.view(id, c.who) == nil {
			r.removed = append(r.removed, name)
		}
	}
	if len(sub.vanished) == 0 {
		sub.vanished = nil
	}
	if len(r.removed) == 0 {
		return nil
	}
	return c.sent(sub, r, nil, b.had, now)
}
