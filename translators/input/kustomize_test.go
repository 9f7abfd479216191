package input

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/report"
)

// kustomized writes a base, an overlay and a patch, and moves there.
func kustomized(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	write(t, "base/kustomization.yaml", "resources: [splits.yaml]\n")
	write(t, "base/splits.yaml", "# splits\n"+start("a")+"spec:\n  service: a\n---\n"+start("b")+"spec:\n  service: b\n")
	write(t, "over/kustomization.yml", `# production
namePrefix: prod-
namespace: prod
resources: [../base, own.yaml]
patches:
- patch: |-
    - {op: replace, path: /spec/service, value: patched}
  target: {kind: Split, name: b}
configMapGenerator:
- {name: generated, literals: [a=b]}
`)
	write(t, "over/own.yaml", start("own")+"spec:\n  servce: x\n")
}

func TestKustomize(t *testing.T) {
	kustomized(t)
	for _, path := range []string{"over", "over/", "over/kustomization.yml"} {
		set, found := Read([]string{path}, Options{Schemas: schemas()})
		if got, want := names(set.Objects)+" without "+names(set.Rejected), "prod/prod-a prod/prod-b without prod/prod-own"; got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
		if got := set.Objects[1].Value.(*splitWire).Spec.Service; got != "patched" {
			t.Errorf("%s: the patch did not apply: %s", path, got)
		}
		if got := string(set.JSON(set.Objects[1].ID)); !strings.Contains(got, `"service":"patched"`) {
			t.Errorf("%s: the document is not what was built: %s", path, got)
		}
		if len(set.Objects[1].Annotations) != 0 {
			t.Errorf("%s: annotations %v", path, set.Objects[1].Annotations)
		}
		if len(found) != 2 || found[0].Code != report.IgnoredKind || found[0].At.String() != "over/kustomization.yml:1:1" ||
			found[1].Code != report.UnknownField || found[1].At.String() != "over/own.yaml:5:3" {
			t.Errorf("%s: found %v", path, found)
		}
		p, _ := set.Locate(set.Objects[1].Ref("spec.service"))
		if line, _ := set.Excerpt(p); p.String() != "base/splits.yaml:12:12" || line != "  service: b" {
			t.Errorf("%s: prod-b is at %v, %q", path, p, line)
		}
	}
}

// In a tree of directories a kustomize directory is built where it stands.
func TestKustomizeWithinDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "all/plain.yaml", start("plain"))
	write(t, "all/k/kustomization.yaml", "namePrefix: x-\nresources: [sub/s.yaml]\n")
	write(t, "all/k/sub/s.yaml", start("s"))
	set, found := Read([]string{"all", "all/k"}, Options{Schemas: schemas()})
	if got := names(set.Objects); got != "shop/plain shop/x-s" || len(found) > 0 {
		t.Errorf("got %s and %v", got, found)
	}
}

// A kustomization that would fetch or run anything is refused, wherever it is
// and before anything happens.
func TestKustomizeIsLocal(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a file from the web", "resources: ['https://192.0.2.1/a.yaml']", "remote"},
		{"a repository", "resources: ['github.com/a/b']", "remote"},
		{"a repository with a branch", "resources: ['https://192.0.2.1/a/b?ref=main']", "remote"},
		{"a repository in capitals", "resources: ['GitHub.com/a/b']", "remote"},
		{"a repository by ssh", "resources: ['git@192.0.2.1:a/b']", "remote"},
		{"a forced repository", "resources: ['git::192.0.2.1/a/b']", "remote"},
		{"a repository on disk", "resources: ['file:///a']", "remote"},
		{"a base", "bases: ['ssh://192.0.2.1/a/b']", "remote"},
		{"a component", "components: ['https://192.0.2.1/a//b']", "remote"},
		{"a patch", "patches: [{path: 'http://192.0.2.1/p.yaml'}]", "remote"},
		{"a strategic merge patch", "patchesStrategicMerge: ['http://192.0.2.1/p.yaml']", "remote"},
		{"a JSON patch", "patchesJson6902: [{path: 'http://192.0.2.1/p.yaml'}]", "remote"},
		{"a replacement", "replacements: [{path: 'http://192.0.2.1/p.yaml'}]", "remote"},
		{"a generator's file", "configMapGenerator: [{name: a, files: ['k=http://192.0.2.1/p']}]", "remote"},
		{"a generator's variables", "secretGenerator: [{name: a, envs: ['http://192.0.2.1/p']}]", "remote"},
		{"a schema", "openapi: {path: 'http://192.0.2.1/p'}", "remote"},
		{"a configuration", "configurations: ['http://192.0.2.1/p']", "remote"},
		{"a definition", "crds: ['http://192.0.2.1/p']", "remote"},
		{"a field in another case", "Resources: ['https://192.0.2.1/a.yaml']", "remote"},
		{"a plugin", "generators: [p.yaml]", "plugins"},
		{"a transformer", "transformers: [p.yaml]", "plugins"},
		{"a validator", "validators: [p.yaml]", "plugins"},
		{"a chart", "helmCharts: [{name: a}]", "Helm"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "top/kustomization.yaml", "resources: [../base]\n")
			write(t, "base/kustomization.yaml", test.text+"\n")
			for _, dir := range []string{"base", "top"} {
				_, found := Read([]string{dir}, Options{Schemas: schemas()})
				if len(found) != 1 || found[0].Code != report.UnreadableFile || !strings.Contains(found[0].Message, test.want) {
					t.Errorf("%s: got %v, want %q", dir, found, test.want)
				}
			}
		})
	}
}

func TestKustomizeThatFails(t *testing.T) {
	for _, test := range []struct{ name, text string }{
		{"no YAML", "a: ["},
		{"an unknown field", "resorces: []"},
		{"a missing file", "resources: [none.yaml]"},
		{"a file outside", "resources: [../outside.yaml]"},
		{"empty", ""},
	} {
		t.Chdir(t.TempDir())
		write(t, "outside.yaml", start("a"))
		write(t, "k/kustomization.yaml", test.text)
		_, found := Read([]string{"k"}, Options{Schemas: schemas()})
		if len(found) != 1 || found[0].Code != report.UnreadableFile || found[0].At.File != filepath.ToSlash("k/kustomization.yaml") {
			t.Errorf("%s: %v", test.name, found)
		}
	}
}

func TestKustomizeKeepsLimits(t *testing.T) {
	kustomized(t)
	_, found := Read([]string{"base"}, Options{Schemas: schemas(), Limits: Limits{FileBytes: 60}})
	if len(found) != 2 || found[0].Code != report.UnreadableFile && found[1].Code != report.UnreadableFile {
		t.Errorf("got %v", found)
	}
}
