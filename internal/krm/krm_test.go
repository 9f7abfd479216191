package krm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// list makes a ResourceList of items, and what else it has.
func list(t *testing.T, rest, items string) *List {
	t.Helper()
	l, err := Read(strings.NewReader("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n" + rest + "items:\n" + items))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func written(t *testing.T, l *List) string {
	t.Helper()
	var b bytes.Buffer
	if err := l.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const (
	source = "- {apiVersion: v1, kind: Service, metadata: {name: a, namespace: n}} # why\n"
	made   = "- {apiVersion: x/v1, kind: Y, metadata: {name: old, namespace: n, labels: {app.kubernetes.io/managed-by: meshknot}}}\n"
)

func object(name string) Object {
	return Object{"istio", map[string]any{"apiVersion": "x/v1", "kind": "Y", "metadata": map[string]any{
		"name": name, "namespace": "n", "labels": map[string]any{managedBy: ours}}}}
}

// What is not touched is written as it was read.
func TestWriteIsRead(t *testing.T) {
	if got := written(t, list(t, "", source)); !strings.Contains(got, source) {
		t.Errorf("not in\n%s", got)
	}
}

func TestReplace(t *testing.T) {
	filed := "- {apiVersion: v1, kind: Service, metadata: {name: a, namespace: n, annotations: {internal.config.kubernetes.io/path: a.yaml}}}\n"
	legacy := "- {apiVersion: v1, kind: Service, metadata: {name: a, namespace: n, annotations: {config.kubernetes.io/path: a.yaml}}}\n"
	moved := "- {apiVersion: x/v1, kind: Y, metadata: {name: new, namespace: n, labels: {app.kubernetes.io/managed-by: meshknot}, annotations: {internal.config.kubernetes.io/path: b.yaml, internal.config.kubernetes.io/index: '3'}}}\n"
	for _, test := range []struct {
		name, items string
		drop        map[input.ID]bool
		want, not   []string
		failure     string
	}{
		{"appended", source, nil, []string{"name: a", "name: new"}, []string{"config.kubernetes.io/path"}, ""},
		{"of old ones none is left", source + made, nil, []string{"name: a", "name: new"}, []string{"name: old"}, ""},
		{"dropped", source, map[input.ID]bool{{Kind: "Service", Namespace: "n", Name: "a"}: true}, []string{"name: new"}, []string{"name: a"}, ""},
		{"a file of its own", filed, nil, []string{"internal.config.kubernetes.io/path: 'meshknot/istio/y/n/new.yaml'", "internal.config.kubernetes.io/index: '0'"}, []string{" config.kubernetes.io/path"}, ""},
		{"in the words of older tools", legacy, nil, []string{" config.kubernetes.io/path: 'meshknot/istio/y/n/new.yaml'"}, nil, ""},
		{"where it stood", filed + moved, nil, []string{"path: 'b.yaml'", "index: '3'"}, []string{"meshknot/istio"}, ""},
		{"somebody else's", strings.Replace(moved, "managed-by: meshknot", "managed-by: me", 1), nil, nil, nil, "not meshknot's"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := list(t, "", test.items)
			err := l.Replace([]Object{object("new")}, test.drop)
			if test.failure != "" {
				if err == nil || !strings.Contains(err.Error(), test.failure) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := written(t, l)
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not in\n%s", want, got)
				}
			}
			for _, not := range test.not {
				if strings.Contains(got, not) {
					t.Errorf("%q is in\n%s", not, got)
				}
			}
			again := list(t, "", got[strings.Index(got, "items:\n")+len("items:\n"):])
			if err := again.Replace([]Object{object("new")}, test.drop); err != nil {
				t.Fatal(err)
			}
			if second := written(t, again); second != got {
				t.Errorf("the second run wrote\n%s\nafter\n%s", second, got)
			}
		})
	}
	if err := list(t, "", source).Replace([]Object{object("new"), object("new")}, nil); err == nil {
		t.Error("two of one name were taken")
	}
}

