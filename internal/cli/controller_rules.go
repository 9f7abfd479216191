package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/controller"
	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/internal/rules"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/webhook"
)

// judgement makes the rules that objects are judged by, with what they may ask for;
// nil where this replica judges none.
func (p *replica) judgement(o *controller.Options) (*policies.Live, error) {
	if !p.judges() && !p.audits() {
		return nil, nil
	}
	live, trust, err := p.live()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(p.cfg)
	if err != nil {
		return nil, err
	}
	sources := rules.New(client, live, rules.Options{Namespace: p.namespace, Files: p.policy.sources, Trust: trust, Metrics: p.metrics, Log: p.log})
	o.Seen = func(changes []feed.Change) { p.keep(live.Inventory(), changes) }
	if p.audits() {
		o.Audit = p.auditor(live, sources)
	}
	return live, errors.Join(p.add(sources.Run), p.manager.AddReadyzCheck("rules", func(*http.Request) error { return sources.Ready() }))
}

// auditor looks at everything again and again, once everything was read, rules
// included: what is said of an object before that would be taken back.
func (p *replica) auditor(live *policies.Live, sources *rules.Rules) func(context.Context, func(map[report.Ref]report.Report)) {
	return func(ctx context.Context, give func(map[report.Ref]report.Report)) {
		for _, wait := range []<-chan struct{}{p.controller.Compiled(), sources.Loaded()} {
			select {
			case <-ctx.Done():
				return
			case <-wait:
			}
		}
		var g errgroup.Group
		g.Go(func() error { sources.Announce(ctx); return nil })
		g.Go(func() error {
			return webhook.Audit{Rules: live, Every: p.audit, Again: sources.Changed(), Give: give}.Run(ctx)
		})
		_ = g.Wait() // neither fails
	}
}

// keep brings the objects that rules may ask for up to date. What meshknot wrote itself
// is output: no rule judges it.
func (p *replica) keep(inventory *policies.Inventory, changes []feed.Change) {
	const portion = 512 // so that of all that there is at the start little is there twice
	for some := range slices.Chunk(changes, portion) {
		p.keepSome(inventory, some)
	}
}

func (p *replica) keepSome(inventory *policies.Inventory, changes []feed.Change) {
	var put []policies.Object
	var gone []report.Ref
	for _, c := range changes {
		if c.ID.Group == v1alpha1.Group && c.ID.Kind == v1alpha1.KindTranslationReport {
			continue
		}
		if c.Deleted || c.Object != nil && c.Object.Labels[sink.ManagedByLabel] == sink.ManagedBy {
			gone = append(gone, c.ID.Ref(""))
			continue
		}
		var value map[string]any
		if len(c.JSON) == 0 || json.Unmarshal(c.JSON, &value) != nil {
			continue
		}
		policies.Trim(value)
		put = append(put, policies.NewObject(value))
	}
	inventory.Delete(gone...)
	if err := inventory.Put(put...); err != nil {
		p.log.Warn("rules do not see some objects", "error", err)
	}
}
