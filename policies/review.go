package policies

import (
	"cmp"
	"context"
	"fmt"

	"github.com/meshknot/meshknot/translators/report"
)

// Review evaluates every rule on one object as if the inventory held it, in the
// place of what has its name now; the inventory itself is not changed. It finds
// what Check finds of that object among all of them, and costs what the rules
// look at, whatever the size of the inventory. What is wrong with rules
// themselves is told by Problems and not here, for it is no fault of the object.
// When ctx ends, the report says so with an error.
func (e *Engine) Review(ctx context.Context, inv *Inventory, o Object) report.Report {
	p := e.plan()
	if len(p.entries) == 0 {
		return nil
	}
	in, err := parse(o, p.entries)
	if err != nil {
		return report.Report{broken(o.Ref, fmt.Sprintf("no rule can read the object: %v", err))}
	}
	return p.review(ctx, e.limits(), inv.over(o, in.object.Value, p.ownLibrary), o.Ref, in)
}

// ReviewAll reviews every object of the inventory as it is when this begins, and
// gives what it finds of each, one after the other in no order, until ctx ends.
func (e *Engine) ReviewAll(ctx context.Context, inv *Inventory, give func(report.Ref, report.Report)) {
	p := e.plan()
	objects, seen := inv.objects()
	if seen.memory = nil; p.ownLibrary {
		seen.memory = &inv.memory
	}
	for at, there := range objects {
		if ctx.Err() != nil {
			return
		}
		in, err := forms(at, there.version, there.value, nil, p.entries)
		if err != nil {
			give(at, report.Report{broken(at, fmt.Sprintf("no rule can read the object: %v", err))})
			continue
		}
		if found := p.review(ctx, e.limits(), seen, at, in); ctx.Err() == nil {
			give(at, found)
		}
	}
}

func (e *Engine) limits() limits {
	return limits{cmp.Or(e.Timeout, DefaultTimeout), cmp.Or(e.Memory, DefaultMemory)}
}

// review evaluates all rules on one object.
func (p *plan) review(ctx context.Context, most limits, seen view, at report.Ref, in inputs) report.Report {
	run := &evaluation{plan: p, limits: most, store: seen, txn: still{}, late: map[string]int{}, tracer: p.tracer}
	defer run.watch()()
	defer run.stops(ctx)()
	found, done := run.object(ctx, p.entries, at, in)
	if !done {
		found = append(found, stopped(ctx.Err(), 0, 1))
	}
	return found.Sorted()
}
