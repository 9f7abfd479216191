package controller

import (
	"context"
	"maps"
	"slices"

	"github.com/meshknot/meshknot/internal/sink"
)

// orphanage is a Sink that finds what is in force of bindings that are gone: who
// deletes one while nobody leads leaves it behind.
type orphanage interface {
	// Orphans returns the owners of what is in force that are not among bindings.
	Orphans(ctx context.Context, bindings []string) ([]sink.Owner, error)
}

// seek finds what is left of bindings that are gone, and has it deleted. It does
// nothing while it is not known for sure which bindings there are.
func (p *publisher) seek(ctx context.Context) {
	p.mu.Lock()
	if p.there == nil {
		p.mu.Unlock()
		return
	}
	there := maps.Clone(p.there)
	for name := range p.owners { // what is left of these is on its way already
		there[name] = true
	}
	sought := maps.Clone(p.sought)
	p.mu.Unlock()
	for name, s := range p.sinks {
		o, ok := s.(orphanage)
		if !ok || sought[name] {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, 4*p.pace.timeout)
		orphans, err := o.Orphans(bounded, slices.Sorted(maps.Keys(there)))
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.metrics.Wrote(name, "error")
		}
		p.found(name, orphans, err)
	}
}

// found takes down owners that are no more. Of bindings that came meanwhile nothing is
// an orphan's.
func (p *publisher) found(name string, orphans []sink.Owner, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.seeks++
		return
	}
	p.sought[name], p.seeks = true, 0
	live := map[string]bool{}
	for binding := range p.owners {
		live[sink.ApplySetID(binding)] = true
	}
	for binding := range p.there {
		live[sink.ApplySetID(binding)] = true
	}
	for _, o := range orphans {
		if live[o.Part] || p.owners[o.Part] != nil {
			continue
		}
		left := &owned{terms: terms{owner: o}, gone: true, surveyed: map[string]bool{}}
		for other := range p.sinks {
			if other != name { // where nobody knows an owner without a name
				left.surveyed[other] = true
			}
		}
		p.owners[o.Part] = left
	}
}

// soughtAll reports whether there is nothing left to look for.
func (p *publisher) soughtAll() bool {
	for name, s := range p.sinks {
		if _, ok := s.(orphanage); ok && !p.sought[name] {
			return false
		}
	}
	return true
}

// adopt drops what was found of a binding that was gone and is there again: what it
// owns is its own.
func (p *publisher) adopt(binding string) {
	part := sink.ApplySetID(binding)
	if o := p.owners[part]; o == nil || o.owner.Part != part {
		return
	}
	delete(p.owners, part)
	for s := range p.items {
		if s.binding == part {
			delete(p.items, s)
			delete(p.dirty, s)
		}
	}
}
