package engine

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Bound is a target, what it is bound to and what it may be given.
type Bound struct {
	translators.Target
	// Scope is nil where the target gets every unit.
	Scope   *Scope
	Waivers []feature.Waiver
	// Gate is the worst class that is put in force where the last good is kept;
	// empty: Dropped. See KeepGood.
	Gate report.Class
}

// Scope says of which namespaces a target gets units. Every target gets the Mesh.
type Scope struct {
	// Own are the namespaces all of whose units it gets; nil: every namespace.
	Own map[string]bool
	// Calls are those whose Services and Endpoints it gets: where calls go.
	Calls map[string]bool
}

// has reports whether a unit is in the scope. A nil Scope has all of them.
func (s *Scope) has(k ir.Key) bool {
	if s == nil || s.Own == nil || k.Kind == ir.KindMesh {
		return true
	}
	switch k.Kind {
	case ir.KindNamespace:
		return s.Own[k.Name]
	case ir.KindService, ir.KindEndpoints:
		return s.Own[k.Namespace] || s.Calls[k.Namespace]
	}
	return s.Own[k.Namespace]
}

func (s *Scope) equal(o *Scope) bool { return reflect.DeepEqual(s, o) }

func (s *Scope) clone() *Scope {
	if s == nil {
		return nil
	}
	return &Scope{maps.Clone(s.Own), maps.Clone(s.Calls)}
}

// target is one translation of the units in its scope.
type target struct {
	Bound
	backend  translators.Backend
	assembly *translators.Assembly
	withheld bool
	// slot is where units keep its pieces, edition what these are made for: another
	// number where target, waivers or gate are others.
	slot    int
	edition uint32
	// access is what it is told of the mesh: see tell.
	access ir.Access
	// moved: it is bound otherwise since units were settled; retold: so is access.
	moved, retold bool
}

func (t *target) name() string { return cmp.Or(t.Name, t.Backend) }

// current reports whether a piece is what the target has to have of a unit that is
// what it was.
func (t *target) current(k ir.Key, p piece) bool {
	if !t.Scope.has(k) {
		return p.edition == 0
	}
	return p.edition == t.edition && (!t.retold || k.Kind != ir.KindMesh && k.Kind != ir.KindNamespace)
}

// Bind makes bounds those that units are translated for, and settings what holds for
// the run and, in its place, for namespaces. Bounds are told apart by name and back
// end; of what they name only that is translated which enters the scope of one, or
// of one that is bound otherwise. One that is gone has a last change, which empties
// its places; where its name goes on with another back end, not those that this has
// now, and not as long as that one's output is withheld. A bound whose back end the pipeline does not have is left out.
func (e *Engine) Bind(settings input.Settings, byNamespace map[string]input.Settings, bounds []Bound) Step {
	e.bind(bounds)
	c := e.store.Configure(settings, byNamespace)
	e.tell()
	return e.follow(c)
}

// bind makes targets of bounds: those that stay keep what they have.
func (e *Engine) bind(bounds []Bound) {
	was := e.targets
	e.targets = nil
	for _, b := range bounds {
		backend, ok := e.pipeline.Backend(b.Backend)
		if !ok {
			continue
		}
		b.Scope = b.Scope.clone()
		i := slices.IndexFunc(was, func(t *target) bool { return t.name() == cmp.Or(b.Name, b.Backend) && t.Backend == b.Backend })
		if i < 0 {
			e.targets = append(e.targets, e.target(b, backend))
			continue
		}
		t := was[i]
		was = slices.Delete(slices.Clone(was), i, i+1)
		e.rebind(t, b)
		e.targets = append(e.targets, t)
	}
	for _, t := range was {
		e.unbind(t)
	}
}

// target makes a target that has nothing yet.
func (e *Engine) target(b Bound, backend translators.Backend) *target {
	e.edition++
	t := &target{Bound: b, backend: backend, assembly: translators.NewAssembly(backend, b.Target), edition: e.edition, moved: true}
	if n := len(e.free); n > 0 {
		t.slot, e.free = e.free[n-1], e.free[:n-1]
	} else {
		t.slot = e.slots
		e.slots++
	}
	return t
}

