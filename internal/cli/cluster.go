package cli

import (
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshknot/meshknot/internal/fleet"
)

// clusterFlags say which cluster is asked.
type clusterFlags struct{ kubeconfig, context string }

func (f *clusterFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "file that says how the cluster is reached (default: KUBECONFIG, ~/.kube/config, or the pod's own account)")
	c.Flags().StringVar(&f.context, "context", "", "context of the kubeconfig (default: its current one)")
}

// config reads how the cluster is reached, as kubectl does.
func (f *clusterFlags) config() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context}).ClientConfig()
	if err != nil {
		return nil, cannot("no way to a cluster: %w", err)
	}
	config.UserAgent = "meshknot/" + Version
	return config, nil
}

// connect reaches the cluster.
func (f *clusterFlags) connect() (*fleet.Cluster, error) {
	config, err := f.config()
	if err != nil {
		return nil, err
	}
	c, err := fleet.Connect(config)
	if err != nil {
		return nil, status{exitCannot, err}
	}
	return c, nil
}
