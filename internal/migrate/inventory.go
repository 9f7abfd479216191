package migrate

import (
	"cmp"
	"slices"

	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// Inventory is what there is to migrate.
type Inventory struct {
	// Objects of SMI, by group, version, kind and namespace.
	Objects []Count `json:"objects"`
	// Features are what they ask for, and how much of it has a form in Gateway API.
	Features []Asked `json:"features"`
	// Kept counts the objects that are no SMI, by kind; they stay as they are.
	Kept []Count `json:"kept"`
}

// Count says how many objects there are of a kind.
type Count struct {
	Group     string `json:"group"`
	Version   string `json:"version"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Objects   int    `json:"objects"`
	// Rejected of them are in error and have no effect.
	Rejected int `json:"rejected"`
}

// Asked says how often something is asked for.
type Asked struct {
	Feature feature.Feature `json:"feature"`
	Title   string          `json:"title"`
	Uses    int             `json:"uses"`
	// Native has the same meaning in the new form, Nearly almost the same; ByHand
	// has no form.
	Native int `json:"native"`
	Nearly int `json:"nearly"`
	ByHand int `json:"byHand"`
}

// Inventory says what there is.
func (m *Migration) Inventory() Inventory {
	out := Inventory{Objects: []Count{}, Features: []Asked{}, Kept: []Count{}}
	for _, o := range m.set.Objects {
		c := Count{Group: o.Group, Version: o.Version, Kind: o.Kind, Namespace: o.Namespace, Objects: 1}
		out.count(c, fromSMI(o.Ref("")))
	}
	for _, o := range m.set.Rejected {
		c := Count{Group: o.Group, Version: o.Version, Kind: o.Kind, Namespace: o.Namespace, Objects: 1, Rejected: 1}
		out.count(c, fromSMI(o.Ref("")))
	}
	for _, o := range m.set.Others {
		out.count(Count{Group: o.Group, Version: o.Version, Kind: o.Kind, Objects: 1}, false)
	}
	for _, c := range m.claims() {
		out.asked(c)
	}
	for _, list := range [][]Count{out.Objects, out.Kept} {
		slices.SortFunc(list, func(a, b Count) int {
			return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Namespace, b.Namespace))
		})
	}
	slices.SortStableFunc(out.Features, func(a, b Asked) int { return cmp.Compare(a.Feature, b.Feature) })
	return out
}

func (i *Inventory) count(c Count, smi bool) {
	list := &i.Objects
	if !smi {
		list, c.Namespace = &i.Kept, ""
	}
	for k, o := range *list {
		if o.Group == c.Group && o.Version == c.Version && o.Kind == c.Kind && o.Namespace == c.Namespace {
			(*list)[k].Objects += c.Objects
			(*list)[k].Rejected += c.Rejected
			return
		}
	}
	*list = append(*list, c)
}

func (i *Inventory) asked(c feature.Claim) {
	k := slices.IndexFunc(i.Features, func(a Asked) bool { return a.Feature == c.Feature })
	if k < 0 {
		k = len(i.Features)
		i.Features = append(i.Features, Asked{Feature: c.Feature, Title: feature.SpecOf(c.Feature).Title})
	}
	a := &i.Features[k]
	a.Uses++
	switch c.Row.Class {
	case report.Exact, report.Relocated:
		a.Native++
	case report.Approximated:
		a.Nearly++
	default:
		a.ByHand++
	}
}
