package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// CRDs are files of definitions within a module that ours requires.
type CRDs struct{ Module, Pattern string }

// The definitions that API servers of the lab are given.
var (
	IstioCRDs      = CRDs{"istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml"}
	GatewayAPICRDs = CRDs{"sigs.k8s.io/gateway-api", "config/crd/experimental/gateway.networking.k8s.io_*.yaml"}
)

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
	for _, o := range objects {
		if err := k.Apply(o); err != nil {
			return err
		}
	}
	for _, o := range objects {
		name := text(o, "metadata", "name")
		if err := k.lab.Eventually("definition of "+name, 60*time.Second, func() bool {
			got, err := k.Get(o)
			return err == nil && established(got)
		}); err != nil {
			return err
		}
	}
	return nil
}

// established reports whether the server serves a definition.
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

func (c CRDs) objects() ([]Object, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", c.Module).Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		return nil, fmt.Errorf("finding module %s: %w", c.Module, errors.Join(err, os.ErrNotExist))
	}
	paths, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(c.Pattern)))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no %s in module %s: %w", c.Pattern, c.Module, errors.Join(err, os.ErrNotExist))
	}
	var all []Object
	for _, path := range paths {
		found, err := documents(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// documents reads the objects of a file.
func documents(path string) ([]Object, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []Object
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var o Object
		switch err := d.Decode(&o); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case text(o, "kind") == "CustomResourceDefinition": // policies about definitions lie beside them
			all = append(all, o)
		}
	}
}
