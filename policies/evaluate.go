package policies

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/meshknot/meshknot/translators/report"
)

// evaluation is one check under way.
type evaluation struct {
	plan   *plan
	limits limits
	store  storage.Store
	txn    storage.Transaction
	// current is the evaluation that may be stopped; large: the watch has.
	current atomic.Pointer[topdown.Cancel]
	large   atomic.Bool
	// shared is what rules that read the object itself found out of it, those before
	// included: they have one input. It is nil between objects and after an error.
	shared topdown.VirtualCache
	// late counts, by rule, the objects on which it ran out of time.
	late map[string]int
	// tracer, if any, sees what is evaluated.
	tracer topdown.QueryTracer
}

// object evaluates rules on one object. It reports false where ctx ended before
// all were.
func (e *evaluation) object(ctx context.Context, entries []entry, at report.Ref, in inputs) (report.Report, bool) {
	var found report.Report
	e.shared = nil
	for _, en := range entries {
		if ctx.Err() != nil {
			return found, false
		}
		if in.object != nil && en.rule.concerns(at) {
			found = append(found, e.findings(ctx, en, at, in)...)
		}
	}
	return found, ctx.Err() == nil
}

// findings evaluates one rule on one object.
func (e *evaluation) findings(ctx context.Context, en entry, at report.Ref, in inputs) report.Report {
	path := en.rule.Package + "." + en.rule.Entry
	if e.late[path] >= patience {
		return report.Report{failure(report.PolicyTimeout, at,
			fmt.Sprintf("%s was not tried: it ran out of time or memory before", en.rule.Name))}
	}
	value, err := e.ask(ctx, en, in)
	switch {
	case topdown.IsCancel(err) && ctx.Err() != nil:
		return nil // the check as a whole ends, and says so
	case topdown.IsCancel(err) && e.large.Swap(false):
		e.late[path] = patience
		return report.Report{failure(report.PolicyTimeout, at,
			fmt.Sprintf("%s was stopped, for it took more than %d MiB of memory, so the object counts as refused", en.rule.Name, e.limits.memory>>20))}
	case topdown.IsCancel(err):
		e.late[path]++
		return report.Report{failure(report.PolicyTimeout, at,
			fmt.Sprintf("%s did not finish within %v, so the object counts as refused", en.rule.Name, e.limits.timeout))}
	case err != nil:
		return report.Report{broken(at, fmt.Sprintf("%s failed: %s", en.rule.Name, oneLine(err)))}
	}
	found, err := en.rule.read(value, at)
	if err != nil {
		return report.Report{broken(at, fmt.Sprintf("%s gave a result that says nothing: %v", en.rule.Name, err))}
	}
	return found
}

// ask runs the prepared query of a rule. It uses topdown and not package rego,
// whose prepared queries are bound to one store, because every check has an
// inventory of its own. The result is nil where the rule says nothing.
func (e *evaluation) ask(ctx context.Context, en entry, in inputs) (ast.Value, error) {
	cancel := topdown.NewCancel()
	defer time.AfterFunc(e.limits.timeout, cancel.Cancel).Stop()
	e.large.Store(false)
	e.current.Store(&cancel)
	if ctx.Err() != nil { // what stops the current one may have seen that before
		cancel.Cancel()
	}
	known := e.known(en)
	query := topdown.NewQuery(en.query).
		WithCompiler(e.plan.compiler).
		WithStore(e.store).
		WithTransaction(e.txn).
		WithInput(in.of(en)).
		WithCancel(cancel).
		WithMetrics(metrics.NoOp()).
		WithVirtualCache(known)
	if e.tracer != nil {
		query = query.WithQueryTracer(e.tracer)
	}
	var value ast.Value
	err := query.Iter(ctx, func(r topdown.QueryResult) error {
		value = r[result].Value
		return nil
	})
	if err != nil {
		e.shared = nil // it may have ended anywhere
	}
	return value, err
}

// known is what is known of documents and functions where a rule begins.
func (e *evaluation) known(en entry) topdown.VirtualCache {
	if !en.review && e.shared != nil {
		return e.shared
	}
	known := topdown.NewVirtualCache()
	if v, ok := e.store.(view); ok && v.memory != nil {
		known = &remembering{VirtualCache: known, view: v}
	}
	if !en.review {
		e.shared = known
	}
	return known
}

// stops lets the end of ctx stop what is evaluated, until the function that it returns
// is called.
func (e *evaluation) stops(ctx context.Context) func() bool {
	return context.AfterFunc(ctx, e.stop)
}

// stop stops what is evaluated, if anything is.
func (e *evaluation) stop() {
	if current := e.current.Load(); current != nil {
		(*current).Cancel()
	}
}

// read makes findings of what a rule gave: nothing, a truth, a message, an
// object with a message, or a collection of these.
func (r Rule) read(value ast.Value, at report.Ref) (report.Report, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case ast.Boolean:
		if v {
			return report.Report{r.finding(at, cmp.Or(r.Title, "the rule says no"), nil)}, nil
		}
		return nil, nil
	case ast.String:
		return report.Report{r.finding(at, string(v), nil)}, nil
	case ast.Set:
		return r.readAll(v.Slice(), at)
	case *ast.Array:
		var items []*ast.Term
		v.Foreach(func(t *ast.Term) { items = append(items, t) })
		return r.readAll(items, at)
	case ast.Object:
		if message := text(v, "msg"); message != "" {
			return report.Report{r.finding(at, message, v)}, nil
		}
		return r.readKeys(v, at)
	}
	return nil, fmt.Errorf("%v is not a message", value)
}

func (r Rule) readAll(items []*ast.Term, at report.Ref) (report.Report, error) {
	var all report.Report
	for _, item := range items {
		found, err := r.read(item.Value, at)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// readKeys reads what "deny[msg] if {...}" gives in Rego v1: an object whose
// keys are the messages.
func (r Rule) readKeys(o ast.Object, at report.Ref) (report.Report, error) {
	var keys []*ast.Term
	err := o.Iter(func(key, value *ast.Term) error {
		if value.Value.Compare(ast.Boolean(true)) != 0 {
			return fmt.Errorf(`%v has no "msg"`, o)
		}
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.readAll(keys, at)
}

// finding makes a finding; detail, if any, is the object that the rule gave.
func (r Rule) finding(at report.Ref, message string, detail ast.Object) report.Finding {
	if r.Code == report.PolicyViolation {
		message = r.Name + ": " + message // the code does not say which rule it was
	}
	f := report.Finding{Code: r.Code, Severity: r.Severity, Message: message, Hint: r.Hint, Source: at}
	if detail == nil {
		return f
	}
	inner, _ := member(detail, "details").(ast.Object)
	f.Source = at.At(cmp.Or(text(detail, "field"), text(inner, "field")))
	f.Hint = cmp.Or(text(detail, "hint"), text(inner, "hint"), f.Hint)
	return f
}

func member(o ast.Object, key string) ast.Value {
	if o == nil {
		return nil
	}
	if t := o.Get(ast.InternedTerm(key)); t != nil {
		return t.Value
	}
	return nil
}

func text(o ast.Object, key string) string {
	s, _ := member(o, key).(ast.String)
	return string(s)
}

// oneLine is the text of an error without its line breaks.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
