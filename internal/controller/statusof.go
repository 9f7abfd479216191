package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
)

// topicStatus is the status of an object that is reported on.
func topicStatus(id input.ID) topic { return topic{"status", id.Group, id.Kind, id.Namespace, id.Name} }

func conditionsSetter(want []condition) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool { return setConditions(o, want) }
}

func bindingSetter(want v1alpha1.MeshBindingStatus) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool { return setBinding(o, want) }
}

// conditionsDigest stands for conditions, as statusDigest does for those in a status.
func conditionsDigest(want []condition, generation int64) digest {
	list, _ := merge(nil, want, generation, time.Time{})
	return entriesDigest(list)
}

func entriesDigest(list []entry) digest {
	list = slices.Clone(list)
	for i := range list {
		list[i] = list[i].timeless()
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.Type, b.Type) })
	return digestOf(list)
}

// statusDigest stands for what we said in a status, times left out: the zero digest
// where we said nothing.
func statusDigest(id input.ID, text json.RawMessage) (digest, bool) {
	var status struct {
		Conditions []entry          `json:"conditions"`
		Listeners  []map[string]any `json:"listeners"`
		Parents    []struct {
			Controller string         `json:"controllerName"`
			Ref        map[string]any `json:"parentRef"`
			Conditions []entry        `json:"conditions"`
		} `json:"parents"`
	}
	if len(text) > 0 && json.Unmarshal(text, &status) != nil {
		return digest{}, false
	}
	if isSMI(id.Group) {
		if len(status.Conditions) == 0 {
			return digest{}, true
		}
		return entriesDigest(status.Conditions), true
	}
	if isListeners(id.Kind) {
		if len(status.Conditions) == 0 {
			return digest{}, true
		}
		return digestOf(text), true
	}
	said := map[string]digest{}
	for _, p := range status.Parents {
		if p.Controller == gatewayController {
			said[parentName(p.Ref)] = entriesDigest(p.Conditions)
		}
	}
	if len(said) == 0 {
		return digest{}, true
	}
	return digestOf(said), true
}

// isListeners reports whether the status of a kind of Gateway API is about itself,
// and not about its parents.
func isListeners(kind string) bool {
	return kind == "Gateway" || kind == "ListenerSet" || kind == "GatewayClass"
}

// parentName is a reference to a parent with its defaults, as one text.
func parentName(ref map[string]any) string {
	var out []string
	for _, f := range []struct{ name, otherwise string }{{"group", gatewayGroup}, {"kind", "Gateway"}, {"namespace", ""}, {"name", ""}, {"sectionName", ""}, {"port", ""}} {
		v, ok := ref[f.name]
		if !ok || v == nil {
			v = f.otherwise
		}
		text, _ := json.Marshal(numbers(v))
		out = append(out, string(text))
	}
	return strings.Join(out, " ")
}

func parentsDigest(want []parentStatus, generation int64) digest {
	if len(want) == 0 {
		return digest{}
	}
	said := map[string]digest{}
	for _, p := range want {
		said[parentName(p.ParentRef)] = conditionsDigest(p.Conditions, generation)
	}
	return digestOf(said)
}

