package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sigs.k8s.io/yaml"
)

// Way is what stands between clients and an API server: it hands requests and
// answers through, and can be told not to. Its methods are safe for concurrent use.
type Way struct {
	// URL is where it is served, with a certificate of the lab's authority.
	URL string

	kube *Kube

	mu   sync.Mutex
	down bool
	// over is what requests go through; nil: nothing.
	over func(a http.ResponseWriter, r *http.Request, pass http.HandlerFunc)
	cuts map[int]context.CancelFunc
	next int
	// asked counts requests by "METHOD path", watches as WATCH, and streamed lists as
	// STREAM.
	asked map[string]int
}

// Way starts a way to the API server, which is closed with the lab.
func (k *Kube) Way() (*Way, error) {
	files, err := k.lab.Files("spiffe://lab/way")
	if err != nil {
		return nil, err
	}
	own, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(k.server.authority)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	target, err := url.Parse(k.URL)
	if err != nil {
		return nil, err
	}
	w := &Way{kube: k, cuts: map[int]context.CancelFunc{}, asked: map[string]int{}}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 64, IdleConnTimeout: 10 * time.Second}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // of streams that end with the server
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) { w.serve(proxy, a, r) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that are killed
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
	server.StartTLS()
	w.URL = server.URL
	k.lab.OnClose(func() {
		w.Set(true, nil) // clients still run, and whom one of them asked now would be waited for
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return w, nil
}

// Kubeconfig is that of a user of the API server, over the way.
func (w *Way) Kubeconfig(user *Kube) (string, error) {
	text, err := os.ReadFile(user.Kubeconfig)
	if err != nil {
		return "", err
	}
	var config Object
	if err := yaml.Unmarshal(text, &config); err != nil {
		return "", err
	}
	for _, c := range config["clusters"].([]any) {
		c.(Object)["cluster"].(Object)["server"] = w.URL
	}
	if text, err = yaml.Marshal(config); err != nil {
		return "", err
	}
	dir, err := w.kube.lab.NewDir("kubeconfig")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "config")
	return path, os.WriteFile(path, text, 0o600)
}

// Set has the server gone, or requests go through a function, which passes them on or
// answers them itself, and breaks what is under way.
func (w *Way) Set(down bool, over func(a http.ResponseWriter, r *http.Request, pass http.HandlerFunc)) {
	w.mu.Lock()
	w.down, w.over = down, over
	w.mu.Unlock()
	w.Cut()
}

// Cut breaks every request that is under way.
func (w *Way) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.cuts {
		c()
	}
}

// Count is how many requests there were: "GET /apis", "WATCH /api/v1/pods", or
// "STREAM" for a list that is streamed.
func (w *Way) Count(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[what]
}

// Asked is what Count calls the method of a request.
func Asked(r *http.Request) string {
	switch q := r.URL.Query(); {
	case q.Has("sendInitialEvents"):
		return "STREAM"
	case q.Has("watch"):
		return "WATCH"
	}
	return r.Method
}

func (w *Way) serve(proxy http.Handler, a http.ResponseWriter, r *http.Request) {
	ctx, cut := context.WithCancel(r.Context())
	defer cut()
	w.mu.Lock()
	id, down, over := w.next, w.down, w.over
	w.next++
	w.cuts[id] = cut
	w.asked[Asked(r)+" "+r.URL.Path]++
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.cuts, id)
		w.mu.Unlock()
	}()
	r = r.WithContext(ctx)
	switch {
	case down:
		panic(http.ErrAbortHandler)
	case over != nil:
		over(a, r, proxy.ServeHTTP)
	default:
		proxy.ServeHTTP(a, r)
	}
}
