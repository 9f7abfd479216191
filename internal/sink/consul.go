package sink

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/meshknot/meshknot/translators"
)

// ConsulOptions say how Consul is reached. What is empty is taken from the
// environment, as Consul's own tools do ("CONSUL_HTTP_ADDR" and its like).
type ConsulOptions struct {
	// Address is "host:port", or a URL.
	Address string
	// Token is the ACL token. TokenFile holds one and is read for each request, so
	// that it can be renewed.
	Token, TokenFile string
	// CAFile, CertFile and KeyFile are in PEM; ServerName is what the server's
	// certificate has to say.
	CAFile, CertFile, KeyFile, ServerName string
	// Timeout of a request; 10 seconds where it is zero.
	Timeout time.Duration
	// Cluster tells the cluster whose MeshBindings are written from others that
	// write to the same Consul. It is at most 512 bytes long, as Consul's limit is.
	Cluster string
	// Wrap, if any, is put around what makes the requests.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Consul writes configuration entries by check-and-set, so that nothing that it
// did not look at is ever replaced or removed. Whose an entry is stands in its
// Meta. Its methods are safe for concurrent use, for one artifact at a time.
type Consul struct {
	client    *api.Client
	cluster   string
	tokenFile string

	mu    sync.Mutex
	known map[translators.ID]knownEntry
}

// knownEntry is what is known of an entry of ours.
type knownEntry struct {
	owner string
	// artifact is what was written, where live is nil, and the entry says it.
	artifact translators.Artifact
	digest   string
	// made is the fingerprint of what Consul made of it, where that says something
	// else, whatever is written.
	made string
	// live is the entry where it is yet to be compared.
	live entry
}

// NewConsul makes the sink of a Consul. It asks nothing yet.
func NewConsul(o ConsulOptions) (*Consul, error) {
	config := api.DefaultConfig()
	for _, set := range []struct {
		to    *string
		value string
	}{
		{&config.Address, o.Address}, {&config.Token, o.Token},
		{&config.TLSConfig.CAFile, o.CAFile}, {&config.TLSConfig.CertFile, o.CertFile},
		{&config.TLSConfig.KeyFile, o.KeyFile}, {&config.TLSConfig.Address, o.ServerName},
	} {
		if set.value != "" {
			*set.to = set.value
		}
	}
	tokenFile := o.TokenFile
	if tokenFile == "" && o.Token == "" {
		tokenFile = config.TokenFile // of the environment
	}
	config.TokenFile = ""
	client, err := api.NewHttpClient(config.Transport, config.TLSConfig)
	if err != nil {
		return nil, fmt.Errorf("a client of Consul: %w", err)
	}
	if client.Timeout = o.Timeout; o.Timeout == 0 {
		client.Timeout = 10 * time.Second
	}
	if o.Wrap != nil {
		client.Transport = o.Wrap(client.Transport)
	}
	config.HttpClient = client
	c, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("a client of Consul: %w", err)
	}
	return &Consul{client: c, cluster: o.Cluster, tokenFile: tokenFile, known: map[translators.ID]knownEntry{}}, nil
}

