package controller

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/meshknot/meshknot/translators"
)

// A write is in the trace of the event that made it necessary, with what came of it;
// further attempts are no other writes, and what was there at the start is no event.
func TestWritesAreTraced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		tracer := trace.NewTracerProvider(trace.WithSpanProcessor(spans)).Tracer("")
		n := &notebook{fails: map[string][]error{"bad": {errors.New("not now")}}}
		p := n.publisher(t)
		p.clock.traces = tracer
		leading(t, p, func() {
			p.hand(work{bindings: owners("istio", "a"), changes: []translators.Change{put("a", "istio", artifact("old", 1, "x"))}})
			expect(t, n, "put a old")
			_, event := tracer.Start(t.Context(), "batch")
			p.hand(work{changes: []translators.Change{remove("a", "istio", "old"), put("a", "istio", artifact("bad", 1, "y"), artifact("good", 2, "y"))},
				event: cause{time.Now(), event.SpanContext()}})
			time.Sleep(time.Minute)
			synctest.Wait()
			var got []string
			for _, s := range spans.Ended() {
				if s.Parent().SpanID() != event.SpanContext().SpanID() {
					t.Errorf("%s is of another event", s.Name())
				}
				got = append(got, fmt.Sprintf("%s %s %s %s", s.Name(), s.Attributes()[1].Value.AsString(), s.Status().Code, s.Status().Description))
			}
			want := []string{"write g/v1/K bad Error not now", "write g/v1/K good Unset ", "write g/v1/K old Unset "}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("spans (-want +got):\n%s", d)
			}
		})
	})
}
