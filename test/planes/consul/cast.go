package consul

import (
	"slices"

	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// cast is who plays in a scene.
type cast struct {
	world   interpret.World
	options map[string]string
	// ports are the ones that Services have in Consul.
	ports map[ir.Name]int32
	// instances of Consul services.
	instances []instance
	// callers are the Consul services that accounts call as.
	callers map[ir.Identity]string
	// namesakes are accounts that nothing is known of, and that Consul would take
	// for the service of a known one.
	namesakes map[ir.Identity]string
	// reached are the Consul services that lead to some instance.
	reached map[string]bool
}

// instance is one of a Consul service: the pods of an account, reached through a Service.
type instance struct {
	service string
	// workload is empty for a caller that nothing is known of.
	workload ir.Name
	// of is the Service, empty where none leads to the workload; port is the one on the pods.
	of      ir.Name
	port    int32
	process string
	http    bool
	slot    *slot
}

// newCast reads out of a world who is needed to play the requests.
func newCast(w interpret.World, options map[string]string, requests []semantics.Request) cast {
	c := cast{world: w, options: options, ports: map[ir.Name]int32{}, callers: map[ir.Identity]string{}, namesakes: map[ir.Identity]string{}, reached: map[string]bool{}}
	for _, name := range sorted(w.Services) {
		c.cover(name, requests)
	}
	for _, name := range sorted(w.Workloads) {
		if len(w.Workloads[name].Ports) == 0 && !slices.ContainsFunc(c.instances, func(i instance) bool { return i.workload == name }) {
			c.alone(name, requests)
		}
	}
	for _, q := range requests {
		if q.From == nil || q.From.SPIFFE != "" {
			continue
		}
		name := c.caller(*q.From)
		if c.unknown(*q.From) && c.taken(name) {
			c.namesakes[*q.From] = name
			continue
		}
		c.callers[*q.From] = name
		if !slices.ContainsFunc(c.instances, func(i instance) bool { return i.service == name }) {
			c.instances = append(c.instances, instance{service: name, process: "nobody", http: true})
		}
	}
	return c
}

// cover adds the instances of a Service: one for each account behind it or,
// where none is known, one of its own name.
func (c *cast) cover(name ir.Name, requests []semantics.Request) {
	port, ok := onePort(c.world.Services[name], requests)
	if !ok {
		return
	}
	at := ir.ServicePort{Service: name, Port: port.Number}
	c.ports[name] = port.Number
	servers := c.world.Servers[at]
	if len(servers) == 0 {
		servers = c.world.Servers[ir.ServicePort{Service: name, Port: ir.AnyPort}]
	}
	i := instance{service: nameOf(c.options, name), of: name, http: port.Protocol.IsHTTP()}
	if len(servers) == 0 {
		i.workload, i.port, i.process = ir.Name{Namespace: name.Namespace}, port.Number, planes.Process(name, port.Number)
		c.instances = append(c.instances, i)
	}
	for _, id := range servers {
		i.workload = ir.Name{Namespace: id.Namespace, Name: id.Account}
		i.port = c.world.TargetPort(i.workload, at)
		i.process = planes.Process(i.workload, i.port)
		c.instances = append(c.instances, i)
	}
}

// onePort chooses the port that a Service has in Consul: the first that is asked
// for, else the first that there is. UDP does not pass its proxies.
func onePort(s ir.Service, requests []semantics.Request) (ir.Port, bool) {
	name := ir.Name{Namespace: s.Namespace, Name: s.Name}
	var first *ir.Port
	for _, p := range s.Ports {
		if p.Protocol == ir.UDP {
			continue
		}
		for _, q := range requests {
			if q.Service == name && (q.Port == p.Number || p.Number == ir.AnyPort) {
				p.Number = q.Port
				return p, true
			}
		}
		if first == nil {
			first = &p
		}
	}
	if first == nil {
		return ir.Port{}, false
	}
	if first.Number == ir.AnyPort {
		first.Number = 80
	}
	return *first, true
}

// alone adds the instance of a workload that no Service is known for.
func (c *cast) alone(name ir.Name, requests []semantics.Request) {
	for _, q := range requests {
		if q.Workload == name {
			c.instances = append(c.instances, instance{
				service: nameOf(c.options, name), workload: name, port: q.Port, process: planes.Process(name, q.Port), http: !q.Raw})
			return
		}
	}
}

// elsewhere reports whether some Service leads to a port of the pods, and has
// another port in Consul.
func (c *cast) elsewhere(q semantics.Request) bool {
	for _, p := range c.world.Workloads[q.Workload].Ports {
		for _, s := range p.Services {
			if p.Number == q.Port && c.ports[s.Service] != s.Port {
				return true
			}
		}
	}
	return false
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

// stranger reports whether an account is none that the requests of the scene named.
func (c *cast) stranger(id ir.Identity) bool { return c.callers[id] == "" && c.namesakes[id] == "" }

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

func sorted[V any](m map[ir.Name]V) []ir.Name {
	names := make([]ir.Name, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.SortFunc(names, ir.Name.Compare)
	return names
}
