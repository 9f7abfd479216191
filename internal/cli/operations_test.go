package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/crds"
	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/controller"
	"github.com/meshknot/meshknot/internal/rules"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/report"
)

// pages are those whose commands people copy.
var pages = []string{"README.md", filepath.Join("docs", "operations.md")}

func pageText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fenced are the blocks of a page between fences, of any language.
var fenced = regexp.MustCompile("(?ms)^```.*?^```$")

// commandsOf returns the commands of a page: its indented lines, and those after a
// prompt. What is written in a sentence may leave out arguments: see spans.
func commandsOf(page string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^(?:    |\$ )(\S.*?)(?: +# .*)?$`).FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	return out
}

// spans returns what a page has in its sentences as code.
func spans(page string) []string {
	page = strings.ReplaceAll(fenced.ReplaceAllString(page, ""), "\n", " ")
	var out []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	return out
}

// TestPagesCommands: what is shown of meshknot can be given to it, and what is shown
// of helm renders the chart. The kubectl of docs/operations.md is played against an
// API server by test/e2e/operations.
func TestPagesCommands(t *testing.T) {
	goals := regexp.MustCompile(`(?m)^[a-z-]+:`).FindAllString(pageText(t, "Makefile"), -1)
	for _, name := range pages {
		page, seen := pageText(t, name), 0
		for _, line := range commandsOf(page) {
			words := strings.Fields(line)
			var err error
			switch words[0] {
			case "meshknot":
				err = understood(words[1:], true)
			case "helm":
				_, err = rendered(t, words[1:])
			case "make":
				if !slices.Contains(goals, words[1]+":") {
					err = errors.New("the Makefile has no such goal")
				}
			case "kubectl":
			default:
				continue // what a command prints may be indented, too
			}
			if seen++; err != nil {
				t.Errorf("%s: %s: %v", name, line, err)
			}
		}
		if seen == 0 {
			t.Errorf("%s has no commands", name)
		}
	}
}

// understood checks that a command line names a verb and has flags of it; a whole one
// has everything that the verb asks for, too.
func understood(args []string, whole bool) error {
	root := Root(strings.NewReader(""), io.Discard, io.Discard)
	c, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if c == root {
		return fmt.Errorf("no verb in %q", args)
	}
	if err := c.ParseFlags(rest); err != nil || !whole {
		return err
	}
	return errors.Join(c.ValidateArgs(c.Flags().Args()), c.ValidateRequiredFlags())
}

// rendered is what helm makes of the chart as it is installed, without a cluster.
func rendered(t *testing.T, args []string) (string, error) {
	t.Helper()
	if args[0] != "install" {
		return "", fmt.Errorf("helm %s is not one that is tried here", args[0])
	}
	return lab.HelmInstall(t, args[1:]...)
}

// TestOperationsNames: what the page names in its sentences is there: values of the
// chart, fields, metrics, labels, objects, verbs.
func TestOperationsNames(t *testing.T) {
	page := pageText(t, pages[1])
	known := []func(*testing.T, string) bool{aVerb, aHelmVerb(page), aValue, aField, aCondition, aMetric, aKey, aFile, anObject, anExpression}
	for _, span := range spans(page) {
		if !slices.ContainsFunc(known, func(is func(*testing.T, string) bool) bool { return is(t, span) }) {
			t.Errorf("docs/operations.md names %q, and nothing is called so", span)
		}
	}
}

func aVerb(_ *testing.T, span string) bool {
	words := strings.Fields(span)
	if words[0] != "meshknot" || understood(words[1:], false) != nil {
		return false
	}
	return len(words) != 3 || words[1] != "code" || report.Code(words[2]).Row().Title != ""
}

// aHelmVerb takes what helm is told beside the way it is installed.
func aHelmVerb(page string) func(*testing.T, string) bool {
	return func(t *testing.T, span string) bool {
		if span == "helm upgrade" {
			return true
		}
		if !strings.HasPrefix(span, "--values ") {
			return false
		}
		for _, line := range commandsOf(page) {
			if args, ok := strings.CutPrefix(line, "helm "); ok {
				_, err := rendered(t, append(strings.Fields(args), strings.Fields(span)...))
				return err == nil
			}
		}
		return false
	}
}

// aValue takes a value of the chart by its path.
func aValue(t *testing.T, span string) bool {
	type schema struct {
		Ref        string `json:"$ref"`
		Properties map[string]json.RawMessage
		Defs       map[string]json.RawMessage `json:"$defs"`
	}
	read := func(text []byte) (s schema) {
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	root := read([]byte(pageText(t, filepath.Join("deploy", "chart", "meshknot", "values.schema.json"))))
	now := root
	for part := range strings.SplitSeq(span, ".") {
		text, ok := now.Properties[part]
		if !ok {
			return false
		}
		now = read(text)
		if name, ok := strings.CutPrefix(now.Ref, "#/$defs/"); ok {
			now = read(root.Defs[name])
		}
	}
	return true
}

// aField takes a field of a MeshBinding's spec, which may have a value.
func aField(t *testing.T, span string) bool {
	text, err := fs.ReadFile(crds.Files(), v1alpha1.ResourceMeshBindings+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var d apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	name, value, _ := strings.Cut(span, ": ")
	now := d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	for part := range strings.SplitSeq(name, ".") {
		next, ok := now.Properties[part]
		if !ok {
			return false
		}
		now = next
	}
	return value == "" || now.Type == "boolean" && (value == "true" || value == "false")
}

var conditions = []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionTranslated, v1alpha1.ConditionProgrammed, v1alpha1.ConditionLossFree}

func aCondition(_ *testing.T, span string) bool {
	name, status, ok := strings.Cut(span, "=")
	return ok && slices.Contains(conditions, name) && slices.Contains([]string{"True", "False", "Unknown"}, status)
}

// metricNames are those of the registry, whether they have values yet or not.
func metricNames(t *testing.T) []string {
	t.Helper()
	r := prometheus.NewRegistry()
	if _, err := telemetry.NewMetrics(r); err != nil {
		t.Fatal(err)
	}
	descs := make(chan *prometheus.Desc, 1000)
	r.Describe(descs)
	close(descs)
	var out []string
	for d := range descs {
		out = append(out, regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1])
	}
	return out
}

func aMetric(t *testing.T, span string) bool { return slices.Contains(metricNames(t), span) }

// aKey takes a label or an annotation that is read, with the value that counts.
func aKey(_ *testing.T, span string) bool {
	return slices.Contains([]string{sink.TakeOverAnnotation + `: "true"`, rules.Label, rules.Label + "=true", rules.Label + `: "true"`, controller.ProxiesSelector}, span)
}

// aFile takes one that is linked to or stands where the page says.
func aFile(_ *testing.T, span string) bool {
	if strings.ContainsAny(span, " *<") {
		return false
	}
	return slices.ContainsFunc([]string{"", "docs", "deploy/chart/meshknot"}, func(dir string) bool {
		_, err := os.Stat(filepath.Join(repository, filepath.FromSlash(dir), filepath.FromSlash(span)))
		return err == nil
	})
}

// anObject takes the name of one that install.yaml has, or a pattern of such.
func anObject(t *testing.T, span string) bool {
	if !strings.HasPrefix(span, "meshknot") && !strings.HasPrefix(span, "kube-") {
		return false
	}
	for _, m := range regexp.MustCompile(`(?m)^  name: (\S+)$`).FindAllStringSubmatch(pageText(t, filepath.Join("deploy", "install.yaml")), -1) {
		if ok, err := path.Match(span, m[1]); ok && err == nil {
			return true
		}
	}
	return false
}

// anExpression takes what names no single thing: a path of a port, which other tests
// ask for, a form, and words of other programs.
func anExpression(_ *testing.T, span string) bool {
	return slices.Contains([]string{"/metrics", "/readyz?verbose", "get", "<kind>.<group>.<name>", "istio"}, span)
}

// TestOperationsConditions: the page's table has the conditions that there are.
func TestOperationsConditions(t *testing.T) {
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^\| ([A-Z][A-Za-z]+) \|`).FindAllStringSubmatch(pageText(t, pages[1]), -1) {
		if m[1] != "Condition" {
			got = append(got, m[1])
		}
	}
	if !slices.Equal(got, conditions) {
		t.Errorf("the page has %v, reports %v", got, conditions)
	}
}
