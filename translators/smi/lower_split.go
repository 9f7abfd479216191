package smi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/report"
)

// splitting is the lowering of the TrafficSplits of one root.
type splitting struct {
	r     input.Reader // INPUT
	root  ir.Name
	found report.Report // OUTPUT
}

// applied is a TrafficSplit that holds.
type applied struct {
	input.Object
	*Split
	// matches of a split that has them; else every request is split.
	matches  []ir.Match
	backends []backend
}

// backend is a backend of a split: on every port the same, but for the port.
type backend struct {
	ir.Backend
	service kube.Service
	// given: the ports are known, for the Service is.
	given bool
	ref   report.Ref // of its name
}

func lowerService(r input.Reader, s *ir.Service) report.Report {
	t := &splitting{r: r, root: ir.Name{Namespace: s.Namespace, Name: s.Name}}
	splits := r.Lookup(splitsByRoot, t.root.String())
	if s.Ref.IsZero() && !t.infer(s, splits) {
		return t.found
	}
	for i := range s.Ports {
		t.protocol(&s.Ports[i])
	}
	holding := t.holding(splits)
	for i := range s.Ports {
		t.routes(&s.Ports[i], holding)
	}
	return t.found
}

func (t *splitting) add(found ...report.Finding) { t.found = append(t.found, found...) }

// infer makes a Service of which nothing is known but that splits name it. Where
// all Services are known it does not exist, and who splits it has no effect.
func (t *splitting) infer(s *ir.Service, splits []input.Object) bool {
	closed := t.r.Complete(t.root.Namespace)
	for _, o := range splits {
		v := o.Value.(*Split)
		if _, found := rootOf(o, v); !o.Rejected && found != nil && found.Severity == report.Error {
			t.add(*found)
			return false
		}
		if closed && !o.Rejected {
			t.add(report.New(report.NoEffect, o.Ref(v.ServiceField), "Service "+t.root.String()+" does not exist, so there is nothing to split"))
		}
	}
	ref, ok := t.named(splits)
	if closed || !ok {
		return false
	}
	s.Ref, s.Inferred = ref, true
	s.Ports = []ir.Port{{Number: ir.AnyPort, Protocol: ir.HTTP, Ref: ref}}
	t.add(report.New(report.InferredService, ref, "Service "+t.root.String()+" is not given; it is taken to exist and to speak HTTP"))
	return true
}

// named returns the first place that names the Service, as root or as backend.
func (t *splitting) named(splits []input.Object) (report.Ref, bool) {
	for _, o := range splits {
		if !o.Rejected {
			return o.Ref(o.Value.(*Split).ServiceField), true
		}
	}
	return namedAsBackend(t.r, t.root)
}

func namedAsBackend(r input.Reader, name ir.Name) (report.Ref, bool) {
	for _, o := range r.Lookup(splitsByBackend, name.String()) {
		if o.Rejected {
			continue
		}
		for _, b := range o.Value.(*Split).Backends {
			if n, ok := serviceName(o.Namespace, b.Service); ok && n == name {
				return o.Ref(b.Field), true
			}
		}
	}
	return report.Ref{}, false
}

func (t *splitting) protocol(p *ir.Port) {
	if p.Protocol != "" {
		return
	}
	if ref, ok := speaksHTTP(t.r, t.root, p.Number); ok {
		p.Protocol = ir.HTTP
		t.add(report.New(report.InferredProtocol, p.Ref,
			fmt.Sprintf("port %d does not say what it speaks; %s concerns it, so it is HTTP", p.Number, ref.Object())).With(ref))
	}
}

// holding returns the splits that hold: those with matches, oldest first, then
// the one without.
func (t *splitting) holding(splits []input.Object) []applied {
	var matching, rest []applied
	for _, o := range splits {
		a, ok := t.usable(o)
		switch {
		case !ok:
		case len(a.Matches) > 0:
			if t.composes(a, matching) {
				matching = append(matching, a)
			}
		case len(rest) > 0:
			t.add(conflict(a, rest[0], "both split every request to "+t.root.Name))
		default:
			rest = append(rest, a)
		}
	}
	return append(matching, rest...)
}

