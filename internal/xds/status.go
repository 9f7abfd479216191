package xds

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"

	"github.com/meshknot/meshknot/translators/report"
)

// Status is what the server knows of its proxies.
type Status struct {
	Ready bool `json:"ready"`
	// Revision counts the updates.
	Revision int `json:"revision"`
	// Pushes are responses sent; Bytes is their size together.
	Pushes uint64 `json:"pushes"`
	Bytes  uint64 `json:"bytes"`
	// Acks and Nacks count what was accepted and refused, also by proxies that
	// have gone.
	Acks  uint64 `json:"acks"`
	Nacks uint64 `json:"nacks"`
	// LastNack is the newest refusal of all.
	LastNack *Nack `json:"lastNack,omitempty"`
	// Served stands, by back end, for what its proxies are given; nil while something
	// else is meant already.
	Served map[string]Shares `json:"-"`
	// Nodes are the proxies connected, sorted by ID.
	Nodes []NodeStatus `json:"nodes"`
}

// NodeStatus is what the server knows of one stream of a proxy.
type NodeStatus struct {
	Node      string    `json:"node"`
	Backend   string    `json:"backend"`
	Namespace string    `json:"namespace"`
	Account   string    `json:"account"`
	Delta     bool      `json:"delta,omitempty"`
	Since     time.Time `json:"since"`
	// InSync: something was sent, all of it was accepted, and nothing newer is there
	// of what the proxy asked for.
	InSync bool `json:"inSync"`
	// Settled: all that was sent was answered, and nothing newer is there, of anything but
	// endpoints, which come and go all the time; and what was sent led to nothing that the
	// proxy has yet to ask for. What it refused is in Refusals.
	Settled  bool         `json:"-"`
	Acks     uint64       `json:"acks"`
	Nacks    uint64       `json:"nacks"`
	Types    []TypeStatus `json:"types"`
	LastNack *Nack        `json:"lastNack,omitempty"`
	// Refusals are in force: of what they refuse some is still meant for the proxy, as
	// it is, and was not accepted since. Their Refs are of that; the oldest is first.
	Refusals []Nack `json:"refusals,omitempty"`
}

// TypeStatus is what a proxy has of one type of resource.
type TypeStatus struct {
	TypeURL string `json:"typeURL"`
	// Sent is the newest version that was sent, Accepted the one in use.
	Sent     string `json:"sent"`
	Accepted string `json:"accepted,omitempty"`
}

// Nack is a refusal.
type Nack struct {
	Node    string    `json:"node"`
	Time    time.Time `json:"time"`
	TypeURL string    `json:"typeURL"`
	Version string    `json:"version"`
	Text    string    `json:"text"`
	// Resource is the one that the text names, of several the longest name, and Refs
	// are the places in the input that those that it names were made of. Where it names
	// none they are those of everything that was new in the response.
	Resource string       `json:"resource,omitempty"`
	Refs     []report.Ref `json:"refs,omitempty"`
}

// answer is what a request says of a response that was sent: of those names, which
// are refused where there is a nack.
type answer struct {
	acked bool
	nack  *Nack
	kind  kind
	of    []mark
}

// maxText bounds how much is kept of what a proxy says.
const maxText = 4096

// settle takes the answer to a response, once. A refusal is the presence of an
// error, never a conclusion from versions.
func (c *schedule) settle(sub *subscription, nonce string, refusal *rpcstatus.Status) answer {
	i := slices.IndexFunc(sub.flights, func(f *flight) bool { return f.nonce == nonce })
	if i < 0 {
		return answer{}
	}
	f, later := sub.flights[i], slices.Clone(sub.flights[i+1:])
	if sub.flights = slices.Delete(sub.flights, i, i+1); len(sub.flights) == 0 {
		sub.flights = nil
	}
	if refusal == nil {
		sub.status.Accepted = f.version
		sub.accept(f)
		return answer{acked: true, kind: sub.kind, of: f.cargo}
	}
	text := refusal.GetMessage()
	text = strings.Clone(text[:min(len(text), maxText)])
	sub.keep(f)
	nack := &Nack{TypeURL: sub.kind.url(), Version: f.version, Text: text}
	shelf := &c.store.kinds[sub.kind]
	var named, others []mark
	for _, m := range f.cargo {
		// A name that is nobody's any more may be another's by now: then it has no such content.
		name := shelf.entries[m.id].name
		if name == "" || !mentions(text, name) {
			others = append(others, m)
			continue
		}
		named = append(named, m)
		if len(name) > len(nack.Resource) {
			nack.Resource = name
		}
	}
	if !c.sotw || !sub.kind.whole() { // what is sent whole is compared as a whole
		c.refuse(sub, named, others, later)
	}
	of := named
	if len(of) == 0 {
		of = f.suspects()
	}
	return answer{nack: nack, kind: sub.kind, of: of}
}

// suspects are what a refusal of a response is about that names nothing.
func (f *flight) suspects() []mark {
	if len(f.fresh) > 0 {
		return f.fresh
	}
	return f.cargo
}

// accept notes that the client uses what was in a response, and not what that
// replaced.
func (sub *subscription) accept(f *flight) {
	for id := range f.had {
		delete(sub.kept, id)
	}
	if len(sub.kept) == 0 {
		return
	}
	for _, m := range f.cargo {
		delete(sub.kept, m.id)
	}
}

