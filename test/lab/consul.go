package lab

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ConsulAgent is a Consul agent, server and certificate authority in one.
type ConsulAgent struct {
	// HTTP is the address of its API, GRPC the one of xDS, without TLS.
	HTTP, GRPC string

	lab    *Lab
	binary string

	mu sync.Mutex
	// pattern is the first bootstrap that was made.
	pattern []byte
}

// StartConsul starts an agent and waits until it takes configuration. Policy is
// what it does with a call that no intention speaks of: "deny" or "allow".
func (l *Lab) StartConsul(policy string) (*ConsulAgent, error) {
	binary, err := Binary(Consul)
	if err != nil {
		return nil, err
	}
	ports := map[string]int32{"dns": -1, "https": -1, "grpc_tls": -1, "serf_wan": -1}
	for _, name := range []string{"http", "grpc", "server", "serf_lan"} {
		if ports[name], err = FreePort(); err != nil {
			return nil, err
		}
	}
	config, err := json.Marshal(map[string]any{
		"bind_addr": "127.0.0.1", "client_addr": "127.0.0.1", "ports": ports,
		"default_intention_policy": policy,
		// Sidecars are given other services all the time, each with a certificate.
		"connect":              map[string]any{"ca_config": map[string]any{"csr_max_per_second": 0}},
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
	c := &ConsulAgent{HTTP: Local(ports["http"]), GRPC: Local(ports["grpc"]), lab: l, binary: binary}
	return c, l.Eventually("Consul with a leader and an authority", time.Minute, func() bool {
		var leader string
		var roots struct{ Roots []any }
		return c.Get("/v1/status/leader", &leader) == nil && leader != "" &&
			c.Get("/v1/connect/ca/roots", &roots) == nil && len(roots.Roots) > 0
	})
}

// Get reads what the API says under a path.
func (c *ConsulAgent) Get(path string, out any) error { return c.call(http.MethodGet, path, nil, out) }

// Put writes to the API. What Consul refuses is an error in its words.
func (c *ConsulAgent) Put(path string, body any) error {
	return c.call(http.MethodPut, path, body, nil)
}

// Post asks the API and reads the answer.
func (c *ConsulAgent) Post(path string, body, out any) error {
	return c.call(http.MethodPost, path, body, out)
}

// DeleteEntry deletes a configuration entry.
func (c *ConsulAgent) DeleteEntry(kind, name string) error {
	return c.call(http.MethodDelete, "/v1/config/"+url.PathEscape(kind)+"/"+url.PathEscape(name), nil, nil)
}

var consulClient = &http.Client{Timeout: 2 * time.Minute}

func (c *ConsulAgent) call(method, path string, body, out any) error {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	q, err := http.NewRequest(method, "http://"+c.HTTP+path, sent)
	if err != nil {
		return err
	}
	r, err := consulClient.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	said, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, r.Status, bytes.TrimSpace(said))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(said, out)
}

// Leaf is the TLS configuration of a caller who is a Consul service. As in
// Lab.Client, servers are not checked.
func (c *ConsulAgent) Leaf(service string) (*tls.Config, error) {
	var leaf struct{ CertPEM, PrivateKeyPEM string }
	if err := c.Get("/v1/agent/connect/ca/leaf/"+url.PathEscape(service), &leaf); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.PrivateKeyPEM))
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true}, nil
}

// Bootstrap is what Consul writes for the Envoy of a registered proxy.
func (c *ConsulAgent) Bootstrap(proxy string, admin int32) ([]byte, error) {
	var said bytes.Buffer
	cmd := exec.Command(c.binary, "connect", "envoy", "-proxy-id", proxy, "-bootstrap", "-ignore-envoy-compatibility",
		"-envoy-version", "1.32.0", "-http-addr", c.HTTP, "-grpc-addr", "http://"+c.GRPC, "-admin-bind", Local(admin))
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the bootstrap of %s: %w: %s", proxy, err, cmp.Or(said.String(), string(out)))
	}
	return out, nil
}

// Sidecar is an Envoy that Consul configures.
type Sidecar struct {
	// Proxy is the ID by which Consul knows it.
	Proxy string

	admin   int32
	process *Process
}

// Stop ends the Envoy.
func (s *Sidecar) Stop() { s.process.Stop() }

// Said returns the last lines of the Envoy's log.
func (s *Sidecar) Said(lines int) string { return s.process.Said(lines) }

// StartSidecar starts the Envoy of a registered proxy. It does as those do that
// this Consul supports, and keeps no statistics.
func (c *ConsulAgent) StartSidecar(proxy string) (*Sidecar, error) {
	admin, err := FreePort()
	if err != nil {
		return nil, err
	}
	bootstrap, err := c.bootstrapLike(proxy, admin)
	if err != nil {
		return nil, err
	}
	envoy, err := c.lab.StartEnvoy(proxy, bootstrap)
	if err != nil {
		return nil, err
	}
	return &Sidecar{Proxy: proxy, admin: admin, process: envoy}, nil
}

// joined are what the newest Envoy of Consul 1.20, which is 1.31, does not do yet:
// it joins the lines of a repeated header with commas before it compares.
var joined = map[string]any{
	"envoy.reloadable_features.match_headers_individually":      false,
	"envoy.reloadable_features.rbac_match_headers_individually": false,
}

// bootstrapLike is the bootstrap of a proxy, made of the first one that Consul wrote:
// they differ in who the proxy is and where it is administered.
func (c *ConsulAgent) bootstrapLike(proxy string, admin int32) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	if c.pattern == nil {
		if c.pattern, err = c.Bootstrap(proxy, admin); err != nil {
			return nil, err
		}
	}
	var b struct {
		Admin   map[string]any `json:"admin"`
		Node    map[string]any `json:"node"`
		Static  any            `json:"static_resources"`
		Dynamic any            `json:"dynamic_resources"`
		Stats   any            `json:"stats_config"`
		Runtime struct {
			Layers []any `json:"layers"`
		} `json:"layered_runtime"`
	}
	if err := json.Unmarshal(c.pattern, &b); err != nil {
		return nil, fmt.Errorf("the bootstrap that Consul writes: %w", err)
	}
	b.Admin["address"] = map[string]any{"socket_address": map[string]any{"address": "127.0.0.1", "port_value": admin}}
	b.Node["id"], b.Node["cluster"] = proxy, proxy
	b.Stats = map[string]any{"stats_matcher": map[string]any{"reject_all": true}}
	b.Runtime.Layers = append(b.Runtime.Layers, map[string]any{"name": "as-supported", "static_layer": joined})
	return json.Marshal(b)
}

// Admin reads JSON from the sidecar's administration interface.
func (s *Sidecar) Admin(path string, out any) error {
	r, err := consulClient.Get("http://" + Local(s.admin) + "/" + strings.TrimPrefix(path, "/"))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", s.Proxy, path, r.Status)
	}
	return json.NewDecoder(r.Body).Decode(out)
}
