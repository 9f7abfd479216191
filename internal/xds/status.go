package xds

import (
	"cmp"
	"slices"
	"strings"
	"time"

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
	InSync   bool         `json:"inSync"`
	Acks     uint64       `json:"acks"`
	Nacks    uint64       `json:"nacks"`
	Types    []TypeStatus `json:"types"`
	LastNack *Nack        `json:"lastNack,omitempty"`
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
	// Resource is the one that the text names, where it names one, and Refs are
	// the places in the input that it was made of.
	Resource string       `json:"resource,omitempty"`
	Refs     []report.Ref `json:"refs,omitempty"`
}

// answer is what a request says of a response that was sent.
type answer struct {
	acked bool
	nack  *Nack
}

// maxText bounds how much is kept of what a proxy says.
const maxText = 4096

// settle takes the answer to a response, once. A refusal is the presence of an
// error, never a conclusion from versions.
func (c *schedule) settle(sub *subscription, nonce string, refusal *rpcstatus.Status) answer {
	i := slices.IndexFunc(sub.flights, func(f flight) bool { return f.nonce == nonce })
	if i < 0 {
		return answer{}
	}
	f, later := sub.flights[i], slices.Clone(sub.flights[i+1:])
	if sub.flights = slices.Delete(sub.flights, i, i+1); len(sub.flights) == 0 {
		sub.flights = nil
	}
	if refusal == nil {
		sub.status.Accepted = f.version
		return answer{acked: true}
	}
	text := refusal.GetMessage()
	if c.sotw && sub.kind.whole() {
		sub.rejected = true // what is sent whole is compared as a whole
	} else {
		c.refuse(sub, f, later, text)
	}
	nack := &Nack{TypeURL: sub.kind.url(), Version: f.version, Text: strings.Clone(text[:min(len(text), maxText)])}
	for _, i := range f.items {
		if r := i.resource; len(r.name) > len(nack.Resource) && strings.Contains(text, r.name) {
			nack.Resource, nack.Refs = r.name, r.refs
		}
	}
	return answer{nack: nack}
}

// refuse notes that of the resources in a response the same is not to be sent
// again, and that the client may have any of them or none. Where the text names
// some, the others are innocent.
func (c *schedule) refuse(sub *subscription, f flight, later []flight, text string) {
	var named, others []uint32
	for _, i := range f.items {
		overtaken := slices.ContainsFunc(later, func(l flight) bool { return l.has(i.id) })
		if overtaken || !sub.covers(i.id) {
			continue
		}
		if sub.refused == nil {
			sub.refused = map[uint32]refused{}
		}
		sub.refused[i.id] = refused{hash: i.resource.hash}
		if p, ok := sub.pending[i.id]; ok {
			p.unsure = true
			sub.pending[i.id] = p
		}
		if strings.Contains(text, i.resource.name) {
			named = append(named, i.id)
		} else {
			others = append(others, i.id)
		}
	}
	for _, id := range named {
		sub.refused[id] = refused{sub.refused[id].hash, others}
	}
}

// book counts an answer.
func (s *Server) book(st *stream, said answer) {
	if said.acked {
		st.acks++
		s.total.Acks++
	}
	if said.nack != nil {
		said.nack.Node, said.nack.Time = st.node, time.Now()
		st.nacks++
		s.total.Nacks++
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
	out.Ready, out.Revision, out.Nodes = ready, s.revision, []NodeStatus{}
	for st := range s.streams {
		if st.schedule != nil {
			out.Nodes = append(out.Nodes, st.status(len(s.late) > 0))
		}
	}
	slices.SortFunc(out.Nodes, func(a, b NodeStatus) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), a.Since.Compare(b.Since))
	})
	return out
}

func (st *stream) status(more bool) NodeStatus {
	n := NodeStatus{Node: st.node, Backend: st.role.backend, Namespace: st.role.namespace, Account: st.role.account,
		Delta: !st.sotw, Since: st.since, InSync: !more && st.schedule.quiet(), Acks: st.acks, Nacks: st.nacks, Types: []TypeStatus{}, LastNack: st.lastNack}
	for _, sub := range st.schedule.subs {
		if sub != nil && sub.status.Sent != "" {
			n.Types = append(n.Types, sub.status)
			n.InSync = n.InSync && len(sub.flights) == 0 && sub.status.Accepted == sub.status.Sent
		}
	}
	n.InSync = n.InSync && len(n.Types) > 0
	slices.SortFunc(n.Types, func(a, b TypeStatus) int { return strings.Compare(a.TypeURL, b.TypeURL) })
	return n
}
