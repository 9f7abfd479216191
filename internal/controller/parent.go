package controller

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
)

// parent is a Sink that wants to know of what kinds and in which namespaces an
// owner's artifacts are, before the first of them is written and after the last of
// them is gone.
type parent interface {
	Parent(ctx context.Context, owner sink.Owner, members []translators.ID) error
}

// place is what a parent knows of an artifact: its kind and its namespace.
type place struct{ kind, namespace string }

func placeOf(id translators.ID) place {
	namespace, _, ok := strings.Cut(id.Name, "/")
	if !ok {
		namespace = ""
	}
	return place{id.Type, namespace}
}

// declare tells parents of what is new in a round. What cannot be told of is not
// written now.
func (p *publisher) declare(ctx context.Context, puts []task) []task {
	return slices.DeleteFunc(puts, p.undeclared(ctx, puts, func(known, now map[place]bool) bool {
		for at := range now {
			if !known[at] {
				return true
			}
		}
		return known == nil
	}))
}

// retract tells parents of what is gone after a round.
func (p *publisher) retract(ctx context.Context, deletes []task) {
	p.undeclared(ctx, deletes, func(known, now map[place]bool) bool { return known != nil && len(now) < len(known) })
}

// undeclared tells the parents of tasks where differs says so, and returns which
// tasks they were not told of.
func (p *publisher) undeclared(ctx context.Context, tasks []task, differs func(known, now map[place]bool) bool) func(task) bool {
	failed := map[string]error{}
	seen := map[string]bool{}
	for _, t := range tasks {
		s, ok := p.sinks[t.sink].(parent)
		if !ok || seen[t.binding] {
			continue
		}
		seen[t.binding] = true
		members, now, gone := p.members(t.binding, t.sink)
		if gone || !differs(p.declared[t.owner], now) {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, p.pace.timeout)
		err := s.Parent(bounded, t.owner, members)
		cancel()
		if err != nil {
			p.metrics.Wrote(t.sink, "error")
			failed[t.binding] = err
			continue
		}
		p.declared[t.owner] = now
	}
	return func(t task) bool {
		err := failed[t.binding]
		if err == nil {
			return false
		}
		p.postpone(t, err)
		return true
	}
}

// members are the artifacts that a binding has in a sink, or is to have.
func (p *publisher) members(binding, kind string) (ids []translators.ID, places map[place]bool, gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	places = map[place]bool{}
	one := map[place]translators.ID{}
	for s := range p.items {
		if s.binding == binding && s.sink == kind {
			at := placeOf(s.id)
			places[at] = true
			one[at] = s.id // one of each kind and namespace tells as much as all
		}
	}
	o := p.owners[binding]
	return slices.SortedFunc(maps.Values(one), translators.ID.Compare), places, o == nil || o.gone
}

// postpone has something tried again later.
func (p *publisher) postpone(t task, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if it := p.items[t.slot]; it != nil && it.turn == t.turn {
		it.fails++
		it.due = time.Now().Add(p.wait(it.fails, Failed))
		p.settle(t.slot, it, Outcome{Failed, "what kinds and namespaces the binding has could not be noted on it: " + why.Error()})
	}
}
