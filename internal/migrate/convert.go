package migrate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Conversion is what takes the place of the SMI objects.
type Conversion struct {
	// Routes are Gateway API; Access is in the form of the mesh that was named.
	Routes, Access []translators.Artifact
	// Replaced are the SMI objects that can go, once the rest is in place.
	Replaced []report.Ref
	// Found says what is left by hand (code ByHand), and what is not quite the same.
	Found report.Report
	// Denies: the input denies calls.
	Denies bool
}

// ByHand returns the findings that leave something to people.
func (c Conversion) ByHand() report.Report {
	return slices.DeleteFunc(slices.Clone(c.Found), func(f report.Finding) bool { return f.Code != report.ByHand })
}

// Output returns all that was made as one output.
func (c Conversion) Output(t translators.Target) []translators.Output {
	return []translators.Output{{Target: t, Artifacts: slices.Concat(c.Access, c.Routes)}}
}

// Convert makes routes of what SMI routes, and policies of a mesh of what it
// allows where one is named.
func (m *Migration) Convert() Conversion {
	var c Conversion
	c.Denies = slices.ContainsFunc(m.units, closed)
	routes := m.translate(func(u ir.Unit) bool { return u.Service != nil })
	for _, a := range routes.Artifacts {
		if slices.ContainsFunc(a.Refs, fromSMI) {
			c.Routes = append(c.Routes, a)
		}
	}
	c.Found = left(routes.Findings)
	m.taken(&c)
	stays := staying(c, m.routed())
	routed := c.Found
	c.Found = nil
	m.access(&c)
	for r := range staying(c, m.granted()) {
		stays[r] = true
	}
	c.Found = append(c.Found, routed...)
	m.rejected(&c)
	m.absent(&c, stays)
	c.Found = c.Found.Sorted()
	for _, o := range m.objects() {
		if ref := o.Ref(""); !stays[ref] && !o.Rejected && !m.maybeNamed(o) {
			c.Replaced = append(c.Replaced, ref)
		}
	}
	return c
}

func (m *Migration) translate(take func(ir.Unit) bool) translators.Output {
	taken := slices.DeleteFunc(slices.Clone(m.units), func(u ir.Unit) bool { return !take(u) })
	out, _ := translators.Make(taken, m.backend, m.target, nil)
	return out
}

// left says of what a back end does not keep that it is left by hand; what is
// nearly the same stays as it was said. Only what SMI asks for is migrated.
func left(found report.Report) report.Report {
	var out report.Report
	for _, f := range found {
		switch {
		case f.Code == report.Implicit || !fromSMI(f.Source):
			continue
		case f.Class == report.Dropped, f.Class == report.Narrowed, f.Class == report.Widened:
			f = byHand(f.Source, f.Message).WithClass(f.Class).With(f.Related...)
		}
		out = append(out, f)
	}
	return out
}

func byHand(at report.Ref, message string) report.Finding {
	return report.New(report.ByHand, at, message)
}

// access converts who may call, where a mesh is named in whose form that is done
// and where that mesh can keep all of it closed.
func (m *Migration) access(c *Conversion) {
	if !c.Denies {
		return
	}
	name := m.authorization()
	if name == "" {
		m.unguarded(c, "Gateway API has no authorization, so who may call is not converted: "+
			"with --authorization istio, linkerd or consul it is written in the form of that mesh; until then keep what enforces it")
		return
	}
	out := m.translate(func(u ir.Unit) bool { return access(u) || u.Mesh != nil })
	if out.Withheld {
		m.unguarded(c, name+" cannot deny all that is to be denied, so nothing of who may call is converted")
	}
	for _, f := range left(out.Findings) {
		if f.Code == report.ByHand {
			f.Severity = report.Error
		}
		c.Found = append(c.Found, f)
	}
	c.Access = out.Artifacts
}

// unguarded says at every object that makes something be denied that this is left.
func (m *Migration) unguarded(c *Conversion, message string) {
	say := func(at report.Ref) {
		f := byHand(at.Object(), message).WithClass(report.Dropped)
		f.Severity = report.Error // without it more would get through
		c.Found = append(c.Found, f)
	}
	for _, u := range m.units {
		switch {
		case !closed(u):
		case u.Namespace != nil:
			say(report.Ref{Kind: "Namespace", Name: u.Namespace.Name})
		case len(u.Workload.Because) == 0:
			say(u.Workload.Ref)
		}
		if w := u.Workload; w != nil && w.Enforced {
			for _, b := range w.Because {
				say(b)
			}
		}
	}
}

