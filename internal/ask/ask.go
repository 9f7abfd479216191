// Package ask answers questions about an input: what becomes of a request, why,
// and where back ends and other inputs make something else of it. It is what the
// verbs explain, simulate, diff and test share; it prints nothing.
package ask

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Program is what reads inputs, translates them, and reads what comes out.
type Program struct {
	translators.Pipeline
	// Interpreter returns what reads the artifacts of a back end.
	Interpreter func(backend string) (interpret.New, bool)
}

// Asker asks about one input. It is not safe for concurrent use.
type Asker struct {
	pipeline Program
	store    *input.Store
	reader   input.Reader
	targets  []translators.Target
	// names are the Services that there may be, by name alone; made at first use.
	names map[string][]ir.Name
}

// New makes an asker of an input, which asks the targets' back ends too.
func New(p Program, s *input.Store, targets []translators.Target) *Asker {
	return &Asker{pipeline: p, store: s, reader: s.Reader(), targets: targets}
}

// Slice is the part of a mesh that a request has to do with.
type Slice struct {
	// Units in order of their keys.
	Units []ir.Unit
	// Findings of the front ends about them.
	Findings report.Report
}

// unit returns the unit of a slice with a key.
func (s Slice) unit(k ir.Key) (ir.Unit, bool) {
	i, ok := slices.BinarySearchFunc(s.Units, k, func(u ir.Unit, k ir.Key) int { return u.Key().Compare(k) })
	if !ok {
		return ir.Unit{}, false
	}
	return s.Units[i], true
}

// Slice compiles the units that decide a request, and no others: the callee,
// every Service that calls may be sent on to, the workloads behind these, those
// of the caller, and what the namespaces say of them.
func (a *Asker) Slice(q semantics.Request) Slice {
	s := slicer{asker: a, seen: map[ir.Key]bool{}, called: map[ir.Name]bool{}}
	s.want(ir.Key{Kind: ir.KindMesh})
	switch {
	case q.Workload != (ir.Name{}):
		s.servers([]ir.Identity{{Namespace: q.Workload.Namespace, Account: q.Workload.Name}})
	case q.Gateway != (ir.Name{}):
		s.want(ir.Key{Kind: ir.KindGateway, Namespace: q.Gateway.Namespace, Name: q.Gateway.Name})
		s.hosts(q)
	default:
		s.service(q.Service)
	}
	if q.From != nil {
		s.identity(*q.From)
	}
	for len(s.next) > 0 {
		k := s.next[0]
		s.next = s.next[1:]
		s.compile(k)
	}
	s.neighbours()
	slices.SortFunc(s.out.Units, func(a, b ir.Unit) int { return a.Key().Compare(b.Key()) })
	return s.out
}

// slicer holds the scratch state of one Slice.
type slicer struct {
	asker *Asker // INPUT
	seen  map[ir.Key]bool
	next  []ir.Key
	// called are the accounts that may be called.
	called map[ir.Name]bool
	out    Slice // OUTPUT
}

func (s *slicer) want(k ir.Key) {
	if !s.seen[k] {
		s.seen[k] = true
		s.next = append(s.next, k)
	}
}

// service wants a Service, and those of its name elsewhere: a mesh may have one
// space of names for all.
func (s *slicer) service(n ir.Name) {
	if s.seen[ir.Key{Kind: ir.KindService, Namespace: n.Namespace, Name: n.Name}] {
		return
	}
	for _, one := range append(s.asker.named(n.Name), n) {
		s.want(ir.Key{Kind: ir.KindService, Namespace: one.Namespace, Name: one.Name})
		s.want(ir.Key{Kind: ir.KindEndpoints, Namespace: one.Namespace, Name: one.Name})
		s.want(ir.Key{Kind: ir.KindNamespace, Name: one.Namespace})
	}
}

func (s *slicer) identity(id ir.Identity) {
	if id.SPIFFE == "" {
		s.want(ir.Key{Kind: ir.KindWorkload, Namespace: id.Namespace, Name: id.Account})
		s.want(ir.Key{Kind: ir.KindNamespace, Name: id.Namespace})
	}
}

// hosts wants the hosts of a Gateway's port that a request may be asked of.
func (s *slicer) hosts(q semantics.Request) {
	for _, k := range s.asker.hosts(q.Gateway) {
		if _, port, host := ir.ParseVirtualHostName(k.Name); port == q.Port && covers(host, q) {
			s.want(k)
		}
	}
}

// covers reports whether a host name may cover the one that is asked for. It
// may err on the generous side: which host it is, others decide.
func covers(host string, q semantics.Request) bool {
	asked := ""
	if h := q.Headers["host"]; len(h) > 0 {
		asked, _, _ = strings.Cut(strings.ToLower(h[0]), ":")
	}
	suffix, wildcard := strings.CutPrefix(host, "*")
	return host == asked || wildcard && strings.HasSuffix(asked, suffix)
}

