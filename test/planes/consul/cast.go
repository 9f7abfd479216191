package consul

import (
	"cmp"
	"slices"

	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// cast is who plays in a scene. Consul gives a service one port, and nothing that it
// is told depends on which: so each port that is asked for is that one in turn, and
// all that changes is who the process behind a sidecar is.
type cast struct {
	world   interpret.World
	options map[string]string
	turns   []turn
	// instances of Consul services.
	instances []instance
	// callers are the Consul services that accounts call as.
	callers map[ir.Identity]string
	// namesakes are accounts that nothing is known of, and that Consul would take
	// for the service of a known one.
	namesakes map[ir.Identity]string
}

// turn says which port each Service has, and who each instance is then.
type turn struct {
	// numbers of ports are called; nil means all that are some Service's.
	numbers []int32
	ports   map[ir.Name]int32
	roles   []role
}

// role is a process: the one on a port of some pods.
type role struct {
	port    int32
	process string
	http    bool
}

// instance is one of a Consul service: the pods of an account, reached through a Service.
type instance struct {
	service string
	// workload is empty for a caller that nothing is known of.
	workload ir.Name
	// of is the Service, empty where none leads to the workload.
	of ir.Name
	// calls are the services that its sidecar calls.
	calls map[string]bool
	slot  *slot
}

// newCast reads out of a world who is needed to play the requests while Services
// have those ports. Met are the Services that are called or led to; nil means all.
func newCast(w interpret.World, options map[string]string, requests []semantics.Request, ports map[ir.Name]int32, met map[ir.Name]bool) *cast {
	c := &cast{world: w, options: options, turns: []turn{{ports: ports}}, callers: map[ir.Identity]string{}, namesakes: map[ir.Identity]string{}}
	for _, name := range sorted(w.Services) {
		if met == nil || met[name] {
			c.cover(name)
		}
	}
	for _, q := range requests {
		c.alone(q)
		if q.From != nil && q.From.SPIFFE == "" {
			c.admit(*q.From)
		}
	}
	return c
}

// like reports whether the same instances play, whatever their ports.
func (c *cast) like(o *cast) bool {
	return slices.EqualFunc(c.instances, o.instances, func(a, b instance) bool {
		return a.service == b.service && a.workload == b.workload && a.of == b.of
	})
}

// prepared gives callers sidecars, once all turns are known.
func (c *cast) prepared(requests []semantics.Request) *cast {
	for _, q := range requests {
		if c.turnOf(q) >= 0 && q.From != nil && c.callers[*q.From] != "" {
			c.give(*q.From, nameOf(c.options, q.Service))
		}
	}
	return c
}

// turnOf is the turn in which a request is to a Service at its port, or negative.
func (c *cast) turnOf(q semantics.Request) int {
	if q.Service == (ir.Name{}) || q.Port == 0 {
		return -1
	}
	return slices.IndexFunc(c.turns, func(t turn) bool {
		return t.ports[q.Service] == q.Port && (t.numbers == nil || slices.Contains(t.numbers, q.Port)) && slices.ContainsFunc(c.instances, func(i instance) bool { return i.of == q.Service })
	})
}

func (c *cast) add(i instance, r role) {
	c.instances = append(c.instances, i)
	c.turns[0].roles = append(c.turns[0].roles, r)
}

// cover adds the instances of a Service: one for each account behind it or,
// where none is known, one of its own name.
func (c *cast) cover(name ir.Name) {
	number, ok := c.turns[0].ports[name]
	if !ok {
		return
	}
	at := ir.ServicePort{Service: name, Port: number}
	port, _ := c.world.Port(at)
	servers := c.world.Servers[at]
	if len(servers) == 0 {
		servers = c.world.Servers[ir.ServicePort{Service: name, Port: ir.AnyPort}]
	}
	i := instance{service: nameOf(c.options, name), of: name}
	if len(servers) == 0 {
		i.workload = ir.Name{Namespace: name.Namespace}
		c.add(i, role{number, planes.Process(name, number), port.Protocol.IsHTTP()})
	}
	for _, id := range servers {
		i.workload = ir.Name{Namespace: id.Namespace, Name: id.Account}
		target := c.world.TargetPort(i.workload, at)
		c.add(i, role{target, planes.Process(i.workload, target), port.Protocol.IsHTTP()})
	}
}

// alone adds the instance of a workload that no Service is known for.
func (c *cast) alone(q semantics.Request) {
	w, ok := c.world.Workloads[q.Workload]
	if !ok || len(w.Ports) > 0 || slices.ContainsFunc(c.instances, func(i instance) bool { return i.workload == q.Workload }) {
		return
	}
	c.add(instance{service: nameOf(c.options, q.Workload), workload: q.Workload}, role{q.Port, planes.Process(q.Workload, q.Port), !q.Raw})
}

// admit notes as which service an account calls.
func (c *cast) admit(id ir.Identity) {
	name := c.caller(id)
	if c.unknown(id) && c.taken(name) {
		c.namesakes[id] = name
		return
	}
	c.callers[id] = name
}

// give has the sidecar of an account call a service. Where the account's own pods
// are not there, some other sidecar of its service does, or one for it alone.
func (c *cast) give(id ir.Identity, service string) {
	i := c.calling(id)
	if i == nil {
		c.instances = append(c.instances, instance{service: c.callers[id]})
		i = &c.instances[len(c.instances)-1]
	}
	if i.calls == nil {
		i.calls = map[string]bool{}
	}
	i.calls[service] = true
}

// caller is the Consul service that an account is: one that selects its pods,
// else the one of its name. Of several the first will do, for grants name all.
func (c *cast) caller(id ir.Identity) string {
	var names []string
	for at, servers := range c.world.Servers {
		if slices.Contains(servers, id) {
			names = append(names, nameOf(c.options, at.Service))
		}
	}
	if len(names) == 0 {
		return nameOf(c.options, ir.Name{Namespace: id.Namespace, Name: id.Account})
	}
	return slices.Min(names)
}

func (c *cast) unknown(id ir.Identity) bool {
	_, ok := c.world.Workloads[ir.Name{Namespace: id.Namespace, Name: id.Account}]
	return !ok
}

// taken reports whether a known account calls by a name.
func (c *cast) taken(name string) bool {
	for w := range c.world.Workloads {
		if c.caller(ir.Identity{Namespace: w.Namespace, Account: w.Name}) == name {
			return true
		}
	}
	return false
}

// calling returns the instance whose sidecar calls for an account: that of the
// account's own pods where there is one.
func (c *cast) calling(id ir.Identity) *instance {
	var found *instance
	for n := range c.instances {
		i := &c.instances[n]
		if i.service != c.callers[id] {
			continue
		}
		if found == nil || i.workload == (ir.Name{Namespace: id.Namespace, Name: id.Account}) {
			found = i
		}
	}
	return found
}

// nameOf is how Consul knows a Service or an account.
func nameOf(options map[string]string, n ir.Name) string {
	return cmp.Or(options["service."+n.String()], n.Name)
}

func sorted[V any](m map[ir.Name]V) []ir.Name {
	names := make([]ir.Name, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.SortFunc(names, ir.Name.Compare)
	return names
}
