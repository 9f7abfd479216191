package controller

import (
	"context"
	"time"

	"github.com/meshknot/meshknot/internal/sink"
)

// forget has everything that is stored looked at again.
func (p *publisher) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.owners {
		clear(o.surveyed)
	}
	clear(p.sought)
}

// seen reports whether everything that a binding may have in force was listed.
func (p *publisher) seen(o *owned) bool { return len(o.surveyed) == len(p.sinks) }

// survey lists what every binding has in force that was not surveyed, so that what
// is there already is not written again and what nobody wants is deleted.
func (p *publisher) survey(ctx context.Context) {
	type question struct{ binding, sink string }
	p.mu.Lock()
	asked := map[question]sink.Owner{}
	for name, o := range p.owners {
		for kind := range p.sinks {
			if p.primed && !o.surveyed[kind] && !o.paused && !o.withheld {
				asked[question{name, kind}] = o.owner
			}
		}
	}
	p.mu.Unlock()
	for q, owner := range asked {
		bounded, cancel := context.WithTimeout(ctx, 4*p.pace.timeout)
		stored, err := p.sinks[q.sink].List(bounded, owner)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.metrics.Wrote(q.sink, "error")
		}
		p.compare(q.binding, q.sink, owner, stored, err)
	}
}

// compare settles what a sink holds as it is wanted, and marks what differs.
func (p *publisher) compare(name, kind string, owner sink.Owner, stored []sink.Stored, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.owners[name]
	if o == nil || o.owner != owner {
		return
	}
	if err != nil {
		o.fails++
		return
	}
	o.surveyed[kind], o.fails = true, 0
	found := map[slot]bool{}
	for _, have := range stored {
		s := slot{name, kind, have.ID}
		found[s] = true
		it := p.items[s]
		if it == nil && p.stays[s] {
			continue
		}
		if it == nil || it.artifact == nil {
			p.want(s, nil, 0)
			p.items[s].left = p.items[s].left || it == nil
			continue
		}
		digest, err := p.digest(*it.artifact)
		if err != nil || p.holder(spotOf(s)) != s || digest != have.Digest || have.Drifted {
			p.dirty[s] = true
			continue
		}
		p.settle(s, it, Outcome{State: Written})
	}
	for s, it := range p.items {
		if s.binding != name || s.sink != kind || found[s] {
			continue
		}
		if it.artifact == nil { // it is gone already
			delete(p.items, s)
			delete(p.dirty, s)
			continue
		}
		it.due = time.Time{}
		p.dirty[s] = true
	}
}
