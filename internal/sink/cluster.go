package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/meshknot/meshknot/translators"
)

// ClusterOptions say what a Cluster writes.
type ClusterOptions struct {
	// Backends are the names of those whose kinds are looked for in List.
	Backends []string
	// Version is our own, for the parents of ApplySets: "0.1.0".
	Version string
}

// Cluster writes Kubernetes objects by server-side apply. It remembers of each
// object as much as it takes to write nothing where nothing differs. Its methods
// are safe for concurrent use, for one artifact at a time.
type Cluster struct {
	client dynamic.Interface
	served served
	kinds  []schema.GroupVersionKind
	tool   string

	mu    sync.Mutex
	known map[place]known
	// parents hold, by UID, what their MeshBinding is known to say.
	parents map[string]string
}

// NewCluster makes the sink of an API server. It asks nothing yet.
func NewCluster(config *rest.Config, o ClusterOptions) (*Cluster, error) {
	config = rest.CopyConfig(config)
	if config.QPS == 0 {
		config.QPS = -1 // the server says itself when it is asked too much
	}
	config.WarningHandler = rest.NoWarnings{} // that a version is old is a matter of the target
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("a client of the API server: %w", err)
	}
	asks, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("a client of the API server: %w", err)
	}
	return &Cluster{
		client: client, served: served{client: asks, known: map[schema.GroupVersionKind]schema.GroupVersionResource{}},
		kinds: Kinds(o.Backends...), tool: ManagedBy + "/v" + strings.TrimPrefix(o.Version, "v"),
		known: map[place]known{}, parents: map[string]string{},
	}, nil
}

// List returns what is an owner's. An error means that it is not known: that a
// kind is not served is none, for nothing of it is there. Nor is it one that a kind may
// not be listed, for rights are given for the back ends that are used: what is there of
// it stays as it is, and to Put something of it says that it is forbidden.
func (c *Cluster) List(ctx context.Context, owner Owner) ([]Stored, error) {
	part := owner.part()
	seen := map[place]bool{}
	var out []Stored
	for _, k := range c.kinds {
		resource, ok, err := c.served.resource(ctx, k)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		err = c.each(ctx, resource, PartOfLabel+"="+part, func(live *unstructured.Unstructured) error {
			if entry, _ := applied(live); partOf(live) == part && entry.APIVersion == k.GroupVersion().String() {
				at := place{k.GroupKind(), live.GetNamespace() + "/" + live.GetName()}
				seen[at] = true
				one, err := c.listed(owner, at, typeOf(k), live)
				out = append(out, one)
				return err
			}
			return nil
		})
		switch {
		case noPath(err): // it was served a moment ago
			c.served.forget(k)
		case apierrors.IsForbidden(err): // see below
		case err != nil:
			return nil, fmt.Errorf("listing %s of MeshBinding %s: %w", k.Kind, owner.Binding, err)
		}
	}
	c.sweep(part, owner, seen)
	return out, nil
}

// Put makes an object be what an artifact says, and reports whether that took a
// write. Fields that others own beside ours stay as they are; ours are ours, so
// somebody's edit of them is undone. An object of another binding is taken over
// as it stands, which leaves no gap; the object of somebody else is not.
func (c *Cluster) Put(ctx context.Context, owner Owner, a translators.Artifact) (bool, error) {
	w, err := want(owner, a)
	if err != nil {
		return false, err
	}
	client, at, err := c.at(ctx, a.ID)
	if err != nil {
		return false, err
	}
	for range attempts {
		var written bool
		if written, err = c.put(ctx, client, at, w, a); !apierrors.IsConflict(err) {
			return written, c.failed(a.ID, err)
		}
		c.forget(at)
	}
	return false, fmt.Errorf("%s: others wrote it %d times meanwhile: %w", named(a.ID), attempts, err)
}

