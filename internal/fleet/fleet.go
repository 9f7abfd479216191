// Package fleet reads what a cluster says of meshknot: whether everything is there
// that the controller needs, what became of bindings and objects, and what proxies
// have. It changes nothing, and prints nothing.
package fleet

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshknot/meshknot/crds/v1alpha1"
)

// Cluster is a Kubernetes API server that is asked.
type Cluster struct {
	client client.Client
	// Version of the API server.
	Version version.Info
}

// Scheme knows the kinds that are read.
func Scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("making the scheme: %w", err)
		}
	}
	return s, nil
}

// Connect reaches an API server. An error says that it cannot be asked.
func Connect(config *rest.Config) (*Cluster, error) {
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	if config.QPS == 0 {
		config.QPS, config.Burst = 50, 100 // of a person, who waits for it
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	info, err := d.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("the API server at %s does not answer: %w", config.Host, err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return &Cluster{c, *info}, nil
}

// page is how many objects are asked for at a time.
const page = 500

// each lists objects page by page and hands over each page, so that no answer of
// the server is larger than that.
func each(ctx context.Context, r client.Reader, list client.ObjectList, do func(), options ...client.ListOption) error {
	for {
		if err := r.List(ctx, list, append(options, client.Limit(page), client.Continue(list.GetContinue()))...); err != nil {
			return err
		}
		if do(); list.GetContinue() == "" {
			return nil
		}
	}
}
