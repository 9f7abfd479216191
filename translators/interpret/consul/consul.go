// Package consul decides requests by Consul's configuration entries, or by the
// objects that stand for them, as the agents and sidecars of the community edition
// would: service-defaults, proxy-defaults, service-router, service-splitter,
// service-resolver, service-intentions and mesh. Another kind or field is an error,
// for what it changes would be overlooked.
//
// Consul knows no namespaces and no accounts. A Kubernetes Service is the service of
// its name, or of the one that the option service.NS/NAME gives it. A caller is the
// services whose pods run as its account or, where no Service selects them, the
// service of the account's name. What is of another mesh, or in plain text, is
// nobody, whom no proxy answers.
package consul

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/sidecar"
	"github.com/meshknot/meshknot/translators/ir"
)

// mesh is what the agents were told, ready to be asked.
type mesh struct {
	world interpret.World
	// allows: what no intention speaks of passes.
	allows bool
	// names are those by which Consul knows Services and accounts, where they differ.
	names map[ir.Name]string
	// known are the Services that Consul knows by a name, accounts the services
	// whose pods run as them.
	known    map[string][]ir.Name
	accounts map[ir.Name][]string
	// reading is how a proxy reads the path of what arrives.
	reading    sidecar.Reading
	entries    entries
	chains     map[string]*chain
	intentions map[string]*intentions
}

// entries are the entries of each kind, by name.
type entries struct {
	protocol  map[string]string
	fallback  string // the protocol of what nobody speaks of
	routers   map[string]*router
	splitters map[string]*splitter
	resolvers map[string]*resolver
	ids       map[string][]translators.ID // by kind and name
}

const servicePrefix = "service."

// New reads entries. The error says what Consul would refuse to take, or what
// cannot be read here.
func New(w interpret.World, t translators.Target, artifacts []translators.Artifact) (interpret.Mesh, error) {
	m := &mesh{
		world:  w,
		allows: cmp.Or(t.Options["default"], "deny") == "allow",
		names:  map[ir.Name]string{}, known: map[string][]ir.Name{}, accounts: map[ir.Name][]string{},
		reading: sidecar.Reading{Normal: true},
		entries: entries{protocol: map[string]string{}, fallback: "tcp", routers: map[string]*router{},
			splitters: map[string]*splitter{}, resolvers: map[string]*resolver{}, ids: map[string][]translators.ID{}},
		chains:     map[string]*chain{},
		intentions: map[string]*intentions{},
	}
	m.learn(t)
	for _, a := range artifacts {
		e, err := read(a, t.Options["form"] == "kubernetes")
		if err == nil {
			err = m.add(a.ID, e)
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", a.ID.Type, a.ID.Name, err)
		}
	}
	return m, m.compile()
}

// learn says who is what in Consul.
func (m *mesh) learn(t translators.Target) {
	for option, name := range t.Options {
		if rest, ok := strings.CutPrefix(option, servicePrefix); ok && name != "" {
			namespace, n, _ := strings.Cut(rest, "/")
			m.names[ir.Name{Namespace: namespace, Name: n}] = name
		}
	}
	for s := range m.world.Services {
		m.known[m.name(s)] = append(m.known[m.name(s)], s)
	}
	for p, servers := range m.world.Servers {
		for _, id := range servers {
			account := ir.Name{Namespace: id.Namespace, Name: id.Account}
			if name := m.name(p.Service); !slices.Contains(m.accounts[account], name) {
				m.accounts[account] = append(m.accounts[account], name)
			}
		}
	}
	for _, all := range m.known {
		slices.SortFunc(all, ir.Name.Compare)
	}
	for _, all := range m.accounts {
		slices.Sort(all)
	}
}

// name is how Consul knows a Service, or an account that no Service selects.
func (m *mesh) name(n ir.Name) string { return cmp.Or(m.names[n], n.Name) }

func (m *mesh) add(id translators.ID, e entry) error {
	m.entries.ids[e.kind+" "+e.name] = []translators.ID{id}
	switch e.kind {
	case "service-defaults":
		var w wireDefaults
		err := decode(e.body, &w)
		m.entries.protocol[e.name] = cmp.Or(w.Protocol, m.entries.fallback)
		return valid(w.Protocol, err)
	case "proxy-defaults":
		var w wireProxyDefaults
		err := decode(e.body, &w)
		m.entries.fallback = cmp.Or(w.Config.Protocol, m.entries.fallback)
		return valid(w.Config.Protocol, err)
	case "mesh":
		return m.addMesh(e)
	case "service-router":
		return m.addRouter(e)
	case "service-splitter":
		return m.addSplitter(e)
	case "service-resolver":
		return m.addResolver(e)
	case "service-intentions":
		return m.addIntentions(e)
	}
	return fmt.Errorf("an entry of kind %q is not read here", e.kind)
}

// protocols are those that Consul knows; of all but the last, requests are seen.
var protocols = []string{"http", "http2", "grpc", "tcp"}

func valid(protocol string, err error) error {
	if err == nil && protocol != "" && !slices.Contains(protocols, protocol) {
		return fmt.Errorf("the protocol %q", protocol)
	}
	return err
}

// protocol is what a service speaks, as far as Consul was told.
func (m *mesh) protocol(service string) string {
	return cmp.Or(m.entries.protocol[service], m.entries.fallback)
}

func (m *mesh) seesRequests(service string) bool { return m.protocol(service) != "tcp" }

// addMesh reads how the paths of what arrives are brought into form.
func (m *mesh) addMesh(e entry) error {
	var w wireMesh
	if err := decode(e.body, &w); err != nil {
		return err
	}
	if w.HTTP == nil || w.HTTP.Incoming == nil || w.HTTP.Incoming.RequestNormalization == nil {
		return nil
	}
	n := w.HTTP.Incoming.RequestNormalization
	switch n.PathWithEscapedSlashesAction {
	case "", "IMPLEMENTATION_SPECIFIC_DEFAULT", "KEEP_UNCHANGED":
	default:
		return fmt.Errorf("escaped slashes are dealt with by %q, which is not read here", n.PathWithEscapedSlashesAction)
	}
	m.reading = sidecar.Reading{Normal: !n.InsecureDisablePathNormalization, Merged: n.MergeSlashes}
	return nil
}
