package consul

import (
	"cmp"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// mesh is what a target says of the installation.
type mesh struct {
	// allows: an agent lets pass what no intention speaks of.
	allows bool
	// kubernetes: objects are made, in namespace.
	kubernetes bool
	namespace  string
	// names are those by which Consul knows Services and accounts, where they differ.
	names map[ir.Name]string
}

const (
	defaultOption   = "default"
	formOption      = "form"
	namespaceOption = "namespace"
	serviceOption   = "service."
)

// meshOf reads the options. What is not understood is read as the agents that
// need more said to deny.
func meshOf(t translators.Target) mesh {
	m := mesh{
		allows:     cmp.Or(t.Options[defaultOption], "deny") != "deny",
		kubernetes: t.Options[formOption] == "kubernetes",
		namespace:  cmp.Or(t.Options[namespaceOption], "default"),
		names:      map[ir.Name]string{},
	}
	for k, v := range t.Options {
		if rest, ok := strings.CutPrefix(k, serviceOption); ok && v != "" {
			namespace, name, _ := strings.Cut(rest, "/")
			m.names[ir.Name{Namespace: namespace, Name: name}] = v
		}
	}
	return m
}

// Options implements translators.Configurable.
func (backend) Options() []translators.Option {
	return []translators.Option{
		{Key: defaultOption, Form: "default=deny|allow", Help: "what the agents do with a call that no intention speaks of (deny)"},
		{Key: formOption, Form: "form=config|kubernetes", Help: "configuration entries, or objects for Consul on Kubernetes (config)"},
		{Key: namespaceOption, Form: "namespace=NAMESPACE", Help: "where objects are made with form=kubernetes (default)"},
		{Key: serviceOption, Form: "service.NS/NAME=SERVICE", Help: "how Consul knows a Service, or an account that no Service is known for"},
	}
}

// name returns the name by which Consul knows a Service or an account.
func (m mesh) name(n ir.Name) string { return cmp.Or(m.names[n], n.Name) }

// off turns a timeout off: unset means fifteen seconds for a request.
const off = "-1s"

// serviceDefaults says what a service speaks, which Consul wants to know of every
// service on a request's way. A proxy takes an endpoint out that fails five
// times in a row unless its own service's defaults say that it must not.
func (m mesh) serviceDefaults(name, protocol, part string) translators.Artifact {
	return m.defaults(name, part, object{
		"Protocol": protocol,
		"UpstreamConfig": object{"Defaults": object{"PassiveHealthCheck": object{
			"EnforcingConsecutive5xx": int64(0), "MaxEjectionPercent": int64(0),
		}}},
	})
}

// madeUp says what a service speaks that nobody is, so that nobody calls from it.
func (m mesh) madeUp(name, protocol, part string) translators.Artifact {
	return m.defaults(name, part, object{"Protocol": protocol})
}

func (m mesh) defaults(name, part string, body object) translators.Artifact {
	a := m.artifact(kindDefaults, name, body)
	a.Rank, a.Part = rankProtocol, part
	return a
}

// mesh makes what holds for every proxy: how paths are read before intentions
// look at them and, where all is denied and agents allow, that all is denied.
func (m mesh) mesh(u ir.Mesh) ([]translators.Artifact, report.Report) {
	if u.Access == ir.AccessOff {
		return nil, nil
	}
	normal := m.artifact(kindMesh, "mesh", object{"HTTP": object{"Incoming": object{"RequestNormalization": object{
		"MergeSlashes":                 true,
		"PathWithEscapedSlashesAction": "KEEP_UNCHANGED",
	}}}})
	normal.Rank = rankProtocol
	out := []translators.Artifact{normal}
	var note string
	switch {
	case u.Access == ir.AccessStrict && m.allows:
		all := m.intentions(everybody, []any{denied()})
		all.Rank = rankAccess
		out = append(out, all)
		note = "what no intention allows is denied in all of Consul, also what is in no namespace that was given"
	case u.Access == ir.AccessSelected && !m.allows:
		note = "the agents deny by default, so a workload that no policy names is closed too"
	default:
		return out, nil
	}
	return out, report.Report{report.New(report.Implicit, report.Ref{}, note).WithClass(report.Narrowed)}
}

// alone tells of a namespace that has to deny by default by itself: where agents
// allow, Consul would have to be told of each of its services, and not all are known.
func (m mesh) alone(n ir.Namespace) report.Report {
	if !n.Enforced || !n.Alone || !m.allows {
		return nil
	}
	return report.Report{report.New(report.Withheld, report.Ref{Kind: "Namespace", Name: n.Name},
		"what is not granted is denied: Consul has no namespaces here, and where its agents allow by default it denies for all of them or for none").
		WithClass(report.Dropped).WithHint("bind namespaces with another access mode to another mesh, or let the agents deny by default")}
}
