package lab

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Istio is a running istiod.
type Istio struct {
	// ADS is the address at which it serves configuration in plain text.
	ADS string

	webhook string
	client  *http.Client
}

// istioMesh is what the mesh is told at large: Istio's own defaults, with every
// answer to be had without waiting for programs that do not run here.
const istioMesh = `rootNamespace: istio-system
trustDomain: cluster.local
enableAutoMtls: true
defaultConfig:
  discoveryAddress: istiod.istio-system.svc:15012
`

// StartIstiod starts istiod on an API server that has Istio's definitions, and
// waits until it is ready.
func (l *Lab) StartIstiod(k *Kube) (*Istio, error) {
	binary, err := Binary(Istiod)
	if err != nil {
		return nil, err
	}
	if err := k.Apply(Object{"apiVersion": "v1", "kind": "Namespace", "metadata": Object{"name": "istio-system"}}); err != nil {
		return nil, err
	}
	dir, err := l.NewDir("istiod-mesh")
	if err != nil {
		return nil, err
	}
	mesh := filepath.Join(dir, "mesh.yaml")
	if err := os.WriteFile(mesh, []byte(istioMesh), 0o600); err != nil {
		return nil, err
	}
	args := []string{"discovery", "--kubeconfig", k.Kubeconfig, "--meshConfig", mesh, "--domain", "cluster.local"}
	at := map[string]string{}
	for _, flag := range []string{"--httpsAddr", "--httpAddr", "--grpcAddr", "--secureGRPCAddr", "--monitoringAddr", "--ctrlz_port"} {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		at[flag] = Local(port)
		if flag == "--ctrlz_port" {
			args = append(args, flag, fmt.Sprint(port))
			continue
		}
		args = append(args, flag, at[flag])
	}
	if _, err := l.Start("istiod", binary, args, []string{
		"POD_NAMESPACE=istio-system", "POD_NAME=istiod", "PILOT_CERT_PROVIDER=istiod", "CLUSTER_ID=Kubernetes",
		// No waiting for more of a change, and no limit to how often we may ask.
		"PILOT_DEBOUNCE_AFTER=20ms", "PILOT_MAX_REQUESTS_PER_SECOND=10000",
		// Without it no sidecar takes a certificate of another trust domain, whatever
		// roots the mesh has, and no policy that names one can hold.
		"PILOT_SKIP_VALIDATE_TRUST_DOMAIN=true",
	}); err != nil {
		return nil, err
	}
	i := &Istio{ADS: at["--grpcAddr"], webhook: "https://" + at["--httpsAddr"] + "/validate", client: &http.Client{Timeout: 30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}} // its certificate is its own
	return i, l.Eventually("istiod that is ready", 120*time.Second, func() bool {
		r, err := i.client.Get("http://" + at["--httpAddr"] + "/ready")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// Validate asks istiod's validation, which a real API server would ask before it
// keeps an object. An error says what Istio has against the object.
func (i *Istio) Validate(o Object) error {
	review, err := json.Marshal(Object{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": Object{
		"uid": "lab", "operation": "CREATE", "name": text(o, "metadata", "name"), "namespace": text(o, "metadata", "namespace"), "object": o}})
	if err != nil {
		return err
	}
	r, err := i.client.Post(i.webhook, "application/json", bytes.NewReader(review))
	if err != nil {
		return fmt.Errorf("asking istiod's validation: %w", err)
	}
	defer r.Body.Close()
	var answer struct {
		Response struct {
			Allowed bool
			Status  struct{ Message string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return fmt.Errorf("istiod's validation answers status %d: %w", r.StatusCode, err)
	}
	if !answer.Response.Allowed {
		return named(o, fmt.Errorf("istiod's validation: %s", answer.Response.Status.Message))
	}
	return nil
}
