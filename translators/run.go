package translators

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Pipeline is the lists that a translation runs through.
type Pipeline struct {
	Frontends []Frontend
	Passes    []Pass
	Backends  []Backend
}

// Schemas lists the kinds that the pipeline's front ends read.
func (p Pipeline) Schemas() []input.Schema {
	var out []input.Schema
	for _, f := range p.Frontends {
		out = append(out, f.Schemas()...)
	}
	return out
}

// Backend returns the back end with a name.
func (p Pipeline) Backend(name string) (Backend, bool) {
	for _, b := range p.Backends {
		if b.Name() == name {
			return b, true
		}
	}
	return nil, false
}

// Keys lists the units that a set of objects makes, sorted.
func (p Pipeline) Keys(objects []input.Object, r input.Reader) []ir.Key {
	seen := map[ir.Key]bool{{Kind: ir.KindMesh}: true}
	for _, o := range objects {
		for _, f := range p.Frontends {
			for _, k := range f.Keys(o, r) {
				seen[k] = true
			}
		}
	}
	keys := make([]ir.Key, 0, len(seen))
	for k := range seen {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, ir.Key.Compare)
	return keys
}

// Compile makes one unit of what a reader answers. It reports false when
// nothing that the key names exists.
func (p Pipeline) Compile(k ir.Key, r input.Reader) (ir.Unit, report.Report, bool) {
	u := newUnit(k, r)
	var found report.Report
	for _, f := range p.Frontends {
		found = append(found, f.Lower(r, &u)...)
	}
	if empty(u) {
		return ir.Unit{}, found, false
	}
	for _, pass := range p.Passes {
		found = append(found, pass.Run(&u)...)
	}
	return u, found, true
}

// Lower compiles every unit that the objects of a store make, sorted by key.
func (p Pipeline) Lower(s *input.Store) ([]ir.Unit, report.Report) {
	var units []ir.Unit
	var found report.Report
	r := s.Reader()
	for _, k := range p.Keys(s.Objects(), r) {
		u, f, ok := p.Compile(k, r)
		if found = append(found, f...); ok {
			units = append(units, u)
		}
	}
	return units, found
}

func newUnit(k ir.Key, r input.Reader) ir.Unit {
	switch k.Kind {
	case ir.KindNamespace:
		return ir.Unit{Namespace: &ir.Namespace{Name: k.Name}}
	case ir.KindService:
		return ir.Unit{Service: &ir.Service{Namespace: k.Namespace, Name: k.Name}}
	case ir.KindWorkload:
		return ir.Unit{Workload: &ir.Workload{Namespace: k.Namespace, Account: k.Name}}
	case ir.KindGateway:
		return ir.Unit{Gateway: &ir.Gateway{Namespace: k.Namespace, Name: k.Name}}
	case ir.KindVirtualHost:
		v := &ir.VirtualHost{}
		v.Gateway.Namespace = k.Namespace
		v.Gateway.Name, v.Port, v.Host = ir.ParseVirtualHostName(k.Name)
		return ir.Unit{VirtualHost: v}
	case ir.KindEndpoints:
		return ir.Unit{Endpoints: &ir.Endpoints{Namespace: k.Namespace, Name: k.Name}}
	case ir.KindRoute:
		kind, name := ir.ParseRouteName(k.Name)
		return ir.Unit{Route: &ir.RouteObject{Kind: kind, Namespace: k.Namespace, Name: name}}
	}
	return ir.Unit{Mesh: &ir.Mesh{Access: ir.Access(cmp.Or(r.Settings("").Access, string(ir.AccessSelected)))}}
}

// empty reports whether no front end had anything to say about the unit.
func empty(u ir.Unit) bool {
	switch {
	case u.Namespace != nil:
		return !u.Namespace.Enforced
	case u.Service != nil:
		return u.Service.Ref.IsZero()
	case u.Workload != nil:
		return u.Workload.Ref.IsZero()
	case u.Gateway != nil:
		return u.Gateway.Ref.IsZero()
	case u.VirtualHost != nil:
		return u.VirtualHost.Ref.IsZero()
	case u.Endpoints != nil:
		return len(u.Endpoints.Ports) == 0
	}
	return u.Route != nil
}

// Piece is what one back end makes of one unit.
type Piece struct {
	// Unit is what the back end was told: the unit without what was refused.
	Unit ir.Unit
	// Claims are what the unit makes use of, and what the table says of it.
	Claims    []feature.Claim
	Artifacts []Artifact
	Findings  report.Report
	Withheld  bool
	// Said are those of the findings that the back end made beyond its table.
	Said report.Report
	// memory is what a Follower wants to see when the unit is translated again.
	memory any
}

