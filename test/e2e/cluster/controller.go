package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/webhook"
)

// Controller is a process of "meshknot controller". It acts as the account that
// install.yaml gives it.
type Controller struct {
	*lab.Process
	lab *lab.Lab
	// Health, Metrics, XDS, Admin and Webhook are ports of loopback.
	Health, Metrics, XDS, Admin, Webhook int32
	// Authority signs the webhook's certificate, PEM.
	Authority []byte
}

// Controller starts a replica with a webhook, which the API server is not told of
// yet, and with xDS in plain text, as loopback may; more arguments may follow. It
// returns once the replica is ready.
func (c *Cluster) Controller(args ...string) (*Controller, error) {
	r := &Controller{lab: c.Lab}
	for _, port := range []*int32{&r.Health, &r.Metrics, &r.XDS, &r.Admin, &r.Webhook} {
		var err error
		if *port, err = lab.FreePort(); err != nil {
			return nil, err
		}
	}
	own, err := c.ServiceAccount(Namespace, Account)
	if err != nil {
		return nil, err
	}
	certificates, err := r.certify()
	if err != nil {
		return nil, err
	}
	r.Process, err = c.Lab.StartMeshknot(append([]string{"controller", "--kubeconfig=" + own.Kubeconfig, "--namespace=" + Namespace,
		"--health-probe-bind-address=" + lab.Local(r.Health), "--metrics-bind-address=" + lab.Local(r.Metrics), "--metrics-secure=false",
		"--xds-listen=" + lab.Local(r.XDS), "--admin-listen=" + lab.Local(r.Admin),
		"--webhook-bind-address=" + lab.Local(r.Webhook), "--webhook-cert-path=" + certificates}, args...)...)
	if err != nil {
		return nil, err
	}
	return r, c.Lab.Ready(r.Process, "http://"+lab.Local(r.Health)+"/readyz", Within)
}

// certify writes a certificate for the webhook as a Secret is mounted.
func (r *Controller) certify() (dir string, err error) {
	files, err := r.lab.Files("spiffe://lab/webhook")
	if err != nil {
		return "", err
	}
	if r.Authority, err = os.ReadFile(files.CA); err != nil {
		return "", err
	}
	if dir, err = r.lab.NewDir("webhook"); err != nil {
		return "", err
	}
	for name, from := range map[string]string{"tls.crt": files.Cert, "tls.key": files.Key} {
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// Register tells the API server of a replica's webhook, and waits until it asks it:
// it is asked about a report, which only the controller may write.
func (c *Cluster) Register(r *Controller) error {
	text, err := json.Marshal(webhook.Registration{Namespace: Namespace, Account: "system:serviceaccount:" + Namespace + ":" + Account,
		URL: "https://localhost:" + fmt.Sprint(r.Webhook), CABundle: r.Authority}.Configuration())
	if err != nil {
		return err
	}
	if err := c.ApplyYAML(string(text)); err != nil {
		return err
	}
	probe := Object("meshknot.io/v1alpha1", "TranslationReport", "default", "probe")
	return c.Eventually("webhook that is asked", func() (bool, any) {
		_, err := c.DryRun(probe)
		return err != nil && strings.Contains(err.Error(), "only the controller writes reports"), err
	})
}

// Metric is the value of a metric, as it is written; empty where there is none.
func (r *Controller) Metric(name string) string {
	text, err := get("http://" + lab.Local(r.Metrics) + "/metrics")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Proxies is what the replica knows of its proxies.
func (r *Controller) Proxies() (s xds.Status, err error) {
	text, err := get("http://" + lab.Local(r.Admin) + "/status")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

func get(url string) ([]byte, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}
