package envoy

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// door is where a call goes in.
type door struct {
	port     int32
	protocol ir.Protocol
	// id is set where the caller proves by itself who it is, without a proxy.
	id *tls.Config
	// http: the port carries connections, and requests are what processes answer.
	http bool
	// inbound: it is the door of a workload's own proxy.
	inbound bool
}

// Ask implements planes.Plane.
func (p *Plane) Ask(q semantics.Request) planes.Answer {
	if p.stage == nil {
		return planes.Answer{Cannot: "nothing is shown"}
	}
	d, cannot, err := p.door(q)
	switch {
	case err != nil:
		return planes.Answer{Err: err}
	case cannot != "":
		return planes.Answer{Cannot: cannot}
	case d.http && q.Raw:
		q.Method, q.Path = "GET", "/"
	case d.protocol == ir.TCP && !d.http:
		who, err := d.greeted()
		return planes.Answer{App: who, Denied: err != nil}
	case q.Raw:
		return planes.Answer{Cannot: "an HTTP port hears requests only"}
	}
	if why := unspeakable(q); why != "" {
		return planes.Answer{Cannot: why}
	}
	r, err := lab.Converse(lab.Local(d.port), d.id, lab.Words(q))
	a := planes.Answer{App: r.Heard.App, Status: r.Status, Location: r.Header.Get("Location"), Heard: r.Heard, Header: r.Header}
	a.Denied = r.Status == 403 && a.App == "" || err != nil && (d.protocol == unknown || d.http)
	if !a.Denied && err != nil {
		a.Err = errors.Join(err, p.lab.Err())
	}
	return a
}

// greeted is lab.Greeted, but for a caller without a certificate at a workload's
// own proxy: that waits for the first bytes to see whether they are TLS, five
// seconds long, so the caller speaks first.
func (d door) greeted() (string, error) {
	if !d.inbound || d.id != nil {
		return lab.Greeted(lab.Local(d.port), d.id)
	}
	c, err := lab.Dial(lab.Local(d.port), nil)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := fmt.Fprintln(c, "hello from a caller in plain text"); err != nil {
		return "", err
	}
	var who string
	_, err = fmt.Fscanf(c, "hello from %s\n", &who)
	return who, err
}

var escape = regexp.MustCompile("%[0-9a-fA-F]{2}")

// unspeakable says why a request cannot be put into HTTP/1.1, or nothing.
func unspeakable(q semantics.Request) string {
	switch {
	case q.Path == "":
		return "a path begins with a slash"
	case strings.Count(q.Path, "%") != len(escape.FindAllString(q.Path, -1)):
		return "an escape has two digits"
	}
	for _, lines := range q.Headers {
		if slices.ContainsFunc(lines, func(v string) bool { return strings.ContainsFunc(v, control) }) {
			return "a header's value has no control characters"
		}
	}
	return planes.Unspeakable(q)
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// door finds where a request goes in, as whom, and what is spoken there.
func (p *Plane) door(q semantics.Request) (d door, cannot string, err error) {
	st := p.stage
	if q.Gateway != (ir.Name{}) {
		port, ok := st.gateways[ir.ServicePort{Service: q.Gateway, Port: q.Port}]
		if !ok {
			return d, "no such port", nil
		}
		return door{port: port, protocol: ir.HTTP}, "", nil
	}
	at := ir.ServicePort{Service: q.Workload, Port: q.Port}
	if q.Workload == (ir.Name{}) {
		if proxied(q.From) {
			return st.outwards(q)
		}
		if at, cannot = st.unrouted(q); cannot != "" {
			return d, cannot, nil
		}
	}
	port, ok := st.inbound[at]
	if !ok {
		return d, "nothing is known of the workload", nil
	}
	d = door{port: port, protocol: st.protocol[at], inbound: true}
	if q.From != nil {
		alpn := []string{"http/1.1"}
		switch d.protocol {
		case ir.TCP:
			alpn = []string{connections}
		case unknown:
			alpn = []string{connections, "http/1.1"}
		}
		d.id, err = p.client(q.From.URI("cluster.local"), alpn)
	}
	return d, "", err
}

// outwards is the door in the caller's own proxy.
func (st *stage) outwards(q semantics.Request) (d door, cannot string, err error) {
	s := st.services[q.Service]
	if s == nil {
		return d, "no such Service", nil
	}
	i := slices.IndexFunc(s.Ports, func(p ir.Port) bool { return p.Number == q.Port || p.Number == ir.AnyPort })
	switch {
	case i < 0:
		return d, "no such port", nil
	case s.Headless:
		return d, "a headless Service has no address", nil
	}
	port := s.Ports[i]
	place, ok := st.outbound[outward{*q.From, ir.ServicePort{Service: q.Service, Port: port.Number}}]
	if !ok {
		return d, "UDP does not pass through the proxy", nil
	}
	d = door{port: place, protocol: port.Protocol}
	if !d.protocol.IsHTTP() {
		http, tcp := st.answering(port.RoutesFor(q.From.Namespace), q.Port)
		if http && tcp {
			return d, "one process waits for requests and another for connections", nil
		}
		d.protocol, d.http = ir.TCP, http
	}
	return d, "", nil
}

// answering tells what the processes wait for that a connection's route can lead
// to: requests, connections, or some of them this and some that.
func (st *stage) answering(routes []ir.Route, called int32) (http, tcp bool) {
	for _, r := range routes {
		for _, b := range r.Backends {
			for _, at := range st.behind[ir.ServicePort{Service: b.Service, Port: cmp.Or(b.Port, called)}] {
				http, tcp = http || st.protocol[at].IsHTTP(), tcp || !st.protocol[at].IsHTTP()
			}
		}
		if r.MatchesAll() {
			break // nothing behind it is ever taken
		}
	}
	return http, tcp
}

// unrouted is the workload port that a caller without a proxy reaches through a
// Service: no route concerns it, so it is asked only where there is none.
func (st *stage) unrouted(q semantics.Request) (ir.ServicePort, string) {
	var none ir.ServicePort
	called := ir.ServicePort{Service: q.Service, Port: q.Port}
	s := st.services[q.Service]
	if s == nil {
		return none, "no such Service"
	}
	i := slices.IndexFunc(s.Ports, func(p ir.Port) bool { return p.Number == q.Port })
	if i < 0 {
		return none, "no such port"
	}
	for _, r := range s.Ports[i].Routes {
		if r.Answers() || len(r.Backends) != 1 || r.Backends[0].Service != q.Service || r.Backends[0].Invalid != "" || r.Name != "default" {
			return none, "a caller without a proxy is not routed"
		}
	}
	switch behind := st.behind[called]; len(behind) {
	case 0:
		return none, "nobody is known to answer"
	case 1:
		return behind[0], ""
	}
	return none, "several workloads answer, and no proxy chooses"
}

// connections is what a proxy offers that carries connections, not requests.
const connections = "meshknot-tcp"

// client returns the TLS configuration of a caller, which is kept.
func (p *Plane) client(uri string, alpn []string) (*tls.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprint(uri, alpn)
	if c := p.clients[key]; c != nil {
		return c, nil
	}
	c, err := p.lab.Client(uri, alpn[0])
	if err == nil {
		c.NextProtos = alpn
		p.clients[key] = c
	}
	return c, err
}
