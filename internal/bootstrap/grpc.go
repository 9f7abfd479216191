package bootstrap

import (
	"encoding/json"
	"fmt"
)

// CertificateProvider is the name by which gRPC's resources speak of the files
// of an identity.
const CertificateProvider = "default"

// refresh is how often gRPC looks at the files of an identity.
const refresh = "60s"

type grpcBootstrap struct {
	Servers      []grpcServer            `json:"xds_servers"`
	Node         grpcNode                `json:"node"`
	Certificates map[string]grpcProvider `json:"certificate_providers,omitempty"`
	Template     string                  `json:"server_listener_resource_name_template"`
}

type grpcServer struct {
	URI      string     `json:"server_uri"`
	Creds    []grpcCred `json:"channel_creds"`
	Features []string   `json:"server_features"`
}

type grpcCred struct {
	Type   string     `json:"type"`
	Config *grpcFiles `json:"config,omitempty"`
}

type grpcNode struct {
	ID       string         `json:"id"`
	Metadata map[string]any `json:"metadata"`
	// Locality is nothing that we know, but grpc-js does not start without the field.
	Locality struct{} `json:"locality"`
}

type grpcProvider struct {
	Plugin string    `json:"plugin_name"`
	Config grpcFiles `json:"config"`
}

type grpcFiles struct {
	Cert    string `json:"certificate_file"`
	Key     string `json:"private_key_file"`
	CA      string `json:"ca_certificate_file"`
	Refresh string `json:"refresh_interval"`
}

// GRPC makes the bootstrap of a proxyless gRPC application, as JSON for
// GRPC_XDS_BOOTSTRAP.
func GRPC(o Options) ([]byte, error) {
	o, err := o.normalise()
	if err != nil {
		return nil, fmt.Errorf("bootstrapping gRPC: %w", err)
	}
	b := grpcBootstrap{
		Servers: []grpcServer{{
			URI: o.Server, Creds: []grpcCred{{Type: "insecure"}},
			Features: []string{"xds_v3"},
		}},
		Node:     grpcNode{ID: o.Node, Metadata: o.metadata("grpc")},
		Template: "grpc/server/" + o.Namespace + "/" + o.Account + "/%s", // %s is the address that a server listens on
	}
	if o.Files.given() {
		files := grpcFiles{o.Files.Cert, o.Files.Key, o.Files.CA, refresh}
		b.Certificates = map[string]grpcProvider{CertificateProvider: {Plugin: "file_watcher", Config: files}}
		if o.ServerIdentity != "" {
			b.Servers[0].Creds = []grpcCred{{Type: "tls", Config: &files}}
		}
	}
	out, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("bootstrapping gRPC: %w", err)
	}
	return append(out, '\n'), nil
}
