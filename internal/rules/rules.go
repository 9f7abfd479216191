// Package rules keeps the Rego rules of a running meshknot as their sources say: files
// that are looked at again and again, and the ConfigMaps of one namespace that have a
// label. A source that is not in order keeps its last good rules, and is spoken of: in
// a metric, in the log, and in Events on the ConfigMap.
package rules

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/report"
)

// Metrics are told how sources are.
type Metrics interface {
	// Rules notes how many rules are in force, and how many sources are in order and
	// how many are not.
	Rules(inForce, good, broken int)
}

// Options say where rules come from.
type Options struct {
	// Namespace of the ConfigMaps.
	Namespace string
	// Files are directories and bundles, which have to be what Trust demands.
	Files []string
	Trust policies.Trust
	// Every is how often files are looked at (5 s).
	Every   time.Duration
	Metrics Metrics
	Log     *slog.Logger
}

// Rules follows sources. Run it once.
type Rules struct {
	o      Options
	live   *policies.Live
	client kubernetes.Interface
	// loaded is closed when every source that there was at the start has been compiled.
	loaded chan struct{}
	// changed: rules in force may be others. news: there may be Events to write.
	changed, news chan struct{}

	mu sync.Mutex // guards what follows
	// wanted are the sources there are, by name; listed: those of ConfigMaps, too.
	wanted map[string]bool
	listed bool
	maps   map[string]configMap
	told   map[string]string // what was logged of a source
	// trouble is why ConfigMaps cannot be read.
	trouble error
}

// New makes what follows sources for live rules. It asks nothing yet.
func New(client kubernetes.Interface, live *policies.Live, o Options) *Rules {
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	r := &Rules{o: o, live: live, client: client, loaded: make(chan struct{}), changed: make(chan struct{}, 1), news: make(chan struct{}, 1),
		wanted: map[string]bool{}, maps: map[string]configMap{}, told: map[string]string{}}
	for _, name := range o.Files {
		r.wanted[name] = true
	}
	return r
}

// Loaded is closed once every source has been read and compiled, in order or not.
func (r *Rules) Loaded() <-chan struct{} { return r.loaded }

// Changed tells that rules in force may be others. It is for one reader.
func (r *Rules) Changed() <-chan struct{} { return r.changed }

// Ready returns why not every source has been read and compiled yet.
func (r *Rules) Ready() error {
	select {
	case <-r.loaded:
		return nil
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble != nil {
		return fmt.Errorf("the rules in ConfigMaps of namespace %s cannot be read: %w", r.o.Namespace, r.trouble)
	}
	return errors.New("not every rule is read and compiled yet")
}

// Run follows sources until ctx ends.
func (r *Rules) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.live.Run(ctx) })
	for _, name := range r.o.Files {
		g.Go(func() error { policies.Follow(ctx, name, r.o.Trust, r.o.Every, r.live.Set); return nil })
	}
	g.Go(func() error { return r.configMaps(ctx) })
	g.Go(func() error { r.watch(ctx); return nil })
	return g.Wait()
}

// watch tells others what becomes of sources.
func (r *Rules) watch(ctx context.Context) {
	r.look()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.live.Changed():
			r.look()
		}
	}
}

// look takes down how sources are.
func (r *Rules) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	states := r.live.States()
	broken := 0
	for _, s := range states {
		if len(s.Problems) > 0 {
			broken++
		}
		r.say(s)
	}
	for name := range r.told {
		if !slices.ContainsFunc(states, func(s policies.SourceState) bool { return s.Name == name }) {
			delete(r.told, name)
			r.o.Log.Info("rules are gone", "source", name)
		}
	}
	r.o.Metrics.Rules(len(r.live.Engine().Rules()), len(states)-broken, broken)
	signal(r.changed)
	signal(r.news)
	r.complete(states)
}

// say logs the state of a source where it is another. mu is held.
func (r *Rules) say(s policies.SourceState) {
	now := fmt.Sprint(s.Rules, " ", problems(s.Problems))
	if was, known := r.told[s.Name]; known && was == now {
		return
	}
	r.told[s.Name] = now
	if len(s.Problems) == 0 {
		r.o.Log.Info("rules are in force", "source", s.Name, "rules", s.Rules)
		return
	}
	r.o.Log.Warn("rules are not in order; the last good ones stay in force", "source", s.Name, "rules", s.Rules, "problems", problems(s.Problems))
}

// complete closes loaded where every source was compiled once. mu is held.
func (r *Rules) complete(states []policies.SourceState) {
	select {
	case <-r.loaded:
		return
	default:
	}
	if !r.listed {
		return
	}
	for name := range r.wanted {
		if !slices.ContainsFunc(states, func(s policies.SourceState) bool { return s.Name == name }) {
			return
		}
	}
	close(r.loaded)
}

// maxProblems are those that are spoken of at a time.
const maxProblems = 8

// problems renders what is wrong with a source, a line for each.
func problems(found report.Report) []string {
	var out []string
	for i, f := range found {
		if i == maxProblems {
			return append(out, fmt.Sprintf("and %d more", len(found)-i))
		}
		at := ""
		if f.At.File != "" {
			at = fmt.Sprintf("%s:%d: ", f.At.File, f.At.Line)
		}
		out = append(out, at+f.Message)
	}
	return out
}

// signal leaves a value in a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
