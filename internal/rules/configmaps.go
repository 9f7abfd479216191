package rules

import (
	"context"
	"errors"
	"path"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/meshknot/meshknot/policies"
)

// Label marks, where it is "true", a ConfigMap that holds rules.
const Label = "meshknot.io/policy"

// maxMaps is how many ConfigMaps may hold rules; what is more is told and not read.
const maxMaps = 64

// configMap is one that holds rules.
type configMap struct {
	name string
	uid  types.UID
}

// sourceName is what a ConfigMap is called among sources. No file of the command line
// is by chance called so.
func sourceName(namespace, name string) string { return path.Join("configmap", namespace, name) }

// SourceOf reads the rules of a ConfigMap.
func SourceOf(m *corev1.ConfigMap) policies.Source {
	s := policies.Source{Name: sourceName(m.Namespace, m.Name)}
	s.Modules, s.Parameters = policies.FromConfigMap(s.Name, m.Data, m.Annotations)
	return s
}

// configMaps follows the ConfigMaps. An error leaves what is known in place: only one
// that the API server says is gone, or unlabelled, is taken away.
func (r *Rules) configMaps(ctx context.Context) error {
	lists := cache.NewFilteredListWatchFromClient(r.client.CoreV1().RESTClient(), "configmaps", r.o.Namespace, func(o *metav1.ListOptions) {
		o.LabelSelector = Label + "=true"
	})
	informer := cache.NewSharedIndexInformer(lists, &corev1.ConfigMap{}, 0, nil)
	if err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { r.troubled(err) }); err != nil {
		return err
	}
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    r.put,
		UpdateFunc: func(_, o any) { r.put(o) },
		DeleteFunc: r.remove,
	})
	if err != nil {
		return err
	}
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
			r.synced()
		}
	}()
	informer.RunWithContext(ctx)
	return nil
}

// troubled notes why ConfigMaps cannot be read. What ends a watch in the usual course
// is no trouble: the next one begins at once.
func (r *Rules) troubled(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble == nil || r.trouble.Error() != err.Error() {
		r.o.Log.Warn("ConfigMaps with rules cannot be read; what is known of them stays in force", "namespace", r.o.Namespace, "error", err)
	}
	r.trouble = err
}

func (r *Rules) synced() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listed, r.trouble = true, nil
	r.complete(r.live.States())
}

func (r *Rules) put(o any) {
	m, ok := o.(*corev1.ConfigMap)
	if !ok {
		return
	}
	s := SourceOf(m)
	r.mu.Lock()
	if _, known := r.maps[s.Name]; !known && len(r.maps) >= maxMaps {
		s = policies.Source{Name: s.Name, Err: errors.New("there are too many ConfigMaps with rules; 64 are read")}
	} else {
		r.maps[s.Name] = configMap{m.Name, m.UID}
	}
	r.wanted[s.Name], r.trouble = true, nil
	r.mu.Unlock()
	r.live.Set(s)
}

func (r *Rules) remove(o any) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	m, ok := o.(*corev1.ConfigMap)
	if !ok {
		return
	}
	name := sourceName(m.Namespace, m.Name)
	r.mu.Lock()
	delete(r.maps, name)
	delete(r.wanted, name)
	r.mu.Unlock()
	r.live.Remove(name)
}
