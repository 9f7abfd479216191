package equivalence

import (
	"math/rand/v2"

	"github.com/meshknot/meshknot/test/planes"
)

// Ready is a scene with all that will be asked, which a plane that can has begun to
// make ready.
type Ready struct {
	scene Scene
	on    planes.Scene
	show  func() (planes.Showing, error)
}

// Ready begins to make a scene ready, while another one is shown.
func (r *Runner) Ready(s Scene, seed uint64) Ready {
	units := s.Units()
	requests := r.Sample(units, s.Requests, rand.New(rand.NewPCG(seed, 1)))
	out := Ready{scene: s, on: planes.Scene{Name: s.Name, Units: units, Options: s.Options[r.Backend], Waivers: s.Waivers, Requests: requests}}
	out.show = func() (planes.Showing, error) { return r.stage(out.on) }
	if p, ok := r.preparer(); ok {
		out.show = p.Prepare(out.on)
	}
	return out
}

func (r *Runner) preparer() (planes.Preparer, bool) {
	p := r.Plane
	if h, ok := p.(housed); ok {
		p = h.Plane
	}
	out, ok := p.(planes.Preparer)
	return out, ok
}

// ahead is how many scenes are made ready while one is asked.
const ahead = 3

// line has the next scenes made ready.
type line struct {
	runner *Runner
	all    []Scene
	ready  []Ready
	taken  int
}

// skip leaves out the next scene. What was made ready of it is not shown.
func (l *line) skip() {
	if len(l.ready) > 0 {
		l.ready = l.ready[1:]
	}
	l.taken++
}

// next is the next scene; there has to be one.
func (l *line) next() Ready {
	most := l.taken + 1
	if _, ok := l.runner.preparer(); ok {
		most += ahead
	}
	for n := l.taken + len(l.ready); n < min(most, len(l.all)); n++ {
		l.ready = append(l.ready, l.runner.Ready(l.all[n], uint64(n)))
	}
	out := l.ready[0]
	l.ready = l.ready[1:]
	l.taken++
	return out
}
