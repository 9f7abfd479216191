// Package policies checks objects against rules written in Rego, the shipped
// ones and a team's own.
//
// A rule file runs unchanged in three places: here and under "opa test";
// under conftest, where the input is the object itself; and under Gatekeeper,
// where the object is input.review.object. Any package with a rule named deny,
// violation or warn (or that name and a suffix, as in deny_open_grants) is
// evaluated, once per object. A result is a message, or an object:
//
//	{"msg": "what is wrong", "field": "spec.backends[0].weight", "hint": "what to do"}
//
// Gatekeeper's form, in which field and hint stand under "details", is read too.
// METADATA annotations give a rule its title, description and, under custom,
// its code, severity and hint.
//
// Rules are pure: they see the object and data.inventory, which holds all
// objects of the run in Gatekeeper's layout, and call only functions whose
// result depends on their arguments. What a rule may not do, does not compile
// or does not finish is an error: a check that was not made never passes.
package policies

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/meshknot/meshknot/translators/report"
)

// DefaultTimeout bounds the evaluation of one rule on one object.
const DefaultTimeout = time.Second

// DefaultMemory bounds what a check may allocate beyond what is there when it
// begins. It protects the machine; it is no quota, for other work of the
// process counts too.
const DefaultMemory = 1 << 30

// patience is the number of objects on which a rule may run out of time in one
// check before it is no longer tried.
const patience = 3

// Object is an object as its author wrote it.
type Object struct {
	// Ref names the object in findings and places it in data.inventory.
	Ref report.Ref
	// Value is the whole document. Nothing changes it.
	Value map[string]any
	// Previous is the document that this one takes the place of; nil where it is
	// new or nobody knows. Rules see it as input.review.oldObject.
	Previous map[string]any
}

// Engine checks objects against a set of rules. It may be used by several
// goroutines at once.
type Engine struct {
	// Timeout bounds the evaluation of one rule on one object; zero means
	// DefaultTimeout. It is set before the first use.
	Timeout time.Duration
	// Memory is the number of bytes by which the process may grow during a check
	// before the rule that is being evaluated is stopped; zero means
	// DefaultMemory. It is set before the first use.
	Memory uint64
	plan   func() *plan
}

// New returns an engine for the rules of the given modules. The library that
// the shipped rules share is always there. New itself is cheap: modules are
// compiled at first use, and what is wrong with them is told by Problems and,
// so that it cannot be missed, by every Check.
func New(modules ...Module) *Engine {
	return &Engine{plan: sync.OnceValue(func() *plan { return compile(modules, false) })}
}

// Problems returns what keeps rules from being loaded: forbidden functions
// (MK4004) and everything that does not compile (MK4002). Positions are those
// of the rule files. The other rules are in force.
func (e *Engine) Problems() report.Report { return e.plan().problems }

// Rules lists the rules in force, ordered by package and rule name.
func (e *Engine) Rules() []Rule {
	var rules []Rule
	for _, en := range e.plan().entries {
		rules = append(rules, en.rule)
	}
	return rules
}

// Check evaluates every rule on every object. The report is sorted and the
// same for the same objects, in whatever order they come. When ctx ends, the
// rest is not checked, and the report says so with an error.
func (e *Engine) Check(ctx context.Context, objects []Object) report.Report {
	p := e.plan()
	found := p.check(ctx, e.limits(), objects, p.entries)
	return append(found, p.problems...).Sorted()
}

// limits bound the evaluation of one rule on one object.
type limits struct {
	timeout time.Duration
	memory  uint64
}

// check evaluates entries on objects, each of which is parsed once.
func (p *plan) check(ctx context.Context, most limits, objects []Object, entries []entry) report.Report {
	if len(entries) == 0 {
		return nil
	}
	var found report.Report
	parsed := make([]inputs, len(objects))
	for i, o := range objects {
		in, err := parse(o, entries)
		if err != nil {
			found = append(found, broken(o.Ref, fmt.Sprintf("no rule can read the object: %v", err)))
		}
		parsed[i] = in
	}
	run, err := p.begin(ctx, most, objects, parsed, entries)
	if err != nil {
		return append(found, broken(report.Ref{}, err.Error()))
	}
	defer run.store.Abort(ctx, run.txn)
	defer run.watch()()
	defer run.stops(ctx)()
	for i, o := range objects {
		more, done := run.object(ctx, entries, o.Ref, parsed[i])
		if found = append(found, more...); !done {
			return append(found, stopped(ctx.Err(), i, len(objects)))
		}
	}
	return found
}

// begin opens the inventory for the rules of one check.
func (p *plan) begin(ctx context.Context, most limits, objects []Object, parsed []inputs, entries []entry) (*evaluation, error) {
	store, err := inventory(objects, parsed, entries)
	if err != nil {
		return nil, err
	}
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the inventory: %w", err)
	}
	return &evaluation{plan: p, limits: most, store: store, txn: txn, late: map[string]int{}, tracer: p.tracer}, nil
}

func stopped(err error, done, all int) report.Finding {
	return failure(report.PolicyTimeout, report.Ref{},
		fmt.Sprintf("the check was stopped after %d of %d objects: %v", done, all, err))
}

// failure is a finding that no table row and no rule can soften.
func failure(code report.Code, at report.Ref, message string) report.Finding {
	f := report.New(code, at, message)
	f.Severity = report.Error
	return f
}

func broken(at report.Ref, message string) report.Finding {
	return failure(report.PolicyBroken, at, message)
}

// NewObject makes an Object of a Kubernetes document, named by its own
// apiVersion, kind and metadata.
func NewObject(value map[string]any) Object {
	metadata, _ := value["metadata"].(map[string]any)
	field := func(m map[string]any, key string) string {
		s, _ := m[key].(string)
		return s
	}
	group, _, grouped := strings.Cut(field(value, "apiVersion"), "/")
	if !grouped {
		group = ""
	}
	return Object{Value: value, Ref: report.Ref{
		Group:     group,
		Kind:      field(value, "kind"),
		Namespace: field(metadata, "namespace"),
		Name:      field(metadata, "name"),
	}}
}
