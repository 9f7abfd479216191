package controller

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// proxies is what is known of the proxies of all replicas, and whom they have
// confirmed what was made of an object. It belongs to the loop.
type proxies struct {
	server  Server
	metrics *telemetry.Metrics
	// peers are the other replicas; nil: there are none.
	peers neighbours
	// now is the status of this replica, and others are the accounts of all others; unheard:
	// there is more to be known than they say.
	now     xds.Status
	others  []account
	unheard bool
	// standing of what was made of an object, by the binding whose mesh is served by xDS;
	// none where nothing was said of it since this replica leads.
	standing map[report.Ref]map[string]standing
	// refusals in force, by the object that they are about, and within by the proxy.
	refusals map[report.Ref]map[string]refusal
}

// standing is how far what was made of an object has come.
type standing struct {
	// confirmed: since this was made of the object, a moment came in which every
	// proxy concerned had acknowledged everything. A proxy that connects later gets
	// the same, and is no reason to take that back.
	confirmed bool
	// edited: it was made since all replicas had the same; taken are the shares in which
	// something was taken away then.
	edited bool
	taken  shareSet
}

// shareSet are some of the shares of what is served.
type shareSet [4]uint64

func (s *shareSet) add(share uint8) { s[share/64] |= 1 << (share % 64) }

func (s *shareSet) addAll(more shareSet) {
	for i, bits := range more {
		s[i] |= bits
	}
}

func (s *shareSet) has(share uint8) bool { return s[share/64]&(1<<(share%64)) != 0 }

// refusal is what a proxy says of a response that it did not take, and of which other
// replica it is; of this one where that is negative.
type refusal struct {
	backend, text, field string
	of                   int
}

func newProxies(s Server, m *telemetry.Metrics) *proxies {
	return &proxies{server: s, metrics: m, standing: map[report.Ref]map[string]standing{}, refusals: map[report.Ref]map[string]refusal{}}
}

// changed notes that other things are made of objects now: what was said of the
// former does not hold for them. Of objects that were edited any of it may be, also
// where it does not speak of them any more.
func (p *proxies) changed(c translators.Change, edited []report.Ref) {
	binding := bindingOf(c.Target)
	var taken, all shareSet
	for _, s := range c.Remove {
		taken.add(xds.Share(s.ID.Name))
	}
	for _, a := range c.Put {
		all.add(xds.Share(a.ID.Name))
		for _, r := range a.Refs {
			delete(p.refusals, r.Object())
			p.edit(r.Object(), binding, taken)
		}
	}
	all.addAll(taken)
	for _, ref := range edited {
		p.edit(ref, binding, all)
	}
}

// edit notes that something else is made of an object of which something was said.
// Shares in which something was taken away before, and others may still have it, are
// kept.
func (p *proxies) edit(ref report.Ref, binding string, taken shareSet) {
	s, said := p.standing[ref][binding]
	if !said {
		return
	}
	s.confirmed = false
	if p.peers != nil {
		s.edited = true
		s.taken.addAll(taken)
	}
	p.standing[ref][binding] = s
}

func (p *proxies) stand(ref report.Ref, binding string, s standing) {
	if p.standing[ref] == nil {
		p.standing[ref] = map[string]standing{}
	}
	p.standing[ref][binding] = s
}

// look asks the server how things are. It returns the objects of which a proxy
// refuses something, or no longer does, and what else is otherwise.
func (p *proxies) look() (concerned []report.Ref, d difference) {
	was, others, unheard := p.now, p.others, p.unheard
	p.now = p.server.Status()
	p.count(was)
	p.consult()
	if d = max(compare(was, p.now), compareOthers(others, p.others)); unheard != p.unheard {
		d = company
	}
	if d == none {
		return nil, none
	}
	before := p.refusals
	p.refusals = map[report.Ref]map[string]refusal{}
	for _, n := range p.now.Nodes {
		for _, r := range n.Refusals {
			p.hear(n.Node, refusal{n.Backend, r.Text, "", -1}, r.Refs)
		}
	}
	for i, a := range p.others {
		for _, r := range a.Refusals {
			p.hear(r.Node, refusal{r.Backend, r.Text, "", i}, r.Refs)
		}
	}
	for o, by := range p.refusals {
		if !maps.Equal(by, before[o]) {
			concerned = append(concerned, o)
		}
	}
	for o := range before {
		if p.refusals[o] == nil {
			concerned = append(concerned, o)
		}
	}
	return concerned, d
}

