package lab

import (
	"os"
	"path/filepath"
)

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
