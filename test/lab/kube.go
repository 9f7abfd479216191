package lab

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"
)

// Object is a Kubernetes object as JSON has it.
type Object = map[string]any

// Kube is a Kubernetes API server with nothing around it: no controller runs,
// no pod does. Its methods are safe for concurrent use.
type Kube struct {
	// URL is where it is served, and Kubeconfig a file for its administrator.
	URL        string
	Kubeconfig string

	lab    *Lab
	client *http.Client
	mu     sync.Mutex
	kinds  map[string]kind // by "apiVersion/Kind"
}

// kind is what discovery says of a kind.
type kind struct {
	Name       string `json:"name"` // in paths
	Kind       string `json:"kind"`
	Namespaced bool   `json:"namespaced"`
}

// token is what the administrator shows; the server listens on loopback only.
const token = "lab-administrator"

// StartKube starts etcd and an API server, and waits until it is ready.
func (l *Lab) StartKube() (*Kube, error) {
	etcd, err := l.startEtcd()
	if err != nil {
		return nil, err
	}
	dir, err := l.NewDir("kube")
	if err != nil {
		return nil, err
	}
	files, err := l.Files("spiffe://lab/kube-apiserver")
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	tokens := filepath.Join(dir, "tokens.csv")
	if err := os.WriteFile(tokens, []byte(token+",lab,lab,system:masters\n"), 0o600); err != nil {
		return nil, err
	}
	binary, err := Binary(KubeAPIServer)
	if err != nil {
		return nil, err
	}
	if _, err := l.Start("kube-apiserver", binary, []string{
		"--etcd-servers=" + etcd, "--cert-dir=" + dir, "--bind-address=127.0.0.1", fmt.Sprint("--secure-port=", port),
		"--tls-cert-file=" + files.Cert, "--tls-private-key-file=" + files.Key, "--token-auth-file=" + tokens,
		"--service-account-issuer=https://lab.invalid", "--service-account-key-file=" + files.Cert,
		"--service-account-signing-key-file=" + files.Key, "--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", "--enable-priority-and-fairness=false",
	}, nil); err != nil {
		return nil, err
	}
	k := &Kube{URL: "https://" + Local(port), Kubeconfig: filepath.Join(dir, "kubeconfig"), lab: l, kinds: map[string]kind{}}
	if err := k.connect(files.CA); err != nil {
		return nil, err
	}
	return k, l.Eventually("API server that is ready", 90*time.Second, func() bool {
		_, err := k.call(http.MethodGet, "/readyz", "", nil)
		return err == nil
	})
}

// startEtcd starts the store of an API server and returns its URL.
func (l *Lab) startEtcd() (string, error) {
	binary, err := Binary(Etcd)
	if err != nil {
		return "", err
	}
	dir, err := l.NewDir("etcd-data")
	if err != nil {
		return "", err
	}
	var urls [2]string
	for i := range urls {
		port, err := FreePort()
		if err != nil {
			return "", err
		}
		urls[i] = "http://" + Local(port)
	}
	_, err = l.Start("etcd", binary, []string{"--data-dir", dir, "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", urls[0], "--advertise-client-urls", urls[0],
		"--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1], "--initial-cluster", "default=" + urls[1]}, nil)
	return urls[0], err
}

// connect makes the client, and the kubeconfig for others.
func (k *Kube) connect(authority string) error {
	text, err := os.ReadFile(authority)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	k.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 16}}
	config, err := yaml.Marshal(Object{"apiVersion": "v1", "kind": "Config", "current-context": "lab",
		"clusters": []any{Object{"name": "lab", "cluster": Object{"server": k.URL, "certificate-authority": authority}}},
		"users":    []any{Object{"name": "lab", "user": Object{"token": token}}},
		"contexts": []any{Object{"name": "lab", "context": Object{"cluster": "lab", "user": "lab"}}}})
	if err != nil {
		return err
	}
	return os.WriteFile(k.Kubeconfig, config, 0o600)
}

