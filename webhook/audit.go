package webhook

import (
	"context"
	"time"

	"github.com/meshknot/meshknot/translators/report"
)

// Audited are rules that can look at everything again.
type Audited interface {
	ReviewAll(ctx context.Context, give func(report.Ref, report.Report))
}

// Audit looks at every object again with the rules that requests are judged with:
// what came in while the webhook was away, or before a rule was there. What front
// and back ends say of objects the engine says all the time.
type Audit struct {
	Rules Audited
	// Every is the time between the end of one round and the begin of the next.
	Every time.Duration
	// Again begins a round before its time, as when rules have changed; may be nil.
	Again <-chan struct{}
	// Give is handed what is found in a round, by object; objects in which nothing is
	// found are not in it. A round that did not end is not handed out.
	Give func(map[report.Ref]report.Report)
}

// Run makes rounds until ctx ends.
func (a Audit) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.Again:
		case <-timer.C:
		}
		found := map[report.Ref]report.Report{}
		a.Rules.ReviewAll(ctx, func(at report.Ref, f report.Report) {
			if len(f) > 0 {
				found[at] = f
			}
		})
		if ctx.Err() != nil {
			return nil
		}
		a.Give(found)
		timer.Reset(a.Every)
	}
}
