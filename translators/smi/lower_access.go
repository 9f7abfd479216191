package smi

import (
	"fmt"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/report"
)

// lowerWorkload says who may call an account's pods. Its context (pods, ports
// and probes) has been lowered before.
func lowerWorkload(r input.Reader, w *ir.Workload) report.Report {
	id := ir.Identity{Namespace: w.Namespace, Account: w.Account}
	targets := targetsOf(r, id)
	found := unbound(r, id)
	found = append(found, closeWorkload(r, w, targets)...)
	for i, p := range w.Ports {
		if p.Protocol == "" && slices.ContainsFunc(p.Services, func(s ir.ServicePort) bool {
			_, ok := speaksHTTP(r, s.Service, s.Port)
			return ok
		}) {
			w.Ports[i].Protocol = ir.HTTP
		}
	}
	for _, o := range targets {
		t, ok := o.Value.(*Target)
		if !ok || o.Rejected {
			continue
		}
		g := &granting{r: r, w: w, o: o, t: t}
		if grant, ok := g.grant(); ok {
			w.Grants = append(w.Grants, grant)
		}
		found = append(found, g.found...)
	}
	return found
}

// closeWorkload decides whether what is not granted is denied, and says what is
// not known of who denies it.
func closeWorkload(r input.Reader, w *ir.Workload, targets []input.Object) report.Report {
	mode := ir.Access(r.Settings(w.Namespace).Access)
	var found report.Report
	for _, o := range targets {
		ref := o.Ref(o.Value.(*Target).Destination.Field)
		w.Because = append(w.Because, ref)
		if w.Ref.IsZero() {
			w.Ref = ref
		}
		if len(w.Pods) == 0 {
			found = append(found, unknownPods(r, w, ref))
		}
	}
	switch {
	case mode == ir.AccessOff:
		w.Because = nil
		return found
	case mode == ir.AccessStrict, len(targets) > 0:
		w.Enforced = true
	case len(w.Pods) > 0:
		return append(found, report.New(report.OpenWorkload, w.Ref,
			fmt.Sprintf("nobody names account %s/%s as destination, so everybody may call its pods", w.Namespace, w.Account)))
	}
	for _, p := range w.Pods {
		for _, other := range p.AlsoCatches {
			found = append(found, report.New(report.SelectorCatches, p.Ref,
				fmt.Sprintf("pods of account %s/%s carry the labels of those of %s too", w.Namespace, other, w.Account)))
		}
	}
	return found
}

func unknownPods(r input.Reader, w *ir.Workload, at report.Ref) report.Finding {
	account := w.Namespace + "/" + w.Account
	if r.Complete(w.Namespace) && !kube.Known(r, ir.Identity{Namespace: w.Namespace, Account: w.Account}) {
		return report.New(report.UnknownAccount, at, "account "+account+" does not exist, and nothing runs as it")
	}
	return report.New(report.UnknownPods, at, "which pods run as account "+account+" is not known")
}

// unbound reports TrafficTargets whose destination is a binding of this name
// that leads to no account: nobody knows what they should close.
func unbound(r input.Reader, id ir.Identity) report.Report {
	var found report.Report
	for _, o := range r.Lookup(targetsByDestination, destinationKey(KindIdentityBinding, id.Namespace, id.Account)) {
		t := o.Value.(*Target)
		b, good := bindingOf(r, t.Destination)
		switch {
		case good && b.Account != "":
			found = append(found, report.New(report.BoundIdentity, o.Ref(t.Destination.Field),
				"IdentityBinding "+id.Account+" stands for account "+id.Namespace+"/"+b.Account))
		case b == nil:
			f := report.New(report.UnknownAccount, o.Ref(t.Destination.Field), "IdentityBinding "+id.Account+" does not exist in namespace "+id.Namespace+", so nothing is closed")
			f.Severity = report.Error
			found = append(found, f)
		default:
			f := report.New(report.BoundIdentity, o.Ref(t.Destination.Field), "IdentityBinding "+id.Account+" leads to no ServiceAccount, so it closes nothing")
			f.Severity = report.Error
			found = append(found, f)
		}
	}
	return found
}

