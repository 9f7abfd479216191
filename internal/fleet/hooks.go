package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshknot/meshknot/crds/v1alpha1"
)

const (
	reach = 3 * time.Second    // how long a webhook may take to be reached
	soon  = 7 * 24 * time.Hour // how long a certificate should still hold
)

// hooks checks what asks the controller before an object is taken.
func (c *Cluster) hooks(ctx context.Context, namespace string) Section {
	s := Section{Name: "webhooks"}
	var list admissionv1.ValidatingWebhookConfigurationList
	if err := c.client.List(ctx, &list); err != nil {
		s.unknown("there is an admission webhook", err)
		return s
	}
	found := 0
	for _, configuration := range list.Items {
		for _, w := range configuration.Webhooks {
			if w.Name != v1alpha1.Group && !strings.HasSuffix(w.Name, "."+v1alpha1.Group) {
				continue // somebody else's
			}
			found++
			c.hook(ctx, &s, configuration.Name+" "+w.Name, w)
			c.exempt(ctx, &s, configuration.Name+" "+w.Name, w, namespace)
		}
	}
	if found == 0 {
		s.add("there is an admission webhook", Warning, "there is none: what cannot be put in force is taken, and its report says so", "enable webhook in the chart's values")
	}
	c.conversions(ctx, &s)
	return s
}

func (c *Cluster) hook(ctx context.Context, s *Section, name string, w admissionv1.ValidatingWebhook) {
	roots := c.authority(s, name, w.ClientConfig.CABundle)
	policy := admissionv1.Fail
	if w.FailurePolicy != nil {
		policy = *w.FailurePolicy
	}
	consequence := "objects are taken unseen (failurePolicy Ignore)"
	if policy == admissionv1.Fail {
		consequence = "objects are refused (failurePolicy Fail)"
	}
	var service client.ObjectKey
	if at := w.ClientConfig.Service; at != nil {
		service = client.ObjectKey{Namespace: at.Namespace, Name: at.Name}
	}
	if err := c.reached(ctx, w.ClientConfig.URL, service, roots); err != nil {
		s.add(name+" can be reached", Failed, err.Error()+": "+consequence, "look at the controller's log and readiness")
		return
	}
	s.ok(name+" can be reached", "failurePolicy "+string(policy))
}

// reached tries a webhook that is named by its URL, or by its Service.
func (c *Cluster) reached(ctx context.Context, url *string, service client.ObjectKey, roots *x509.CertPool) error {
	if url != nil {
		return dial(ctx, *url, roots)
	}
	return c.backed(ctx, service.Namespace, service.Name)
}

// authority checks the certificates that a webhook's own is held against.
func (c *Cluster) authority(s *Section, name string, bundle []byte) *x509.CertPool {
	name += " has a CA bundle"
	const hint = "the controller puts it there: look at its log, or set webhook.certificates.caBundle"
	pool, until, n := x509.NewCertPool(), time.Time{}, 0
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			s.add(name, Failed, err.Error(), hint)
			return nil
		}
		pool.AddCert(cert)
		if n++; cert.NotAfter.After(until) {
			until = cert.NotAfter
		}
	}
	switch left := time.Until(until); {
	case n == 0:
		s.add(name, Failed, "it is empty", hint)
		return nil
	case left <= 0:
		s.add(name, Failed, "it ended on "+until.UTC().Format(time.RFC3339), hint)
	case left < soon:
		s.add(name, Warning, "it ends on "+until.UTC().Format(time.RFC3339), hint)
	default:
		s.ok(name, "until "+until.UTC().Format(time.DateOnly))
	}
	return pool
}

// dial reaches a webhook that is named by its URL, as the API server does.
func dial(ctx context.Context, address string, roots *x509.CertPool) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "443")
	}
	ctx, cancel := context.WithTimeout(ctx, reach)
	defer cancel()
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: u.Hostname()}}).DialContext(ctx, "tcp", host)
	if err != nil {
		return err
	}
	return conn.Close()
}

// backed checks that a Service has an endpoint that is ready.
func (c *Cluster) backed(ctx context.Context, namespace, name string) error {
	var slices discoveryv1.EndpointSliceList
	if err := c.client.List(ctx, &slices, client.InNamespace(namespace), client.MatchingLabels{discoveryv1.LabelServiceName: name}); err != nil {
		return err
	}
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				return nil
			}
		}
	}
	return fmt.Errorf("the endpoints of Service %s/%s: none is ready", namespace, name)
}
