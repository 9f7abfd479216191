package xds

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
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
	// InSync: all that was sent was accepted and, on a stream that is not delta,
	// nothing newer is there (a delta stream is sent only what it asks for).
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

// stream is one stream of a proxy. peer, node and role belong to the goroutine
// that handles the stream; the rest is guarded by the journal.
type stream struct {
	delta bool
	peer  string // the SPIFFE ID in its certificate; empty in plaintext
	node  string
	role  role

	since       time.Time
	acks, nacks uint64
	types       map[string]*typeState
	lastNack    *Nack
}

type typeState struct {
	TypeStatus
	nonce   string
	settled bool
}

func newStream(delta bool, peer string) *stream {
	return &stream{delta: delta, peer: peer, since: time.Now(), types: map[string]*typeState{}}
}

// journal keeps account of what was sent and what became of it.
type journal struct {
	mu      sync.Mutex
	streams map[*stream]bool
	total   Status
}

func newJournal() *journal { return &journal{streams: map[*stream]bool{}} }

func (j *journal) add(st *stream) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.streams[st] = true
}

func (j *journal) remove(st *stream) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.streams, st)
}

func (j *journal) sent(st *stream, typeURL, nonce, version string, size int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := st.types[typeURL]
	if t == nil {
		t = &typeState{TypeStatus: TypeStatus{TypeURL: typeURL}}
		st.types[typeURL] = t
	}
	t.Sent, t.nonce, t.settled = version, nonce, false
	j.total.Pushes++
	j.total.Bytes += uint64(size)
}

// settle books the answer to what was sent last, once, and returns the version
// that it was. Answers to anything older have been overtaken.
func (s *Server) settle(st *stream, typeURL, nonce string, refused *rpcstatus.Status) string {
	var nack *Nack
	if refused != nil {
		nack = &Nack{Node: st.node, Time: time.Now(), TypeURL: typeURL, Text: refused.GetMessage()}
		nack.Resource, nack.Refs = s.blame(st.role, typeURL, nack.Text)
	}
	j := s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	t := st.types[typeURL]
	if t == nil || nonce == "" || t.nonce != nonce {
		return ""
	}
	if t.settled {
		return t.Sent
	}
	t.settled = true
	if nack == nil {
		t.Accepted = t.Sent
		st.acks++
		j.total.Acks++
		return t.Sent
	}
	nack.Version = t.Sent
	st.nacks++
	j.total.Nacks++
	st.lastNack, j.total.LastNack = nack, nack
	return t.Sent
}

// blame finds the resource that a refusal names: the longest of those whose
// name occurs in the text, in the variant that the role was sent.
func (s *Server) blame(r role, typeURL, text string) (string, []report.Ref) {
	s.mu.Lock()
	d := s.desired[r.backend]
	s.mu.Unlock()
	if d == nil {
		return "", nil
	}
	var found resource
	for _, res := range d.resources {
		better := len(res.name) > len(found.name) || res.name == found.name && found.audience.Compare(res.audience) < 0
		if res.typeURL == typeURL && better && res.audience.Includes(r.identity()) && strings.Contains(text, res.name) {
			found = res
		}
	}
	return found.name, found.refs
}

// Status returns what the server knows of its proxies now.
func (s *Server) Status() Status {
	ready := s.Ready()
	s.mu.Lock()
	revision := s.revision
	wanted := map[role]*cache.Snapshot{}
	for r, a := range s.roles {
		wanted[r] = a.sent
	}
	s.mu.Unlock()
	j := s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	out := j.total
	out.Ready, out.Revision, out.Nodes = ready, revision, []NodeStatus{}
	for st := range j.streams {
		out.Nodes = append(out.Nodes, st.status(wanted[st.role]))
	}
	slices.SortFunc(out.Nodes, func(a, b NodeStatus) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), a.Since.Compare(b.Since))
	})
	return out
}

func (st *stream) status(wanted *cache.Snapshot) NodeStatus {
	n := NodeStatus{Node: st.node, Backend: st.role.backend, Namespace: st.role.namespace, Account: st.role.account,
		Delta: st.delta, Since: st.since, InSync: len(st.types) > 0, Acks: st.acks, Nacks: st.nacks, Types: []TypeStatus{}, LastNack: st.lastNack}
	for _, t := range st.types {
		n.Types = append(n.Types, t.TypeStatus)
		n.InSync = n.InSync && t.Accepted == t.Sent && (st.delta || t.Sent == wanted.GetVersion(t.TypeURL))
	}
	slices.SortFunc(n.Types, func(a, b TypeStatus) int { return strings.Compare(a.TypeURL, b.TypeURL) })
	return n
}