func (c *Cluster) put(ctx context.Context, client dynamic.ResourceInterface, at place, w wanted, a translators.Artifact) (bool, error) {
	k, err := c.look(ctx, client, at)
	if err != nil {
		return false, err
	}
	if k.vouched() && k.digest == w.digest && k.part == w.part {
		return false, nil
	}
	if k.live != nil {
		switch {
		case k.part == "" && k.live.GetAnnotations()[TakeOverAnnotation] != "true":
			return false, &Foreign{w.id, managerOf(k.live)}
		case k.live.GetDeletionTimestamp() != nil:
			return false, fmt.Errorf("%s is on its way out: finalizers hold it", named(w.id))
		case w.in(k.live):
			c.remember(at, known{uid: k.uid, revision: k.revision, part: w.part, artifact: a, digest: w.digest})
			return false, nil
		}
	}
	live, err := apply(ctx, client, w, k)
	if err != nil {
		return false, err
	}
	k = known{uid: string(live.GetUID()), revision: live.GetResourceVersion(), part: w.part, artifact: a, digest: w.digest}
	if !w.in(live) {
		k.made = fingerprint(live)
	}
	c.remember(at, k)
	return true, nil
}

// apply writes an object to the one that was looked at, and to no other. Where
// there was none there must be none yet.
func apply(ctx context.Context, client dynamic.ResourceInterface, w wanted, k known) (*unstructured.Unstructured, error) {
	_, name := placeOf(w.id)
	object := unstructured.Unstructured{Object: w.object}
	object.SetResourceVersion(k.revision)
	if k.uid == "" {
		object.SetResourceVersion(nowhere)
	}
	object.SetUID(types.UID(k.uid))
	text, err := json.Marshal(w.object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", named(w.id), err)
	}
	object.SetResourceVersion("")
	object.SetUID("")
	force := k.uid != ""
	return client.Patch(ctx, name, types.ApplyPatchType, text, metav1.PatchOptions{
		FieldManager: FieldManager, Force: &force, FieldValidation: metav1.FieldValidationStrict})
}

// nowhere is a revision that no object has: where one exists, to apply with it is a
// conflict, and where none does it is created.
const nowhere = "1"

// Delete removes an object of an owner, and reports whether it did. What is not
// the owner's, or has been written in another version since, stays.
func (c *Cluster) Delete(ctx context.Context, owner Owner, id translators.ID) (bool, error) {
	client, at, err := c.at(ctx, id)
	if missing := (*Missing)(nil); err != nil {
		if errors.As(err, &missing) {
			return false, nil
		}
		return false, err
	}
	_, name := placeOf(id)
	for range attempts {
		var live *unstructured.Unstructured
		live, err = client.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			c.forget(at)
			return false, nil
		}
		if err != nil {
			break
		}
		entry, _ := applied(live)
		if partOf(live) != owner.part() || entry.APIVersion != kindOf(id.Type).GroupVersion().String() || live.GetDeletionTimestamp() != nil {
			return false, nil
		}
		uid, revision := live.GetUID(), live.GetResourceVersion()
		c.forget(at) // only now: what stays is known as before
		err = client.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &revision}})
		if !apierrors.IsConflict(err) {
			break
		}
	}
	return err == nil, c.failed(id, err)
}

// at finds where an artifact is written.
func (c *Cluster) at(ctx context.Context, id translators.ID) (dynamic.ResourceInterface, place, error) {
	k := kindOf(id.Type)
	resource, ok, err := c.served.resource(ctx, k)
	if err != nil {
		return nil, place{}, err
	}
	if !ok {
		return nil, place{}, &Missing{id}
	}
	namespace, _ := placeOf(id)
	return c.client.Resource(resource).Namespace(namespace), place{k.GroupKind(), id.Name}, nil
}

// failed says what an error of the API server means for an artifact.
func (c *Cluster) failed(id translators.ID, err error) error {
	status := apierrors.APIStatus(nil)
	if err == nil || !errors.As(err, &status) {
		return err
	}
	switch {
	case noPath(err):
		c.served.forget(kindOf(id.Type))
		return &Missing{id}
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return fmt.Errorf("%s: its namespace is on its way out: %w", named(id), err)
	}
	message := status.Status().Message
	switch status.Status().Code {
	case http.StatusForbidden:
		return &Refused{ID: id, Message: message, Denied: true}
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		return &Refused{ID: id, Message: message}
	case http.StatusInternalServerError:
		if strings.Contains(message, untyped) {
			return &Refused{ID: id, Message: message}
		}
	}
	return fmt.Errorf("%s: %w", named(id), err)
}

// untyped is how server-side apply says that an object is not what its definition
// says it is, or has a field that is not there.
const untyped = "failed to create typed patch object"
