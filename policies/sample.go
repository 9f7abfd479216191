package policies

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"go.yaml.in/yaml/v3"

	"github.com/meshknot/meshknot/translators/report"
)

// sampleKinds are the samples that lie beside a rule: what it must find
// something in, what differs from that in the one thing that matters, and what
// is as it should be.
var sampleKinds = []string{"fail", "near-miss", "pass"}

// sample is objects that a rule must find something in, or nothing.
type sample struct {
	objects []Object
	fails   bool
	// parameters are those that differ from the defaults.
	parameters map[string]any
}

// readSample reads samples/<kind>.yaml of a rule's folder. Beside it,
// samples/previous.yaml may hold the objects that those of all samples take the
// place of, and samples/parameters.yaml the parameters of the rule.
func readSample(fsys fs.FS, folder, kind string) (sample, error) {
	s := sample{fails: kind == "fail"}
	source, err := fs.ReadFile(fsys, path.Join(folder, "samples", kind+".yaml"))
	if err != nil {
		return s, fmt.Errorf("reading a sample: %w", err)
	}
	if s.objects, err = readObjects(source); err != nil {
		return s, err
	}
	source, err = optional(fsys, path.Join(folder, "samples", "previous.yaml"))
	if err != nil {
		return s, err
	}
	previous, err := readObjects(source)
	if err != nil {
		return s, err
	}
	Replace(s.objects, previous)
	source, err = optional(fsys, path.Join(folder, "samples", "parameters.yaml"))
	if err != nil {
		return s, err
	}
	if err := yaml.Unmarshal(source, &s.parameters); err != nil {
		return s, fmt.Errorf("reading the parameters of samples: %w", err)
	}
	return s, nil
}

// optional reads a file, or nothing where there is none.
func optional(fsys fs.FS, name string) ([]byte, error) {
	source, err := fs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a sample: %w", err)
	}
	return source, nil
}

// Replace tells objects what they take the place of: each the previous one of
// the same group, kind, namespace and name.
func Replace(objects, previous []Object) {
	old := map[report.Ref]map[string]any{}
	for _, p := range previous {
		old[p.Ref.Object()] = p.Value
	}
	for i, o := range objects {
		objects[i].Previous = old[o.Ref.Object()]
	}
}

// readObjects reads the YAML documents of a sample.
func readObjects(source []byte) ([]Object, error) {
	var objects []Object
	for documents := yaml.NewDecoder(bytes.NewReader(source)); ; {
		var value map[string]any
		err := documents.Decode(&value)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the sample: %w", err)
		}
		if value != nil {
			objects = append(objects, NewObject(value))
		}
	}
}
