package fleet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshknot/meshknot/crds/v1alpha1"
)

// State is what the cluster says of bindings and of what became of objects.
type State struct {
	Bindings   []Binding   `json:"bindings"`
	Namespaces []Namespace `json:"namespaces"`
	// Conditions counts what reports say, by type of condition and by its status.
	Conditions map[string]map[string]int `json:"conditions"`
	// Troubles are the objects of which Accepted, Translated or Programmed is False,
	// at most maxTroubles of them; More says of how many others that holds.
	Troubles []Trouble `json:"troubles"`
	More     int       `json:"more,omitempty"`
}

const maxTroubles = 100

// Binding is a MeshBinding.
type Binding struct {
	Name       string `json:"name"`
	Backend    string `json:"backend"`
	Version    string `json:"version,omitempty"`
	Access     string `json:"access"`
	Paused     bool   `json:"paused,omitempty"`
	Namespaces int    `json:"namespaces"`
	Objects    int    `json:"objects"`
	// Accepted and Programmed are True, False or Unknown, which is also said where no
	// controller has looked at the binding as it is. Message is why not True.
	Accepted   string `json:"accepted"`
	Programmed string `json:"programmed"`
	Message    string `json:"message,omitempty"`
}

// Namespace is what reports say of the objects of a namespace.
type Namespace struct {
	Name string `json:"name"`
	// Bindings are those that its objects are reported on for.
	Bindings []string `json:"bindings"`
	// Objects is how many there are, Programmed how many are in force everywhere,
	// Lossy how many some mesh does not keep as they are.
	Objects    int `json:"objects"`
	Programmed int `json:"programmed"`
	Lossy      int `json:"lossy"`
}

// Trouble is an object that a mesh does not have as it was asked for.
type Trouble struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Binding   string `json:"binding"`
	Condition string `json:"condition"`
	Reason    string `json:"reason"`
	Message   string `json:"message,omitempty"`
}

// State reads what the cluster says now.
func (c *Cluster) State(ctx context.Context) (State, error) {
	b := newBuilder()
	var bindings v1alpha1.MeshBindingList
	if err := each(ctx, c.client, &bindings, func() {
		for _, one := range bindings.Items {
			b.binding(one)
		}
	}); err != nil {
		return State{}, fmt.Errorf("reading MeshBindings: %w", err)
	}
	var reports v1alpha1.TranslationReportList
	if err := each(ctx, c.client, &reports, func() {
		for _, one := range reports.Items {
			b.report(one)
		}
	}); err != nil {
		return State{}, fmt.Errorf("reading TranslationReports: %w", err)
	}
	return b.done(), nil
}

// Good reports whether every binding is accepted, and nothing is known not to be in force.
func (s State) Good() bool {
	return len(s.Troubles) == 0 && !slices.ContainsFunc(s.Bindings, func(b Binding) bool { return b.Accepted != string(metav1.ConditionTrue) })
}

// builder makes a state of one object after the other.
type builder struct {
	State
	namespaces map[string]*Namespace
}

func newBuilder() *builder {
	return &builder{State{Bindings: []Binding{}, Namespaces: []Namespace{}, Conditions: map[string]map[string]int{}, Troubles: []Trouble{}}, map[string]*Namespace{}}
}

func (b *builder) binding(one v1alpha1.MeshBinding) { b.Bindings = append(b.Bindings, bindingOf(one)) }

func (b *builder) report(one v1alpha1.TranslationReport) {
	n := b.namespaces[one.Namespace]
	if n == nil {
		n = &Namespace{Name: one.Namespace, Bindings: []string{}}
		b.namespaces[one.Namespace] = n
	}
	b.count(n, one)
}

// done sorts everything and returns it.
func (b *builder) done() State {
	slices.SortFunc(b.Bindings, func(x, y Binding) int { return strings.Compare(x.Name, y.Name) })
	for _, name := range slices.Sorted(maps.Keys(b.namespaces)) {
		n := b.namespaces[name]
		slices.Sort(n.Bindings)
		b.Namespaces = append(b.Namespaces, *n)
	}
	slices.SortFunc(b.Troubles, func(x, y Trouble) int {
		return cmp.Or(strings.Compare(x.Namespace, y.Namespace), strings.Compare(x.Kind, y.Kind), strings.Compare(x.Name, y.Name), strings.Compare(x.Binding, y.Binding))
	})
	if n := len(b.Troubles); n > maxTroubles {
		b.Troubles, b.More = b.Troubles[:maxTroubles], n-maxTroubles
	}
	return b.State
}

func bindingOf(b v1alpha1.MeshBinding) Binding {
	out := Binding{Name: b.Name, Backend: b.Spec.Backend.Name, Version: b.Spec.Backend.Version, Access: cmp.Or(b.Spec.Access, "selected"), Paused: b.Spec.Paused,
		Namespaces: int(b.Status.Namespaces), Objects: int(b.Status.Objects)}
	look := func(t string) string {
		c := meta.FindStatusCondition(b.Status.Conditions, t)
		if c == nil || b.Status.ObservedGeneration != b.Generation {
			out.Message = cmp.Or(out.Message, "no controller has looked at it as it is")
			return string(metav1.ConditionUnknown)
		}
		if c.Status != metav1.ConditionTrue {
			out.Message = cmp.Or(out.Message, strings.TrimSuffix(c.Reason+": "+c.Message, ": "))
		}
		return string(c.Status)
	}
	out.Accepted, out.Programmed = look(v1alpha1.ConditionAccepted), look(v1alpha1.ConditionProgrammed)
	return out
}

// count takes down what a report says.
func (s *State) count(n *Namespace, one v1alpha1.TranslationReport) {
	n.Objects++
	programmed, lossy := len(one.Status.Backends) > 0, false
	for _, b := range one.Status.Backends {
		if !slices.Contains(n.Bindings, b.Binding) {
			n.Bindings = append(n.Bindings, b.Binding)
		}
		said := false
		for _, c := range b.Conditions {
			if s.Conditions[c.Type] == nil {
				s.Conditions[c.Type] = map[string]int{}
			}
			s.Conditions[c.Type][string(c.Status)]++
			switch no := c.Status == metav1.ConditionFalse; {
			case c.Type == v1alpha1.ConditionLossFree:
				lossy = lossy || no
			case no && !said: // the first says why the others do
				said = true
				s.Troubles = append(s.Troubles, Trouble{one.Status.Source.Kind, one.Namespace, one.Status.Source.Name, b.Binding, c.Type, c.Reason, c.Message})
			}
		}
		programmed = programmed && meta.IsStatusConditionTrue(b.Conditions, v1alpha1.ConditionProgrammed)
	}
	if programmed {
		n.Programmed++
	}
	if lossy {
		n.Lossy++
	}
}
