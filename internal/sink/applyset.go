package sink

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshknot/meshknot/translators"
)

// What KEP-3659 wants on the parent of an ApplySet.
const (
	applySetIDLabel      = "applyset.kubernetes.io/id"
	toolingAnnotation    = "applyset.kubernetes.io/tooling"
	groupKindsAnnotation = "applyset.kubernetes.io/contains-group-kinds"
	namespacesAnnotation = "applyset.kubernetes.io/additional-namespaces"
	parentManager        = "meshknot-applyset" // not FieldManager: whose fields of a MeshBinding are others
	parentGroup          = "meshknot.io"
	parentVersion        = "v1alpha1"
	parentKind           = "MeshBinding"
	parentResource       = "meshbindings"
)

// ApplySetID is the ID of the ApplySet whose parent is a MeshBinding (KEP-3659,
// "ApplySet ID"): what objects of it have as PartOfLabel.
func ApplySetID(binding string) string {
	// Between the two dots stands the namespace, which a MeshBinding has none of.
	sum := sha256.Sum256([]byte(binding + ".." + parentKind + "." + parentGroup))
	return "applyset-" + base64.RawURLEncoding.EncodeToString(sum[:]) + "-v1"
}

// Parent notes on a MeshBinding which kinds and namespaces its members are of, where
// that is not noted already. It is called before the first member of a kind or of a
// namespace is written, with what is in force and what will be, and once what has to
// go is gone, with what is in force.
func (c *Cluster) Parent(ctx context.Context, owner Owner, members []translators.ID) error {
	said := membership(owner, c.tool, members)
	text, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("MeshBinding %s: %w", owner.Binding, err)
	}
	if c.parentSaid(owner) == string(text) {
		return nil
	}
	at := c.client.Resource(schema.GroupVersionResource{Group: parentGroup, Version: parentVersion, Resource: parentResource})
	live, err := at.Get(ctx, owner.Binding, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading MeshBinding %s: %w", owner.Binding, err)
	}
	if string(live.GetUID()) != owner.UID {
		return fmt.Errorf("MeshBinding %s is another one by now", owner.Binding)
	}
	if !contains(live.GetLabels(), said.Labels) || !contains(live.GetAnnotations(), said.Annotations) {
		if err := c.writeParent(ctx, owner, said); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parents[owner.UID] = string(text)
	return nil
}

func (c *Cluster) writeParent(ctx context.Context, owner Owner, said parentMeta) error {
	body, err := json.Marshal(map[string]any{"apiVersion": parentGroup + "/" + parentVersion, "kind": parentKind, "metadata": said})
	if err != nil {
		return fmt.Errorf("MeshBinding %s: %w", owner.Binding, err)
	}
	force := true // these fields are nobody else's by the specification
	at := c.client.Resource(schema.GroupVersionResource{Group: parentGroup, Version: parentVersion, Resource: parentResource})
	_, err = at.Patch(ctx, owner.Binding, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: parentManager, Force: &force})
	if apierrors.IsConflict(err) { // its UID is another, or it is gone
		return fmt.Errorf("MeshBinding %s is another one by now: %w", owner.Binding, err)
	}
	if err != nil {
		return fmt.Errorf("writing MeshBinding %s: %w", owner.Binding, err)
	}
	return nil
}

func (c *Cluster) parentSaid(owner Owner) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parents[owner.UID]
}

// parentMeta is what is ours of the parent's metadata.
type parentMeta struct {
	Name        string            `json:"name"`
	UID         string            `json:"uid"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func membership(owner Owner, tool string, members []translators.ID) parentMeta {
	kinds, namespaces := map[string]bool{}, map[string]bool{}
	for _, id := range members {
		kinds[kindOf(id.Type).GroupKind().String()] = true
		namespace, _ := placeOf(id)
		namespaces[namespace] = true
	}
	return parentMeta{
		Name: owner.Binding, UID: owner.UID,
		Labels: map[string]string{applySetIDLabel: ApplySetID(owner.Binding)},
		Annotations: map[string]string{
			toolingAnnotation:    tool,
			groupKindsAnnotation: strings.Join(slices.Sorted(maps.Keys(kinds)), ","),
			namespacesAnnotation: strings.Join(slices.Sorted(maps.Keys(namespaces)), ","),
		},
	}
}

// contains reports whether all of some are in a map.
func contains(all, some map[string]string) bool {
	for k, v := range some {
		if got, ok := all[k]; !ok || got != v {
			return false
		}
	}
	return true
}