// Translate makes a back end's piece of one unit: what the table refuses is
// taken out and reported, the rest is translated.
func Translate(u ir.Unit, b Backend, t Target, waivers []feature.Waiver) Piece {
	return Retranslate(Piece{}, u, b, t, waivers)
}

// Retranslate is Translate of a unit of which a piece was made before, for the same
// target: the zero Piece, or one of which a Follower may take over parts.
func Retranslate(before Piece, u ir.Unit, b Backend, t Target, waivers []feature.Waiver) Piece {
	v := feature.Check(u, b.Name(), b.Supports(t), waivers)
	var artifacts []Artifact
	var found report.Report
	var memory any
	if f, ok := b.(Follower); ok {
		artifacts, found, memory = f.Follow(v.Unit, t, before.memory)
	} else {
		artifacts, found = b.Translate(v.Unit, t)
	}
	for i := range artifacts {
		artifacts[i].Unit = u.Key()
		if i >= len(before.Artifacts) || !shared(before.Artifacts[i].Refs, artifacts[i].Refs) {
			artifacts[i].Refs = sortedRefs(artifacts[i].Refs)
		}
	}
	for i := range found {
		found[i].Backend = b.Name()
	}
	// What cannot be said of a whole namespace, only the back end finds out.
	withheld := v.Withheld || slices.ContainsFunc(found, func(f report.Finding) bool { return f.Code == report.Withheld })
	return Piece{v.Unit, v.Uses, artifacts, append(v.Findings, found...), withheld, found, memory}
}

// shared reports whether two lists are the same piece of memory.
func shared(a, b []report.Ref) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// Make translates every unit and joins the pieces, one for each unit, to one output.
func Make(units []ir.Unit, b Backend, t Target, waivers []feature.Waiver) (Output, []Piece) {
	pieces := make([]Piece, 0, len(units))
	for _, u := range units {
		pieces = append(pieces, Translate(u, b, t, waivers))
	}
	return Assemble(b, t, pieces, waivers), pieces
}

// Output is what one back end makes of all units.
type Output struct {
	Target    Target
	Artifacts []Artifact
	Findings  report.Report
	// Withheld: the artifacts are left out, for applying them would leave a
	// workload open that has to be closed.
	Withheld bool
}

// Refused reports whether anything was refused and not waived.
func (o Output) Refused() bool {
	return slices.ContainsFunc(o.Findings, func(f report.Finding) bool {
		return f.Severity == report.Error
	})
}

// Assemble joins pieces to one output: artifacts sorted by rank and ID, parts
// joined, each ID with one owner for an audience, and the findings that hold for
// the whole mesh said once.
func Assemble(b Backend, t Target, pieces []Piece, waivers []feature.Waiver) Output {
	a := NewAssembly(b, t)
	for _, p := range pieces {
		a.Replace(Piece{}, p)
	}
	return a.Output(pieces, waivers)
}

// once joins the findings that say the same of many units. What holds for the
// whole mesh loses its place; else the first place stays and the others are related.
func once(r report.Report) report.Report {
	said := map[string]int{}
	var out report.Report
	for _, f := range r {
		if f.Code != report.Implicit && f.Code != report.NoClusterAddress {
			out = append(out, f)
			continue
		}
		i, ok := said[f.Message]
		if !ok {
			said[f.Message] = len(out)
			if f.Code == report.Implicit {
				f.Source, f.Related = report.Ref{}, nil
			}
			out = append(out, f)
			continue
		}
		if f.Code == report.NoClusterAddress {
			out[i] = out[i].With(f.Source)
		}
		if f.Class.Worse(out[i].Class) {
			out[i].Class = f.Class
		}
	}
	return out
}

// Summary counts input fields by the class that a back end gives them.
type Summary struct {
	Fields  int                  `json:"fields"`
	Classes map[report.Class]int `json:"classes"`
}

// Summarise classes every field of the input by the worst thing that a back end
// says of it: a finding at a field speaks of all fields below it.
func Summarise(fields []report.Ref, found report.Report) Summary {
	s := Summary{Fields: len(fields), Classes: map[report.Class]int{}}
	byObject := map[report.Ref]report.Report{}
	for _, f := range found {
		if f.Class != "" && !f.Source.IsZero() {
			o := f.Source.Object()
			byObject[o] = append(byObject[o], f)
		}
	}
	for _, ref := range fields {
		worst := report.Exact
		for _, f := range byObject[ref.Object()] {
			if f.Class.Worse(worst) && under(ref.Field, f.Source.Field) {
				worst = f.Class
			}
		}
		s.Classes[worst]++
	}
	return s
}

// under reports whether a field path lies at or below another.
func under(field, parent string) bool {
	rest, ok := strings.CutPrefix(field, parent)
	return ok && (parent == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}
