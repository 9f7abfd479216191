package controller

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
)

// The names of sinks.
const (
	// SinkCluster writes Kubernetes objects.
	SinkCluster = "cluster"
	// SinkConsul writes Consul's configuration entries over its HTTP API.
	SinkConsul = "consul"
)

// served reports whether proxies get a target's output by xDS.
func served(t translators.Target) bool { return slices.Contains(proxied[:], t.Backend) }

// proxied are the back ends that are told what they need over xDS.
var proxied = [...]string{"envoy", "grpc"}

// sinkOf is the sink that an artifact goes to.
func sinkOf(id translators.ID) string {
	if strings.HasPrefix(id.Type, "consul/") {
		return SinkConsul
	}
	return SinkCluster
}

// needsConsul reports whether a target's output goes to Consul's API.
func needsConsul(t translators.Target) bool {
	form := func(o string) bool { return t.Options[o] != "kubernetes" }
	return t.Backend == "consul" && form("form") ||
		strings.HasPrefix(t.Options["authorization"], "consul") && form("authorization.form")
}

// bindingOf is the binding that a target is translated for.
func bindingOf(t translators.Target) string { return cmp.Or(t.Name, t.Backend) }

// shared joins what several bindings have of one back end to what its proxies get:
// what one of them leaves and another one has stays.
type shared map[string]map[translators.Slot]map[string]translators.Artifact

// join returns changes of which each has a back end of its own.
func (s shared) join(changes []translators.Change) []translators.Change {
	touched := map[string]map[translators.Slot]bool{}
	var order []string
	note := func(c translators.Change, at translators.Slot) map[string]translators.Artifact {
		backend := c.Target.Backend
		if touched[backend] == nil {
			touched[backend] = map[translators.Slot]bool{}
			order = append(order, backend)
		}
		touched[backend][at] = true
		if s[backend] == nil {
			s[backend] = map[translators.Slot]map[string]translators.Artifact{}
		}
		if s[backend][at] == nil {
			s[backend][at] = map[string]translators.Artifact{}
		}
		return s[backend][at]
	}
	for _, c := range changes {
		for _, at := range c.Remove {
			delete(note(c, at), bindingOf(c.Target))
		}
	}
	for _, c := range changes {
		for _, a := range c.Put {
			note(c, a.Slot())[bindingOf(c.Target)] = a
		}
	}
	var out []translators.Change
	for _, backend := range order {
		out = append(out, s.settle(backend, touched[backend]))
	}
	return out
}

// settle makes one change of the slots that were touched. Of several bindings that
// have one, that whose name comes first gives it.
func (s shared) settle(backend string, touched map[translators.Slot]bool) translators.Change {
	c := translators.Change{Target: translators.Target{Backend: backend}}
	for at := range touched {
		first := ""
		for name := range s[backend][at] {
			if first == "" || name < first {
				first = name
			}
		}
		if first == "" {
			delete(s[backend], at)
			c.Remove = append(c.Remove, at)
			continue
		}
		c.Put = append(c.Put, s[backend][at][first])
	}
	return c
}

// count counts what a binding has of a back end.
func (s shared) count(backend, binding string) int {
	n := 0
	for _, by := range s[backend] {
		if _, has := by[binding]; has {
			n++
		}
	}
	return n
}