// consult tells the other replicas of the proxies of this one, and hears of theirs.
func (p *proxies) consult() {
	if p.peers == nil {
		return
	}
	p.peers.tell(p.now)
	var known bool
	p.others, known = p.peers.accounts()
	p.unheard = !known || slices.ContainsFunc(p.others, func(a account) bool { return a.More })
}

// agrees reports whether another replica has the same for its proxies as this one, of
// artifacts and of what was taken away when they were made.
func (p *proxies) agrees(a account, backend string, artifacts []translators.Artifact, taken shareSet) bool {
	own, here := p.now.Served[backend]
	theirs, there := a.Served[backend]
	if !here || !there {
		return false
	}
	for _, a := range artifacts {
		taken.add(xds.Share(a.ID.Name))
	}
	for share := range own {
		if taken.has(uint8(share)) && own[share] != theirs[share] {
			return false
		}
	}
	return true
}

// hear takes down what a proxy refuses; of an object it is what it said last.
func (p *proxies) hear(node string, r refusal, refs []report.Ref) {
	for _, ref := range refs {
		o := ref.Object()
		if p.refusals[o] == nil {
			p.refusals[o] = map[string]refusal{}
		}
		r.field = ref.Field
		p.refusals[o][node] = r
	}
}

// count brings the metrics up to date.
func (p *proxies) count(was xds.Status) {
	p.metrics.Exchanged(p.now.Pushes-was.Pushes, p.now.Acks-was.Acks)
	if n := p.now.Nacks - was.Nacks; n > 0 {
		kind := "other"
		if p.now.LastNack != nil {
			kind = p.now.LastNack.TypeURL
		}
		p.metrics.Refused(kind, n)
	}
	n := map[string]int{"envoy": 0, "grpc": 0}
	for _, node := range p.now.Nodes {
		if _, ours := n[node.Backend]; ours {
			n[node.Backend]++
		}
	}
	for backend, n := range n {
		p.metrics.Proxies(backend, n)
	}
}

// difference is what is otherwise between two looks; each is all that is before it too.
type difference int

const (
	none     difference = iota
	revision            // what is served
	answers             // who has all, and what is refused
	company             // who is there
)

// compare says what is otherwise.
func compare(a, b xds.Status) difference {
	if !slices.EqualFunc(a.Nodes, b.Nodes, func(a, b xds.NodeStatus) bool { return a.Node == b.Node && a.Since.Equal(b.Since) }) {
		return company
	}
	alike := func(a, b xds.Nack) bool { return a.Text == b.Text && slices.Equal(a.Refs, b.Refs) }
	for i, n := range a.Nodes {
		if n.Settled != b.Nodes[i].Settled || !slices.EqualFunc(n.Refusals, b.Nodes[i].Refusals, alike) {
			return answers
		}
	}
	if !maps.Equal(a.Served, b.Served) {
		return answers // others may have the same now, or no longer
	}
	if a.Revision != b.Revision {
		return revision
	}
	return none
}

// compareOthers says what is otherwise with other replicas.
func compareOthers(a, b []account) difference {
	if slices.EqualFunc(a, b, account.same) {
		return none
	}
	who := func(all []account) map[proxyGroup]bool {
		out := map[proxyGroup]bool{}
		for _, a := range all {
			for _, g := range a.Proxies {
				g.InSync = false
				out[g] = true
			}
		}
		return out
	}
	if !maps.Equal(who(a), who(b)) {
		return company
	}
	return answers
}