// composes reports whether a younger split with matches may stand beside older ones.
func (t *splitting) composes(a applied, older []applied) bool {
	for _, o := range older {
		if collide(a.matches, o.matches) {
			t.add(conflict(a, o, "a match of one holds for whatever a match of the other does"))
			return false
		}
	}
	for _, o := range older {
		if !distinct(a.matches, o.matches) {
			f := conflict(a, o, "some requests may match both, and go where the older one sends them")
			f.Severity = report.Warning
			t.add(f)
		}
	}
	return true
}

func conflict(loser, winner applied, why string) report.Finding {
	return report.New(report.SplitConflict, loser.Ref(loser.ServiceField),
		"TrafficSplit "+winner.ID.Name+" is older or comes first by name: "+why).With(winner.Ref(winner.ServiceField))
}

// usable resolves what a split refers to. It reports false for one that must
// not be applied.
func (t *splitting) usable(o input.Object) (applied, bool) {
	s := o.Value.(*Split)
	if o.Rejected || len(s.Backends) == 0 {
		return applied{}, false
	}
	if _, found := rootOf(o, s); found != nil {
		t.add(*found)
	}
	a := applied{Object: o, Split: s}
	ok := t.unrepeated(o, s)
	if !slices.ContainsFunc(s.Backends, func(b SplitBackend) bool { return b.Weight > 0 }) {
		ok = false
		t.add(report.New(report.AllWeightsZero, o.Ref("spec.backends"), "all weights are 0, so the split is not used"))
	}
	for _, ref := range s.Matches {
		ok = t.group(&a, ref) && ok
	}
	if !ok {
		return applied{}, false
	}
	for _, b := range s.Backends {
		a.backends = append(a.backends, t.backend(o, b))
	}
	return a, true
}

// unrepeated reports whether a split names no backend twice.
func (t *splitting) unrepeated(o input.Object, s *Split) bool {
	first := map[ir.Name]report.Ref{}
	ok := true
	for _, b := range s.Backends {
		name, readable := serviceName(o.Namespace, b.Service)
		ref := o.Ref(input.Field(b.Field, "service"))
		if other, again := first[name]; readable && again {
			ok = false
			t.add(report.New(report.DuplicateBackend, ref, "backend "+b.Service+" is given twice").With(other))
		} else if readable {
			first[name] = ref
		}
	}
	return ok
}

// group adds the matches of an HTTPRouteGroup to a split.
func (t *splitting) group(a *applied, ref RouteRef) bool {
	g, found := findGroup(t.r, a.Namespace, ref, a.Ref(ref.Field))
	t.add(found...)
	if len(found) > 0 {
		return false
	}
	all := true
	for _, m := range g.Matches {
		matches, found, ok := g.lowerMatch(m)
		t.add(found...)
		a.matches = append(a.matches, matches...)
		all = all && ok
	}
	return all
}

// backend resolves a backend of a split.
func (t *splitting) backend(o input.Object, b SplitBackend) backend {
	field := input.Field(b.Field, "service")
	name, odd := localName(o, b.Service, field)
	out := backend{Backend: ir.Backend{Service: name, Weight: b.Weight, Ref: o.Ref(b.Field)}, ref: o.Ref(field)}
	if odd != nil {
		t.add(*odd)
		if odd.Severity == report.Error {
			out.Service = ir.Name{Namespace: o.Namespace, Name: strings.ReplaceAll(b.Service, "/", ".")}
			out.Invalid = odd.Message
			return out
		}
	}
	if out.service, out.given = kube.FindService(t.r, name); out.given {
		out.Servers = kube.Behind(t.r, name.Namespace, out.service)
	} else if t.r.Complete(name.Namespace) {
		t.missing(&out)
	}
	switch {
	case name == t.root:
		t.add(report.New(report.RootSelfBackend, out.ref, "the root "+name.Name+" is a backend of its own split: this share goes to its own endpoints"))
	case t.isRoot(name):
		t.add(report.New(report.ChainedSplit, out.ref, "backend "+name.Name+" is split itself; that does not hold for this share"))
	}
	return out
}