// granting is the lowering of one TrafficTarget.
type granting struct {
	r     input.Reader // INPUT
	w     *ir.Workload
	o     input.Object
	t     *Target
	found report.Report // OUTPUT
	// invalid: something in it is in error, so it allows nothing as a whole.
	invalid bool
}

func (g *granting) add(found ...report.Finding) { g.found = append(g.found, found...) }

// fail reports what makes the whole TrafficTarget allow nothing: to leave out
// one part of a condition would allow more.
func (g *granting) fail(f report.Finding) {
	g.invalid = true
	g.add(f)
}

// grant lowers the TrafficTarget. It reports false where it allows nothing.
func (g *granting) grant() (ir.Grant, bool) {
	if len(g.t.Rules) == 0 {
		g.fail(report.New(report.NoRules, g.o.Ref(g.t.RulesField), "without rules nothing is allowed"))
	}
	if len(g.t.Sources) == 0 {
		g.fail(report.New(report.NoSources, g.o.Ref(g.t.SourcesField), "without sources nobody is allowed"))
	}
	d, _, found := dialectOf(g.r, g.o)
	if len(found) > 0 {
		g.invalid = true
		g.add(found...)
	}
	out := ir.Grant{Name: ir.Name{Namespace: g.o.Namespace, Name: g.o.ID.Name}, Ref: g.o.Ref("")}
	for _, a := range g.t.Sources {
		out.Sources = append(out.Sources, g.source(a)...)
	}
	rules := g.rules(d)
	if g.invalid {
		return out, false
	}
	out.Ports, out.Matches = g.ports(rules), rules.matches
	if rules.http == nil {
		out.Matches = []ir.Match{ir.MatchAll(rules.tcp[0].all())}
	}
	return out, len(out.Ports) > 0 && len(out.Matches) > 0 && len(out.Sources) > 0
}

// source resolves a source to identities.
func (g *granting) source(a Account) []ir.Source {
	ref := g.o.Ref(a.Field)
	if a.Kind != KindIdentityBinding {
		id := ir.Identity{Namespace: a.Namespace, Account: a.Name}
		if g.r.Complete(a.Namespace) && !kube.Known(g.r, id) {
			g.add(report.New(report.UnknownAccount, ref, "account "+a.Namespace+"/"+a.Name+" does not exist, and nothing runs as it"))
		}
		return []ir.Source{kube.Source(g.r, id, ir.Source{Ref: ref})}
	}
	b, good := bindingOf(g.r, a)
	switch {
	case !good:
		f := report.New(report.UnknownAccount, ref, "IdentityBinding "+a.Name+" does not exist, or is in error, in namespace "+a.Namespace)
		f.Severity = report.Error
		g.fail(f)
		return nil
	case a.Namespace != g.o.Namespace:
		g.fail(report.New(report.ForeignNamespace, ref, "IdentityBinding "+a.Name+" holds in its own namespace "+a.Namespace+" alone"))
		return nil
	case len(b.PodLabels) > 0:
		f := report.New(report.BoundIdentity, ref, "IdentityBinding "+a.Name+" names pods by labels, which prove no identity")
		f.Severity = report.Error
		g.fail(f)
		return nil
	}
	g.add(report.New(report.BoundIdentity, ref, "IdentityBinding "+a.Name+" stands for its identities"))
	var out []ir.Source
	if b.Account != "" {
		id := ir.Identity{Namespace: a.Namespace, Account: b.Account}
		out = append(out, kube.Source(g.r, id, ir.Source{Ref: ref}))
	}
	for _, s := range b.SPIFFE {
		out = append(out, ir.Source{Identity: ir.Identity{SPIFFE: s}, Ref: ref})
	}
	return out
}
