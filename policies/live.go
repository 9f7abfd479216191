package policies

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/meshknot/meshknot/translators/report"
)

// Source is a set of rules from one place: a ConfigMap, a directory, a bundle.
type Source struct {
	// Name tells sources apart, and the names of its modules begin with it.
	Name    string
	Modules []Module
	// Parameters of rules, whosever they are, as Engine.Set takes them.
	Parameters []string
	// Err, if set, is why the source cannot be read now: what it had is kept.
	Err error
}

// SourceState says what became of a source.
type SourceState struct {
	Name string
	// Problems are why what the source has now is not in force. Its last good rules
	// are, if it ever had any.
	Problems report.Report
	// Rules in force of it.
	Rules int
}

// Live is rules that change while objects are reviewed. Sources are compiled by
// Run and nowhere else, and what compiles takes the place of what was in force at
// once. A source that is not in order keeps its last good rules, and harms no
// other. Its methods are safe for concurrent use.
type Live struct {
	inventory *Inventory
	engine    atomic.Pointer[Engine]
	base      []Module
	values    []string

	mu      sync.Mutex // guards what follows
	sources map[string]*held
	states  []SourceState
	told    chan struct{}
	wake    chan struct{}
}

// held is what a place has now, and what of it is in force.
type held struct {
	now, good Source
	problems  report.Report
	had       bool
	gone      bool
}

// NewLive makes rules of modules that stay, such as the shipped ones, with
// parameters; an error is about these.
func NewLive(inventory *Inventory, base []Module, parameters []string) (*Live, error) {
	l := &Live{inventory: inventory, base: base, values: parameters, sources: map[string]*held{},
		told: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	e := New(base...)
	if err := e.Set(parameters...); err != nil {
		return nil, err
	}
	e.Rules()
	l.engine.Store(e)
	return l, nil
}

// Engine is what is in force now.
func (l *Live) Engine() *Engine { return l.engine.Load() }

// Inventory is what rules may ask for.
func (l *Live) Inventory() *Inventory { return l.inventory }

// Review says what the rules in force have against an object.
func (l *Live) Review(ctx context.Context, o Object) report.Report {
	return l.engine.Load().Review(ctx, l.inventory, o)
}

// ReviewAll reviews every object with the rules in force.
func (l *Live) ReviewAll(ctx context.Context, give func(report.Ref, report.Report)) {
	l.engine.Load().ReviewAll(ctx, l.inventory, give)
}

// Check says what is wrong with modules that are to become rules beside those that
// stay. It compiles them.
func (l *Live) Check(modules []Module, parameters []string) report.Report {
	_, found := compiled(append(slices.Clone(l.base), modules...), slices.Concat(l.values, parameters))
	return found
}

// Set gives a source, in place of what it was.
func (l *Live) Set(s Source) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.sources[s.Name]
	if known == nil {
		known = &held{}
		l.sources[s.Name] = known
	}
	known.now, known.gone = s, false
	l.poke(l.wake)
}

// Remove takes a source away, and its rules.
func (l *Live) Remove(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.sources[name]; known != nil {
		known.gone = true
		l.poke(l.wake)
	}
}

// Changed tells that States says something else now.
func (l *Live) Changed() <-chan struct{} { return l.told }

// States says what became of each source, sorted by name.
func (l *Live) States() []SourceState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.states)
}

func (l *Live) poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run compiles what changes, until ctx ends.
func (l *Live) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
			l.compile()
		}
	}
}

// compile puts in force what is in order. Each source is tried alone first; what
// then does not go together is told of those that it is found in, and they keep
// what they had. Only Run calls it.
func (l *Live) compile() {
	sources := l.take()
	for _, s := range sources {
		s.problems = nil
		if s.now.Err != nil {
			s.problems = report.Report{broken(report.Ref{}, s.now.Name+": "+s.now.Err.Error())}
			continue
		}
		s.problems = l.Check(s.now.Modules, s.now.Parameters)
	}
	for {
		modules, parameters := l.together(sources)
		e, found := compiled(modules, parameters)
		if len(found) == 0 || !blame(sources, found) {
			l.publish(sources, e)
			return
		}
	}
}

// take returns copies of the sources there are, sorted by name.
func (l *Live) take() []*held {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*held
	for _, name := range slices.Sorted(maps.Keys(l.sources)) {
		s := l.sources[name]
		if s.gone {
			delete(l.sources, name)
			continue
		}
		copied := *s
		out = append(out, &copied)
	}
	return out
}

// together are the modules and parameters of all sources, of those that are not
// in order what they had.
func (l *Live) together(sources []*held) ([]Module, []string) {
	modules, parameters := slices.Clone(l.base), slices.Clone(l.values)
	for _, s := range sources {
		of := s.now
		if len(s.problems) > 0 {
			of = s.good
		}
		modules, parameters = append(modules, of.Modules...), append(parameters, of.Parameters...)
	}
	return modules, parameters
}

// blame lets a source that is new keep what it had, one in which something was
// found before others: what is in force was in order together. Where none is new,
// a rule that others need has gone, and those that are named have nothing. It
// reports whether there was one to blame.
func blame(sources []*held, found report.Report) bool {
	named := func(s *held) bool {
		return slices.ContainsFunc(found, func(f report.Finding) bool { return strings.HasPrefix(f.At.File, s.now.Name+"/") })
	}
	isNew := func(s *held) bool { return len(s.problems) == 0 && (!s.had || s.now.digest() != s.good.digest()) }
	for _, fits := range []func(*held) bool{
		func(s *held) bool { return isNew(s) && named(s) },
		isNew,
		func(s *held) bool { return s.had && named(s) },
		func(s *held) bool { return s.had },
	} {
		for _, s := range slices.Backward(sources) {
			if !fits(s) {
				continue
			}
			if !isNew(s) {
				s.good, s.had = Source{}, false
			}
			s.problems = append(s.problems, found...).Sorted()
			return true
		}
	}
	return false
}

func (l *Live) publish(sources []*held, e *Engine) {
	byFile := map[string]int{}
	for _, r := range e.Rules() {
		byFile[r.File]++
	}
	l.engine.Store(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	var states []SourceState
	for _, s := range sources {
		if len(s.problems) == 0 {
			s.good, s.had = s.now, true
		}
		state := SourceState{Name: s.now.Name, Problems: s.problems}
		for _, m := range s.good.Modules {
			state.Rules += byFile[m.File]
		}
		states = append(states, state)
		if known := l.sources[s.now.Name]; known != nil {
			known.good, known.had, known.problems = s.good, s.had, s.problems
		}
	}
	l.states = states
	l.poke(l.told)
}

// compiled makes an engine, all of it, and says what is wrong with it.
func compiled(modules []Module, parameters []string) (*Engine, report.Report) {
	e := New(modules...)
	found := slices.Clone(e.Problems())
	for _, p := range parameters {
		if err := e.Set(p); err != nil {
			found = append(found, broken(report.Ref{}, err.Error()))
		}
	}
	if len(parameters) > 0 {
		// Each Set starts from the defaults, so all are set together once more.
		if err := e.Set(parameters...); err != nil && len(found) == 0 {
			found = append(found, broken(report.Ref{}, err.Error()))
		}
	}
	slices.SortStableFunc(found, func(a, b report.Finding) int { return cmp.Compare(a.At.File, b.At.File) })
	return e, found
}
