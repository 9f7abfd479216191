package policies

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// minRSABits is the size of the smallest RSA key that is taken.
const minRSABits = 2048

// SigningKey is a private key. It never prints itself.
type SigningKey struct{ pem, algorithm string }

// PublicKey is a public key that bundles are verified with.
type PublicKey struct{ pem, algorithm string }

// String keeps the key out of logs.
func (k SigningKey) String() string { return "a private key for " + k.algorithm }

// GoString keeps the key out of logs too.
func (k SigningKey) GoString() string { return k.String() }

// ParseSigningKey reads a private key in PEM: RSA (signs RS256), ECDSA (ES256,
// ES384 or ES512, by its curve) or Ed25519 (EdDSA). Its errors never show what it
// read.
func ParseSigningKey(source []byte) (*SigningKey, error) {
	block, err := onlyBlock(source)
	if err != nil {
		return nil, err
	}
	var key any
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a PEM block %q is no private key that can be read", block.Type)
	}
	if err != nil {
		return nil, errors.New("the private key cannot be read")
	}
	var public any
	switch k := key.(type) {
	case *rsa.PrivateKey:
		public = &k.PublicKey
	case *ecdsa.PrivateKey:
		public = &k.PublicKey
	case ed25519.PrivateKey:
		public = k.Public()
	}
	algorithm, err := algorithmOf(public)
	if err != nil {
		return nil, err
	}
	return &SigningKey{pem: string(pem.EncodeToMemory(block)), algorithm: algorithm}, nil
}

// ParsePublicKey reads a public key or a certificate in PEM. The algorithm is
// that of the key, whatever a signature says.
func ParsePublicKey(source []byte) (*PublicKey, error) {
	block, err := onlyBlock(source)
	if err != nil {
		return nil, err
	}
	var key any
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = certificate.PublicKey
		}
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
		return nil, errors.New("this is the private key: verifying takes the public one")
	default:
		return nil, fmt.Errorf("a PEM block %q is no public key that can be read", block.Type)
	}
	if err != nil {
		return nil, errors.New("the public key cannot be read")
	}
	algorithm, err := algorithmOf(key)
	if err != nil {
		return nil, err
	}
	return &PublicKey{pem: string(pem.EncodeToMemory(block)), algorithm: algorithm}, nil
}

// onlyBlock returns the first PEM block that is not a curve's parameters.
func onlyBlock(source []byte) (*pem.Block, error) {
	for {
		block, rest := pem.Decode(source)
		switch {
		case block == nil:
			return nil, errors.New("no key in PEM")
		case block.Type != "EC PARAMETERS":
			block.Headers = nil
			return block, nil
		}
		source = rest
	}
}

// algorithmOf is the algorithm that a key signs with.
func algorithmOf(public any) (string, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return "", fmt.Errorf("the RSA key has %d bits: %d are the least", k.N.BitLen(), minRSABits)
		}
		return "RS256", nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return "ES256", nil
		case elliptic.P384():
			return "ES384", nil
		case elliptic.P521():
			return "ES512", nil
		}
	case ed25519.PublicKey:
		return "EdDSA", nil
	}
	return "", errors.New("not an RSA, ECDSA or Ed25519 key")
}