func TestRead(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "no ResourceList"},
		{"an object", "apiVersion: v1\nkind: Service\n", "no ResourceList"},
		{"another list", "apiVersion: v1\nkind: List\nitems: []\n", "no ResourceList"},
		{"no YAML", "{", "standard input"},
		{"an item that is no object", "kind: ResourceList\nitems: [1]\n", "items[0]"},
		{"a place that is no number", "kind: ResourceList\nitems: [{kind: A, metadata: {annotations: {internal.config.kubernetes.io/path: a, internal.config.kubernetes.io/index: x}}}]\n", "no number"},
	} {
		if _, err := Read(strings.NewReader(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestConfig(t *testing.T) {
	const translate = "functionConfig: {apiVersion: meshknot.io/v1alpha1, kind: Translate, metadata: {name: x}, spec: {"
	const configMap = "functionConfig: {apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {"
	for _, test := range []struct{ name, config, want, failure string }{
		{"lists", translate + `to: [istio@1.26, linkerd], allow: ["MK3002=A/b/c:r, s"], replace: true}}`, "[istio@1.26 linkerd] [MK3002=A/b/c:r, s] map[] true", ""},
		{"texts", configMap + `to: "istio@1.26, linkerd", allow: "MK3002=A/b/c:r, s", replace: "true"}}`, "[istio@1.26 linkerd] [MK3002=A/b/c:r, s] map[] true", ""},
		{"options", translate + `to: istio, options: {istio.root-namespace: r}}}`, "[istio] [] map[istio.root-namespace:r] false", ""},
		{"options as text", configMap + `to: istio, options: "istio.root-namespace=r\n"}}`, "[istio] [] map[istio.root-namespace:r] false", ""},
		{"none", "", "", "there is none"},
		{"no back end", translate + "}}", "", "to: names no back end"},
		{"another kind", "functionConfig: {apiVersion: v1, kind: Secret}", "", "want Translate"},
		{"misspelt", translate + "To: [istio]}}", "", "did you mean to?"},
		{"unknown", translate + "colour: red}}", "", "colour: no such field"},
		{"another value", translate + "to: [istio], access: none}}", "", "want selected, strict, off"},
		{"another type", translate + "to: 3}}", "", "to: 3 is no list"},
		{"no truth", translate + "replace: maybe}}", "", "want true or false"},
		{"no option", configMap + "to: istio, options: x}}", "", "want BACKEND.KEY=VALUE"},
	} {
		config := test.config
		if config != "" {
			config += "\n"
		}
		c, err := list(t, config, source).ReadConfig()
		got := ""
		if err == nil {
			got = strings.TrimSpace(strings.Join([]string{fmt.Sprint(c.To), fmt.Sprint(c.Allow), fmt.Sprint(c.Options), fmt.Sprint(c.Replace)}, " "))
		}
		if got != test.want || (err == nil) != (test.failure == "") || err != nil && !strings.Contains(err.Error(), test.failure) {
			t.Errorf("%s: %q %v", test.name, got, err)
		}
	}
}

func TestResult(t *testing.T) {
	l := list(t, "", "- {apiVersion: split.smi-spec.io/v1alpha2, kind: TrafficSplit, metadata: {name: s, annotations: {internal.config.kubernetes.io/path: a.yaml, internal.config.kubernetes.io/index: '2'}}}\n")
	at := report.Ref{Group: "split.smi-spec.io", Kind: "TrafficSplit", Namespace: "default", Name: "s", Field: "spec.service"}
	f := report.New(report.Undecodable, at, "said").WithHint("do")
	f.Backend = "istio"
	r := ResultOf(f, l.Item(input.ID{Group: at.Group, Kind: at.Kind, Namespace: at.Namespace, Name: at.Name}))
	l.Results = []Result{r}
	got := written(t, l)
	for _, want := range []string{"message: MK", "said (do)", "apiVersion: split.smi-spec.io/v1alpha2", "path: spec.service", "index: 2", "path: a.yaml", "backend: istio", "severity: error"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}