// List returns what is an owner's.
func (c *Consul) List(ctx context.Context, owner Owner) ([]Stored, error) {
	if owner.Binding == "" {
		return nil, nil // entries name their owners, so one without a name has none
	}
	seen := map[translators.ID]bool{}
	var out []Stored
	for _, kind := range entryKinds {
		q, err := c.query(ctx)
		if err != nil {
			return nil, err
		}
		var all []entry
		if _, err := c.client.Raw().Query("/v1/config/"+kind, &all, q); err != nil {
			return nil, fmt.Errorf("listing %s of MeshBinding %s: %w", kind, owner.Binding, err)
		}
		for _, live := range all {
			if c.ownerOf(live) == owner.Binding {
				s := c.listed(owner, live)
				seen[s.ID] = true
				out = append(out, s)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, k := range c.known {
		if k.owner == owner.Binding && !seen[id] {
			delete(c.known, id)
		}
	}
	return out, nil
}

// listed compares an entry with what is known of it.
func (c *Consul) listed(owner Owner, live entry) Stored {
	s := Stored{ID: translators.ID{Type: entryType + live.GetKind(), Name: live.GetName()}, Digest: live.GetMeta()[DigestAnnotation], Drifted: true}
	k, ok := c.recall(s.ID)
	now := knownEntry{owner: owner.Binding, digest: k.digest, made: k.made, live: live}
	if ok && k.live == nil {
		if w, err := c.want(owner, k.artifact); err == nil && (w.in(live) || k.made != "" && k.made == live.fingerprint()) {
			now.artifact, now.live, s.Drifted = k.artifact, nil, false
		}
	}
	c.remember(s.ID, now)
	return s
}

// Put makes an entry be what an artifact says, and reports whether that took a
// write. An entry has one writer: what others added to it goes. Consul refuses
// entries for what others say, so one that is *Refused may be accepted later.
func (c *Consul) Put(ctx context.Context, owner Owner, a translators.Artifact) (bool, error) {
	w, err := c.want(owner, a)
	if err != nil {
		return false, err
	}
	for range attempts {
		written, again, err := c.put(ctx, owner, a, w)
		if !again {
			return written, refusedByConsul(a.ID, err)
		}
		c.forget(a.ID)
	}
	return false, fmt.Errorf("%s: others wrote it %d times meanwhile", named(a.ID), attempts)
}

func (c *Consul) put(ctx context.Context, owner Owner, a translators.Artifact, w wantedEntry) (written, again bool, err error) {
	k, ok := c.recall(a.ID)
	if ok && k.live == nil && k.digest == w.digest && k.owner == owner.Binding {
		return false, false, nil
	}
	if k.live == nil {
		if k.live, err = c.get(ctx, a.ID); err != nil {
			return false, false, err
		}
	}
	now := knownEntry{owner: owner.Binding, artifact: a, digest: w.digest}
	if k.live != nil {
		switch {
		case c.ownerOf(k.live) == "" && k.live.GetMeta()[TakeOverAnnotation] != "true":
			return false, false, &Foreign{a.ID, k.live.manager()}
		case w.in(k.live):
			c.remember(a.ID, now)
			return false, false, nil
		}
	}
	o, err := c.write(ctx)
	if err != nil {
		return false, false, err
	}
	set, _, err := c.client.ConfigEntries().CAS(w.entry, k.live.GetModifyIndex(), o)
	if err != nil || !set {
		return false, err == nil, err
	}
	if k.live.GetMeta()[DigestAnnotation] == w.digest { // it was written before, and still differed
		if live, err := c.get(ctx, a.ID); err == nil && live != nil && !w.in(live) {
			now.made = live.fingerprint()
		}
	}
	c.remember(a.ID, now)
	return true, false, nil
}

// Delete removes an entry of an owner, and reports whether it did.
func (c *Consul) Delete(ctx context.Context, owner Owner, id translators.ID) (bool, error) {
	for range attempts {
		live, err := c.get(ctx, id)
		if err != nil {
			return false, refusedByConsul(id, err)
		}
		if live == nil || owner.Binding == "" || c.ownerOf(live) != owner.Binding {
			return false, nil
		}
		c.forget(id)
		o, err := c.write(ctx)
		if err != nil {
			return false, err
		}
		gone, _, err := c.client.ConfigEntries().DeleteCAS(live.GetKind(), live.GetName(), live.GetModifyIndex(), o)
		if err != nil || gone {
			return gone, refusedByConsul(id, err)
		}
	}
	return false, fmt.Errorf("%s: others wrote it %d times meanwhile", named(id), attempts)
}

// get returns an entry, or nil where there is none.
func (c *Consul) get(ctx context.Context, id translators.ID) (entry, error) {
	q, err := c.query(ctx)
	if err != nil {
		return nil, err
	}
	var live entry
	_, err = c.client.Raw().Query("/v1/config/"+strings.TrimPrefix(id.Type, entryType)+"/"+id.Name, &live, q)
	if status := (api.StatusError{}); errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil, nil
	}
	return live, err
}

func (c *Consul) query(ctx context.Context) (*api.QueryOptions, error) {
	token, err := c.token()
	return (&api.QueryOptions{RequireConsistent: true, Token: token}).WithContext(ctx), err
}

func (c *Consul) write(ctx context.Context) (*api.WriteOptions, error) {
	token, err := c.token()
	return (&api.WriteOptions{Token: token}).WithContext(ctx), err
}

func (c *Consul) token() (string, error) {
	if c.tokenFile == "" {
		return "", nil // the client has it
	}
	text, err := os.ReadFile(c.tokenFile)
	if err != nil {
		return "", fmt.Errorf("the token for Consul: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (c *Consul) recall(id translators.ID) (knownEntry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.known[id]
	return k, ok
}

func (c *Consul) remember(id translators.ID, k knownEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[id] = k
}

func (c *Consul) forget(id translators.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, id)
}
