package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// The bounds of what is read of a cluster.
const (
	clusterTimeout = 5 * time.Minute
	clusterPage    = 500     // objects in one answer
	clusterObjects = 200_000 // objects in all
	clusterTries   = 3       // of a list that expires while it is read
)

// clusterReader reads every object of the kinds that are known.
type clusterReader struct {
	decoder   *input.Decoder
	discovery discovery.DiscoveryInterface
	client    dynamic.Interface
	objects   []input.Object
	found     report.Report
}

// readCluster reads what is in force. What an API server holds that meshknot cannot
// decode is told and left out, for nothing is made of it there either.
func (a *app) readCluster(ctx context.Context, kubeconfig string) (given, error) {
	config, err := (&clusterFlags{kubeconfig: kubeconfig}).config()
	if err != nil {
		return given{}, err
	}
	config.QPS, config.Burst = 50, 100
	config.WarningHandler = rest.NoWarnings{}
	r := clusterReader{decoder: input.NewDecoder(input.Options{Schemas: schemas()}, typedGroups...)}
	if r.discovery, err = discovery.NewDiscoveryClientForConfig(config); err != nil {
		return given{}, cannot("--against cluster: %w", err)
	}
	if r.client, err = dynamic.NewForConfig(config); err != nil {
		return given{}, cannot("--against cluster: %w", err)
	}
	if err := r.all(ctx); err != nil {
		return given{}, cannot("--against cluster: %w", err)
	}
	set := &input.Set{}
	return given{set, r.objects}, a.show(set, r.found, findingFlags{color: "never"}, report.Warning)
}

// typedGroups are those whose kinds the API server itself has.
var typedGroups = []string{"", "apps", "batch", "discovery.k8s.io"}

// all reads every kind, each in one version.
func (r *clusterReader) all(ctx context.Context) error {
	served, err := r.served()
	if err != nil {
		return err
	}
	for _, resource := range served {
		before, said := len(r.objects), len(r.found)
		for try := 1; ; try++ {
			err := r.list(ctx, resource)
			if err == nil {
				break
			}
			if !apierrors.IsResourceExpired(err) || try == clusterTries {
				return fmt.Errorf("%s: %w", resource.GroupResource(), err)
			}
			r.objects, r.found = r.objects[:before], r.found[:said]
		}
	}
	return nil
}

// served lists the resources of the kinds that are known, each in the newest
// version that is served.
func (r *clusterReader) served() ([]schema.GroupVersionResource, error) {
	type kind struct{ group, kind string }
	at := map[kind]int{}
	asked := map[schema.GroupVersion]*metav1.APIResourceList{}
	var out []schema.GroupVersionResource
	for _, s := range schemas() { // older versions come first
		gv := schema.GroupVersion{Group: s.Group, Version: s.Version}
		list, ok := asked[gv]
		if !ok {
			var err error
			list, err = r.discovery.ServerResourcesForGroupVersion(gv.String())
			if err != nil && !apierrors.IsNotFound(err) {
				return nil, err
			}
			asked[gv] = list
		}
		if list == nil {
			continue
		}
		for _, found := range list.APIResources {
			if found.Kind != s.Kind || !slices.Contains(found.Verbs, "list") {
				continue
			}
			k := kind{s.Group, s.Kind}
			if i, known := at[k]; known {
				out[i] = gv.WithResource(found.Name)
				continue
			}
			at[k] = len(out)
			out = append(out, gv.WithResource(found.Name))
		}
	}
	return out, nil
}

// list reads all objects of a resource, a page at a time.
func (r *clusterReader) list(ctx context.Context, resource schema.GroupVersionResource) error {
	options := metav1.ListOptions{Limit: clusterPage}
	for {
		page, err := r.client.Resource(resource).List(ctx, options)
		if err != nil {
			return err
		}
		for _, o := range page.Items {
			if err := r.add(o); err != nil {
				return err
			}
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

func (r *clusterReader) add(o unstructured.Unstructured) error {
	if len(r.objects) == clusterObjects {
		return errors.New("there are more objects than can be planned with")
	}
	o.SetManagedFields(nil)
	text, err := o.MarshalJSON()
	if err != nil {
		return err
	}
	object, found := r.decoder.Decode(text)
	r.found = append(r.found, found...)
	if object.Kind != "" {
		r.objects = append(r.objects, object)
	}
	return nil
}
