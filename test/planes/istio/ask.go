package istio

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// door is where a call goes in.
type door struct {
	port int32
	http bool
	// id is set where the caller proves by itself who it is, without a proxy.
	id *tls.Config
}

// Ask implements planes.Plane. Istio's proxies choose a route by the host that is
// asked for, so a request that names none asks for the Service, as clients do.
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
	case d.http == q.Raw:
		return planes.Answer{Cannot: "the process on that port speaks another protocol"}
	case q.Raw:
		return d.spoken()
	}
	if why := planes.Unspeakable(q); why != "" {
		return planes.Answer{Cannot: why}
	}
	r, err := lab.Converse(lab.Local(d.port), d.id, lab.Words(withHost(q)))
	a := planes.Answer{App: r.Heard.App, Status: r.Status, Location: r.Header.Get("Location"), Heard: r.Heard, Header: r.Header, Err: err}
	if a.Denied = a.App == "" && (r.Status == http.StatusForbidden || closedBehind(r)) || refused(err); a.Denied {
		a.Err = nil
	}
	return a
}

// closedBehind reports whether the caller's proxy says that the server's closed
// the connection without a word. Where mTLS is demanded, there is no other way to
// refuse a call in plain text.
func closedBehind(r lab.Reply) bool {
	return r.Status == http.StatusServiceUnavailable && strings.Contains(r.Body, "reset reason: connection termination")
}

// spoken makes a connection, speaks, and hears who answers. Only who is answered was let in: Envoy's rules for connections
// wait for the caller's first word, so a server that speaks before is heard.
func (d door) spoken() planes.Answer {
	said, err := lab.Speak(lab.Local(d.port), d.id, 0)
	switch {
	case err == nil:
		return planes.Answer{App: said.Answered, Status: http.StatusOK}
	case refused(err):
		return planes.Answer{Denied: true, Greeted: said.Greeted != ""}
	}
	return planes.Answer{Err: err}
}

// refused reports whether the other side closed a connection without a word, or
// with one about certificates.
func refused(err error) bool {
	var alert tls.AlertError
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.As(err, &alert) || errors.As(err, &op) && op.Op == "remote error"
}

// hostOf is the name by which clients know a Service.
func hostOf(s ir.Name) string { return s.Name + "." + s.Namespace + ".svc.cluster.local" }

func withHost(q semantics.Request) semantics.Request {
	if len(q.Headers["host"]) > 0 || q.Service == (ir.Name{}) {
		return q
	}
	headers := maps.Clone(q.Headers)
	if headers == nil {
		headers = map[string][]string{}
	}
	headers["host"] = []string{hostOf(q.Service)}
	q.Headers = headers
	return q
}

// door finds where a request goes in, as whom, and what is spoken there.
func (p *Plane) door(q semantics.Request) (d door, cannot string, err error) {
	st := p.stage
	switch {
	case q.Gateway != (ir.Name{}):
		return d, "gateways are not translated for Istio", nil
	case q.Workload != (ir.Name{}):
		return p.straight(q, q.Workload, q.Port)
	}
	sv := st.cast.service(q.Service)
	if sv == nil {
		return d, "no such Service", nil
	}
	i := slices.IndexFunc(sv.ports, func(port ir.Port) bool { return port.Number == q.Port })
	switch {
	case i < 0:
		return d, "no such port", nil
	case sv.ports[i].Protocol == ir.UDP:
		return d, "UDP does not pass Istio's proxies", nil
	}
	port := sv.ports[i]
	behind := st.cast.behind(sv, port)
	if slices.ContainsFunc(behind, func(t target) bool {
		return st.cast.protocol(t.pod.workload(), t.port).IsHTTP() != port.Protocol.IsHTTP()
	}) {
		return d, "the process on that port speaks another protocol", nil
	}
	if q.From != nil && q.From.SPIFFE == "" {
		out := outward{*q.From, ir.ServicePort{Service: q.Service, Port: q.Port}}
		at, ok := st.outbound[out]
		switch {
		case !ok:
			return d, "the scene knows nothing of this caller", nil
		case st.alone[out]:
			return d, "what a pod says to itself passes no proxy", nil
		}
		return door{port: at, http: port.Protocol.IsHTTP()}, "", nil
	}
	if st.routed[q.Service] {
		return d, "a caller without a proxy is not routed", nil
	}
	if slices.ContainsFunc(behind, func(t target) bool { return t.pod.workload() != behind[0].pod.workload() }) {
		return d, "several workloads answer, and no proxy chooses", nil
	}
	return p.straight(q, behind[0].pod.workload(), behind[0].port)
}

// straight finds the listener of a workload's own proxy; of several classes of
// pods each is asked in turn.
func (p *Plane) straight(q semantics.Request, workload ir.Name, port int32) (d door, cannot string, err error) {
	st := p.stage
	var doors []int32
	for _, one := range st.cast.pods {
		if at := one.listens[port]; at != 0 && one.workload() == workload {
			doors = append(doors, at)
		}
	}
	if len(doors) == 0 {
		return d, "nothing listens on that port of the workload", nil
	}
	d = door{port: doors[int(p.turn.Add(1))%len(doors)], http: st.cast.protocol(workload, port).IsHTTP()}
	if q.From == nil {
		if d.http && st.probed(workload, port, q) {
			return d, "Istio's agent answers probes, and it does not run here", nil
		}
		return d, "", nil
	}
	alpn := "istio-http/1.1"
	if !d.http {
		alpn = "istio"
	}
	d.id, err = p.client(q.From.URI("cluster.local"), alpn)
	return d, "", err
}

// probed reports whether a request is a probe that the pods declare.
func (st *stage) probed(workload ir.Name, port int32, q semantics.Request) bool {
	path, _, _ := strings.Cut(cmp.Or(q.Path, "/"), "?")
	return slices.ContainsFunc(st.cast.world.Workloads[workload].Probes, func(one ir.Probe) bool {
		return one.Port == port && (one.Protocol == ir.GRPC || one.Path == path)
	})
}
