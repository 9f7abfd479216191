package sink

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/pager"
)

// Orphans finds the owners that have objects in force though their MeshBindings are
// not among those that there are: who deletes one while no controller runs leaves
// them behind.
//
// Objects that are older than the definition of MeshBindings are no orphans: the
// definition was taken away and came back, and the bindings went with it. That is not
// how somebody says that a mesh is to lose its configuration.
func (c *Cluster) Orphans(ctx context.Context, bindings []string) ([]Owner, error) {
	defined, err := c.defined(ctx)
	if err != nil {
		return nil, err
	}
	live := map[string]bool{}
	for _, name := range bindings {
		live[ApplySetID(name)] = true
	}
	orphans := map[string]bool{} // false: lost with the definition
	for _, k := range c.kinds {
		resource, ok, err := c.served.resource(ctx, k)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		err = c.each(ctx, resource, ManagedByLabel+"="+ManagedBy+","+PartOfLabel, func(o *unstructured.Unstructured) error {
			part := partOf(o)
			if part == "" || live[part] {
				return nil
			}
			if o.GetCreationTimestamp().Time.Before(defined) {
				orphans[part] = false
			} else if _, seen := orphans[part]; !seen {
				orphans[part] = true
			}
			return nil
		})
		if err != nil && !noPath(err) && !apierrors.IsForbidden(err) { // what may not be listed was not written
			return nil, fmt.Errorf("looking for %s of MeshBindings that are gone: %w", k.Kind, err)
		}
	}
	maps.DeleteFunc(orphans, func(_ string, orphan bool) bool { return !orphan })
	var out []Owner
	for _, part := range slices.Sorted(maps.Keys(orphans)) {
		out = append(out, Owner{Part: part})
	}
	return out, nil
}

// defined is since when MeshBindings are defined.
func (c *Cluster) defined(ctx context.Context) (time.Time, error) {
	at := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	o, err := c.client.Resource(at).Get(ctx, parentResource+"."+parentGroup, metav1.GetOptions{})
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the definition of MeshBindings: %w", err)
	}
	return o.GetCreationTimestamp().Time, nil
}

// each calls f with the objects of a kind that a selector chooses.
func (c *Cluster) each(ctx context.Context, resource schema.GroupVersionResource, selector string, f func(*unstructured.Unstructured) error) error {
	list := pager.New(pager.SimplePageFunc(func(o metav1.ListOptions) (runtime.Object, error) {
		return c.client.Resource(resource).List(ctx, o)
	}))
	return list.EachListItem(ctx, metav1.ListOptions{LabelSelector: selector}, func(o runtime.Object) error {
		live, ok := o.(*unstructured.Unstructured)
		if !ok {
			return nil
		}
		return f(live)
	})
}
