package schema

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// The definitions of each mesh: of a module that ours requires, or of the
// folder that MESHKNOT_CRDS names.
var (
	istio = sync.OnceValues(func() (CRDs, error) {
		return fromModule("istio.io/api", "kubernetes", "customresourcedefinitions.gen.yaml")
	})
	gatewayAPI = sync.OnceValues(func() (CRDs, error) {
		return fromModule("sigs.k8s.io/gateway-api", "config/crd/experimental", "gateway.networking.k8s.io_*.yaml")
	})
	linkerd = sync.OnceValues(func() (CRDs, error) { return fromFolder("linkerd") })
	consul  = sync.OnceValues(func() (CRDs, error) { return fromFolder("consul") })
)

// Istio reports what an API server with Istio's definitions would not keep as
// it is, or would refuse, in an object.
func Istio(obj map[string]any) error { return check(istio, obj) }

// GatewayAPI does the same by the definitions of Gateway API, experimental channel.
func GatewayAPI(obj map[string]any) error { return check(gatewayAPI, obj) }

// Linkerd does the same by Linkerd's definitions.
func Linkerd(obj map[string]any) error { return check(linkerd, obj) }

// Consul does the same by the definitions of Consul on Kubernetes.
func Consul(obj map[string]any) error { return check(consul, obj) }

// Folder returns where the definitions of meshes that come in no module lie:
// MESHKNOT_CRDS or, beside the project, shared/crds. It reports whether they
// are there.
func Folder() (string, bool) {
	dir := os.Getenv("MESHKNOT_CRDS")
	if dir == "" {
		if root, err := moduleDir("github.com/meshknot/meshknot"); err == nil {
			dir = filepath.Join(root, "..", "shared", "crds")
		}
	}
	_, err := os.Stat(dir)
	return dir, err == nil
}

func check(load func() (CRDs, error), obj map[string]any) error {
	crds, err := load()
	if err != nil {
		return fmt.Errorf("loading definitions: %w", err)
	}
	return crds.Check(obj)
}

func fromModule(module, folder, pattern string) (CRDs, error) {
	dir, err := moduleDir(module)
	if err != nil {
		return nil, err
	}
	return Load(os.DirFS(filepath.Join(dir, filepath.FromSlash(folder))), pattern)
}

func fromFolder(name string) (CRDs, error) {
	dir, ok := Folder()
	if !ok {
		return nil, fmt.Errorf("%s: %w", dir, fs.ErrNotExist)
	}
	return Load(os.DirFS(filepath.Join(dir, name)), "*.yaml")
}

// moduleDir finds the directory of a module that ours requires.
func moduleDir(path string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	if dir := strings.TrimSpace(string(out)); err == nil && dir != "" {
		return dir, nil
	}
	return "", fmt.Errorf("finding module %s: %w", path, err)
}