// Apply makes an object be as it is given; what it does not speak of stays. An
// error says what the server has against it.
func (k *Kube) Apply(o Object) error { return k.patch(o, "") }

// ApplyStatus does the same for the status of an object that exists.
func (k *Kube) ApplyStatus(o Object) error { return k.patch(o, "/status") }

func (k *Kube) patch(o Object, subresource string) error {
	path, err := k.path(o)
	if err != nil {
		return err
	}
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = k.call(http.MethodPatch, path+subresource+"?fieldManager=lab&force=true", "application/apply-patch+yaml", body)
	return named(o, err)
}

// Delete removes an object at once; one that is gone is no error.
func (k *Kube) Delete(o Object) error {
	path, err := k.path(o)
	if err != nil {
		return err
	}
	_, err = k.call(http.MethodDelete, path+"?gracePeriodSeconds=0", "", nil)
	if status := (&StatusError{}); errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil
	}
	return named(o, err)
}

// Get returns an object as the server has it; o names it.
func (k *Kube) Get(o Object) (Object, error) {
	path, err := k.path(o)
	if err != nil {
		return nil, err
	}
	text, err := k.call(http.MethodGet, path, "", nil)
	if err != nil {
		return nil, named(o, err)
	}
	var out Object
	return out, json.Unmarshal(text, &out)
}

func named(o Object, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%v %v: %w", o["kind"], text(o, "metadata", "name"), err)
}

// text returns a field of an object, or nothing where there is none.
func text(o Object, path ...string) string {
	for _, name := range path[:len(path)-1] {
		o, _ = o[name].(Object)
	}
	s, _ := o[path[len(path)-1]].(string)
	return s
}

// path is where an object is served.
func (k *Kube) path(o Object) (string, error) {
	version := text(o, "apiVersion")
	found, err := k.kind(version, text(o, "kind"))
	if err != nil {
		return "", err
	}
	path := base(version)
	if found.Namespaced {
		path += "/namespaces/" + url.PathEscape(text(o, "metadata", "namespace"))
	}
	return path + "/" + found.Name + "/" + url.PathEscape(text(o, "metadata", "name")), nil
}

func base(version string) string {
	if strings.Contains(version, "/") {
		return "/apis/" + version
	}
	return "/api/" + version
}

// kind asks the server what it knows of a kind, and remembers it.
func (k *Kube) kind(version, name string) (kind, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found, ok := k.kinds[version+"/"+name]; ok {
		return found, nil
	}
	answer, err := k.call(http.MethodGet, base(version), "", nil)
	if err != nil {
		return kind{}, fmt.Errorf("asking for the kinds of %s: %w", version, err)
	}
	var list struct{ Resources []kind }
	if err := json.Unmarshal(answer, &list); err != nil {
		return kind{}, err
	}
	for _, r := range list.Resources {
		if !strings.Contains(r.Name, "/") {
			k.kinds[version+"/"+r.Kind] = r
		}
	}
	if found, ok := k.kinds[version+"/"+name]; ok {
		return found, nil
	}
	return kind{}, fmt.Errorf("the API server knows no %s of %s", name, version)
}

// StatusError is an answer of the API server that is not a success.
type StatusError struct {
	Code int
	Text string
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Code, e.Text) }

// call makes a request and returns what is answered.
func (k *Kube) call(method, path, contentType string, body []byte) ([]byte, error) {
	q, err := http.NewRequest(method, k.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Accept", "application/json")
	if contentType != "" {
		q.Header.Set("Content-Type", contentType)
	}
	r, err := k.client.Do(q)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode >= 300 {
		var said struct{ Message string }
		if json.Unmarshal(answer, &said) != nil || said.Message == "" {
			said.Message = string(answer)
		}
		err = &StatusError{r.StatusCode, said.Message}
	}
	return answer, err
}