// missing marks a backend that does not exist. One without weight is mostly one
// that is about to be made.
func (t *splitting) missing(b *backend) {
	b.Invalid = "Service " + b.Service.String() + " does not exist"
	f := report.New(report.MissingBackend, b.ref, b.Invalid+", so its share of the requests fails")
	if b.Weight == 0 {
		f.Severity, f.Message = report.Info, b.Invalid+"; it has no weight, so nothing is sent there"
	}
	t.add(f)
}

func (t *splitting) isRoot(name ir.Name) bool {
	return slices.ContainsFunc(t.r.Lookup(splitsByRoot, name.String()), func(o input.Object) bool { return !o.Rejected })
}

// routes puts the routes of splits before the port's own.
func (t *splitting) routes(p *ir.Port, splits []applied) {
	if other, ok := routedAlready(*p); ok {
		for _, a := range splits {
			t.add(report.New(report.SplitConflict, a.Ref(a.ServiceField), fmt.Sprintf(
				"on port %d of %s the routes of %s %s hold, with which a split is not mixed", p.Number, t.root.Name, other.Kind, other.Name)).With(other))
		}
		return
	}
	var routes []ir.Route
	for _, a := range splits {
		if len(a.Matches) > 0 && !p.Protocol.IsHTTP() {
			t.add(report.New(report.MatchesOnTCP, a.Ref("spec.matches"), fmt.Sprintf(
				"port %d of %s is %s, where requests cannot be told apart: all of it goes to %s", p.Number, t.root.Name, p.Protocol, t.root.Name)))
			continue
		}
		if r, ok := t.route(a, *p); ok {
			routes = append(routes, r)
		}
	}
	p.Routes = append(routes, p.Routes...)
}

// routedAlready returns who of another API routes a port, whose word counts.
func routedAlready(p ir.Port) (report.Ref, bool) {
	for _, r := range p.AllRoutes() {
		if r.Ref != p.Ref {
			return r.Ref, true
		}
	}
	return report.Ref{}, false
}

// route applies a split to a port. It reports false where no backend with any
// weight has the port.
func (t *splitting) route(a applied, p ir.Port) (ir.Route, bool) {
	out := ir.Route{Name: a.ID.Name, Ref: a.Ref("spec"), Matches: a.matches}
	if len(a.Matches) == 0 {
		out.Matches = []ir.Match{ir.MatchAll(a.Ref("spec"))}
	}
	var lacking []string
	var sum uint64
	for _, b := range a.backends {
		b.Port = p.Number
		if b.given && !hasPort(b.service, p) {
			lacking = append(lacking, b.Service.Name)
			t.add(report.New(report.MissingPort, b.ref, fmt.Sprintf("%s has no port %d like %s; it is left out for this port", b.Service.Name, p.Number, t.root.Name)))
			continue
		}
		sum += uint64(b.Weight)
		out.Backends = append(out.Backends, b.Backend)
	}
	if sum == 0 {
		t.add(report.New(report.NoEffect, a.Ref("spec.backends"), fmt.Sprintf("on port %d nothing is left to split, for %s lack it: all of it goes to %s",
			p.Number, strings.Join(lacking, ", "), t.root.Name)))
	}
	return out, sum > 0
}

// hasPort reports whether a Service has a port of the number, over the same transport.
func hasPort(s kube.Service, p ir.Port) bool {
	own, ok := s.Port(p.Number)
	return ok && (own.Protocol == ir.UDP) == (p.Protocol == ir.UDP)
}
