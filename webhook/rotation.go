package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Rotation serves a certificate of meshknot's own making, which is kept in a Secret of
// its namespace with the authority that signed it: see keep. An authority is exchanged
// without a gap: a new one is added to those that the API server trusts, then it is
// given time to notice, and only then its certificate is served. Every replica does
// the same, and writes only what differs.
type Rotation struct {
	Client client.Client
	// Secret has to exist, empty to begin with.
	Secret types.NamespacedName
	// Hosts are the names by which the webhook is called, as its Service has them.
	Hosts []string
	// Configurations and Definitions are the names of the ValidatingWebhookConfigurations
	// and of the CustomResourceDefinitions with a conversion webhook, which are told
	// of the authority. One that is not there asks nobody, and holds nothing up.
	Configurations, Definitions []string
	// Dir is where the certificate is put, for NewCertificate.
	Dir string
	// Settle is how long the API servers have to notice a new authority (30 s).
	Settle time.Duration

	// known is since when all have been told of an authority, by its PEM.
	known map[string]time.Time
}

// Run follows the Secret until ctx ends. What fails is tried again at the next
// look; Certificate.Ready tells whether there is something to serve. Trouble is told
// what came of each look.
func (r *Rotation) Run(ctx context.Context, every time.Duration, trouble func(error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := r.Step(ctx, time.Now()); ctx.Err() == nil && trouble != nil {
			trouble(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Step looks at the Secret once.
func (r *Rotation) Step(ctx context.Context, now time.Time) error {
	secret, err := r.keep(ctx, now)
	if err != nil {
		return err
	}
	authority, cert, key := secret.Data[authorityFile], secret.Data[certFile], secret.Data[keyFile]
	served, reading := os.ReadFile(filepath.Join(r.Dir, certFile))
	if reading != nil { // there is nothing yet that could be lost
		if err := r.serve(cert, key); err != nil {
			return err
		}
		served = cert
	}
	absent, err := r.tell(ctx, authority, now)
	if err != nil {
		return errors.Join(err, absent)
	}
	if r.known == nil {
		r.known = map[string]time.Time{}
	}
	if _, ok := r.known[string(authority)]; !ok {
		r.known[string(authority)] = now
	}
	switch {
	case bytes.Equal(served, cert):
		return absent
	case now.Sub(r.known[string(authority)]) < cmp.Or(r.Settle, 30*time.Second):
		return absent // the old one is trusted still
	}
	return errors.Join(absent, r.serve(cert, key))
}

// serve puts a certificate where it is served from. In between the two files may
// not go together, and the old certificate is served on.
func (r *Rotation) serve(cert, key []byte) error {
	for name, text := range map[string][]byte{certFile: cert, keyFile: key} {
		file := filepath.Join(r.Dir, name)
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			return fmt.Errorf("writing the certificate: %w", err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			return fmt.Errorf("writing the certificate: %w", err)
		}
	}
	return nil
}

// tell adds an authority to those that everybody trusts who calls the webhook.
// Absent says who is not there.
func (r *Rotation) tell(ctx context.Context, authority []byte, now time.Time) (absent, failed error) {
	note := func(err error) {
		if apierrors.IsNotFound(err) {
			absent = errors.Join(absent, err)
		} else {
			failed = errors.Join(failed, err)
		}
	}
	for _, name := range r.Configurations {
		note(r.add(ctx, admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"), name, func(o map[string]any) (bool, error) {
			hooks, _, err := unstructured.NestedSlice(o, "webhooks")
			changed := false
			for _, h := range hooks {
				hook, _ := h.(map[string]any)
				changed = trust(hook, authority, now, "clientConfig") || changed
			}
			return changed, errors.Join(err, unstructured.SetNestedSlice(o, hooks, "webhooks"))
		}))
	}
	definition := schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	for _, name := range r.Definitions {
		note(r.add(ctx, definition, name, func(o map[string]any) (bool, error) {
			if strategy, _, _ := unstructured.NestedString(o, "spec", "conversion", "strategy"); strategy != "Webhook" {
				return false, nil
			}
			return trust(o, authority, now, "spec", "conversion", "webhook", "clientConfig"), nil
		}))
	}
	return absent, failed
}

// add changes an object where that changes anything. Somebody who was first is no
// error for long: the next step looks again.
func (r *Rotation) add(ctx context.Context, kind schema.GroupVersionKind, name string, change func(map[string]any) (bool, error)) error {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kind)
	if err := r.Client.Get(ctx, types.NamespacedName{Name: name}, o); err != nil {
		return fmt.Errorf("reading %s %s: %w", kind.Kind, name, err)
	}
	changed, err := change(o.Object)
	if err != nil || !changed {
		return err
	}
	if err := r.Client.Update(ctx, o, client.FieldOwner("meshknot-webhook")); err != nil {
		return fmt.Errorf("telling %s %s of the authority: %w", kind.Kind, name, err)
	}
	return nil
}

// trust adds an authority to the caBundle of a clientConfig.
func trust(o map[string]any, authority []byte, now time.Time, path ...string) bool {
	config, found, _ := unstructured.NestedMap(o, path...)
	if !found {
		return false
	}
	text, _ := config["caBundle"].(string)
	have, _ := base64.StdEncoding.DecodeString(text)
	want := bundle(have, authority, now)
	if bytes.Equal(have, want) {
		return false
	}
	config["caBundle"] = base64.StdEncoding.EncodeToString(want)
	return unstructured.SetNestedMap(o, config, path...) == nil
}

// maxAuthorities bounds a bundle: the newest stay.
const maxAuthorities = 3

// bundle is the authorities of a bundle that have not expired, and another one.
func bundle(have, authority []byte, now time.Time) []byte {
	var kept []*pem.Block
	seen := map[string]bool{}
	for rest := append(append(bytes.TrimSpace(have), '\n'), authority...); ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil || now.After(c.NotAfter) || seen[string(b.Bytes)] {
			continue
		}
		seen[string(b.Bytes)] = true
		kept = append(kept, &pem.Block{Type: "CERTIFICATE", Bytes: b.Bytes})
	}
	var out bytes.Buffer
	for _, b := range kept[max(0, len(kept)-maxAuthorities):] {
		_ = pem.Encode(&out, b) // a Buffer takes everything
	}
	return out.Bytes()
}
