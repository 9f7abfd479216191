package envoy_test

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/envoy"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// TestCases sends the requests of the golden cases through real proxies, from
// the YAML of each case to what its caller hears. The proxies stay; what they
// are told changes with the case, while they run.
func TestCases(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped by -short: it takes minutes")
	}
	cases, err := golden.Load(filepath.Join("..", "cases"))
	must(t, err)
	all := &stage{lab: newLab(t), proxies: map[ir.Identity]bool{}}
	asked, skipped := 0, map[string]int{}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			run := golden.Do(c)
			p := newPlay(t, run.Units, c.Expect)
			if !all.show(t, p, c) {
				skipped["withheld"]++
				return
			}
			for _, e := range c.Expect {
				e.Request = withHost(e.Request)
				d := semantics.New(run.Units).Decide(e.Request)
				want, why := p.wants(e.Request, d)
				if _, denied := want["denied"]; p.refused && !denied {
					why = "refused or narrowed"
				}
				if why != "" {
					skipped[why]++
					continue
				}
				asked++
				p.hold(t, all, e, d, want)
			}
		})
	}
	t.Logf("%d requests asked; not asked: %v", asked, skipped)
	if asked < 200 {
		t.Errorf("only %d requests could be asked", asked)
	}
}

// stage is the proxies that play case after case.
type stage struct {
	*lab
	proxies map[ir.Identity]bool
}

// play is one case, laid out on this machine.
type play struct {
	t       *testing.T
	units   []ir.Unit
	options map[string]string
	callers []ir.Identity
	// inbound is where a workload's proxy listens for a port, and outbound where
	// a caller's proxy listens for a port of a Service.
	inbound  map[ir.ServicePort]int32
	outbound map[string]int32
	// gateways is where the proxies of a Gateway listen for calls to a port, and
	// gatewayProxies are who they are.
	gateways       map[ir.ServicePort]int32
	gatewayProxies []ir.Identity
	protocol       map[ir.ServicePort]ir.Protocol
	// behind are the workload ports that a Service port leads to.
	behind   map[ir.ServicePort][]ir.ServicePort
	headless map[ir.Name]bool
	// refused: the back end was not told everything, or says that it lets less
	// through, so it may deny more.
	refused bool
}

func newPlay(t *testing.T, units []ir.Unit, requests []golden.Expectation) *play {
	nothing := map[string]string{"listen.none/none:1": "127.0.0.1:1", "inbound.none/none:1": "127.0.0.1:1,127.0.0.1:1"} // is redirected
	p := &play{t: t, options: nothing, inbound: map[ir.ServicePort]int32{}, outbound: map[string]int32{}, gateways: map[ir.ServicePort]int32{},
		protocol: map[ir.ServicePort]ir.Protocol{}, behind: map[ir.ServicePort][]ir.ServicePort{}, headless: map[ir.Name]bool{}}
	for _, e := range requests {
		if f := e.Request.From; e.Request.Service.Name != "" && f != nil && f.SPIFFE == "" && !slices.Contains(p.callers, *f) {
			p.callers = append(p.callers, *f)
		}
	}
	for _, u := range units {
		if u.Endpoints == nil { // those of the case lead to no process here
			p.units = append(p.units, u)
		}
		if u.Workload != nil {
			p.workload(*u.Workload, requests)
		}
		if u.Gateway != nil {
			p.gateway(*u.Gateway)
		}
	}
	for _, u := range units {
		if u.Service != nil {
			p.standIn(*u.Service)
			p.service(*u.Service)
		}
	}
	return p
}