// gateways writes the statuses of objects of Gateway API, and of all Gateways, for
// these count their routes.
func (l *loop) gateways(ids []input.ID) {
	if len(ids) == 0 || l.status == nil {
		return
	}
	for id := range l.sources {
		if isGateway(id.Group) && isListeners(id.Kind) && l.sources[id] != nil && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	r := l.world.reader()
	for _, id := range ids {
		src := l.sources[id]
		if src == nil {
			continue
		}
		k, ok := l.kinds[groupKind{id.Group, id.Kind}]
		if !ok {
			continue
		}
		var s apiStatus
		if v, has := l.status(r, src.used); has {
			var err error
			if s, err = readStatus(v); err != nil {
				continue
			}
		}
		at := schema.GroupVersionResource{Group: k.Group, Version: src.meta.Version, Resource: k.Resource}
		change, d := l.gatewayChange(src, s)
		if change == nil {
			continue
		}
		uid := src.meta.UID
		l.writer.want(topicStatus(id), saying{d, func(ctx context.Context) (string, error) {
			return l.statuses.edit(ctx, at, id.Namespace, id.Name, uid, change)
		}})
	}
}

// gatewayChange returns how the status of an object is to change, or nil where it is
// not ours to write.
func (l *loop) gatewayChange(src *source, s apiStatus) (func(*unstructured.Unstructured) bool, digest) {
	if !isListeners(src.id.Kind) {
		want := slices.DeleteFunc(s.Parents, func(p parentStatus) bool { return !l.ourParent(src.id.Namespace, p.ParentRef) })
		return func(o *unstructured.Unstructured) bool { return setParents(o, want) }, parentsDigest(want, src.meta.Generation)
	}
	if !l.ours(src) || len(s.Conditions) == 0 {
		return nil, digest{}
	}
	return func(o *unstructured.Unstructured) bool { return setListeners(o, s) }, digestOf([]any{s, src.meta.Generation})
}

// ours reports whether a Gateway, a ListenerSet or a GatewayClass is our business.
func (l *loop) ours(src *source) bool {
	switch src.id.Kind {
	case "GatewayClass":
		return src.controller == gatewayController
	case "ListenerSet":
		return l.ourGateway(src.parent)
	}
	return l.ourGateway(ir.Name{Namespace: src.id.Namespace, Name: src.id.Name})
}

func (l *loop) ourGateway(n ir.Name) bool {
	g := l.sources[input.ID{Group: gatewayGroup, Kind: "Gateway", Namespace: n.Namespace, Name: n.Name}]
	if g == nil {
		return false
	}
	c := l.sources[input.ID{Group: gatewayGroup, Kind: "GatewayClass", Name: g.class}]
	return c != nil && c.controller == gatewayController
}

// ourParent reports whether what becomes of a route at a parent is ours to say: at a
// Gateway of ours, and at a Service of a namespace that is bound.
func (l *loop) ourParent(namespace string, ref map[string]any) bool {
	text := func(name, otherwise string) string {
		if s, ok := ref[name].(string); ok {
			return s
		}
		return otherwise
	}
	name := ir.Name{Namespace: text("namespace", namespace), Name: text("name", "")}
	switch text("kind", "Gateway") {
	case "Service":
		return len(l.here[name.Namespace]) > 0
	case "ListenerSet":
		set := l.sources[input.ID{Group: gatewayGroup, Kind: "ListenerSet", Namespace: name.Namespace, Name: name.Name}]
		return set != nil && l.ours(set)
	}
	return l.ourGateway(name)
}

// subresources knows which kinds have a status of their own to write.
type subresources struct {
	client discovery.ServerResourcesInterface
	mu     sync.Mutex
	known  map[schema.GroupVersion]subresourceList
}

type subresourceList struct {
	names map[string]bool
	until time.Time
}

func newSubresources(c discovery.ServerResourcesInterface) *subresources {
	return &subresources{client: c, known: map[schema.GroupVersion]subresourceList{}}
}

// has reports whether the status of a kind is a subresource.
func (s *subresources) has(ctx context.Context, at schema.GroupVersionResource) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, ok := s.known[at.GroupVersion()]
	if !ok || time.Now().After(list.until) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		list = subresourceList{map[string]bool{}, time.Now().Add(time.Minute)}
		found, err := s.client.ServerResourcesForGroupVersion(at.GroupVersion().String())
		if err != nil && !apierrors.IsNotFound(err) {
			return false, err
		}
		if found != nil {
			for _, r := range found.APIResources {
				list.names[r.Name] = true
			}
		}
		s.known[at.GroupVersion()] = list
	}
	return list.names[at.Resource+"/status"], nil
}
