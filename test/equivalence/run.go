package equivalence

import (
	"fmt"
	"time"

	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/verify"
)

// Runner plays scenes on one plane.
type Runner struct {
	// Plane is nil where artifacts are read and nothing runs.
	Plane planes.Plane
	// Backend is the translator that the plane uses.
	Backend string
	// Read is the interpreter of its artifacts.
	Read interpret.New
	// Limit is how many requests a scene is asked; more where it names more.
	Limit int
	// Reserve is how many more requests there are in the place of those that this
	// plane cannot make; Limit is what is asked of them all.
	Reserve int
	// Draws is how many requests a share is measured by, and Measured how many
	// weighted decisions of a scene are.
	Draws, Measured int
	// Patience is for how long an observation is repeated that disagrees.
	Patience time.Duration
	// Speak, where it is set, is a request in words that callers of this plane can
	// say; such are asked beside the others.
	Speak func(semantics.Request) semantics.Request
	// Whole: every golden case is played, even when the time is up.
	Whole bool
	Tally *Tally
}

// What a failure is about.
const (
	// AboutPlane: a program died, refused its configuration or was too slow.
	AboutPlane = "plane"
	// AboutModel: the plane does what the policy does not mean, and no table says so.
	AboutModel = "model"
	// AboutInterpreter: the plane does what its interpreter does not expect.
	AboutInterpreter = "interpreter"
	// AboutClaim: a table says that something shows, and it does not.
	AboutClaim = "claim"
)

// Failure is a disagreement that nothing explains.
type Failure struct {
	Scene string
	About string
	// Request that shows it; nil where none does.
	Request *semantics.Request `json:"-"`
	Text    string
}

func (f Failure) String() string { return fmt.Sprintf("%s: [%s] %s", f.Scene, f.About, f.Text) }

// play is a scene on its plane.
type play struct {
	judge
	*Runner
	scene     Scene
	model     semantics.Model
	mesh      interpret.Mesh // nil where there is nothing to ask
	pieces    []translators.Piece
	explainer verify.Explainer
	measured  map[string]bool
	failures  []Failure
}

// Play shows a scene and asks everything. What fails is returned and counted.
func (r *Runner) Play(s Scene, seed uint64) []Failure { return r.PlayReady(r.Ready(s, seed)) }

// PlayReady is Play of a scene that is made ready.
func (r *Runner) PlayReady(s Ready) []Failure {
	p := r.show(s)
	before := r.Tally.Asked()
	if p.mesh != nil {
		for i, q := range s.on.Requests {
			if r.Reserve > 0 && i >= max(r.Limit, len(s.scene.Requests)) && r.Tally.Asked()-before >= r.Limit {
				break
			}
			if p.ask(q); len(p.failures) >= 5 {
				break // more of the same; the programs have other scenes to play
			}
		}
	}
	r.Tally.Failures = append(r.Tally.Failures, p.failures...)
	return p.failures
}

// show brings a scene onto the plane. No mesh: there is nothing to ask.
func (r *Runner) show(s Ready) *play {
	p := &play{Runner: r, scene: s.scene, measured: map[string]bool{}}
	r.Tally.scene(s.scene.Name)
	showing, err := s.show()
	switch {
	case err != nil:
		p.fail(AboutPlane, nil, "%v", err)
		return p
	case showing.Output.Withheld:
		r.Tally.Withheld++
		return p
	}
	p.judge, p.pieces, p.model = judge{showing.World}, showing.Pieces, semantics.New(unitsOf(showing.Pieces))
	p.explainer = verify.NewExplainer(showing.Output, p.pieces)
	if p.mesh, err = r.Read(showing.World, showing.Output.Target, showing.Output.Artifacts); err != nil {
		p.mesh = nil
		p.fail(AboutInterpreter, nil, "the programs take what the interpreter refuses: %v", err)
	}
	return p
}

// stage has the plane show a scene, or says what would be shown.
func (r *Runner) stage(on planes.Scene) (planes.Showing, error) {
	if r.Plane != nil {
		return r.Plane.Show(on)
	}
	b, ok := all.Pipeline().Backend(r.Backend)
	if !ok {
		return planes.Showing{}, fmt.Errorf("there is no back end %s", r.Backend)
	}
	out := planes.Showing{World: interpret.WorldOf(on.Units)}
	target := translators.Target{Backend: r.Backend, Options: on.Options}
	out.Output, out.Pieces = translators.Make(on.Units, b, target, on.Waivers)
	return out, nil
}

func (p *play) fail(about string, q *semantics.Request, format string, args ...any) {
	p.failures = append(p.failures, Failure{p.scene.Name, about, q, fmt.Sprintf(format, args...)})
}