// standIn lets an open workload answer for a Service that nobody is known to be
// behind. Clients take its account, as any of the namespace, for the Service.
func (p *play) standIn(s ir.Service) {
	denies := func(u ir.Unit) bool { return u.Namespace != nil && u.Namespace.Name == s.Namespace }
	if slices.ContainsFunc(p.units, denies) {
		return
	}
	w := ir.Workload{Namespace: s.Namespace, Account: "stand-in-" + s.Name}
	for i, port := range s.Ports {
		sp := ir.ServicePort{Service: ir.Name{Namespace: s.Namespace, Name: s.Name}, Port: port.Number}
		known := slices.ContainsFunc(port.AllRoutes(), func(r ir.Route) bool {
			return slices.ContainsFunc(r.Backends, func(b ir.Backend) bool { return b.Service == sp.Service && len(b.Servers) > 0 })
		})
		if !known && len(p.behind[sp]) == 0 && port.Protocol != ir.UDP && port.Number != ir.AnyPort && !s.Headless {
			w.Ports = append(w.Ports, ir.WorkloadPort{Number: int32(8001 + i), Protocol: port.Protocol, Services: []ir.ServicePort{sp}})
		}
	}
	if len(w.Ports) > 0 {
		p.units = append(p.units, ir.Unit{Workload: &w})
		p.workload(w, nil)
	}
}

// workload gives each port a process and a place; also a port that only a
// request names.
func (p *play) workload(w ir.Workload, requests []golden.Expectation) {
	name := ir.Name{Namespace: w.Namespace, Name: w.Account}
	ports := slices.Clone(w.Ports)
	for _, e := range requests {
		known := slices.ContainsFunc(ports, func(wp ir.WorkloadPort) bool { return wp.Number == e.Request.Port })
		if e.Request.Workload == name && !known {
			ports = append(ports, ir.WorkloadPort{Number: e.Request.Port, Protocol: unknown})
		}
	}
	for _, wp := range ports {
		if wp.Protocol == ir.UDP {
			continue
		}
		at := ir.ServicePort{Service: name, Port: wp.Number}
		process := app
		if !wp.Protocol.IsHTTP() && wp.Protocol != unknown {
			process = greeter
		}
		p.inbound[at] = freePort(p.t)
		p.protocol[at] = wp.Protocol
		inbound(p.options, ir.Identity{Namespace: w.Namespace, Account: w.Account}, wp.Number, p.inbound[at], process(p.t, label(at)))
		for _, s := range wp.Services {
			p.behind[s] = append(p.behind[s], at)
		}
	}
}

// gateway gives each port a place.
func (p *play) gateway(g ir.Gateway) {
	p.gatewayProxies = append(p.gatewayProxies, g.Identity)
	for _, port := range g.Ports {
		at := ir.ServicePort{Service: ir.Name{Namespace: g.Namespace, Name: g.Name}, Port: port.Number}
		p.gateways[at] = freePort(p.t)
		p.options["gateway."+label(at)] = local(p.gateways[at])
	}
}

// unknown stands for what is spoken on a port that nothing is known of. What is
// denied there may be answered, or just closed.
const unknown ir.Protocol = "?"

func label(p ir.ServicePort) string { return fmt.Sprintf("%s:%d", p.Service, p.Port) }

// service gives each port a place for each caller, and endpoints.
func (p *play) service(s ir.Service) {
	e := ir.Endpoints{Namespace: s.Namespace, Name: s.Name}
	p.headless[ir.Name{Namespace: s.Namespace, Name: s.Name}] = s.Headless
	for _, port := range s.Ports {
		if port.Protocol == ir.UDP {
			continue
		}
		sp := ir.ServicePort{Service: ir.Name{Namespace: s.Namespace, Name: s.Name}, Port: port.Number}
		ends := ir.EndpointsPort{Number: port.Number}
		for _, at := range p.behind[sp] {
			ends.Endpoints = append(ends.Endpoints, ir.Endpoint{Address: "127.0.0.1", Port: p.inbound[at], Ready: true})
		}
		e.Ports = append(e.Ports, ends)
		places := []string{"none/none=127.0.0.1:1"} // a case may have no callers
		for _, c := range p.callers {
			at := freePort(p.t)
			p.outbound[label(sp)+" "+c.URI("")] = at
			places = append(places, fmt.Sprintf("%s/%s=127.0.0.1:%d", c.Namespace, c.Account, at))
		}
		key := "listen." + label(sp)
		if port.Number == ir.AnyPort {
			key = "listen." + sp.Service.String()
		}
		p.options[key] = strings.Join(places, ",")
	}
	p.units = append(p.units, ir.Unit{Endpoints: &e})
}

