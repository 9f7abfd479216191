package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	l, err := NewLogger(&b, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	l.Debug("not this")
	l.Warn("this", "backend", "istio")
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err, b.String())
	}
	if _, err := time.Parse(time.RFC3339Nano, got["ts"].(string)); err != nil || got["level"] != "warn" || got["msg"] != "this" || got["backend"] != "istio" ||
		!strings.HasPrefix(got["source"].(string), "telemetry/telemetry_test.go:") {
		t.Errorf("got %v (%v)", got, err)
	}
	for _, bad := range [][2]string{{"loud", "json"}, {"info", "xml"}} {
		if _, err := NewLogger(&b, bad[0], bad[1]); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

// No label has values that a tenant can invent.
func TestMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	m, err := NewMetrics(r)
	if err != nil {
		t.Fatal(err)
	}
	everything(m)
	m.Lost([]Loss{aLoss}, nil)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var labels []string
	for _, f := range families {
		for _, one := range f.GetMetric() {
			for _, l := range one.GetLabel() {
				labels = append(labels, l.GetName())
			}
			if f.GetName() == "meshknot_losses" && one.GetGauge().GetValue() != 0 {
				t.Errorf("a loss that is gone is counted")
			}
		}
	}
	slices.Sort(labels)
	want := []string{"backend", "class", "code", "decision", "kind", "operation", "result", "severity", "sink", "state", "step", "type", "write"}
	if got := slices.Compact(labels); !slices.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
	if _, err := NewMetrics(r); err == nil {
		t.Error("registered twice, and nobody said so")
	}
}

func TestTraces(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	none, err := NewTraces(t.Context(), "v")
	if err != nil {
		t.Fatal(err)
	}
	if _, span := none.Start(t.Context(), "x"); span.SpanContext().IsValid() {
		t.Error("spans are made though nobody asked for them")
	}
	memory := tracetest.NewInMemoryExporter()
	some := tracesTo(&kept{memory}, "v")
	_, span := some.Start(t.Context(), "batch")
	span.End()
	if err := some.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if spans := memory.GetSpans(); len(spans) != 1 || spans[0].Name != "batch" {
		t.Errorf("got %v", spans)
	}
}

// kept keeps what it was given when it is shut down.
type kept struct{ *tracetest.InMemoryExporter }

func (*kept) Shutdown(context.Context) error { return nil }
