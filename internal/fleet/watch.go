package fleet

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/meshknot/meshknot/crds/v1alpha1"
)

// gather is how long is waited for more of a change before it is shown.
const gather = 200 * time.Millisecond

// Watch hands over the state of a cluster, and again after every change, until ctx
// ends. Where the API server goes away, the state stays what it was.
func Watch(ctx context.Context, config *rest.Config, do func(State) error) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	follow := func(resource string) (cache.SharedIndexInformer, error) {
		i := factory.ForResource(v1alpha1.GroupVersion().WithResource(resource)).Informer()
		_, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { tell() }, UpdateFunc: func(any, any) { tell() }, DeleteFunc: func(any) { tell() }})
		return i, err
	}
	bindings, err := follow(v1alpha1.ResourceMeshBindings)
	if err != nil {
		return err
	}
	reports, err := follow(v1alpha1.ResourceTranslationReports)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer factory.Shutdown() // which waits until cancel has ended them
	defer cancel()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), bindings.HasSynced, reports.HasSynced) {
		return nil // interrupted before anything was there
	}
	for {
		s, err := stored(bindings, reports)
		if err == nil {
			err = do(s)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		select { // more of it may come
		case <-ctx.Done():
			return nil
		case <-time.After(gather):
		}
	}
}

// stored reads the state out of what informers keep.
func stored(bindings, reports cache.SharedIndexInformer) (State, error) {
	b := newBuilder()
	for _, o := range bindings.GetStore().List() {
		var one v1alpha1.MeshBinding
		if err := decode(o, &one); err != nil {
			return State{}, err
		}
		b.binding(one)
	}
	for _, o := range reports.GetStore().List() {
		var one v1alpha1.TranslationReport
		if err := decode(o, &one); err != nil {
			return State{}, err
		}
		b.report(one)
	}
	return b.done(), nil
}

func decode(o, into any) error {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("an informer keeps a %T", o)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, into); err != nil {
		return fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}
