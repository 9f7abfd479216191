package lab

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// Kube is a Kubernetes API server with nothing around it: no controller runs,
// no pod does. Its methods are safe for concurrent use.
type Kube struct {
	// URL is where it is served, and Kubeconfig a file for the user that the methods
	// act as: the administrator, unless User or ServiceAccount made it.
	URL        string
	Kubeconfig string

	lab    *Lab
	server *kubeServer
	who    who
	client *http.Client
	// kinds is what discovery said, which is the same for every user.
	kinds *kinds
}

// kubeServer is the program, with what it takes to start it again.
type kubeServer struct {
	binary string
	args   []string
	// authority is the file with which its certificate is checked, etcd the URL of its
	// store, and audit the log of what was asked, if one is kept.
	authority, etcd, audit string

	mu      sync.Mutex
	process *Process // nil while it is stopped
}

// KubeOptions are what an API server may be given beyond the usual.
type KubeOptions struct {
	// Audit keeps a log of every request that changes something: see Audited.
	Audit bool
	// Args are more arguments of kube-apiserver; of two that name one flag the last holds.
	Args []string
}

// StartKube starts etcd and an API server, and waits until it is ready. Admission
// webhooks and policies are at work in it: a webhook's clientConfig.url may be of
// loopback. What a pod names as its ServiceAccount is not looked at.
func (l *Lab) StartKube() (*Kube, error) { return l.StartKubeWith(KubeOptions{}) }

// KubeForTest makes a lab for a test, and an API server in it.
func KubeForTest(t testing.TB) (*Lab, *Kube) {
	t.Helper()
	Need(t, KubeAPIServer, Etcd)
	l := ForTest(t)
	k, err := l.StartKube()
	if err != nil {
		t.Fatal(err)
	}
	return l, k
}

// StartKubeWith is StartKube with options.
func (l *Lab) StartKubeWith(o KubeOptions) (*Kube, error) {
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
	if err := os.WriteFile(tokens, []byte(administrator.token+",lab,lab,system:masters\n"), 0o600); err != nil {
		return nil, err
	}
	binary, err := Binary(KubeAPIServer)
	if err != nil {
		return nil, err
	}
	s := &kubeServer{binary: binary, authority: files.CA, etcd: etcd, args: []string{
		"--etcd-servers=" + etcd, "--cert-dir=" + dir, "--bind-address=127.0.0.1", fmt.Sprint("--secure-port=", port),
		"--tls-cert-file=" + files.Cert, "--tls-private-key-file=" + files.Key, "--token-auth-file=" + tokens,
		"--service-account-issuer=https://lab.invalid", "--service-account-key-file=" + files.Cert,
		"--service-account-signing-key-file=" + files.Key, "--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", "--enable-priority-and-fairness=false",
	}}
	if o.Audit {
		if err := s.keepAudit(dir); err != nil {
			return nil, err
		}
	}
	s.args = append(s.args, o.Args...)
	k := &Kube{URL: "https://" + Local(port), lab: l, server: s, kinds: &kinds{known: map[string]kind{}}}
	if err := k.become(administrator); err != nil {
		return nil, err
	}
	return k, k.Start()
}

// Start starts the API server again after Stop, on the same port and the same store,
// and waits until it is ready. Where it runs nothing happens.
func (k *Kube) Start() error {
	s := k.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return nil
	}
	p, err := k.lab.Start("kube-apiserver", s.binary, s.args, nil)
	if err != nil {
		return err
	}
	s.process = p
	return k.lab.Eventually("API server that is ready", 90*time.Second, func() bool {
		_, err := k.call(request{path: "/readyz"})
		return err == nil
	})
}

// Stop ends the API server at once, as where its machine fails; what it stored
// stays.
func (k *Kube) Stop() {
	s := k.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.Stop()
		s.process = nil
	}
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

// who is what a client says to the API server of itself.
type who struct {
	token string
	// as is the user that the administrator acts as, where it is not itself.
	as     string
	groups []string
}

// administrator may do everything; the server listens on loopback only.
var administrator = who{token: "lab-administrator"}

// User returns the same API server as a user sees it that has no more rights than
// RBAC gives it: methods and Kubeconfig act as the user. It is the administrator who
// impersonates it, so users need no restart; everybody is in system:authenticated.
func (k *Kube) User(name string, groups ...string) (*Kube, error) {
	return k.as(who{token: administrator.token, as: name, groups: groups})
}

// ServiceAccount returns the same API server as a ServiceAccount sees it, which has
// to exist: with a token of its own, as a pod has one, good for an hour.
func (k *Kube) ServiceAccount(namespace, name string) (*Kube, error) {
	answer, err := k.call(request{method: http.MethodPost, path: "/api/v1/namespaces/" + namespace + "/serviceaccounts/" + name + "/token",
		contentType: "application/json", body: []byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`)})
	if err != nil {
		return nil, fmt.Errorf("asking for a token of %s/%s: %w", namespace, name, err)
	}
	var review struct{ Status struct{ Token string } }
	if err := yaml.Unmarshal(answer.body, &review); err != nil {
		return nil, err
	}
	return k.as(who{token: review.Status.Token})
}

func (k *Kube) as(w who) (*Kube, error) {
	other := *k
	return &other, other.become(w)
}

// become makes the client for a user, and the kubeconfig for others.
func (k *Kube) become(w who) error {
	text, err := os.ReadFile(k.server.authority)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	k.who, k.client = w, &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 16}}
	user := Object{"token": w.token}
	if w.as != "" {
		user["as"], user["as-groups"] = w.as, w.groups
	}
	config, err := yaml.Marshal(Object{"apiVersion": "v1", "kind": "Config", "current-context": "lab",
		"clusters": []any{Object{"name": "lab", "cluster": Object{"server": k.URL, "certificate-authority": k.server.authority}}},
		"users":    []any{Object{"name": "lab", "user": user}},
		"contexts": []any{Object{"name": "lab", "context": Object{"cluster": "lab", "user": "lab"}}}})
	if err != nil {
		return err
	}
	dir, err := k.lab.NewDir("kubeconfig")
	if err != nil {
		return err
	}
	k.Kubeconfig = filepath.Join(dir, "config")
	return os.WriteFile(k.Kubeconfig, config, 0o600)
}

// Config is the configuration of a client of the user, without a limit to how often
// it asks.
func (k *Kube) Config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", k.Kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}