// keep notes that the client goes on with what a response was to replace. What it
// has of that is older where something was refused before.
func (sub *subscription) keep(f *flight) {
	for id, had := range f.had {
		if sub.kept == nil {
			sub.kept = map[uint32]*resource{}
		}
		if _, ok := sub.kept[id]; !ok {
			sub.kept[id] = had
		}
	}
}

// mentions reports whether a name stands by itself in a text: it is no part of a
// longer one. A full stop or a colon at the end of a word is punctuation.
func mentions(text, name string) bool {
	for at := 0; ; at++ {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		at += i
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(strings.TrimLeft(text[at+len(name):], ".:"))
		if !nameRune(before) && !nameRune(after) {
			return true
		}
	}
}

func nameRune(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._/:|~", r))
}

// refuse notes that of the resources in a response the same is not to be sent
// again, and that the client may have any of them or none. Those that it named are
// bad and the others innocent; where it named none all are suspects.
func (c *schedule) refuse(sub *subscription, named, others []mark, later []*flight) {
	note := func(all []mark, with []uint32) (ids []uint32) {
		for _, m := range all {
			overtaken := slices.ContainsFunc(later, func(l *flight) bool { return l.has(m.id) })
			if overtaken || !sub.covers(m.id) {
				continue
			}
			if sub.refused == nil {
				sub.refused = map[uint32]refused{}
			}
			sub.refused[m.id] = refused{m.hash, with}
			if p, ok := sub.pending[m.id]; ok {
				p.unsure = true
				sub.pending[m.id] = p
			}
			ids = append(ids, m.id)
		}
		return ids
	}
	with := note(others, nil)
	note(named, with)
	if len(named) == 0 {
		note(others, with)
	}
}

// book counts an answer.
func (s *Server) book(st *stream, said answer) {
	if said.acked {
		st.acks++
		s.total.Acks++
		st.accept(said)
	}
	if said.nack != nil {
		said.nack.Node, said.nack.Time = st.node, time.Now()
		st.nacks++
		s.total.Nacks++
		said.nack.Refs = s.refs(st, st.refuse(said))
		st.lastNack, s.total.LastNack = said.nack, said.nack
	}
}

// size is how long a response is when encoded, without its tail.
func (r *response) size() int {
	n := 0
	for _, i := range r.items {
		n += i.resource.bytes(r.sotw).Len()
	}
	for _, name := range r.removed {
		n += len(name)
	}
	return n
}

// Status returns what the server knows of its proxies now.
func (s *Server) Status() Status {
	ready := s.Ready()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.total
	out.Ready, out.Revision, out.Nodes, out.Served = ready, s.revision, []NodeStatus{}, nil
	more := s.more()
	if !more.policy {
		out.Served = map[string]Shares{}
		for backend, store := range s.stores {
			out.Served[backend] = store.served()
		}
	}
	for st := range s.streams {
		if st.schedule != nil {
			n := st.status(more)
			n.Refusals = s.refusals(st)
			out.Nodes = append(out.Nodes, n)
		}
	}
	slices.SortFunc(out.Nodes, func(a, b NodeStatus) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), a.Since.Compare(b.Since))
	})
	return out
}

// meant is what the stores do not have yet: something, and something else than endpoints.
type meant struct{ some, policy bool }

func (s *Server) more() meant {
	out := meant{some: len(s.late) > 0}
	for at := range s.late {
		if out.policy = at.kind != endpoints; out.policy {
			break
		}
	}
	return out
}

func (st *stream) status(more meant) NodeStatus {
	n := NodeStatus{Node: st.node, Backend: st.role.backend, Namespace: st.role.namespace, Account: st.role.account,
		Delta: !st.sotw, Since: st.since, InSync: !more.some && st.inSync(), Settled: !more.policy && st.settled(time.Now()), Acks: st.acks, Nacks: st.nacks, Types: []TypeStatus{}, LastNack: st.lastNack}
	for _, sub := range st.schedule.subs {
		if sub != nil && sub.status.Sent != "" {
			n.Types = append(n.Types, sub.status)
		}
	}
	slices.SortFunc(n.Types, func(a, b TypeStatus) int { return strings.Compare(a.TypeURL, b.TypeURL) })
	return n
}

// inSync is NodeStatus.InSync, as far as the stores go.
func (st *stream) inSync() bool {
	return st.answered() && !slices.ContainsFunc(st.schedule.subs[:], func(sub *subscription) bool {
		return sub != nil && sub.status.Accepted != sub.status.Sent
	})
}

// settled is NodeStatus.Settled, as far as the stores go. A refusal that had no room is
// not forgotten before everything is accepted.
func (st *stream) settled(now time.Time) bool {
	if !st.answered(endpoints) || st.schedule.unasked(st.since, now) {
		return false
	}
	st.unsaid = st.unsaid && !st.inSync()
	return !st.unsaid
}

// answered reports whether something was sent, all of it was answered, and there is
// nothing to send, whatever is with some kinds.
func (st *stream) answered(but ...kind) bool {
	if st.schedule == nil {
		return false
	}
	sent := false
	for _, sub := range st.schedule.subs {
		if sub == nil || slices.Contains(but, sub.kind) {
			continue
		}
		if !sub.idle() || len(sub.flights) > 0 {
			return false
		}
		sent = sent || sub.status.Sent != ""
	}
	return sent
}
