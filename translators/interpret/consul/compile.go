package consul

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret/sidecar"
	"github.com/meshknot/meshknot/translators/ir"
)

// compile makes the chain of every service that is called by its own name, and of
// every one of which an entry speaks, for Consul refuses an entry whose chain is bad.
func (m *mesh) compile() error {
	names := map[string]bool{}
	for n := range m.known {
		names[n] = true
	}
	for n := range m.entries.routers {
		names[n] = true
	}
	for n := range m.entries.splitters {
		names[n] = true
	}
	for n := range m.entries.resolvers {
		names[n] = true
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		c := compiler{mesh: m, start: n, protocol: m.protocol(n)}
		m.chains[n] = &chain{hops: c.compile(), ids: c.ids}
		if c.err != nil {
			return fmt.Errorf("the chain of service %s: %w", n, c.err)
		}
	}
	return m.checkIntentions()
}

// compiler follows the entries that the calls to one service meet.
type compiler struct {
	mesh     *mesh // INPUT
	start    string
	protocol string
	// advanced: a router or a splitter was met. OUTPUT
	advanced bool
	ids      []translators.ID
	err      error
}

func (c *compiler) compile() []compiled {
	hops := []hop{}
	if r := c.mesh.entries.routers[c.start]; r != nil {
		c.meet("service-router", c.start)
		c.advanced = true
		hops = slices.Clone(r.routes)
	}
	// What no route is for goes to the service itself.
	rest := hop{condition: catchAll(), service: c.start, timeout: unset}
	if r := c.mesh.entries.resolvers[c.start]; r != nil && r.timeoutIsWritten && len(hops) == 0 && c.mesh.entries.splitters[c.start] == nil {
		rest.timeout = r.requestTimeout
	}
	var out []compiled
	for i, h := range append(hops, rest) {
		one := compiled{hop: h, name: fmt.Sprintf("route %d", i)}
		if h.subset != "" {
			one.targets = c.resolve(h.service, h.subset, 100, nil)
		} else {
			one.targets = c.split(h.service, 100, nil, map[string]bool{})
		}
		if i == len(hops) {
			one.name = "default"
		}
		out = append(out, one)
	}
	if c.err == nil && c.advanced && c.protocol == "tcp" {
		c.err = fmt.Errorf("it speaks tcp, of which no requests are seen")
	}
	return out
}

func (c *compiler) meet(kind, name string) {
	c.ids = append(c.ids, c.mesh.entries.ids[kind+" "+name]...)
}

// visit checks that a service on the way speaks what the first one does.
func (c *compiler) visit(service string) {
	if p := c.mesh.protocol(service); c.err == nil && p != c.protocol {
		c.err = fmt.Errorf("it speaks %s, but %s speaks %s", c.protocol, service, p)
	}
}

// split follows splitters from one service to the next, whose shares are
// multiplied. A share of the splitter's own service, or of a subset, is not shared again.
func (c *compiler) split(service string, weight float32, edits []*level, above map[string]bool) []target {
	c.visit(service)
	s := c.mesh.entries.splitters[service]
	if s == nil {
		return c.resolve(service, "", weight, edits)
	}
	if above[service] {
		c.err = fmt.Errorf("the splitter of %s leads back to it", service)
		return nil
	}
	above = maps.Clone(above)
	above[service] = true
	c.meet("service-splitter", service)
	c.advanced = true
	var out []target
	for _, one := range s.splits {
		w := weight * one.weight / 100
		own := append(slices.Clone(edits), &level{one.request, one.response})
		if one.service == service || one.subset != "" {
			out = append(out, c.resolve(one.service, one.subset, w, own)...)
			continue
		}
		out = append(out, c.split(one.service, w, own, above)...)
	}
	return out
}

// level is what one level does to both directions.
type level struct{ request, response *wireEdits }

// resolve follows redirects to where instances are looked for. The weight that a
// proxy is told is cut off behind the hundredths of a percent.
func (c *compiler) resolve(service, subset string, weight float32, edits []*level) []target {
	seen := map[string]bool{}
	for {
		c.visit(service)
		r := c.mesh.entries.resolvers[service]
		if r == nil || !r.redirect {
			break
		}
		c.meet("service-resolver", service)
		if service, subset = r.service, r.subset; seen[service] {
			c.err = fmt.Errorf("the redirect to %s leads back to it", service)
			return nil
		}
		seen[service] = true
	}
	t := target{service: service, percent: float64(int(weight*100)) / 100}
	r := c.mesh.entries.resolvers[service]
	if r != nil && subset == "" {
		subset = r.defaultSubset
	}
	if subset != "" && (r == nil || !r.subsets[subset]) {
		c.err = fmt.Errorf("%s has no subset %s", service, subset)
	}
	for _, e := range edits {
		t.request, t.response = append(t.request, e.request), append(t.response, e.response)
	}
	if len(c.mesh.known[service]) == 0 {
		t.missing = "nobody is the service " + service
	}
	if len(c.mesh.known[service]) != 1 { // who is found there is a matter of all Services of the name
		c.meet("service-defaults", service)
	}
	return []target{t}
}

// inOrder does edits one after the other, each as an Envoy does: it removes, then
// sets and adds.
func inOrder(all ...*wireEdits) *ir.HeaderEdit {
	var e sidecar.Edits
	for _, w := range all {
		if w == nil {
			continue
		}
		for _, n := range w.Remove {
			e.Remove(n)
		}
		for _, n := range slices.Sorted(maps.Keys(w.Set)) {
			value, _ := sidecar.Value(w.Set[n]) // which was checked before
			e.Set(n, value)
		}
		for _, n := range slices.Sorted(maps.Keys(w.Add)) {
			value, _ := sidecar.Value(w.Add[n])
			e.Add(n, value)
		}
	}
	return e.Edit()
}
