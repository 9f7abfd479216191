package telemetry

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Traces makes spans, and sends them somewhere or nowhere.
type Traces struct {
	oteltrace.Tracer
	stop func(context.Context) error
}

// NewTraces makes the traces of a process. They are sent where
// OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) says, and to
// nobody where neither is set.
func NewTraces(ctx context.Context, version string) (*Traces, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return NoTraces(), nil
	}
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	return tracesTo(exporter, version), nil
}

// tracesTo makes traces that an exporter is given.
func tracesTo(exporter trace.SpanExporter, version string) *Traces {
	p := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(resource.NewSchemaless(
		attribute.String("service.name", "meshknot"), attribute.String("service.version", version))))
	return &Traces{p.Tracer("github.com/meshknot/meshknot"), p.Shutdown}
}

// NoTraces makes spans that nobody sees.
func NoTraces() *Traces {
	return &Traces{noop.NewTracerProvider().Tracer(""), func(context.Context) error { return nil }}
}

// Close sends what is left.
func (t *Traces) Close(ctx context.Context) error { return t.stop(ctx) }
