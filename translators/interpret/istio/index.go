package istio

import (
	"maps"
	"slices"

	"github.com/meshknot/meshknot/translators"
)

// selected is an object that is about pods of a namespace.
type selected struct {
	id        translators.ID
	namespace string
	// labels that a pod must carry; none: all pods of the namespace.
	labels map[string]string
}

// selecting is what an object selects: what its selector says, or all.
func selecting(id translators.ID, o object, by *wireSelector) selected {
	out := selected{id: id, namespace: o.Metadata.Namespace}
	if by != nil {
		out.labels = by.MatchLabels
	}
	return out
}

func (s selected) about() selected { return s }

// covers reports whether a pod carries the labels. Of a pod of which nothing is
// known, that cannot be said.
func (s selected) covers(pod map[string]string) bool {
	for k, v := range s.labels {
		if got, ok := pod[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// index finds the objects that are about a pod without looking at all of them:
// each stands under the rarest of its labels.
type index[T interface{ about() selected }] struct {
	all   []T
	found map[key][]T
}

type key struct{ namespace, label, value string }

func (x *index[T]) build() {
	count := map[key]int{}
	for _, o := range x.all {
		s := o.about()
		for k, v := range s.labels {
			count[key{s.namespace, k, v}]++
		}
	}
	x.found = map[key][]T{}
	for _, o := range x.all {
		s := o.about()
		best := key{namespace: s.namespace}
		for _, k := range slices.Sorted(maps.Keys(s.labels)) {
			if at := (key{s.namespace, k, s.labels[k]}); best.label == "" || count[at] < count[best] {
				best = at
			}
		}
		x.found[best] = append(x.found[best], o)
	}
}

// of lists the objects of a namespace that are about a pod.
func (x *index[T]) of(namespace string, pod map[string]string) []T {
	out := slices.Clone(x.found[key{namespace: namespace}])
	for k, v := range pod {
		for _, o := range x.found[key{namespace, k, v}] {
			if o.about().covers(pod) {
				out = append(out, o)
			}
		}
	}
	slices.SortFunc(out, func(a, b T) int { return a.about().id.Compare(b.about().id) })
	return out
}
