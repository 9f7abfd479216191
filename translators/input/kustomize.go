package input

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// isKustomization reports whether a file is what makes its directory a
// kustomize directory.
func isKustomization(p string) bool {
	return slices.Contains(konfig.RecognizedKustomizationFileNames(), filepath.Base(p))
}

// kustomization returns the path of a directory's kustomization file, or "".
func kustomization(dir string) string {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() {
			return filepath.Join(dir, name)
		}
	}
	return ""
}

// kustomize builds a kustomize directory, without network and plugins, and
// reads what comes out.
func (r *reading) kustomize(dir string) {
	if !r.first(dir) {
		return
	}
	from := kustomization(dir)
	var built resmap.ResMap
	disk := &localFiles{FileSystem: filesys.MakeFsOnDisk(), top: from, reading: r}
	err := guarded(func() (err error) {
		built, err = krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, dir)
		return err
	})
	if disk.refused != nil { // kustomize takes a file that it may not read for one that is not there
		err = disk.refused
	}
	if err != nil {
		r.unreadable(from, fmt.Errorf("kustomize: %w", err))
		return
	}
	origins := origins{reading: r, dir: dir, fallback: home{file: filepath.ToSlash(from)}, files: map[string][]*node{}}
	for _, res := range built.Resources() {
		r.built(res, origins)
	}
}

// built reads one object of a kustomize build.
func (r *reading) built(res *resource.Resource, origins origins) {
	h := origins.fallback
	if o, err := res.GetOrigin(); err == nil && o != nil {
		h = origins.of(o.Path, res.GetKind(), res.GetName())
	}
	text, err := res.AsYAML()
	if err != nil {
		r.unreadable(h.file, fmt.Errorf("kustomize: %w", err))
		return
	}
	for _, p := range yamlDocuments(segment{text: text}, r.limits) {
		switch {
		case r.full:
			return
		case p.fatal != nil:
			at := h.at("")
			p.fatal.line, p.fatal.column = at.Line, at.Column
			r.problem(h, ID{}, p.fatal)
		default:
			r.object(entry{home: h, node: p.root})
		}
	}
}

// origins finds where objects of a build were written.
type origins struct {
	reading  *reading
	dir      string
	fallback home
	files    map[string][]*node
}

// of returns the home of an object with a kind and, but for what kustomize
// added to it, a name.
func (o origins) of(path, kind, name string) home {
	if path == "" {
		return o.fallback
	}
	file := filepath.Join(o.dir, filepath.FromSlash(path))
	nodes, ok := o.files[file]
	if !ok {
		nodes = o.load(file)
		o.files[file] = nodes
	}
	var close []*node
	for _, n := range nodes {
		written := n.get("metadata").name()
		switch {
		case n.str("kind") != kind:
		case written == name:
			return home{filepath.ToSlash(file), n}
		case written != "" && strings.Contains(name, written):
			close = append(close, n)
		}
	}
	if len(close) == 1 {
		return home{filepath.ToSlash(file), close[0]}
	}
	return o.fallback
}

// load parses a file for its positions only.
func (o origins) load(file string) []*node {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	o.reading.lines[filepath.ToSlash(file)] = linesOf(content)
	var out []*node
	for _, p := range o.reading.documents(file, content) {
		if p.fatal != nil {
			continue
		}
		if items := p.root.get("items"); items != nil && items.kind == list {
			out = append(out, items.items...)
		} else {
			out = append(out, p.root)
		}
	}
	return out
}

// localFiles is the disk as kustomize sees it: within the limits, and with
// kustomizations that fetch nothing and run nothing.
type localFiles struct {
	filesys.FileSystem
	// top is the kustomization that is built; it is told to keep origins.
	top     string
	reading *reading
	// refused is why a file was refused.
	refused error
}

// ReadFile reads a file and refuses a kustomization that is not local.
func (l *localFiles) ReadFile(path string) ([]byte, error) {
	if l.refused != nil {
		return nil, l.refused
	}
	if info, err := os.Stat(path); err == nil && !l.reading.fits(filepath.ToSlash(path), info.Size()) {
		l.refused = fmt.Errorf("%s is larger than the limits allow", filepath.Base(path))
		return nil, l.refused
	}
	content, err := l.FileSystem.ReadFile(path)
	if err != nil || !isKustomization(path) {
		return content, err
	}
	var k types.Kustomization
	if k.Unmarshal(content) != nil {
		return content, nil // kustomize says why
	}
	if l.refused = local(k); l.refused != nil {
		return nil, l.refused
	}
	if slices.Contains(k.BuildMetadata, types.OriginAnnotations) || !sameFile(path, l.top) {
		return content, nil
	}
	return withOrigins(content)
}

func sameFile(a, b string) bool {
	ai, aerr := os.Stat(a)
	bi, berr := os.Stat(b)
	return aerr == nil && berr == nil && os.SameFile(ai, bi)
}

// withOrigins adds to a kustomization that objects keep where they came from.
func withOrigins(content []byte) ([]byte, error) {
	var fields map[string]any
	if err := yaml.Unmarshal(content, &fields); err != nil {
		return nil, fmt.Errorf("reading the kustomization: %w", err)
	}
	kept, _ := fields["buildMetadata"].([]any)
	fields["buildMetadata"] = append(kept, types.OriginAnnotations)
	return yaml.Marshal(fields)
}

// remote is what kustomize would take for a URL or a git repository.
var remote = regexp.MustCompile(`(?i)://|^(https?|ssh|file|gh):|^git::|^(www\.)?github\.com[/:]|^[^/]*@`)

// local returns an error if a kustomization would fetch or run anything.
func local(k types.Kustomization) error {
	if len(k.Generators)+len(k.Transformers)+len(k.Validators) > 0 {
		return fmt.Errorf("generators, transformers and validators are plugins, which are not run")
	}
	if len(k.HelmCharts)+len(k.HelmChartInflationGenerator) > 0 {
		return fmt.Errorf("charts of Helm are not rendered here; render them first")
	}
	for _, p := range paths(k) {
		if !strings.Contains(p, "\n") && remote.MatchString(p) {
			return fmt.Errorf("%s is remote: nothing is fetched", shorten(quote(p)))
		}
	}
	return nil
}

// paths returns everything in a kustomization that may be a path, the fields
// that are deprecated and still honoured included.
//
//nolint:staticcheck // what kustomize would follow has to be looked at
func paths(k types.Kustomization) []string {
	out := slices.Concat(k.Resources, k.Bases, k.Components, k.Crds, k.Configurations, []string{k.OpenAPI["path"]})
	for _, p := range k.PatchesStrategicMerge {
		out = append(out, string(p))
	}
	for _, p := range slices.Concat(k.Patches, k.PatchesJson6902) {
		out = append(out, p.Path)
	}
	for _, p := range k.Replacements {
		out = append(out, p.Path)
	}
	for _, g := range k.ConfigMapGenerator {
		out = slices.Concat(out, g.FileSources, g.EnvSources, []string{g.EnvSource})
	}
	for _, g := range k.SecretGenerator {
		out = slices.Concat(out, g.FileSources, g.EnvSources, []string{g.EnvSource})
	}
	return out
}
