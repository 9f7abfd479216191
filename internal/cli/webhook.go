package cli

import "github.com/spf13/cobra"

func webhookCommand(a *app) *cobra.Command {
	f := &controllerFlags{app: a, roles: []string{roleWebhook}}
	c := &cobra.Command{
		Use:   "webhook",
		Short: "Run in a cluster: judge objects before the API server takes them",
		Long: `Webhook is "meshknot controller" with the role webhook alone: it follows the same
objects, serves no proxies and writes nothing but, where no --webhook-cert-path
is given, its own certificate.`,
		Example: "  meshknot webhook --webhook-secret=meshknot-webhook-cert --health-probe-bind-address=:8081",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return f.run(c.Context()) },
	}
	f.register(c)
	return c
}
