package controller

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/translators"
)

// How long an event takes until the writes that it makes necessary begin is measured
// for each of them, from the first event of the batch. What was there when the
// controller started is no event.

// cause is the event that made a write necessary: when it was, and its trace.
type cause struct {
	at    time.Time
	trace trace.SpanContext
}

// events are what happened that is not written yet.
type events[K comparable] map[K]cause

// note takes down an event; the first one counts.
func (e events[K]) note(k K, c cause) {
	if _, known := e[k]; !known && !c.at.IsZero() {
		e[k] = c
	}
}

// take returns what the event was, and forgets it.
func (e events[K]) take(k K) cause {
	c := e[k]
	delete(e, k)
	return c
}

// stopwatch measures writes, and puts them into the traces of what caused them.
type stopwatch struct {
	metrics *telemetry.Metrics
	traces  trace.Tracer
}

// begins notes that a write is about to begin. What it returns is to be told how the
// write ended.
func (w stopwatch) begins(ctx context.Context, c cause, class, object string) (context.Context, func(error)) {
	if c.at.IsZero() {
		return ctx, func(error) {}
	}
	w.metrics.Began(class, time.Since(c.at))
	ctx, span := w.traces.Start(trace.ContextWithSpanContext(ctx, c.trace), "write", trace.WithAttributes(attribute.String("write", class), attribute.String("object", object)))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// happened takes down the event of changes that are to be written now.
func (p *publisher) happened(changes []translators.Change, by cause) {
	note := func(binding string, id translators.ID) {
		s := slot{binding, sinkOf(id), id}
		if o := p.owners[binding]; o != nil && !o.paused && !o.withheld && p.items[s] != nil && p.sinks[s.sink] != nil {
			p.events.note(s, by)
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
func (p *publisher) begins(ctx context.Context, s slot) (context.Context, func(error)) {
	p.mu.Lock()
	c := p.events.take(s)
	p.mu.Unlock()
	return p.clock.begins(ctx, c, telemetry.WriteArtifact, s.id.Type+" "+s.id.Name)
}
