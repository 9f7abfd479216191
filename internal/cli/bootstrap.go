package cli

import (
	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/bootstrap"
)

func bootstrapCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "bootstrap",
		Short: "Print the configuration with which a proxy finds the xDS server",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return cannot("want envoy or grpc") },
	}
	c.AddCommand(
		bootstrapOf(a, "envoy", "Print the bootstrap of an Envoy sidecar", bootstrap.Envoy),
		bootstrapOf(a, "grpc", "Print the bootstrap of a proxyless gRPC program (GRPC_XDS_BOOTSTRAP)", bootstrap.GRPC))
	return c
}

func bootstrapOf(a *app, name, short string, write func(bootstrap.Options) ([]byte, error)) *cobra.Command {
	var o bootstrap.Options
	c := &cobra.Command{
		Use:     name + " --node ID --server ADDR",
		Short:   short,
		Example: "  meshknot bootstrap " + name + " --node sidecar~shop/web --server 127.0.0.1:18000",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := write(o)
			if err != nil {
				return status{exitCannot, err}
			}
			_, err = a.out.Write(text)
			return err
		},
	}
	fl := c.Flags()
	fl.StringVar(&o.Node, "node", "", "ID of the node: sidecar~NAMESPACE/ACCOUNT")
	fl.StringVar(&o.Server, "server", "", "HOST:PORT of the xDS server")
	fl.StringVar(&o.Files.Cert, "cert", "", "certificate of the proxy, PEM; without the three files it speaks plaintext")
	fl.StringVar(&o.Files.Key, "key", "", "its key, PEM")
	fl.StringVar(&o.Files.CA, "ca", "", "authority of the others' certificates, PEM")
	fl.StringVar(&o.ServerIdentity, "server-identity", "", "SPIFFE ID that the xDS server must prove; empty: it is spoken to in plaintext")
	if name == "envoy" {
		fl.StringVar(&o.Admin, "admin", "127.0.0.1:15000", "HOST:PORT of Envoy's administration")
	}
	_ = c.MarkFlagRequired("node")
	_ = c.MarkFlagRequired("server")
	return c
}
