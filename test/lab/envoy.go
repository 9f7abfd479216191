package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

var version = regexp.MustCompile(`/([0-9]+\.[0-9]+\.[0-9]+)`)

// EnvoyVersion asks Envoy for its version, "1.40.0".
func EnvoyVersion() (string, error) {
	binary, err := Binary(Envoy)
	if err != nil {
		return "", err
	}
	said, err := exec.Command(binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("asking Envoy for its version: %w", err)
	}
	if m := version.FindSubmatch(said); m != nil {
		return string(m[1]), nil
	}
	return "", fmt.Errorf("no version of Envoy: %q", said)
}

// StartEnvoy starts Envoy with a bootstrap (JSON or YAML by its first letter).
func (l *Lab) StartEnvoy(name string, bootstrap []byte) (*Process, error) {
	binary, err := Binary(Envoy)
	if err != nil {
		return nil, err
	}
	dir, err := l.NewDir(name)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "bootstrap.yaml") // JSON is YAML
	if err := os.WriteFile(path, bootstrap, 0o600); err != nil {
		return nil, err
	}
	return l.Start(name, binary, []string{"-c", path, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning", "--drain-time-s", "1"}, nil)
}
