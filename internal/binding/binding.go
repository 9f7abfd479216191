// Package binding says which mesh serves which namespaces. It decodes
// MeshBindings, and resolves them and the labels of namespaces to what an engine
// is bound to. It is pure: it reads no cluster and no clock.
package binding

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// Binding is a MeshBinding that can be followed.
type Binding struct {
	Name       string
	Created    time.Time
	Generation int64
	// Selector of namespaces, by their labels.
	Selector labels.Selector
	// Target has the binding's name.
	Target translators.Target
	// Access is selected, strict or off; Dialect spec, osm or traefik.
	Access, Dialect string
	// Gate is the worst class that is put in force.
	Gate    report.Class
	Waivers []Waiver
	// Paused: reports are written, and nothing else is.
	Paused bool
}

// Waiver accepts a refusal until it expires; a zero Expires is never.
type Waiver struct {
	feature.Waiver
	Expires time.Time
}

// Error says what is wrong with a MeshBinding.
type Error struct {
	// Field such as "spec.backend.version".
	Field string
	// Message says what is wrong, and what is possible.
	Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Field + ": " + e.Message }

func wrong(field, format string, args ...any) error {
	return &Error{field, fmt.Sprintf(format, args...)}
}

// The defaults of fields that are empty, as an API server would fill them.
const (
	defaultTrustDomain = "cluster.local"
	longestName        = 63 // of a value of a label
)

// Decode reads a MeshBinding, and checks it against the back ends that there are.
// Fields that are empty have their defaults. An error is of type *Error.
func Decode(b v1alpha1.MeshBinding, p translators.Pipeline) (Binding, error) {
	if b.Name == "" || len(b.Name) > longestName {
		return Binding{}, wrong("metadata.name", "want 1 to %d characters", longestName)
	}
	out := Binding{Name: b.Name, Created: b.CreationTimestamp.Time, Generation: b.Generation, Paused: b.Spec.Paused,
		Gate: report.Class(cmp.Or(b.Spec.LossGate, string(report.Dropped)))}
	var err error
	if out.Selector, err = selector(b.Spec.NamespaceSelector); err != nil {
		return Binding{}, err
	}
	if out.Access, err = oneOf("spec.access", b.Spec.Access, "selected", "strict", "off"); err != nil {
		return Binding{}, err
	}
	if out.Dialect, err = oneOf("spec.dialect", b.Spec.Dialect, "spec", "osm", "traefik"); err != nil {
		return Binding{}, err
	}
	if out.Gate == report.Widened || !slices.Contains(report.Classes(), out.Gate) {
		return Binding{}, wrong("spec.lossGate", "there is no %q: want exact, relocated, approximated, narrowed or dropped", b.Spec.LossGate)
	}
	if out.Waivers, err = waivers(b.Spec.Waivers); err != nil {
		return Binding{}, err
	}
	out.Target, err = target(b, p)
	return out, err
}

func oneOf(field, value string, all ...string) (string, error) {
	if value == "" {
		return all[0], nil
	}
	if !slices.Contains(all, value) {
		return "", wrong(field, "there is no %q: want %s", value, strings.Join(all, ", "))
	}
	return value, nil
}

func selector(s metav1.LabelSelector) (labels.Selector, error) {
	const field, mostLabels, mostExpressions = "spec.namespaceSelector", 32, 16
	if len(s.MatchLabels) > mostLabels {
		return nil, wrong(field+".matchLabels", "at most %d labels", mostLabels)
	}
	if len(s.MatchExpressions) > mostExpressions {
		return nil, wrong(field+".matchExpressions", "at most %d expressions", mostExpressions)
	}
	out, err := metav1.LabelSelectorAsSelector(&s)
	if err != nil {
		return nil, wrong(field, "%v", err)
	}
	return out, nil
}

func waivers(all []v1alpha1.Waiver) ([]Waiver, error) {
	const most = 64
	if len(all) > most {
		return nil, wrong("spec.waivers", "at most %d", most)
	}
	var out []Waiver
	for i, w := range all {
		field := fmt.Sprintf("spec.waivers[%d]", i)
		if strings.TrimSpace(w.Reason) == "" {
			return nil, wrong(field+".reason", "a waiver has a reason")
		}
		if w.Code == "" || w.Kind == "" || w.Name == "" {
			return nil, wrong(field, "a waiver names a code, a kind and an object")
		}
		one := Waiver{Waiver: feature.Waiver{Code: report.Code(w.Code), Object: report.Ref{Kind: w.Kind, Namespace: w.Namespace, Name: w.Name}, Reason: w.Reason}}
		if w.Expires != nil {
			one.Expires = w.Expires.Time
		}
		out = append(out, one)
	}
	return out, nil
}

// Schema lets MeshBindings be read of files and of an API server. The Value of an
// object is a *v1alpha1.MeshBinding.
func Schema() input.Schema {
	return input.Schema{Group: v1alpha1.Group, Version: v1alpha1.Version, Kind: v1alpha1.KindMeshBinding, Cluster: true, Wire: v1alpha1.MeshBinding{}}
}

// Split takes the MeshBindings out of objects, and decodes them. A binding in error
// is left out, with a finding.
func Split(objects []input.Object, p translators.Pipeline) (bindings []Binding, others []input.Object, found report.Report) {
	for _, o := range objects {
		if o.Group != v1alpha1.Group || o.Kind != v1alpha1.KindMeshBinding {
			others = append(others, o)
			continue
		}
		written, ok := o.Value.(*v1alpha1.MeshBinding)
		if !ok || o.Rejected {
			continue // which whoever read it has said
		}
		b, err := Decode(*written, p)
		var e *Error
		if errors.As(err, &e) {
			found = append(found, report.New(report.BadValue, o.Ref(e.Field), e.Message))
			continue
		}
		bindings = append(bindings, b)
	}
	return bindings, others, found
}
