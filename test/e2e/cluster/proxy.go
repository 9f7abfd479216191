package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/meshknot/meshknot/internal/bootstrap"
	"github.com/meshknot/meshknot/test/lab"
)

// StartProxy starts the Envoy of an account of the shop, with what the product makes
// for it, against a replica. Change, if given, edits the bootstrap.
func (s *Shop) StartProxy(account string, r *Controller, change func(bootstrap map[string]any)) (*lab.Process, error) {
	files, err := s.cluster.Lab.Files("spiffe://cluster.local/ns/" + ShopNamespace + "/sa/" + account)
	if err != nil {
		return nil, err
	}
	text, err := bootstrap.Envoy(bootstrap.Options{Namespace: ShopNamespace, Account: account, Server: lab.Local(r.XDS),
		Files: bootstrap.Files{Cert: files.Cert, Key: files.Key, CA: files.CA}, Admin: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	if change != nil {
		var value map[string]any
		if err := json.Unmarshal(text, &value); err != nil {
			return nil, err
		}
		change(value)
		if text, err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	return s.cluster.Lab.StartEnvoy("envoy-"+account, text)
}

// StartProxies starts those of web and of reviews.
func (s *Shop) StartProxies(r *Controller) error {
	for _, account := range []string{reviews, Web} {
		if _, err := s.StartProxy(account, r, nil); err != nil {
			return err
		}
	}
	return nil
}

// Caller calls reviews through the proxy of an account.
type Caller struct {
	client http.Client
	url    string
}

// Caller of an account. Its connections are kept until they are not used for a second.
func (s *Shop) Caller(account string) *Caller {
	return &Caller{http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{IdleConnTimeout: time.Second}},
		"http://" + lab.Local(s.Places[account])}
}

// Call makes a call, and returns what became of it: the version of reviews that
// answered, or the status, "403".
func (c *Caller) Call(method, path string) (string, error) {
	q, err := http.NewRequest(method, c.url+path, http.NoBody)
	if err != nil {
		return "", err
	}
	q.Host = fmt.Sprintf("%s.%s:%d", reviews, ShopNamespace, servicePort)
	answer, err := c.client.Do(q)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return "", err
	}
	var heard lab.Heard
	if text := answer.Header.Get("X-Heard"); text != "" {
		if err := json.Unmarshal([]byte(text), &heard); err != nil {
			return "", err
		}
		return heard.App, nil
	}
	return fmt.Sprint(answer.StatusCode), nil
}

// Count makes calls that access.yaml of the bookstore allows, and counts what became
// of them.
func (c *Caller) Count(n int) (map[string]int, error) {
	out := map[string]int{}
	for i := range n {
		got, err := c.Call(http.MethodGet, fmt.Sprint("/reviews/", i))
		if err != nil {
			return out, err
		}
		out[got]++
	}
	return out, nil
}

// AwaitCaller waits until a caller's proxy listens and leads to reviews.
func (c *Cluster) AwaitCaller(of *Caller) error {
	return c.Eventually("answer of reviews", func() (bool, any) {
		got, err := of.Call(http.MethodGet, "/reviews/1")
		if err != nil {
			return false, err
		}
		return got == Versions[0] || got == Versions[1], got
	})
}
