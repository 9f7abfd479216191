package consul

import (
	"fmt"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
)

// everybody is the name that stands for every service.
const everybody = "*"

// intentions say who may call a service.
type intentions struct {
	id      translators.ID
	sources map[string]source
}

// source is what one caller may do: what the first of its permissions that holds
// says or, where it has none, what allow says.
type source struct {
	allow       bool
	permissions []permission
}

type permission struct {
	*condition
	allow bool
}

// descriptionLimit is the longest description that Consul takes.
const descriptionLimit = 512

func (m *mesh) addIntentions(e entry) error {
	var w wireIntentions
	if err := decode(e.body, &w); err != nil {
		return err
	}
	in := &intentions{m.entries.ids[e.kind+" "+e.name][0], map[string]source{}}
	if len(w.Sources) == 0 {
		return fmt.Errorf("no sources")
	}
	for i, s := range w.Sources {
		if _, twice := in.sources[s.Name]; twice || s.Name == "" || len(s.Description) > descriptionLimit {
			return fmt.Errorf("source %d: %q occurs twice, is nobody, or has too long a description", i, s.Name)
		}
		if (s.Action == "") == (len(s.Permissions) == 0) || len(s.Permissions) > 0 && e.name == everybody {
			return fmt.Errorf("source %d: not one of an action and permissions", i)
		}
		var one source
		var err error
		if s.Action != "" {
			if one.allow, err = allows(s.Action); err != nil {
				return fmt.Errorf("source %d: %w", i, err)
			}
		}
		for j, w := range s.Permissions {
			p, err := newPermission(w.Action, w.HTTP)
			if err != nil {
				return fmt.Errorf("source %d, permission %d: %w", i, j, err)
			}
			one.permissions = append(one.permissions, p)
		}
		in.sources[s.Name] = one
	}
	m.intentions[e.name] = in
	return nil
}

func allows(action string) (bool, error) {
	if action != "allow" && action != "deny" {
		return false, fmt.Errorf("the action %q", action)
	}
	return action == "allow", nil
}

// newPermission reads what a caller may ask. Consul wants to be told something.
func newPermission(action string, w *wireCondition) (p permission, err error) {
	if p.allow, err = allows(action); err != nil {
		return p, err
	}
	if w == nil || w.PathExact == "" && w.PathPrefix == "" && w.PathRegex == "" && len(w.Methods)+len(w.Header) == 0 || len(w.QueryParam) > 0 {
		return p, fmt.Errorf("it looks at nothing, or at the query")
	}
	p.condition, err = newCondition(w)
	return p, err
}

// checkIntentions: permissions are taken only for what requests are seen of.
func (m *mesh) checkIntentions() error {
	for name, in := range m.intentions {
		for caller, s := range in.sources {
			if len(s.permissions) > 0 && !m.seesRequests(name) {
				return fmt.Errorf("%s %s: %s may ask some requests of what speaks tcp", in.id.Type, in.id.Name, caller)
			}
		}
	}
	return nil
}

// Admit implements interpret.Mesh. A proxy stands before one service. A pod that is
// called at its own port may be any of the services that lead there, and nobody can
// tell which: it lets in what any of them does, so that no opening is overlooked. The
// account that calls is all services whose pods run as it, and is let in where all of
// them are. Probes are answered at ports of their own.
func (m *mesh) Admit(a interpret.Arrival) interpret.Admission {
	if m.world.Protocol(a.Workload, a.Port) == ir.UDP { // passes no proxy
		return interpret.Admission{Allowed: true}
	}
	callers, ok := m.callers(a.Request.From)
	var out interpret.Admission
	for _, service := range m.called(a) {
		if in := m.intentions[service]; in != nil {
			out.By = append(out.By, in.id)
		}
		refused := func(caller string) bool { return !m.decide(service, caller, a) }
		out.Allowed = out.Allowed || ok && !slices.ContainsFunc(callers, refused)
	}
	if in := m.intentions[everybody]; in != nil {
		out.By = append(out.By, in.id)
	}
	return out
}

// called lists the services that a call can be for; none where no service leads to
// the port, for then no proxy passes it on.
func (m *mesh) called(a interpret.Arrival) []string {
	if a.Called != (ir.ServicePort{}) {
		return []string{m.name(a.Called.Service)}
	}
	ports := m.world.Workloads[a.Workload].Ports
	if len(ports) == 0 {
		return []string{m.name(a.Workload)}
	}
	var out []string
	for _, p := range ports {
		for _, s := range p.Services {
			if name := m.name(s.Service); p.Number == a.Port && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// callers lists the services that a caller can be. An account of which no pod is
// known has the service of its name, unless nothing at all exists in its namespace:
// then nobody is that account. It reports false for who has no certificate.
func (m *mesh) callers(id *ir.Identity) ([]string, bool) {
	if id == nil || id.SPIFFE != "" {
		return nil, false
	}
	account := ir.Name{Namespace: id.Namespace, Name: id.Account}
	if known := m.accounts[account]; len(known) > 0 {
		return known, true
	}
	if _, exists := slices.BinarySearch(m.world.Namespaces, id.Namespace); !exists {
		return []string{""}, true
	}
	return []string{m.name(account)}, true
}

// decide asks the intention of the most exact names, the callee's first.
func (m *mesh) decide(service, caller string, a interpret.Arrival) bool {
	for _, to := range []string{service, everybody} {
		in := m.intentions[to]
		if in == nil {
			continue
		}
		for _, from := range []string{caller, everybody} {
			if s, ok := in.sources[from]; ok {
				return m.permits(s, a)
			}
		}
	}
	return m.allows
}

// permits: what no permission speaks of is decided as if there were no intention.
func (m *mesh) permits(s source, a interpret.Arrival) bool {
	if len(s.permissions) == 0 {
		return s.allow
	}
	if a.Request.Raw { // what is no HTTP is closed by what expects it
		return false
	}
	q := &asked{Request: a.Request}
	q.path, q.query = m.reading.Path(a.Request.Path)
	for _, p := range s.permissions {
		if p.holds(q) {
			return p.allow
		}
	}
	return m.allows
}