// taken leaves out routes of whose name another object is there already.
func (m *Migration) taken(c *Conversion) {
	c.Routes = slices.DeleteFunc(c.Routes, func(a translators.Artifact) bool {
		id := idOf(a.ID)
		known := slices.ContainsFunc(slices.Concat(m.set.Objects, m.set.Rejected, m.set.Others), func(o input.Object) bool { return o.ID == id })
		for _, r := range a.Refs {
			if known && fromSMI(r) {
				c.Found = append(c.Found, byHand(r.Object(), fmt.Sprintf("%s %s is there already, so what would have its name is not written: rename it", id.Kind, a.ID.Name)))
			}
		}
		return known
	})
}

func idOf(id translators.ID) input.ID {
	group, kind, _ := strings.Cut(id.Type, "/")
	_, kind, _ = strings.Cut(kind, "/")
	namespace, name, _ := strings.Cut(id.Name, "/")
	return input.ID{Group: group, Kind: kind, Namespace: namespace, Name: name}
}

// rejected says of SMI objects in error that they are left.
func (m *Migration) rejected(c *Conversion) {
	for _, o := range m.set.Rejected {
		if fromSMI(o.Ref("")) {
			c.Found = append(c.Found, byHand(o.Ref(""), "the object is in error, so it routes nothing and allows nothing, and nothing is made of it: correct it or remove it"))
		}
	}
}

// absent leaves what routes a Service that was not given: nothing is made of it,
// and what was given may not be all that there is.
func (m *Migration) absent(c *Conversion, stays map[report.Ref]bool) {
	for _, f := range m.found {
		if at := f.Source.Object(); f.Code == report.NoEffect && fromSMI(at) && f.Source.Field == "spec.service" && !stays[at] {
			c.Found, stays[at] = append(c.Found, byHand(f.Source, "the Service was not given, so nothing is made of what routes it: give the Service too, or remove this where there is none")), true
		}
	}
}

// staying lists the objects that are left by hand, with all that stands in one
// grant, or in one route, with them.
func staying(c Conversion, groups [][]report.Ref) map[report.Ref]bool {
	left, stays := map[report.Ref]bool{}, map[report.Ref]bool{}
	for _, f := range c.ByHand() {
		left[f.Source.Object()], stays[f.Source.Object()] = true, true
	}
	for _, g := range groups {
		if slices.ContainsFunc(g, func(r report.Ref) bool { return left[r.Object()] }) {
			for _, r := range g {
				stays[r.Object()] = true
			}
		}
	}
	return stays
}

// maybeNamed reports whether an object in error may name another: what it says
// is not known, so what it could name beside it stays.
func (m *Migration) maybeNamed(o input.Object) bool {
	return strings.HasPrefix(o.Group, "specs.") && slices.ContainsFunc(m.set.Rejected, func(r input.Object) bool {
		return fromSMI(r.Ref("")) && r.Group != o.Group && r.Namespace == o.Namespace
	})
}

// granted lists the places that make one grant.
func (m *Migration) granted() [][]report.Ref {
	var out [][]report.Ref
	for _, u := range m.units {
		if u.Workload == nil {
			continue
		}
		for _, g := range u.Workload.Grants {
			refs := append(placesOf(g.Matches), g.Ref)
			for _, s := range g.Sources {
				refs = append(refs, s.Ref)
			}
			for _, p := range g.Ports {
				refs = append(refs, p.Ref)
			}
			out = append(out, refs)
		}
	}
	return out
}

// routed lists the places that make one route.
func (m *Migration) routed() [][]report.Ref {
	var out [][]report.Ref
	for _, u := range m.units {
		if u.Service == nil {
			continue
		}
		for _, p := range u.Service.Ports {
			for _, r := range p.AllRoutes() {
				out = append(out, append(placesOf(r.Matches), r.Ref))
			}
		}
	}
	return out
}

func placesOf(matches []ir.Match) []report.Ref {
	var refs []report.Ref
	for _, m := range matches {
		refs = append(refs, m.Ref)
	}
	return refs
}
