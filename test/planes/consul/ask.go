package consul

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Ask implements planes.Plane. A caller with an identity calls a Service through
// its own sidecar, and pods with a certificate that Consul signed; one without
// calls the listener of a sidecar in plain text.
func (p *Plane) Ask(q semantics.Request) planes.Answer {
	switch {
	case q.Gateway != (ir.Name{}):
		return planes.Answer{Cannot: "gateways are not translated for Consul"}
	case q.From != nil && q.From.SPIFFE != "":
		return planes.Answer{Cannot: "Consul's authority signs for no other trust domain"}
	case q.From != nil && p.now.stranger(*q.From):
		return planes.Answer{Err: fmt.Errorf("no request of the scene was made by %s, so nobody plays it", semantics.Caller(q.From))}
	case q.From != nil && p.now.namesakes[*q.From] != "":
		return planes.Answer{Cannot: fmt.Sprintf("no such account is known, and in Consul another one is the service %s", p.now.namesakes[*q.From])}
	case repeats(q):
		return planes.Answer{Cannot: "the Envoy that runs here compares every line of a repeated header, those that Consul supports all as one"}
	case q.Workload != (ir.Name{}):
		return p.straight(q)
	}
	port, ok := p.now.ports[q.Service]
	switch {
	case !ok:
		return planes.Answer{Cannot: fmt.Sprintf("nothing is known of the Service %s, so nobody plays it", q.Service)}
	case port != q.Port:
		return planes.Answer{Cannot: fmt.Sprintf("a service has one port in Consul, and of %s it is %d here", q.Service, port)}
	}
	name := nameOf(p.now.options, q.Service)
	for n := range p.now.instances {
		i := &p.now.instances[n]
		if i.service == name && i.of != (ir.Name{}) && i.http == q.Raw { // also of another Service of the name
			return planes.Answer{Cannot: otherProtocol}
		}
	}
	if q.From == nil {
		return planes.Answer{Cannot: "a caller without a proxy is not routed"}
	}
	a := call(lab.Local(p.now.calling(*q.From).slot.upstreams[name]), nil, q)
	// The caller's own proxy closes a connection too, where nobody is to be called.
	a.Denied = a.Denied && (a.Status != 0 || p.now.reached[name])
	return a
}

// repeats reports whether a header is sent in several lines.
func repeats(q semantics.Request) bool {
	for _, lines := range q.Headers {
		if len(lines) > 1 {
			return true
		}
	}
	return false
}

// straight calls the pods of a workload at their own port. Behind several
// Services they have several sidecars here, of which Consul would inject one,
// and which it is it is not told: the pods let in what any of them does.
func (p *Plane) straight(q semantics.Request) planes.Answer {
	out := planes.Answer{Cannot: "no sidecar listens for that port: a service has one port in Consul"}
	for _, i := range p.now.instances {
		if i.workload != q.Workload || i.port != q.Port {
			continue
		}
		if i.http == q.Raw {
			return planes.Answer{Cannot: otherProtocol}
		}
		if out = p.direct(i, q); !out.Denied {
			return out
		}
	}
	if out.Denied && p.now.elsewhere(q) {
		return planes.Answer{Cannot: "not every Service leads to that port here: a service has one port in Consul"}
	}
	return out
}

const otherProtocol = "the process on that port speaks another protocol"

// direct calls the listener of an instance's sidecar, as the caller's service or
// in plain text.
func (p *Plane) direct(i instance, q semantics.Request) planes.Answer {
	if q.From == nil {
		return call(lab.Local(i.slot.public), nil, q)
	}
	id, err := p.leaf(p.now.callers[*q.From])
	if err != nil {
		return planes.Answer{Err: err}
	}
	return call(lab.Local(i.slot.public), id, q)
}

// call makes a call and says what was heard.
func call(address string, id *tls.Config, q semantics.Request) planes.Answer {
	var a planes.Answer
	if q.Raw {
		a.App, a.Err = spokenTo(address, id)
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
	return a
}

// closed reports whether the other side closed a connection without a word, or
// with no other than that it wants TLS.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || err != nil && strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`)
}
