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
	// now is the status of this replica, with the proxies of all others; unheard: there may be
	// others that are not known of yet.
	now     xds.Status
	unheard bool
	// confirmed: since this was made of the object, a moment came in which every
	// proxy concerned had acknowledged everything. A proxy that connects later gets
	// the same, and is no reason to take that back.
	confirmed map[claim]bool
	// refusals in force, by the object that they are about, and within by the proxy.
	refusals map[report.Ref]map[string]refusal
	// edited are objects of which other things are made since all replicas had the same.
	edited map[report.Ref]bool
}

// claim is what a binding whose mesh is served by xDS has of an object.
type claim struct {
	ref     report.Ref
	binding string
}

// refusal is what a proxy says of a response that it did not take.
type refusal struct{ backend, text, field string }

func newProxies(s Server, m *telemetry.Metrics) *proxies {
	return &proxies{server: s, metrics: m, confirmed: map[claim]bool{}, refusals: map[report.Ref]map[string]refusal{}, edited: map[report.Ref]bool{}}
}

// changed notes that other things are made of objects now: what was said of the
// former does not hold for them.
func (p *proxies) changed(c translators.Change) {
	for _, a := range c.Put {
		for _, r := range a.Refs {
			delete(p.confirmed, claim{r.Object(), bindingOf(c.Target)})
			delete(p.refusals, r.Object())
			if p.peers != nil {
				p.edited[r.Object()] = true
			}
		}
	}
}

// look asks the server how things are. It returns the objects of which a proxy
// refuses something, or no longer does, and what else is otherwise.
func (p *proxies) look() (concerned []report.Ref, d difference) {
	was, unheard := p.now, p.unheard
	p.now = p.server.Status()
	p.count(was)
	p.consult()
	if d = compare(was, p.now); unheard != p.unheard {
		d = company
	}
	if d == none {
		return nil, none
	}
	before := p.refusals
	p.refusals = map[report.Ref]map[string]refusal{}
	for _, n := range p.now.Nodes {
		for _, r := range n.Refusals {
			p.hear(n, r)
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

// consult tells the other replicas of the proxies of this one, and adds theirs.
func (p *proxies) consult() {
	if p.peers == nil {
		return
	}
	p.peers.tell(p.now)
	accounts, known := p.peers.accounts()
	p.unheard = !known
	behind := false
	for _, a := range accounts {
		p.now.Nodes = append(p.now.Nodes, p.elsewhere(a)...)
		behind = behind || !maps.Equal(a.Served, p.now.Served)
	}
	if !behind {
		clear(p.edited)
	}
}

// elsewhere are the proxies of another replica. Where that has something else for them than
// this one, they have yet to get what is meant; and what they refuse of objects that were
// edited since may be what was made of those before.
func (p *proxies) elsewhere(a account) (out []xds.NodeStatus) {
	for _, g := range a.Proxies {
		g.InSync = g.InSync && a.Served[g.Backend] == p.now.Served[g.Backend]
		out = append(out, xds.NodeStatus{Node: otherReplica, Backend: g.Backend, Namespace: g.Namespace, Account: g.Account, InSync: g.InSync})
	}
	for _, r := range a.Refusals {
		refs := r.Refs
		if a.Served[r.Backend] != p.now.Served[r.Backend] {
			refs = slices.DeleteFunc(slices.Clone(refs), func(ref report.Ref) bool { return p.edited[ref.Object()] })
		}
		out = append(out, xds.NodeStatus{Node: r.Node, Backend: r.Backend, InSync: true, Refusals: []xds.Nack{{Text: r.Text, Refs: refs}}})
	}
	return out
}

// otherReplica stands for the names of proxies that another replica did not give.
const otherReplica = "(of another replica)"

// hear takes down what a proxy refuses; of an object it is what it said last.
func (p *proxies) hear(n xds.NodeStatus, r xds.Nack) {
	for _, ref := range r.Refs {
		o := ref.Object()
		if p.refusals[o] == nil {
			p.refusals[o] = map[string]refusal{}
		}
		p.refusals[o][n.Node] = refusal{n.Backend, r.Text, ref.Field}
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
		if n.InSync != b.Nodes[i].InSync || !slices.EqualFunc(n.Refusals, b.Nodes[i].Refusals, alike) {
			return answers
		}
	}
	if a.Revision != b.Revision {
		return revision
	}
	return none
}

// programmed says whether artifacts are in force at the proxies that they are for.
func (p *proxies) programmed(ref report.Ref, b service, artifacts []translators.Artifact) condition {
	const kind = v1alpha1.ConditionProgrammed
	if by := p.refusals[ref]; len(by) > 0 {
		if node, r, ok := firstRefusal(by, b.backend); ok {
			field := ""
			if r.field != "" {
				field = r.field + ": "
			}
			return fails(kind, reasonRejected, fmt.Sprintf("%sproxy %s refuses what is made of it: %s", field, node, r.text))
		}
	}
	key := claim{ref, b.binding}
	concerned, quiet := 0, true
	for _, n := range p.now.Nodes {
		if n.Backend != b.backend || !forOne(artifacts, n) {
			continue
		}
		concerned++
		quiet = quiet && n.InSync
	}
	switch {
	case p.unheard:
		return unknown(reasonPending, "the other replicas, which may have proxies that it is for, are not heard yet")
	case concerned == 0:
		return unknown(reasonNoProxies, "no proxy that it is for is connected")
	case p.confirmed[key]:
	case !quiet:
		return unknown(reasonPending, "not every connected proxy that it is for has acknowledged it yet")
	}
	p.confirmed[key] = true
	return holds(kind, reasonProgrammed, "every connected proxy that it is for has acknowledged it")
}

// firstRefusal is that of the proxy whose name comes first, so that it stays the
// same one.
func firstRefusal(by map[string]refusal, backend string) (node string, r refusal, ok bool) {
	for n, one := range by {
		if one.backend == backend && (!ok || cmp.Less(n, node)) {
			node, r, ok = n, one, true
		}
	}
	return node, r, ok
}

// forOne reports whether any of some artifacts is for a proxy.
func forOne(artifacts []translators.Artifact, n xds.NodeStatus) bool {
	who := ir.Identity{Namespace: n.Namespace, Account: n.Account}
	return slices.ContainsFunc(artifacts, func(a translators.Artifact) bool { return a.Audience.Includes(who) })
}

// all says whether everything that a back end has is in force at its proxies. Once
// it was it stays so until one refuses something: what is under way is said of objects.
func (p *proxies) all(backend string) condition {
	const kind = v1alpha1.ConditionProgrammed
	n, quiet := 0, true
	for _, node := range p.now.Nodes {
		if node.Backend == backend {
			n++
			quiet = quiet && node.InSync
		}
	}
	if p.unheard {
		return unknown(reasonPending, "the other replicas are not heard yet")
	}
	if n == 0 {
		return unknown(reasonNoProxies, "no proxy is connected")
	}
	for _, by := range p.refusals {
		if _, _, ok := firstRefusal(by, backend); ok {
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
	for c := range p.confirmed {
		if c.ref == ref {
			delete(p.confirmed, c)
		}
	}
}
