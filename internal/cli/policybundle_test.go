package cli

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeKeys writes a key pair to private.pem and public.pem, and the public key
// of somebody else to stranger.pem.
func writeKeys(dir string) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	stranger, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	files := map[string]*pem.Block{"private.pem": {Type: "PRIVATE KEY", Bytes: secret}}
	for name, key := range map[string]ed25519.PublicKey{"public.pem": public, "stranger.pem": stranger} {
		open, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			return err
		}
		files[name] = &pem.Block{Type: "PUBLIC KEY", Bytes: open}
	}
	for name, block := range files {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// bundleFiles moves the files that examples about bundles name into a folder of
// the test's own.
func bundleFiles(t *testing.T) *strings.Replacer {
	t.Helper()
	dir := t.TempDir()
	if err := writeKeys(dir); err != nil {
		t.Fatal(err)
	}
	var moves []string
	for _, name := range []string{"rules.tar.gz", "private.pem", "public.pem"} {
		moves = append(moves, name, filepath.Join(dir, name))
	}
	return strings.NewReplacer(moves...)
}
