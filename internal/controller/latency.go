package controller

import (
	"time"

	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
)

// How long an event takes until the writes that it makes necessary begin is measured
// for each of them, from the first event of the batch. What was there when the
// controller started is no event.

// events are when that of something happened which is not written yet.
type events[K comparable] map[K]time.Time

// note takes down an event; the first one counts.
func (e events[K]) note(k K, at time.Time) {
	if _, known := e[k]; !known && !at.IsZero() {
		e[k] = at
	}
}

// take returns when the event was, and forgets it.
func (e events[K]) take(k K) time.Time {
	at := e[k]
	delete(e, k)
	return at
}

// happened takes down when the event of changes was that are to be written now.
func (p *publisher) happened(changes []translators.Change, at time.Time) {
	note := func(binding string, id translators.ID) {
		s := slot{binding, sinkOf(id), id}
		if o := p.owners[binding]; o != nil && !o.paused && !o.withheld && p.items[s] != nil && p.sinks[s.sink] != nil {
			p.events.note(s, at)
		}
	}
	for _, c := range changes {
		for _, s := range c.Remove {
			note(bindingOf(c.Target), s.ID)
		}
		for _, a := range c.Put {
			note(bindingOf(c.Target), a.ID)
		}
	}
}

// begins notes that something is about to be written.
func (p *publisher) begins(s slot) {
	p.mu.Lock()
	at := p.events.take(s)
	p.mu.Unlock()
	if !at.IsZero() {
		p.metrics.Began(telemetry.WriteArtifact, time.Since(at))
	}
}

// begins returns what is to be called when the report on a source is about to be
// written.
func (l *loop) begins(id input.ID) func() {
	at := l.events.take(id)
	return func() {
		if !at.IsZero() {
			l.metrics.Began(telemetry.WriteReport, time.Since(at))
		}
		at = time.Time{} // another attempt is no other write
	}
}
