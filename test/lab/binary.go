package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// The programs that can be asked for. All but Envoy are built by "make tools"
// from the modules of test/tools.
const (
	Envoy         = "envoy"
	Etcd          = "etcd"
	KubeAPIServer = "kube-apiserver"
	Istiod        = "istiod"
	Consul        = "consul"
)

// Binary finds a program.
func Binary(name string) (string, error) {
	path, how := "", "make tools builds it"
	switch name {
	case Envoy:
		how = "make envoy installs it"
		if path = os.Getenv("MESHKNOT_ENVOY"); path == "" {
			path = filepath.Join(root(), ".cache", "envoy", "bin", "envoy")
		}
	default:
		files, err := filepath.Glob(filepath.Join(root(), "test", "tools", name, "*"))
		if err != nil || len(files) == 0 {
			return "", fmt.Errorf("no %s: test/tools has no module for it", name)
		}
		digest := sha256.New()
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return "", fmt.Errorf("no %s: %w", name, err)
			}
			digest.Write(text)
		}
		path = filepath.Join(toolCache(), name+"-"+hex.EncodeToString(digest.Sum(nil))[:16])
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("no %s: %w (%s)", name, err, how)
	}
	return path, nil
}

// Need skips a test loudly where a program is missing, or fails it where
// REQUIRE_REAL=1 says that nothing may be missing.
func Need(t testing.TB, names ...string) {
	t.Helper()
	for _, n := range names {
		_, err := Binary(n)
		switch {
		case err == nil:
		case os.Getenv("REQUIRE_REAL") == "1":
			t.Fatalf("REQUIRE_REAL=1, and there is %v", err)
		default:
			t.Skipf("SKIPPED, NOTHING PROVEN: there is %v", err)
		}
	}
}

// toolCache is where "make tools" keeps what it builds.
func toolCache() string {
	if dir := os.Getenv("MESHKNOT_TOOLS"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".cache", "meshknot", "tools")
}

// root is the checkout.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}
