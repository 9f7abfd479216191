package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/meshknot/meshknot/crds"
)

// CRDs are files of definitions: within a module that ours requires, beside the
// project where Module is empty and Files too, or in Files.
type CRDs struct {
	Module, Pattern string
	Files           fs.FS
}

// The definitions that API servers of the lab are given.
var (
	IstioCRDs      = CRDs{Module: "istio.io/api", Pattern: "kubernetes/customresourcedefinitions.gen.yaml"}
	GatewayAPICRDs = CRDs{Module: "sigs.k8s.io/gateway-api", Pattern: "config/crd/experimental/gateway.networking.k8s.io_*.yaml"}
	// OurCRDs are those that meshknot installs: SMI's and its own.
	OurCRDs = CRDs{Files: crds.Files(), Pattern: "*.yaml"}
	// LinkerdCRDs and ConsulCRDs are read in place, beside the project: see NeedCRDs.
	LinkerdCRDs = CRDs{Pattern: "linkerd/*.yaml"}
	ConsulCRDs  = CRDs{Pattern: "consul/*.yaml"}
)

// NeedCRDs skips a test loudly where definitions are missing, or fails it where
// REQUIRE_REAL=1 says that nothing may be. Those of other projects are in
// shared/crds beside this one, or where MESHKNOT_CRDS says.
func NeedCRDs(t testing.TB, all ...CRDs) {
	t.Helper()
	for _, c := range all {
		if _, err := c.objects(); err != nil && os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatalf("REQUIRE_REAL=1, and there is %v", err)
		} else if err != nil {
			t.Skipf("SKIPPED, NOTHING PROVEN: there is %v", err)
		}
	}
}

// Define gives an API server definitions and waits until it serves them.
func (k *Kube) Define(all ...CRDs) error {
	var objects []Object
	for _, c := range all {
		found, err := c.objects()
		if err != nil {
			return err
		}
		objects = append(objects, found...)
	}
	return k.applyAll(objects)
}

// ApplyYAML applies the objects of documents: definitions first, which it waits for,
// then namespaces, then the others in their order.
func (k *Kube) ApplyYAML(text string) error {
	objects, err := documents([]byte(text))
	if err != nil {
		return err
	}
	return k.applyAll(objects)
}

// ApplyFiles does the same for files, and for the .yaml, .yml and .json files of
// directories and of those below, all of them taken together.
func (k *Kube) ApplyFiles(paths ...string) error {
	var objects []Object
	read := func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found, err := documents(data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		objects = append(objects, found...)
		return nil
	}
	for _, path := range paths {
		if err := filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || at != path && !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(at)) {
				return err
			}
			return read(at)
		}); err != nil {
			return err
		}
	}
	return k.applyAll(objects)
}

// applyAll applies objects in the order in which they need each other.
func (k *Kube) applyAll(objects []Object) error {
	rank := func(o Object) int {
		switch text(o, "kind") {
		case "CustomResourceDefinition":
			return 0
		case "Namespace":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(objects, func(a, b Object) int { return rank(a) - rank(b) })
	defined := 0
	for _, o := range objects {
		if rank(o) > 0 {
			break
		}
		if err := k.Apply(o); err != nil {
			return err
		}
		defined++
	}
	for _, o := range objects[:defined] {
		if err := k.lab.Eventually("definition of "+text(o, "metadata", "name"), 60*time.Second, func() bool { return k.serves(o) }); err != nil {
			return err
		}
	}
	for _, o := range objects[defined:] {
		if err := k.Apply(o); err != nil {
			return err
		}
	}
	return nil
}

// serves reports whether the server serves a definition, in every version.
func (k *Kube) serves(crd Object) bool {
	got, err := k.Get(crd)
	if err != nil || !established(got) {
		return false
	}
	spec, _ := got["spec"].(Object)
	versions, _ := spec["versions"].([]any)
	for _, v := range versions {
		v, _ := v.(Object)
		if v["served"] != true {
			continue
		}
		if _, err := k.kind(text(spec, "group")+"/"+text(v, "name"), text(spec, "names", "kind")); err != nil {
			return false
		}
	}
	return true
}

// established reports whether the server has taken a definition.
func established(crd Object) bool {
	status, _ := crd["status"].(Object)
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		c, _ := c.(Object)
		if c["type"] == "Established" && c["status"] == "True" {
			return true
		}
	}
	return false
}

// place is where the files are.
func (c CRDs) place() (fs.FS, error) {
	switch {
	case c.Files != nil:
		return c.Files, nil
	case c.Module == "":
		dir := os.Getenv("MESHKNOT_CRDS")
		if dir == "" {
			dir = filepath.Join(root(), "..", "shared", "crds")
		}
		return os.DirFS(dir), nil
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", c.Module).Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		return nil, fmt.Errorf("finding module %s: %w", c.Module, errors.Join(err, os.ErrNotExist))
	}
	return os.DirFS(dir), nil
}

// objects reads the definitions; policies about them may lie beside them.
func (c CRDs) objects() ([]Object, error) {
	files, err := c.place()
	if err != nil {
		return nil, err
	}
	paths, err := fs.Glob(files, c.Pattern)
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no definitions %s %s (MESHKNOT_CRDS says where those of other projects are): %w", c.Module, c.Pattern, errors.Join(err, os.ErrNotExist))
	}
	var all []Object
	for _, path := range paths {
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return nil, err
		}
		found, err := documents(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, o := range found {
			if text(o, "kind") == "CustomResourceDefinition" {
				all = append(all, o)
			}
		}
	}
	return all, nil
}

// documents reads objects; a List counts as what it holds.
func documents(data []byte) ([]Object, error) {
	var all []Object
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var o Object
		switch err := d.Decode(&o); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case o == nil: // nothing but comments
		case text(o, "kind") == "List":
			items, _ := o["items"].([]any)
			for _, item := range items {
				if item, ok := item.(Object); ok {
					all = append(all, item)
				}
			}
		default:
			all = append(all, o)
		}
	}
}
