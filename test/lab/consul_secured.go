package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/consul/api"
)

// SecuredConsul is a Consul agent that is reached over TLS alone, and that nobody
// may ask for anything without a token.
type SecuredConsul struct {
	// Address is a URL, and CAFile the authority of the certificate that is shown there.
	Address, CAFile string

	client *api.Client
}

// management is the token of those who may do everything.
const management = "6e9c1a4e-5b0c-4f62-9a53-1f0f4c1f5a11"

// StartSecuredConsul starts an agent and waits until it takes configuration.
func (l *Lab) StartSecuredConsul() (*SecuredConsul, error) {
	binary, err := Binary(Consul)
	if err != nil {
		return nil, err
	}
	files, err := l.Files("spiffe://lab/consul")
	if err != nil {
		return nil, err
	}
	ports := map[string]int32{"dns": -1, "http": -1, "grpc": -1, "grpc_tls": -1, "serf_wan": -1}
	for _, name := range []string{"https", "server", "serf_lan"} {
		if ports[name], err = FreePort(); err != nil {
			return nil, err
		}
	}
	config, err := json.Marshal(map[string]any{
		"bind_addr": "127.0.0.1", "client_addr": "127.0.0.1", "ports": ports,
		"tls":                  map[string]any{"https": map[string]any{"ca_file": files.CA, "cert_file": files.Cert, "key_file": files.Key}},
		"acl":                  map[string]any{"enabled": true, "default_policy": "deny", "tokens": map[string]any{"initial_management": management, "agent": management}},
		"disable_update_check": true,
		"log_level":            "WARN",
	})
	if err != nil {
		return nil, err
	}
	dir, err := l.NewDir("consul-config")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "agent.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, err
	}
	if _, err := l.Start("consul", binary, []string{"agent", "-dev", "-config-file", file}, nil); err != nil {
		return nil, err
	}
	c := &SecuredConsul{Address: "https://" + Local(ports["https"]), CAFile: files.CA}
	if c.client, err = api.NewClient(&api.Config{Address: c.Address, Token: management, TLSConfig: api.TLSConfig{CAFile: files.CA}}); err != nil {
		return nil, err
	}
	probe := &api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal}
	return c, l.Eventually("Consul that takes configuration", time.Minute, func() bool {
		_, _, err := c.client.ConfigEntries().Set(probe, nil)
		return err == nil
	})
}

// Token makes a token whose owner may do what rules say, in Consul's language of them.
func (c *SecuredConsul) Token(name, rules string) (string, error) {
	if _, _, err := c.client.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil); err != nil {
		return "", fmt.Errorf("making the policy %s: %w", name, err)
	}
	token, _, err := c.client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{Name: name}}}, nil)
	if err != nil {
		return "", fmt.Errorf("making a token of %s: %w", name, err)
	}
	return token.SecretID, nil
}