// ask decides one request three times and compares.
func (p *play) ask(q semantics.Request) {
	want := p.model.Decide(q)
	told, _ := interpret.Decide(p.world, p.mesh, q)
	for _, d := range []semantics.Decision{want, told} {
		if why := p.unanswerable(d); why != "" {
			p.Tally.NotAsked[why]++
			return
		}
	}
	if p.Plane == nil {
		p.read(q, want, told)
		return
	}
	a, differs := p.observe(q, told)
	if a.Cannot != "" {
		p.Tally.NotAsked[a.Cannot]++
		return
	}
	p.Tally.decided(want)
	switch {
	case a.Err != nil && differs != nil:
		p.fail(AboutPlane, &q, "%s: no answer that could be understood: %v", q, a.Err)
	case differs != nil:
		p.fail(AboutInterpreter, &q, "%s", describe(q, differs.Want, a))
	default:
		p.compare(q, want, told, a)
	}
	p.measure(q, told)
}

// read holds the model against the interpreter, where nothing runs.
func (p *play) read(q semantics.Request, want, told semantics.Decision) {
	p.Tally.decided(want)
	rows, ok := p.predicted(q, want, told)
	switch {
	case !ok:
		p.fail(AboutModel, &q, "%s: %v", q, semantics.Differences(q, want, told, verify.Rounding))
	case len(rows) > 0:
		p.Tally.explain(rows[0])
	default:
		p.Tally.Agreements++
	}
}

// compare holds the model against what was observed, which the interpreter agrees
// with.
func (p *play) compare(q semantics.Request, want, told semantics.Decision, a planes.Answer) {
	differs := p.held(q, want, a)
	rows, ok := p.predicted(q, want, told)
	p.Tally.expect(p.certain(rows, q, want, told, a), differs != nil)
	switch {
	case differs == nil:
		p.Tally.Agreements++
	case ok && len(rows) > 0:
		p.Tally.explain(rows[0])
	default:
		p.fail(AboutModel, &q, "%s: %s", differs.Effect, describe(q, differs.Want, a))
	}
}

// observe asks until the answer is the one that is expected, or patience ends.
// A plane may need a moment to use all of a scene; that is counted, and an
// answer that stays wrong is wrong.
func (p *play) observe(q semantics.Request, told semantics.Decision) (planes.Answer, *semantics.Difference) {
	start, pause := time.Now(), 20*time.Millisecond
	for try := 0; ; try++ {
		a := p.Plane.Ask(q)
		p.Tally.Observations++
		if a.Cannot != "" {
			return a, nil
		}
		differs := p.held(q, told, a)
		if differs == nil {
			if try > 0 {
				p.Tally.retried(p.scene.Name, q, try, time.Since(start))
			}
			return a, nil
		}
		patience := p.Patience
		if len(p.failures) > 0 {
			patience /= 10
		}
		if time.Since(start) > patience {
			return a, differs
		}
		time.Sleep(pause)
		pause = min(2*pause, 500*time.Millisecond)
	}
}

// measure counts who answers, where more than one can, and holds the counts
// against the weights that the configuration has.
func (p *play) measure(q semantics.Request, told semantics.Decision) {
	lots := p.lots(q, told)
	at := q.Callee() + " " + told.Route + semantics.Outcome(told)
	if len(lots) < 2 || p.measured[at] || len(p.measured) >= p.Measured || p.Tally.Tests+len(lots) > MostTests || len(p.failures) > 0 {
		return
	}
	p.measured[at] = true
	wrong := ""
	for start := time.Now(); ; {
		seen, cannot := p.draw(q)
		if cannot != "" { // of one who is drawn, nothing can be observed
			p.Tally.NotAsked[cannot]++
			return
		}
		p.Tally.Tests += len(lots)
		if wrong = drawn(lots, seen, p.Draws); wrong == "" {
			p.Tally.Distributions++
			return
		}
		if time.Since(start) > p.Patience || p.Tally.Tests+len(lots) > MostTests {
			break
		}
		p.Tally.Redrawn++
	}
	p.fail(AboutInterpreter, &q, "%s: %s", q, wrong)
}

// draw asks as often as a share is measured by, from a few callers at once. Where
// some of the calls cannot be made it says why, and counts nothing.
func (p *play) draw(q semantics.Request) (seen map[string]int, cannot string) {
	const callers = 4
	answers := make(chan planes.Answer, callers)
	todo := make(chan struct{}, p.Draws)
	for range p.Draws {
		todo <- struct{}{}
	}
	close(todo)
	for range callers {
		go func() {
			for range todo {
				answers <- p.Plane.Ask(q)
			}
		}()
	}
	seen = map[string]int{}
	for range p.Draws {
		a := <-answers
		if a.Cannot != "" {
			cannot = a.Cannot
		}
		if q.Raw && a.App == "" {
			a = planes.Answer{Denied: true}
		}
		seen[outcome(a)]++
	}
	p.Tally.Observations += p.Draws
	return seen, cannot
}
