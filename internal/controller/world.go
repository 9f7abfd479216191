package controller

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// World is the engine, which the loop changes and which admission asks what a
// change would come to. It is safe for concurrent use.
type World struct {
	metrics *telemetry.Metrics

	mu     sync.RWMutex
	engine *engine.Engine
	table  binding.Table
	ready  bool
	// bindings and namespaces are what the table was made of.
	bindings   []binding.Binding
	namespaces map[string]map[string]string
}

// NewWorld makes a world of nothing that keeps what was good.
func NewWorld(p translators.Pipeline, m *telemetry.Metrics) *World {
	e := engine.New(p, nil, nil)
	e.KeepGood(true)
	return &World{metrics: m, engine: e}
}

// Ready reports whether everything was read and compiled once. Before, there is
// nothing to ask.
func (w *World) Ready() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.ready
}

// Preview says what edits would come to, and changes nothing; false before there is
// anything to ask.
func (w *World) Preview(_ context.Context, edits []input.Edit) (engine.Preview, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if !w.ready {
		return engine.Preview{}, false
	}
	return w.engine.Preview(edits), true
}

// Gate is the worst class that a binding puts in force.
func (w *World) Gate(bound string) report.Class {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, b := range w.table.Bounds {
		if bindingOf(b.Target) == bound {
			return cmp.Or(b.Gate, report.Dropped)
		}
	}
	return report.Dropped
}

// Bindings are those in force, and Namespaces the labels of all that there are.
func (w *World) Bindings() []binding.Binding {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.Clone(w.bindings)
}

// Namespaces implements webhook.Known.
func (w *World) Namespaces() map[string]map[string]string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return maps.Clone(w.namespaces)
}

// Table returns the bindings in force. Nobody changes it.
func (w *World) Table() binding.Table {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.table
}

// Units returns the units that are compiled, sorted.
func (w *World) Units() []ir.Unit {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.engine.Result().Units
}

// bind brings new bindings into force, apply brings edits in.
func (w *World) bind(t binding.Table, bindings []binding.Binding, namespaces map[string]map[string]string) engine.Step {
	start := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.metrics.Step("bind", time.Since(start)) }()
	w.table, w.bindings, w.namespaces = t, bindings, maps.Clone(namespaces)
	everything := input.Settings{Complete: true}
	return w.engine.Bind(everything, t.With(everything), t.Bounds)
}

func (w *World) apply(edits []input.Edit) engine.Step {
	start := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.metrics.Step("apply", time.Since(start)) }()
	return w.engine.Apply(edits)
}

// compiled notes that there is something to ask.
func (w *World) compiled() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ready = true
}

// made returns what there is of a unit, and keys the units that an object concerns.
// Only the loop asks these and reader, which is the one that changes the engine.
func (w *World) made(k ir.Key) (engine.Made, bool) { return w.engine.Made(k) }

func (w *World) keys(id input.ID) []ir.Key { return w.engine.Keys(id) }

// reader answers what statuses are computed of, until the engine is changed.
func (w *World) reader() input.Reader { return w.engine.Reader() }
