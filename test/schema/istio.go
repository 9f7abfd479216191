package schema

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

var istio = sync.OnceValues(func() (CRDs, error) {
	dir, err := moduleDir("istio.io/api")
	if err != nil {
		return nil, err
	}
	return Load(os.DirFS(filepath.Join(dir, "kubernetes")), "customresourcedefinitions.gen.yaml")
})

// Istio reports what an API server with Istio's definitions would not keep as
// it is, or would refuse, in an object.
func Istio(obj map[string]any) error {
	crds, err := istio()
	if err != nil {
		return fmt.Errorf("loading Istio's definitions: %w", err)
	}
	return crds.Check(obj)
}

// moduleDir finds the directory of a module that ours requires.
func moduleDir(path string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	if dir := strings.TrimSpace(string(out)); err == nil && dir != "" {
		return dir, nil
	}
	return "", fmt.Errorf("finding module %s: %w", path, err)
}
