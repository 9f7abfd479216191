package policies

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// ParametersAnnotation of a ConfigMap gives rules parameters: RULE.KEY=VALUE, one
// in a line or separated by semicolons.
const ParametersAnnotation = "meshknot.io/policy-parameters"

// FromConfigMap reads the rules of a ConfigMap: the keys of its data that end in
// .rego. Names of modules begin with name.
func FromConfigMap(name string, data, annotations map[string]string) (modules []Module, parameters []string) {
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if path.Ext(key) == ".rego" && len(modules) < maxModules {
			modules = append(modules, Module{File: path.Join(name, key), Source: []byte(data[key])})
		}
	}
	for _, text := range strings.FieldsFunc(annotations[ParametersAnnotation], func(r rune) bool { return r == ';' || r == '\n' }) {
		if text = strings.TrimSpace(text); text != "" {
			parameters = append(parameters, text)
		}
	}
	return modules, parameters
}

// Open reads a source from disk: a directory, or a bundle, which has to be what
// trust demands. A directory nobody can have signed: it is refused where a key is
// demanded. What cannot be read is told by Source.Err.
func Open(name string, trust Trust) Source {
	s := Source{Name: name}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		s.Err = err
	case info.IsDir() && trust.Key != nil:
		s.Err = refuse("%s is a directory, which nobody can have signed", name)
	case info.IsDir():
		s.Modules, s.Err = Load(os.DirFS(name), name)
	default:
		var b Bundle
		b, s.Err = openBundle(name, trust)
		s.Modules = b.Modules
	}
	return s
}

func openBundle(name string, trust Trust) (Bundle, error) {
	f, err := os.Open(name)
	if err != nil {
		return Bundle{}, err
	}
	defer f.Close()
	packed, err := io.ReadAll(io.LimitReader(f, MaxBundleBytes+1))
	if err != nil {
		return Bundle{}, err
	}
	return ReadBundle(name, packed, trust)
}

// Follow reads a source from disk again and again, and gives it whenever it says
// something else, until ctx ends. It does not rely on being told of changes: what
// is mounted is often exchanged behind a link.
func Follow(ctx context.Context, name string, trust Trust, every time.Duration, give func(Source)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var last [sha256.Size]byte
	for {
		s := Open(name, trust)
		if now := s.digest(); now != last {
			last = now
			give(s)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// digest stands for what a source says.
func (s Source) digest() [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%q %v %q", s.Name, s.Err, s.Parameters)
	for _, m := range s.Modules {
		fmt.Fprintf(h, "%q %q", m.File, m.Source)
	}
	var out [sha256.Size]byte
	h.Sum(out[:0])
	return out
}

// Trim takes what no rule is about, and what changes all the time, out of an object
// as an API server hands it out.
func Trim(object map[string]any) {
	if meta, ok := object["metadata"].(map[string]any); ok {
		delete(meta, "managedFields")
		delete(meta, "resourceVersion")
	}
}
