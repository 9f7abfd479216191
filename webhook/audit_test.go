package webhook

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/report"
)

// TestAudit: a round hands out what rules have against the objects there are, and
// nothing of those that are in order; another follows where rules have changed, and
// after a while; a round that is cut short is not handed out.
func TestAudit(t *testing.T) {
	split := func(name string, weight int) policies.Object {
		return policies.NewObject(map[string]any{"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit", "metadata": map[string]any{"name": name, "namespace": "shop"},
			"spec": map[string]any{"service": "a", "backends": []any{map[string]any{"service": "b", "weight": weight}, map[string]any{"service": "c", "weight": 10}}}})
	}
	inventory := policies.NewInventory()
	rules, err := policies.NewLive(inventory, policies.Shipped(), nil)
	if err != nil {
		t.Fatal(err)
	}
	put := func(objects ...policies.Object) {
		if err := inventory.Put(objects...); err != nil {
			t.Fatal(err)
		}
	}
	put(split("good", 90), split("bad", 7))
	again, rounds := make(chan struct{}), make(chan map[report.Ref]report.Report)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Audit{Rules: rules, Every: time.Hour, Again: again, Give: func(found map[report.Ref]report.Report) { rounds <- found }}.Run(ctx)
	}()
	said := func(found map[report.Ref]report.Report) string {
		out := ""
		for _, name := range []string{"bad", "good"} {
			for _, f := range found[split(name, 0).Ref] {
				out += fmt.Sprint(name, " ", f.Code, " ")
			}
		}
		return fmt.Sprint(out, len(found))
	}
	if got := said(next(t, rounds)); got != "bad MKR004 1" {
		t.Errorf("first round: %s", got)
	}
	put(split("bad", 90), split("good", 7))
	select {
	case found := <-rounds:
		t.Errorf("a round before its time: %s", said(found))
	case <-time.After(50 * time.Millisecond):
	}
	select {
	case again <- struct{}{}:
	case <-time.After(patience):
		t.Fatal("nobody hears that rules have changed")
	}
	if got := said(next(t, rounds)); got != "good MKR004 1" {
		t.Errorf("second round: %s", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// patience is how long is waited for a round that is due.
const patience = 20 * time.Second

// next is what a round hands out, and fails the test where none comes.
func next[T any](t *testing.T, rounds <-chan T) T {
	t.Helper()
	select {
	case found := <-rounds:
		return found
	case <-time.After(patience):
		t.Fatal("no round")
		panic("unreachable")
	}
}

// halting are rules whose round is cut short by the end of the context.
type halting struct{ stop context.CancelFunc }

func (h halting) ReviewAll(_ context.Context, give func(report.Ref, report.Report)) {
	give(report.Ref{Name: "a"}, report.Report{{Code: report.NoEffect}})
	h.stop()
}

// ticking are rules that count rounds.
type ticking struct{ rounds chan struct{} }

func (c ticking) ReviewAll(context.Context, func(report.Ref, report.Report)) { c.rounds <- struct{}{} }

func TestAuditRounds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	if err := (Audit{Rules: halting{stop}, Every: time.Hour, Give: func(map[report.Ref]report.Report) { t.Error("half a round is handed out") }}).Run(ctx); err != nil {
		t.Error(err)
	}
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	c := ticking{make(chan struct{})}
	go func() {
		_ = Audit{Rules: c, Every: time.Millisecond, Give: func(map[report.Ref]report.Report) {}}.Run(ctx)
	}()
	for range 3 {
		next(t, c.rounds)
	}
}
