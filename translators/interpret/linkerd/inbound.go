package linkerd

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/routes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// inbound is what the proxies of pods are told.
type inbound struct {
	all []*server
	// servers by port and by one of the labels that they select by.
	servers map[place][]*server
	routes  map[ir.Name][]*routes.Route // at a Server
	// policies by what they are about.
	policies map[target][]*authorization
}

// place is where a Server is looked for. Label is "key=value", or empty for one
// that selects all pods.
type place struct {
	namespace string
	port      int32
	label     string
}

// target is what an AuthorizationPolicy is about; of a Namespace the name is empty.
type target struct {
	kind string
	name ir.Name
}

// server closes a port of some pods.
type server struct {
	id       translators.ID
	name     ir.Name
	labels   map[string]string
	port     int32
	protocol string
	access   string
	routes   []*routes.Route
}

type wireServer struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   routes.Metadata `json:"metadata"`
	Spec       struct {
		PodSelector *struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"podSelector"`
		Port          json.RawMessage `json:"port"`
		ProxyProtocol *string         `json:"proxyProtocol"`
		AccessPolicy  *string         `json:"accessPolicy"`
	} `json:"spec"`
}

// protocols are what a Server can be told that is spoken.
var protocols = []string{"unknown", "HTTP/1", "HTTP/2", "opaque", "TLS"}

func (b *inbound) addServer(a translators.Artifact) error {
	var w wireServer
	if err := routes.Decode(a, &w); err != nil {
		return err
	}
	s := &server{id: a.ID, name: ir.Name{Namespace: w.Metadata.Namespace, Name: w.Metadata.Name}, protocol: "unknown", access: "deny"}
	if err := json.Unmarshal(w.Spec.Port, &s.port); err != nil || s.port < 1 || s.port > 65535 {
		return fmt.Errorf("%s %s: port %s is no number, and how pods name their ports is not known", a.ID.Type, a.ID.Name, w.Spec.Port)
	}
	if w.Spec.ProxyProtocol != nil {
		s.protocol = *w.Spec.ProxyProtocol
	}
	if w.Spec.AccessPolicy != nil {
		s.access = *w.Spec.AccessPolicy
	}
	if _, ok := policies[s.access]; !ok || !slices.Contains(protocols, s.protocol) || w.Spec.PodSelector == nil {
		return fmt.Errorf("%s %s: no podSelector, or %q and %q are not known", a.ID.Type, a.ID.Name, s.protocol, s.access)
	}
	s.labels = w.Spec.PodSelector.MatchLabels
	b.all = append(b.all, s)
	return nil
}

// settle files every Server under the rarest of its labels, so that few are looked
// at for a pod, and gives it its routes. Two Servers for the same pods and port
// are what the webhook refuses.
func (b *inbound) settle() error {
	count := map[place]int{}
	for _, s := range b.all {
		for k, v := range s.labels {
			count[place{s.name.Namespace, s.port, k + "=" + v}]++
		}
	}
	slices.SortFunc(b.all, func(x, y *server) int { return x.id.Compare(y.id) })
	for _, s := range b.all {
		s.routes = b.routes[s.name]
		routes.Sort(s.routes)
		at := place{namespace: s.name.Namespace, port: s.port}
		for _, k := range slices.Sorted(maps.Keys(s.labels)) {
			one := place{s.name.Namespace, s.port, k + "=" + s.labels[k]}
			if at.label == "" || count[one] < count[at] {
				at = one
			}
		}
		if i := slices.IndexFunc(b.servers[at], func(o *server) bool { return maps.Equal(o.labels, s.labels) }); i >= 0 {
			return fmt.Errorf("%s and %s select the same pods and port", s.id.Name, b.servers[at][i].id.Name)
		}
		b.servers[at] = append(b.servers[at], s)
	}
	return nil
}

// on lists the Servers on a port of a pod. Nobody knows which pods are selected
// that nobody knows.
func (b *inbound) on(namespace string, labels map[string]string, port int32) []*server {
	if labels == nil {
		return nil
	}
	out := slices.Clone(b.servers[place{namespace, port, ""}])
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		for _, s := range b.servers[place{namespace, port, k + "=" + labels[k]}] {
			if selects(s.labels, labels) {
				out = append(out, s)
			}
		}
	}
	return out
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// Admit says whether the proxy of a pod lets a request in. A request that is not
// found at any route of its Server is denied as one that is not authorised.
func (m *mesh) Admit(a interpret.Arrival) interpret.Admission {
	if m.world.Protocol(a.Workload, a.Port) == ir.UDP {
		return interpret.Admission{Allowed: true} // past the proxy
	}
	servers := m.inbound.on(a.Workload.Namespace, a.Pod, a.Port)
	if len(servers) == 0 {
		return interpret.Admission{Allowed: m.lets(m.policy, a.Request) || m.probes(a)}
	}
	out := interpret.Admission{Allowed: true}
	for _, s := range servers {
		allowed, by := m.serves(s, a)
		out.Allowed = out.Allowed && allowed
		out.By = append(append(out.By, s.id), by...)
	}
	return out
}

// serves decides at one Server.
func (m *mesh) serves(s *server, a interpret.Arrival) (allowed bool, by []translators.ID) {
	q := a.Request
	if m.lets(s.access, q) {
		allowed = true
	}
	server, ids := m.authorized(q, target{"Server", s.name}, target{"Namespace", ir.Name{Namespace: s.name.Namespace}})
	allowed, by = allowed || server, ids
	switch {
	case s.protocol == "opaque", s.protocol == "TLS", s.protocol == "unknown" && q.Raw:
		return allowed, by
	case q.Raw: // it is no request
		return false, by
	case len(s.routes) == 0:
		return allowed || m.probes(a), by
	}
	route, rule := m.order.find(s.routes, q)
	if rule == nil {
		return false, by
	}
	at, ids := m.authorized(q, target{routes.HTTPRoute, route.Name})
	return allowed || at, append(append(by, route.ID), ids...)
}

// probes reports whether a request is what the controller lets through by itself
// at a Server without routes: an HTTP probe that a pod declares.
func (m *mesh) probes(a interpret.Arrival) bool {
	path, _ := routes.Target(a.Request.Path)
	return !a.Request.Raw && a.Request.Method == "GET" &&
		slices.ContainsFunc(m.world.Workloads[a.Workload].Probes, func(p ir.Probe) bool {
			declared, _ := routes.Target(p.Path)
			return p.Protocol == ir.HTTP && p.Port == a.Port && declared == path
		})
}

// authorization is an AuthorizationPolicy: all of its references have to hold.
type authorization struct {
	id   translators.ID
	refs []wireReference
}

type wirePolicy struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   routes.Metadata `json:"metadata"`
	Spec       struct {
		TargetRef    *wireReference  `json:"targetRef"`
		Requirements []wireReference `json:"requiredAuthenticationRefs"`
	} `json:"spec"`
}

func (b *inbound) addPolicy(a translators.Artifact) error {
	var w wirePolicy
	if err := routes.Decode(a, &w); err != nil {
		return err
	}
	namespace, to := w.Metadata.Namespace, w.Spec.TargetRef
	if to == nil || to.Name == "" || to.Namespace != "" && to.Namespace != namespace {
		return fmt.Errorf("%s %s: it is about nothing, or about what is in another namespace", a.ID.Type, a.ID.Name)
	}
	at := target{to.Kind, ir.Name{Namespace: namespace, Name: to.Name}}
	switch to.Group + "/" + to.Kind {
	case policyGroup + "/Server", routes.Group + "/HTTPRoute":
	case "/Namespace", "core/Namespace":
		if to.Name != namespace {
			return fmt.Errorf("%s %s: it is about another namespace", a.ID.Type, a.ID.Name)
		}
		at.name.Name = ""
	default:
		return fmt.Errorf("%s %s: it is about a %s/%s, which is not known here", a.ID.Type, a.ID.Name, to.Group, to.Kind)
	}
	out := &authorization{id: a.ID}
	seen := map[bool]int{}
	for _, r := range w.Spec.Requirements {
		if r.Namespace == "" {
			r.Namespace = namespace
		}
		if kind := r.Group + "/" + r.Kind; r.Name == "" || !slices.Contains(required, kind) {
			return fmt.Errorf("%s %s: there is no authentication of kind %q", a.ID.Type, a.ID.Name, kind)
		}
		if seen[r.Kind == network]++; seen[r.Kind == network] > 1 {
			return fmt.Errorf("%s %s: two authentications by %s", a.ID.Type, a.ID.Name, r.Kind)
		}
		out.refs = append(out.refs, r)
	}
	b.policies[at] = append(b.policies[at], out)
	return nil
}

var required = []string{policyGroup + "/" + meshTLS, policyGroup + "/" + network, "/ServiceAccount", "core/ServiceAccount"}

// authorized reports whether a policy about any of the targets holds for a caller,
// and which.
func (m *mesh) authorized(q semantics.Request, targets ...target) (bool, []translators.ID) {
	name := m.identities.of(q.From)
	for _, at := range targets {
		for _, p := range m.inbound.policies[at] {
			if !slices.ContainsFunc(p.refs, func(r wireReference) bool { return !m.authenticated(r, name) }) {
				return true, []translators.ID{p.id}
			}
		}
	}
	return false, nil
}

// authenticated: a reference to what is not there makes a policy void.
func (m *mesh) authenticated(r wireReference, name string) bool {
	at := ir.Name{Namespace: r.Namespace, Name: r.Name}
	switch {
	case r.Kind == network:
		return m.networks[at] != nil
	case strings.EqualFold(r.Kind, "ServiceAccount"):
		return name != "" && name == m.identities.account(r.Namespace, r.Name)
	}
	a := m.meshTLS[at]
	return a != nil && a.holds(name)
}