// rebind binds a target otherwise, where it is.
func (e *Engine) rebind(t *target, b Bound) {
	if !reflect.DeepEqual(t.Target, b.Target) {
		t.assembly.Retarget(b.Target)
		t.moved = true
	}
	if t.moved || t.Gate != b.Gate || !slices.Equal(t.Waivers, b.Waivers) {
		e.edition++
		t.edition, t.moved = e.edition, true
	}
	t.moved = t.moved || !t.Scope.equal(b.Scope)
	t.Bound = b
}

// unbind takes everything from a target.
func (e *Engine) unbind(t *target) {
	for _, u := range e.units {
		if p := u.of(t); p.edition != 0 {
			t.assembly.Replace(p.Piece, translators.Piece{})
			u.pieces[t.slot] = piece{}
		}
	}
	e.free, e.gone = append(e.free, t.slot), append(e.gone, t)
}

// tell finds out what each target is told of the mesh: what holds for the run or,
// where it has namespaces of its own, what holds for these. One whose namespaces
// all deny by default is told that the mesh does: what a back end has to say at
// large, as Consul's, closes nothing then that is meant to be open.
func (e *Engine) tell() {
	r := e.store.Reader()
	access := func(namespace string) ir.Access {
		return ir.Access(cmp.Or(r.Settings(namespace).Access, string(ir.AccessSelected)))
	}
	for _, t := range e.targets {
		now := access("")
		if t.Scope != nil && t.Scope.Own != nil {
			said := map[ir.Access]bool{}
			for namespace, has := range t.Scope.Own {
				if has {
					said[access(namespace)] = true
				}
			}
			switch {
			case len(said) > 1 || said[ir.AccessSelected]:
				now = ir.AccessSelected
			case said[ir.AccessStrict]:
				now = ir.AccessStrict
			default:
				now = ir.AccessOff
			}
		}
		t.retold = t.retold || t.access != now
		t.access = now
	}
}

// told is a unit as the target is told it.
func (t *target) told(u ir.Unit) ir.Unit {
	switch {
	case u.Mesh != nil && u.Mesh.Access != t.access:
		m := *u.Mesh
		m.Access = t.access
		u.Mesh = &m
	case u.Namespace != nil && t.access != ir.AccessStrict:
		n := *u.Namespace
		n.Alone = true
		u.Namespace = &n
	}
	return u
}

// translate makes a target's piece of a unit in its scope. It changes nothing.
func (e *Engine) translate(t *target, before piece, u ir.Unit) piece {
	var last translators.Piece
	if before.edition == t.edition {
		last = before.Piece
	}
	u = t.told(u)
	now := piece{Piece: translators.Retranslate(last, u, t.backend, t.Target, t.Waivers), edition: t.edition}
	if e.keep {
		return t.hold(before, now, u)
	}
	return now
}

// settled reports whether all targets have what they have to have of a unit that is
// what it was.
func (e *Engine) settled(k ir.Key, m made) bool {
	return !slices.ContainsFunc(e.targets, func(t *target) bool { return !t.current(k, m.of(t)) })
}

// settle gives targets that are bound otherwise what they have to have of the units
// that were not compiled: no unit is compiled for that.
func (e *Engine) settle() {
	var all []compiling
	if slices.ContainsFunc(e.targets, func(t *target) bool { return t.moved || t.retold }) {
		for _, u := range e.units {
			if u.exists && !e.settled(u.key, u.made) {
				all = append(all, compiling{unit: u})
			}
		}
	}
	slices.SortFunc(all, func(a, b compiling) int { return a.key.Compare(b.key) })
	parallel(len(all), func(i int) { e.resettle(&all[i]) })
	for _, c := range all {
		e.assemble(c.unit, c.made)
	}
	for _, t := range e.targets {
		t.moved, t.retold = false, false
	}
}

// resettle translates a unit as it is for the targets that need it.
func (e *Engine) resettle(c *compiling) {
	c.made = c.unit.made
	defer func() {
		if p := recover(); p != nil {
			c.made = e.defect(c.key, c.unit.made, p)
		}
	}()
	c.made.pieces = e.pieces(c.key, c.unit.made, c.compiled)
}
