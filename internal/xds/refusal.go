package xds

import (
	"slices"

	"github.com/meshknot/meshknot/translators/report"
)

// refusal is a response that a client refused, and what of it, as long as that may
// be in force.
type refusal struct {
	nack *Nack
	of   []content
}

// content is what a name had in it.
type content struct {
	kind kind
	name string
	hash uint64
}

// The bounds of what is kept of a stream: refusals, names in all of them together,
// and places that one of them is led to. The oldest go first.
const (
	maxRefusals = 64
	maxRefused  = 4096
	maxRefs     = 256
)

// refuse takes down a refusal in place of those of the same content.
func (st *stream) refuse(said answer) refusal {
	r := refusal{nack: said.nack}
	st.unsaid = st.unsaid || len(said.of) > maxRefused
	for _, m := range said.of[:min(len(said.of), maxRefused)] {
		// A number that is nobody's any more stands for nothing that is in force.
		if name := st.schedule.store.kinds[said.kind].entries[m.id].name; name != "" {
			r.of = append(r.of, content{said.kind, name, m.hash})
		}
	}
	if len(r.of) == 0 {
		return r
	}
	st.forgive(r.of)
	st.refused = append(st.refused, r)
	n := 0
	for i, r := range slices.Backward(st.refused) {
		if n += len(r.of); n > maxRefused || len(st.refused)-i > maxRefusals {
			st.refused = slices.Delete(st.refused, 0, i+1)
			st.unsaid = true
			break
		}
	}
	return r
}

// accept forgets what was refused before and is accepted now.
func (st *stream) accept(said answer) {
	if len(st.refused) == 0 {
		return
	}
	of := make([]content, 0, len(said.of))
	for _, m := range said.of {
		of = append(of, content{said.kind, st.schedule.store.kinds[said.kind].entries[m.id].name, m.hash})
	}
	st.forgive(of)
}

// forgive takes content out of what was refused.
func (st *stream) forgive(of []content) {
	if len(st.refused) == 0 || len(of) == 0 {
		return
	}
	gone := make(map[content]bool, len(of))
	for _, c := range of {
		gone[c] = true
	}
	for i := range st.refused {
		st.refused[i].of = slices.DeleteFunc(st.refused[i].of, func(c content) bool { return gone[c] })
	}
	st.refused = slices.DeleteFunc(st.refused, func(r refusal) bool { return len(r.of) == 0 })
}

// refusals are those of a stream that are in force.
func (s *Server) refusals(st *stream) []Nack {
	var out []Nack
	for _, r := range st.refused {
		n := *r.nack
		if n.Refs = s.refs(st, r); n.Refs != nil {
			out = append(out, n)
		}
	}
	return out
}

// refs are the places in the input of what was refused and is meant for the client
// still: not nil where there is any such content.
func (s *Server) refs(st *stream, refused refusal) []report.Ref {
	var out []report.Ref
	c := st.schedule
	for _, of := range refused.of {
		id, known := c.store.kinds[of.kind].ids[of.name]
		if !known {
			continue
		}
		r := c.store.kinds[of.kind].view(id, c.who)
		if r == nil || r.hash != of.hash {
			continue
		}
		// What is to come in its place may be held back.
		if next := s.wanted(r.place(st.role.backend)); !same(r, next) {
			continue
		}
		if out == nil {
			out = []report.Ref{}
		}
		for _, ref := range r.refs {
			if slices.Contains(out, ref) {
				continue
			}
			if len(out) == maxRefs {
				st.unsaid = true
				return out
			}
			out = append(out, ref)
		}
	}
	return out
}

// OnAnswer has a function called whenever the nodes of Status may be others: after
// proxies came, asked, answered or went, and after changes went out. It is called
// without locks and never twice at a time; what happens meanwhile is one more call.
// Nil ends it.
func (s *Server) OnAnswer(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = f
}

// news has the listener told.
func (s *Server) news() {
	if s.untold = s.listener != nil; s.untold && !s.telling {
		s.telling = true
		go s.tellNews()
	}
}

func (s *Server) tellNews() {
	for {
		s.mu.Lock()
		f := s.listener
		if !s.untold || f == nil {
			s.telling = false
			s.mu.Unlock()
			return
		}
		s.untold = false
		s.mu.Unlock()
		f()
	}
}