// programmed says whether artifacts are in force at the proxies that they are for.
// Where another replica has something else for its proxies than this one, they have yet
// to get what is meant; and what they refuse of an object that was edited since may be
// what was made of that before.
func (p *proxies) programmed(ref report.Ref, b service, artifacts []translators.Artifact) condition {
	const kind = v1alpha1.ConditionProgrammed
	s := p.standing[ref][b.binding]
	agree := make([]bool, len(p.others))
	for i, a := range p.others {
		agree[i] = p.agrees(a, b.backend, artifacts, s.taken)
	}
	former := func(r refusal) bool { return r.of >= 0 && s.edited && !agree[r.of] }
	if node, r, ok := firstRefusal(p.refusals[ref], b.backend, former); ok {
		field := ""
		if r.field != "" {
			field = r.field + ": "
		}
		return fails(kind, reasonRejected, fmt.Sprintf("%sproxy %s refuses what is made of it: %s", field, node, r.text))
	}
	concerned, quiet := p.everyone(b.backend, func(who ir.Identity) bool {
		return slices.ContainsFunc(artifacts, func(a translators.Artifact) bool { return a.Audience.Includes(who) })
	}, func(i int) bool { return agree[i] })
	if !p.unheard && !slices.Contains(agree, false) {
		s.edited, s.taken = false, shareSet{}
	}
	// A proxy may go to a replica that has something else before anybody hears of that.
	s.confirmed = s.confirmed || !p.unheard && concerned > 0 && quiet && !slices.Contains(agree, false)
	p.stand(ref, b.binding, s)
	switch {
	case p.unheard:
		return unknown(reasonPending, "the other replicas, which may have proxies that it is for, are not heard yet")
	case concerned == 0:
		return unknown(reasonNoProxies, "no proxy that it is for is connected")
	case !s.confirmed:
		return unknown(reasonPending, "not every connected proxy that it is for has acknowledged it yet")
	}
	return holds(kind, reasonProgrammed, "every connected proxy that it is for has acknowledged it")
}

// everyone counts proxies of a back end among all replicas, and says whether they have
// what is meant; those of another replica may where that agrees. Alike ones of another
// replica count once.
func (p *proxies) everyone(backend string, among func(ir.Identity) bool, agrees func(other int) bool) (n int, quiet bool) {
	quiet = true
	for _, node := range p.now.Nodes {
		if node.Backend == backend && among(ir.Identity{Namespace: node.Namespace, Account: node.Account}) {
			n++
			quiet = quiet && node.Settled
		}
	}
	for i, a := range p.others {
		for _, g := range a.Proxies {
			if g.Backend == backend && among(ir.Identity{Namespace: g.Namespace, Account: g.Account}) {
				n++
				quiet = quiet && g.InSync && agrees(i)
			}
		}
	}
	return n, quiet
}

// whole counts all proxies of a back end, and says whether they have all that it has.
func (p *proxies) whole(backend string) (n int, quiet bool) {
	return p.everyone(backend, func(ir.Identity) bool { return true }, func(i int) bool {
		theirs, there := p.others[i].Served[backend]
		own, here := p.now.Served[backend]
		return here && there && own == theirs
	})
}

// firstRefusal is that of the proxy whose name comes first, so that it stays the
// same one, of those that are not left out.
func firstRefusal(by map[string]refusal, backend string, out func(refusal) bool) (node string, r refusal, ok bool) {
	for n, one := range by {
		if one.backend == backend && !out(one) && (!ok || cmp.Less(n, node)) {
			node, r, ok = n, one, true
		}
	}
	return node, r, ok
}

// all says whether everything that a back end has is in force at its proxies. Once
// it was it stays so until one refuses something: what is under way is said of objects.
func (p *proxies) all(backend string) condition {
	const kind = v1alpha1.ConditionProgrammed
	n, quiet := p.whole(backend)
	if p.unheard {
		return unknown(reasonPending, "the other replicas are not heard yet")
	}
	if n == 0 {
		return unknown(reasonNoProxies, "no proxy is connected")
	}
	for _, by := range p.refusals {
		if _, _, ok := firstRefusal(by, backend, func(refusal) bool { return false }); ok {
			return fails(kind, reasonRejected, "proxies refuse something; the reports on objects say what")
		}
	}
	if !quiet {
		return unknown(reasonPending, "not every connected proxy has acknowledged everything yet")
	}
	return holds(kind, reasonProgrammed, "every connected proxy has acknowledged everything")
}

// forget drops what is known of an object that is gone.
func (p *proxies) forget(ref report.Ref) {
	delete(p.refusals, ref)
	delete(p.standing, ref)
}