// hosts lists the virtual hosts of a Gateway.
func (a *Asker) hosts(gateway ir.Name) []ir.Key {
	var out []ir.Key
	for _, k := range a.keys(ir.KindVirtualHost) {
		name, _, _ := ir.ParseVirtualHostName(k.Name)
		if k.Namespace == gateway.Namespace && name == gateway.Name {
			out = append(out, k)
		}
	}
	return out
}

// named lists the Services of a name, in whatever namespace.
func (a *Asker) named(name string) []ir.Name {
	if a.names == nil {
		a.names = map[string][]ir.Name{}
		for _, o := range a.store.Objects() {
			for _, f := range a.pipeline.Frontends {
				for _, k := range f.Keys(o, a.reader) {
					n := ir.Name{Namespace: k.Namespace, Name: k.Name}
					if k.Kind == ir.KindService && !slices.Contains(a.names[k.Name], n) {
						a.names[k.Name] = append(a.names[k.Name], n)
					}
				}
			}
		}
	}
	return slices.Clone(a.names[name])
}

// keys lists the units of a kind that there may be.
func (a *Asker) keys(kind ir.UnitKind) []ir.Key { return a.keysOf(kind, a.store.Objects()) }

// keysOf lists the units of a kind that some objects make.
func (a *Asker) keysOf(kind ir.UnitKind, objects []input.Object) []ir.Key {
	return slices.DeleteFunc(a.pipeline.Keys(objects, a.reader), func(k ir.Key) bool { return k.Kind != kind })
}

// compile compiles a unit, and wants what it leads to.
func (s *slicer) compile(k ir.Key) {
	u, found, ok := s.asker.pipeline.Compile(k, s.asker.reader)
	if s.out.Findings = append(s.out.Findings, found...); !ok {
		return
	}
	s.out.Units = append(s.out.Units, u)
	switch {
	case u.Service != nil: // and its name may be that of an account, see below
		s.want(ir.Key{Kind: ir.KindWorkload, Namespace: u.Service.Namespace, Name: u.Service.Name})
		for _, p := range u.Service.Ports {
			s.servers(p.Servers)
			s.routes(p.AllRoutes())
		}
	case u.VirtualHost != nil:
		s.identity(u.VirtualHost.Identity)
		s.routes(u.VirtualHost.Routes)
	case u.Gateway != nil:
		s.identity(u.Gateway.Identity)
	case u.Workload != nil:
		s.want(ir.Key{Kind: ir.KindNamespace, Name: u.Workload.Namespace})
		// A mesh may know pods by a Service, and where there is none by their account.
		s.service(ir.Name{Namespace: u.Workload.Namespace, Name: u.Workload.Account})
		for _, p := range u.Workload.Ports {
			for _, called := range p.Services {
				s.service(called.Service)
			}
		}
	}
}

func (s *slicer) routes(routes []ir.Route) {
	for _, r := range routes {
		for _, b := range r.Backends {
			s.service(b.Service)
			s.servers(b.Servers)
		}
		for _, m := range r.Mirrors {
			s.service(m.Backend.Service)
			s.servers(m.Backend.Servers)
		}
	}
}

func (s *slicer) servers(ids []ir.Identity) {
	for _, id := range ids {
		s.identity(id)
		s.called[ir.Name{Namespace: id.Namespace, Name: id.Account}] = true
	}
}

// neighbours adds the workloads whose pods cannot be selected without catching
// those that may be called: what is said of them holds there too.
func (s *slicer) neighbours() {
	namespaces := map[string]bool{}
	for n := range s.called {
		namespaces[n.Namespace] = true
	}
	if len(namespaces) == 0 {
		return
	}
	// Who catches pods has some in their namespace.
	near := slices.DeleteFunc(s.asker.store.Objects(), func(o input.Object) bool { return !namespaces[o.Namespace] })
	for _, k := range s.asker.keysOf(ir.KindWorkload, near) {
		if s.seen[k] {
			continue
		}
		u, _, ok := s.asker.pipeline.Compile(k, s.asker.reader)
		if ok && slices.ContainsFunc(u.Workload.Pods, s.catches(k.Namespace)) {
			s.out.Units = append(s.out.Units, u)
		}
	}
}

// catches reports whether the labels of a class of pods select some that may be called.
func (s *slicer) catches(namespace string) func(ir.PodClass) bool {
	return func(p ir.PodClass) bool {
		return len(p.Labels) == 0 || slices.ContainsFunc(p.AlsoCatches, func(account string) bool {
			return s.called[ir.Name{Namespace: namespace, Name: account}]
		})
	}
}
