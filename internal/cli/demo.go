package cli

import (
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/demo"
)

func demoCommand(a *app) *cobra.Command {
	var o demo.Options
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show on loopback that proxies do what a policy means",
		Long: `Demo runs a small shop in one process: echo services, the xDS server, proxyless
gRPC and, where there is one, a pair of Envoys with mTLS. It sends requests under an
SMI policy, edits the policy while they run, and prints what was expected beside what
was observed. It ends with status 0 only if all agree.`,
		Example: "  meshknot demo",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := exec.LookPath(o.Envoy); o.Envoy != "" && err != nil {
				return cannot("--envoy: %w", err)
			}
			ctx, stop := untilInterrupted(c.Context())
			defer stop()
			ok, err := demo.Run(ctx, a.out, o)
			switch {
			case err != nil:
				return status{exitCannot, err}
			case !ok:
				return status{code: exitNo}
			}
			return nil
		},
	}
	fl := c.Flags()
	fl.StringVar(&o.Envoy, "envoy", "", "path of an Envoy binary; else MESHKNOT_ENVOY or .cache/envoy/bin/envoy, if it is there")
	fl.BoolVar(&o.WithoutEnvoy, "without-envoy", false, "use no Envoy even where there is one")
	fl.IntVar(&o.Requests, "requests", 1000, "requests in each round on each data plane")
	return c
}
