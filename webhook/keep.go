package webhook

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The keys of the Secret beside those of a certificate.
const (
	authorityFile = "ca.crt"
	authorityKey  = "ca.key"
)

// How long an authority and a certificate last, and how long before their end they
// are made anew.
const (
	authorityLasts   = 10 * 365 * 24 * time.Hour
	certificateLasts = 365 * 24 * time.Hour
	beforeEnd        = 90 * 24 * time.Hour
)

// authorityName is what an authority of ours is for.
const authorityName = "meshknot-webhook"

var serverAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}

// keep sees to it that the Secret has an authority and a certificate for every host,
// both for a while to come, and returns it. Of several replicas the first one writes;
// for the others that is a conflict, and they look again.
//
// Certificates are made and judged by cert-controller. Its manager is not used: it
// lists all Secrets of the namespace, where to get the one is right enough, and ends
// the process where the API server does not answer.
func (r *Rotation) keep(ctx context.Context, now time.Time) (*corev1.Secret, error) {
	var secret corev1.Secret
	if err := r.Client.Get(ctx, r.Secret, &secret); err != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", r.Secret, err)
	}
	if len(r.Hosts) == 0 {
		return nil, errors.New("a certificate is for at least one host")
	}
	d := secret.Data
	lasting := now.Add(beforeEnd)
	trusted, err := rotator.ValidCert(d[authorityFile], d[authorityFile], d[authorityKey], authorityName, nil, lasting)
	trusted = trusted && err == nil
	if trusted && !slices.ContainsFunc(r.Hosts, func(host string) bool {
		valid, err := rotator.ValidCert(d[authorityFile], d[certFile], d[keyFile], host, &serverAuth, lasting)
		return !valid || err != nil
	}) {
		return &secret, nil
	}
	if err := r.renew(&secret, trusted, now); err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	if err := r.Client.Update(ctx, &secret, client.FieldOwner("meshknot-webhook")); err != nil {
		return nil, fmt.Errorf("writing Secret %s: %w", r.Secret, err)
	}
	return &secret, nil
}

// renew makes a certificate, and an authority where the one that there is will not do.
func (r *Rotation) renew(secret *corev1.Secret, trusted bool, now time.Time) error {
	maker := rotator.CertRotator{CAName: authorityName, CAOrganization: "meshknot", DNSName: r.Hosts[0], ExtraDNSNames: r.Hosts[1:], ExtKeyUsages: &serverAuth}
	begin := now.Add(-time.Hour) // clocks differ
	var authority *rotator.KeyPairArtifacts
	var err error
	if trusted {
		authority, err = authorityOf(secret)
	} else {
		authority, err = maker.CreateCACert(begin, now.Add(authorityLasts))
	}
	if err != nil {
		return err
	}
	cert, key, err := maker.CreateCertPEM(authority, begin, now.Add(certificateLasts))
	if err != nil {
		return err
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Data[authorityFile], secret.Data[authorityKey] = authority.CertPEM, authority.KeyPEM
	secret.Data[certFile], secret.Data[keyFile] = cert, key
	return nil
}

// authorityOf reads the authority of a Secret, which has been found valid.
func authorityOf(secret *corev1.Secret) (*rotator.KeyPairArtifacts, error) {
	cert, key := secret.Data[authorityFile], secret.Data[authorityKey]
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, errors.New("the authority and its key do not go together") // no word of the key
	}
	private, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("the authority's key is none of RSA")
	}
	return &rotator.KeyPairArtifacts{Cert: pair.Leaf, Key: private, CertPEM: cert, KeyPEM: key}, nil
}
