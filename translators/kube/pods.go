package kube

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// known is something that runs pods, or somebody's word for their labels.
type known struct {
	Pods
	ref report.Ref
}

// podsIndex finds what runs pods: by account, by each label, and all of a namespace.
var podsIndex = input.Index{Name: "kube/pods", Keys: func(o input.Object) []string {
	p, ok := podsOf(o)
	if !ok {
		return nil
	}
	keys := []string{key(o.Namespace), key(o.Namespace, "account", p.Account)}
	for k, v := range p.Labels {
		keys = append(keys, key(o.Namespace, "label", k+"="+v))
	}
	return keys
}}

// podsOf returns what an object says of pods: a ServiceAccount may say their labels.
func podsOf(o input.Object) (known, bool) {
	if o.Rejected {
		return known{}, false
	}
	switch v := o.Value.(type) {
	case *Pods:
		return known{*v, o.Ref("")}, true
	case *Account:
		p := Pods{Labels: v.PodLabels, Account: o.ID.Name}
		return known{p, labelsRef(o.ID)}, v.PodLabels != nil
	}
	return known{}, false
}

// stated returns what the run's settings say of the pods in a namespace.
func stated(r input.Reader, namespace string) []known {
	workloads := r.Settings(namespace).Workloads
	var out []known
	for _, name := range slices.Sorted(maps.Keys(workloads)) {
		if ns, account, _ := strings.Cut(name, "/"); ns == namespace {
			p := Pods{Labels: workloads[name], Account: account}
			out = append(out, known{p, report.Ref{Kind: KindServiceAccount, Namespace: ns, Name: account}})
		}
	}
	return out
}

// ofAccount returns what runs pods as an account.
func ofAccount(r input.Reader, namespace, account string) []known {
	out := slices.DeleteFunc(stated(r, namespace), func(k known) bool { return k.Account != account })
	return collect(out, r.Lookup(podsIndex, key(namespace, "account", account)))
}

// withLabels returns what runs pods that have all of the labels.
func withLabels(r input.Reader, namespace string, labels map[string]string) []known {
	at := key(namespace)
	if len(labels) > 0 {
		first := slices.Min(slices.Collect(maps.Keys(labels)))
		at = key(namespace, "label", first+"="+labels[first])
	}
	all := collect(stated(r, namespace), r.Lookup(podsIndex, at))
	return slices.DeleteFunc(all, func(k known) bool { return !selects(labels, k.Labels) })
}

// collect adds what objects say, and orders all by what it is rather than when
// it was made: what lasts through a rollout first.
func collect(out []known, objects []input.Object) []known {
	for _, o := range objects {
		if p, ok := podsOf(o); ok {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b known) int {
		return cmp.Or(cmp.Compare(fleeting(a.ref.Kind), fleeting(b.ref.Kind)), a.ref.Compare(b.ref))
	})
	return out
}

// fleeting ranks the kinds whose objects come and go with revisions.
func fleeting(kind string) int {
	return slices.Index([]string{"Job", "ReplicaSet", "Pod"}, kind)
}

// selects reports whether pods with labels are selected.
func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// target returns the port on pods that a Service port leads to, or false where
// they do not have it.
func (p Pods) target(s ServicePort) (int32, bool) {
	if s.Target != 0 {
		return s.Target, true
	}
	for _, c := range p.Ports {
		if c.Name != "" && c.Name == s.TargetName && c.Transport == s.Transport {
			return c.Number, true
		}
	}
	return 0, false
}

// Runner is the value of an object whose processes run as an account of its
// namespace, though what runs them is made elsewhere.
type Runner interface {
	RunsAs(o input.Object) (account string)
}

// runners finds what runs as an account besides pods that are given.
var runners = input.Index{Name: "kube/runners", Keys: func(o input.Object) []string {
	if r, ok := o.Value.(Runner); ok && !o.Rejected {
		return []string{key(o.Namespace, r.RunsAs(o))}
	}
	return nil
}}

// Known reports whether anything is known of an account: it is there, or
// something runs as it.
func Known(r input.Reader, id ir.Identity) bool {
	o, ok := r.Get(input.ID{Kind: KindServiceAccount, Namespace: id.Namespace, Name: id.Account})
	return ok && !o.Rejected || id.Account == DefaultAccount || len(ofAccount(r, id.Namespace, id.Account)) > 0 ||
		len(r.Lookup(runners, key(id.Namespace, id.Account))) > 0
}
