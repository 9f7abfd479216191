package istio

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
)

// cast is who plays in a scene: pods that are written down by hand, and the
// Services that lead to them.
type cast struct {
	world    interpret.World
	pods     []*pod
	services []*service
	// callers are the pods that call for an account.
	callers map[ir.Identity]*pod
}

// pod is one in the API server. Nothing runs in it: its proxy is a listener of
// our Envoy for each of its ports.
type pod struct {
	namespace, account, name, ip string
	labels                       map[string]string
	// listens is the port of loopback at which each of its ports is reached.
	listens map[int32]int32
}

func (p *pod) identity() ir.Identity { return ir.Identity{Namespace: p.namespace, Account: p.account} }
func (p *pod) workload() ir.Name     { return ir.Name{Namespace: p.namespace, Name: p.account} }

// service is a Service in the API server.
type service struct {
	name     ir.Name
	ip       string
	headless bool
	ports    []ir.Port
}

// target is where a port of a Service is answered.
type target struct {
	pod  *pod
	port int32
}

// sidecar is the label that injection gives to a pod, by which Istio knows that
// mTLS is spoken there.
const sidecar = "security.istio.io/tlsMode"

// newCast reads out of a scene who is needed to play it.
func (p *Plane) newCast(s planes.Scene) (*cast, error) {
	c := &cast{world: interpret.WorldOf(s.Units), callers: map[ir.Identity]*pod{}}
	accounts := map[ir.Name]bool{}
	for name := range c.world.Workloads {
		accounts[name] = true
	}
	for _, ids := range c.world.Servers {
		for _, id := range ids {
			accounts[ir.Name{Namespace: id.Namespace, Name: id.Account}] = true
		}
	}
	for _, q := range s.Requests {
		if q.From != nil && q.From.SPIFFE == "" {
			accounts[ir.Name{Namespace: q.From.Namespace, Name: q.From.Account}] = true
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(c.world.Services), ir.Name.Compare) {
		sv := &service{name: name, headless: c.world.Services[name].Headless, ports: portsOf(c.world, name, s)}
		if len(sv.ports) == 0 {
			continue
		}
		sv.ip = p.address("10.96", name.String())
		c.services = append(c.services, sv)
		for _, port := range sv.ports {
			if len(c.servers(name, port)) == 0 {
				accounts[standIn(name)] = true
			}
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(accounts), ir.Name.Compare) {
		p.addPods(c, name)
	}
	return c, c.listen(s)
}

// standIn is the account that answers for a Service that nobody is known behind.
func standIn(s ir.Name) ir.Name { return ir.Name{Namespace: s.Namespace, Name: "stand-in-" + s.Name} }

// servers are the accounts that are known behind a port of a Service.
func (c *cast) servers(name ir.Name, port ir.Port) []ir.Identity {
	if found := c.world.Servers[ir.ServicePort{Service: name, Port: port.Number}]; len(found) > 0 {
		return found
	}
	return c.world.Servers[ir.ServicePort{Service: name, Port: ir.AnyPort}]
}

// portsOf are the ports that a Service is written down with; one that is
// inferred has those that somebody speaks of.
func portsOf(w interpret.World, name ir.Name, s planes.Scene) []ir.Port {
	var out []ir.Port
	for _, port := range w.Services[name].Ports {
		if port.Number != ir.AnyPort {
			out = append(out, port)
			continue
		}
		spoken := map[int32]bool{}
		for _, q := range s.Requests {
			if q.Service != (ir.Name{}) {
				spoken[q.Port] = true
			}
		}
		for at := range w.Servers {
			spoken[at.Port] = spoken[at.Port] || at.Service == name
		}
		delete(spoken, ir.AnyPort)
		for _, number := range slices.Sorted(maps.Keys(spoken)) {
			port.Number = number
			out = append(out, port)
		}
	}
	return out
}

// addPods adds a pod for each class of an account's pods, or one. A pod's name says
// its labels too, so that no pod ever changes them.
func (p *Plane) addPods(c *cast, name ir.Name) {
	classes := []map[string]string{nil}
	if known := c.world.Workloads[name].Pods; len(known) > 0 {
		classes = nil
		for _, k := range known {
			classes = append(classes, k.Labels)
		}
	}
	for _, class := range classes {
		labels := maps.Clone(class)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[sidecar] = "istio"
		sum := sha256.New()
		fmt.Fprintln(sum, name.Name)
		for _, k := range slices.Sorted(maps.Keys(labels)) {
			fmt.Fprintf(sum, "%q=%q\n", k, labels[k])
		}
		one := &pod{namespace: name.Namespace, account: name.Name, labels: labels, listens: map[int32]int32{},
			name: short(cmp.Or(name.Name, "none")) + "-" + hex.EncodeToString(sum.Sum(nil))[:8]}
		if slices.ContainsFunc(c.pods, func(o *pod) bool { return o.namespace == one.namespace && o.name == one.name }) {
			continue
		}
		one.ip = p.address("10.244", one.namespace+"/"+one.name)
		c.pods = append(c.pods, one)
		if c.callers[one.identity()] == nil {
			c.callers[one.identity()] = one
		}
	}
}

// listen says on which ports each pod is called.
func (c *cast) listen(s planes.Scene) error {
	for _, sv := range c.services {
		for _, port := range sv.ports {
			if port.Protocol == ir.UDP {
				continue
			}
			for _, t := range c.behind(sv, port) {
				t.pod.listens[t.port] = 0
			}
		}
	}
	for _, one := range c.pods {
		c.name(one, s)
		for _, port := range slices.Sorted(maps.Keys(one.listens)) {
			at, err := lab.FreePort()
			if err != nil {
				return err
			}
			one.listens[port] = at
		}
	}
	return nil
}

// name adds the ports of a pod that its workload or a request names.
func (c *cast) name(one *pod, s planes.Scene) {
	for _, port := range c.world.Workloads[one.workload()].Ports {
		if port.Protocol != ir.UDP {
			one.listens[port.Number] = 0
		}
	}
	for _, q := range s.Requests {
		if q.Workload == one.workload() && q.Port != 0 && c.protocol(one.workload(), q.Port) != ir.UDP {
			one.listens[q.Port] = 0
		}
	}
}

// behind are the pods that a port of a Service leads to.
func (c *cast) behind(sv *service, port ir.Port) []target {
	var out []target
	add := func(account ir.Name, number int32) {
		for _, one := range c.pods {
			if one.workload() == account {
				out = append(out, target{one, number})
			}
		}
	}
	servers := c.servers(sv.name, port)
	for _, id := range servers {
		account := ir.Name{Namespace: id.Namespace, Name: id.Account}
		add(account, c.world.TargetPort(account, ir.ServicePort{Service: sv.name, Port: port.Number}))
	}
	if len(servers) == 0 {
		add(standIn(sv.name), port.Number)
	}
	return out
}

// protocol is what is spoken on a port of a workload's pods.
func (c *cast) protocol(workload ir.Name, port int32) ir.Protocol {
	for _, sv := range c.services {
		if standIn(sv.name) != workload {
			continue
		}
		for _, p := range sv.ports {
			if p.Number == port {
				return p.Protocol
			}
		}
	}
	return c.world.Protocol(workload, port)
}

// service finds a Service.
func (c *cast) service(name ir.Name) *service {
	for _, sv := range c.services {
		if sv.name == name {
			return sv
		}
	}
	return nil
}

// address returns an address of a network that is nobody else's for as long as
// the plane lives.
func (p *Plane) address(network, who string) string {
	key := network + " " + who
	if p.addresses[key] == "" {
		n := len(p.addresses)
		p.addresses[key] = fmt.Sprintf("%s.%d.%d", network, 1+n/250, 1+n%250)
	}
	return p.addresses[key]
}
