package consul

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Ask implements planes.Plane. A caller with an identity calls a Service through
// its own sidecar, and pods with a certificate that Consul signed; one without
// calls the listener of a sidecar in plain text.
func (p *Plane) Ask(q semantics.Request) planes.Answer {
	if p.now == nil {
		return planes.Answer{Cannot: "nothing is shown"}
	}
	first := p.now.stages[0]
	switch {
	case q.Gateway != (ir.Name{}):
		return planes.Answer{Cannot: "gateways are not translated for Consul"}
	case q.From != nil && q.From.SPIFFE != "":
		return planes.Answer{Cannot: "Consul's authority signs for no other trust domain"}
	case q.From != nil && first.callers[*q.From] == "" && first.namesakes[*q.From] == "":
		return stranger(q)
	case q.From != nil && first.namesakes[*q.From] != "":
		return planes.Answer{Cannot: fmt.Sprintf("no such account is known, and in Consul another one is the service %s", first.namesakes[*q.From])}
	case !q.Raw && planes.Unspeakable(q) != "":
		return planes.Answer{Cannot: planes.Unspeakable(q)}
	case q.Workload != (ir.Name{}):
		return p.now.straight(q)
	}
	for _, s := range p.now.stages {
		if turn := s.turnOf(q); turn >= 0 {
			return s.during(turn, func() planes.Answer { return s.called(q) })
		}
	}
	return p.now.unknown(q)
}

func stranger(q semantics.Request) planes.Answer {
	return planes.Answer{Err: fmt.Errorf("no request of the scene was made by %s, so nobody plays it", semantics.Caller(q.From))}
}

// unknown says why nobody can be called at the port of a Service.
func (t *set) unknown(q semantics.Request) planes.Answer {
	s, ok := t.stages[0].world.Services[q.Service]
	switch {
	case !ok:
		return planes.Answer{Cannot: "nothing is known of the Service, so nobody plays it"}
	case !slices.ContainsFunc(s.Ports, func(p ir.Port) bool { return p.Number == q.Port || p.Number == ir.AnyPort }):
		return planes.Answer{Cannot: "no such port"}
	case !hasPort(s, q.Port):
		return planes.Answer{Cannot: "UDP does not pass Consul's proxies"}
	}
	return planes.Answer{Err: fmt.Errorf("no request of the scene was made to port %d of %s", q.Port, q.Service)}
}

// called calls a Service at the port that it has here.
func (s *stage) called(q semantics.Request) planes.Answer {
	name := nameOf(s.options, q.Service)
	for n, r := range s.turns[s.turn].roles {
		// Also of another Service of the name, or of an account without one: a call may
		// come to any of them, and what speaks HTTP waits for a request without end.
		if s.instances[n].service == name && r.http == q.Raw {
			return planes.Answer{Cannot: otherProtocol}
		}
	}
	if q.From == nil {
		return planes.Answer{Cannot: "a caller without a proxy is not routed"}
	}
	by := s.calling(*q.From)
	if by == nil || by.slot.upstreams[name] == 0 {
		return stranger(q)
	}
	a := call(lab.Local(by.slot.upstreams[name]), nil, q)
	if a.Denied && a.Status == 0 { // the caller's own proxy closes a connection too, where nobody is to be called
		leads, err := s.leadsSomewhere(name)
		if err != nil {
			return planes.Answer{Err: err}
		}
		a.Denied = leads
	}
	return a
}

// straight calls the pods of a workload at their own port. Behind several
// Services they have several sidecars here, of which Consul would inject one,
// and which it is it is not told: the pods let in what any of them does.
func (t *set) straight(q semantics.Request) planes.Answer {
	out := planes.Answer{Cannot: "no Service leads to that port, so no sidecar listens for it"}
	for _, s := range t.stages {
		for n, i := range s.instances {
			turn := s.turnAt(n, q.Port)
			if i.workload != q.Workload || turn < 0 {
				continue
			}
			if s.turns[turn].roles[n].http == q.Raw {
				return planes.Answer{Cannot: otherProtocol}
			}
			if out = s.during(turn, func() planes.Answer { return s.direct(i, q) }); !out.Denied {
				return out
			}
		}
	}
	if out.Denied && !t.complete(q) {
		return planes.Answer{Cannot: "not every Service leads to that port here: a service has one port in Consul"}
	}
	return out
}

// turnAt is the turn in which an instance is the process on a port of its pods, or
// negative.
func (s *stage) turnAt(instance int, port int32) int {
	return slices.IndexFunc(s.turns, func(t turn) bool { return instance < len(t.roles) && t.roles[instance].port == port })
}

// complete reports whether every Service that leads to a port of the pods does so
// on some stage.
func (t *set) complete(q semantics.Request) bool {
	for _, p := range t.stages[0].world.Workloads[q.Workload].Ports {
		if p.Number != q.Port {
			continue
		}
		for _, at := range p.Services {
			played := func(s *stage) bool {
				return s.turnOf(semantics.Request{Service: at.Service, Port: at.Port}) >= 0
			}
			if !slices.ContainsFunc(t.stages, played) {
				return false
			}
		}
	}
	return true
}

const otherProtocol = "the process on that port speaks another protocol"

// direct calls the listener of an instance's sidecar, as the caller's service or
// in plain text.
func (s *stage) direct(i instance, q semantics.Request) planes.Answer {
	if q.From == nil {
		return call(lab.Local(i.slot.public), nil, q)
	}
	id, err := s.leaf(s.callers[*q.From])
	if err != nil {
		return planes.Answer{Err: err}
	}
	return call(lab.Local(i.slot.public), id, q)
}

// call makes a call and says what was heard.
func call(address string, id *tls.Config, q semantics.Request) planes.Answer {
	var a planes.Answer
	if q.Raw {
		var t lab.Talk
		t, a.Err = lab.Speak(address, id, time.Second)
		a.App, a.Greeted = t.Answered, t.Greeted != ""
	} else {
		var r lab.Reply
		r, a.Err = lab.Converse(address, id, lab.Words(q))
		a.App, a.Status, a.Heard, a.Header = r.Heard.App, r.Status, r.Heard, r.Header
		a.Location = r.Header.Get("Location")
	}
	// A proxy answers 400 to what its parser does not take, as methods that it does not know.
	if q.Raw && a.Err != nil && strings.Contains(a.Err.Error(), `"HTTP/1.1 `) {
		return planes.Answer{Cannot: otherProtocol}
	}
	if a.Denied = a.Status == http.StatusForbidden || a.Status == http.StatusBadRequest && a.App == "" || closed(a.Err); a.Denied {
		a.Err = nil
	}
	a.Greeted = a.Greeted && a.Denied
	return a
}

// closed reports whether the other side closed a connection without a word, or
// with no other than that it wants TLS.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || err != nil && strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`)
}