// show translates the case, gives it to the proxies and waits until they listen.
func (s *stage) show(t *testing.T, p *play, c golden.Case) bool {
	target := translators.Target{Backend: "envoy", Options: p.options}
	var pieces []translators.Piece
	for _, u := range p.units {
		pieces = append(pieces, translators.Translate(u, envoy.New(), target, c.Waivers))
	}
	out := translators.Assemble(envoy.New(), target, pieces, c.Waivers)
	p.refused = out.Refused() || slices.ContainsFunc(out.Findings, func(f report.Finding) bool { return f.Class == report.Narrowed })
	if out.Withheld {
		return false
	}
	s.update(p.units, out.Artifacts)
	needed := slices.Concat(p.callers, p.gatewayProxies)
	for at := range p.inbound {
		needed = append(needed, ir.Identity{Namespace: at.Service.Namespace, Account: at.Service.Name})
	}
	for _, id := range needed {
		if !s.proxies[id] {
			s.proxies[id] = true
			s.start(id)
		}
	}
	for _, id := range needed {
		s.await(id)
	}
	for _, port := range slices.Concat(slices.Collect(maps.Values(p.inbound)), slices.Collect(maps.Values(p.outbound)), slices.Collect(maps.Values(p.gateways))) {
		eventually(t, "a listener at every place", func() bool {
			c, err := net.DialTimeout("tcp", local(port), time.Second)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	return true
}

// wants is what a caller must hear, with which share: a label of who answers,
// "denied", or "failed". It says why where that cannot be asked here.
func (p *play) wants(q semantics.Request, d semantics.Decision) (map[string]float64, string) {
	_, placed := p.inbound[ir.ServicePort{Service: q.Workload, Port: q.Port}]
	switch {
	case d.Verdict == semantics.UnknownPort:
		return nil, "no such port"
	case strings.Contains(q.Path, "#"):
		return nil, "no client sends a fragment"
	case q.Gateway.Name != "":
	case q.Service.Name == "" && !placed:
		return nil, "nothing is known of the workload"
	case q.Service.Name == "" && d.Verdict == semantics.Allow:
		return map[string]float64{label(ir.ServicePort{Service: q.Workload, Port: q.Port}): 1}, ""
	case q.Service.Name == "":
		return map[string]float64{"denied": 1}, ""
	}
	direct := q.Gateway.Name == "" && (q.From == nil || q.From.SPIFFE != "")
	if p.headless[q.Service] {
		return nil, "headless"
	}
	if d.Verdict == semantics.Answer && !direct && !q.Raw {
		return map[string]float64{answer(d.Status, d.Location): 1}, ""
	}
	if len(d.Shares) == 0 {
		return nil, "a caller without a proxy is not routed, nor is a connection answered"
	}
	out := map[string]float64{}
	for _, s := range d.Shares {
		at := p.behind[ir.ServicePort{Service: s.Service, Port: s.Port}]
		switch {
		case s.Invalid != "" && direct:
			return nil, "a caller without a proxy is not routed"
		case s.Invalid != "":
			out["failed"] += s.Percent / 100
		case s.Partly || len(at) > 1:
			return nil, "several workloads answer for a Service"
		case len(at) == 0:
			return nil, "nobody is known to answer"
		case q.Raw && p.protocol[at[0]].IsHTTP():
			return nil, "no request on an HTTP port"
		case s.Allowed:
			out[label(at[0])] += s.Percent / 100
		default:
			out["denied"] += s.Percent / 100
		}
	}
	if direct && (len(d.Shares) != 1 || d.Shares[0].Service != q.Service) {
		return nil, "a caller without a proxy is not routed"
	}
	return out, ""
}

// answer names what a proxy answers by itself.
func answer(status int, location string) string {
	switch {
	case status == 500:
		return "failed"
	case location != "":
		return fmt.Sprintf("status %d to %s", status, canonical(location))
	}
	return fmt.Sprintf("status %d", status)
}

// hold asks as often as it takes and compares who answers with what is wanted.
// It tries again a few times: routes and endpoints keep their names from case to
// case, so there is no telling from outside when the new ones are in use.
func (p *play) hold(t *testing.T, s *stage, e golden.Expectation, d semantics.Decision, want map[string]float64) {
	port, id, protocol := p.door(t, s, e.Request)
	routed := protocol.IsHTTP() && e.Request.Workload.Name == "" && id == nil && !e.Request.Raw
	n := 1
	if len(want) > 1 {
		n = 400
	}
	if protocol == ir.TCP && want["failed"] > 0 { // either way the connection is closed
		want["denied"] += want["failed"]
		delete(want, "failed")
	}
	t.Run(e.Line, func(t *testing.T) {
		for try := 1; ; try++ {
			got := map[string]int{}
			for range n {
				who, r := hear(port, id, protocol, e.Request)
				if err := judge(r, d, p.called); routed && want[who] > 0 && who != "denied" && err != nil {
					who = err.Error()
				}
				got[who]++
			}
			wrong := differences(got, n, want)
			if len(wrong) == 0 {
				return
			}
			if try == 4 {
				t.Fatal(strings.Join(wrong, "; "))
			}
			time.Sleep(300 * time.Millisecond)
		}
	})
}

// called is the name of the process that answers for a share.
func (p *play) called(s semantics.Share) string {
	if at := p.behind[ir.ServicePort{Service: s.Service, Port: s.Port}]; len(at) > 0 {
		return label(at[0])
	}
	return ""
}

// door is where a request goes in, as whom, and what is spoken there.
func (p *play) door(t *testing.T, s *stage, q semantics.Request) (int32, *tls.Config, ir.Protocol) {
	if q.Gateway.Name != "" {
		return p.gateways[ir.ServicePort{Service: q.Gateway, Port: q.Port}], nil, ir.HTTP
	}
	at := ir.ServicePort{Service: q.Workload, Port: q.Port}
	if q.Service.Name != "" {
		at = ir.ServicePort{Service: q.Service, Port: q.Port}
		if q.From != nil && q.From.SPIFFE == "" {
			port, ok := p.outbound[label(at)+" "+q.From.URI("")]
			if !ok {
				t.Fatalf("%s has no place for %v", label(at), q.From)
			}
			protocol := ir.HTTP
			if behind := p.behind[at]; len(behind) > 0 {
				protocol = p.protocol[behind[0]]
			}
			return port, nil, protocol
		}
		at = p.behind[at][0]
	}
	if q.From == nil {
		return p.inbound[at], nil, p.protocol[at]
	}
	alpn := "http/1.1"
	if p.protocol[at] == ir.TCP {
		alpn = "meshknot-tcp"
	}
	return p.inbound[at], s.ca.client(q.From.URI("cluster.local"), alpn), p.protocol[at]
}

// methods are those that Envoy's parser knows, of which the cases use some; it
// refuses all others before anybody could deny them.
var methods = []string{"GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// hear makes one request, or one connection, and says what came of it.
func hear(port int32, id *tls.Config, protocol ir.Protocol, q semantics.Request) (string, reply) {
	if protocol == ir.TCP {
		c, err := dial(local(port), id)
		if err != nil {
			return "denied", reply{}
		}
		defer c.Close()
		var who string
		if _, err := fmt.Fscanf(c, "hello from %s\n", &who); err != nil {
			return "denied", reply{}
		}
		return who, reply{}
	}
	r, err := converse(local(port), id, words(q))
	switch {
	case err == nil && r.status == 200:
		return r.heard.App, r
	case r.status == 403, err != nil && protocol == unknown, r.status == 400 && !slices.Contains(methods, q.Method):
		return "denied", r
	case err != nil:
		return err.Error(), r
	}
	return answer(r.status, r.header.Get("location")), r
}
