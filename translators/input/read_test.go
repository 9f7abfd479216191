package input

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshknot/meshknot/translators/report"
)

// The schemas of these tests: a Split in two versions and a cluster-wide Zone.

type splitWire struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	splitStatus       `json:",inline"`
	Spec              splitSpec `json:"spec"`
}

type splitStatus struct {
	Status any `json:"status,omitempty"`
}

type splitSpec struct {
	Service  string            `json:"service"`
	Backends []splitBackend    `json:"backends"`
	Labels   map[string]string `json:"labels,omitempty"`
	Pause    *metav1.Time      `json:"pause,omitempty"`
	Sticky   *bool             `json:"sticky,omitempty"`
	Share    float64           `json:"share,omitempty"`
	Key      []byte            `json:"key,omitempty"`
	Any      any               `json:"any,omitempty"`
	Loose    []struct {
		Headers struct {
			A string `json:"a"`
		} `json:"headers"`
	} `json:"loose,omitempty"`
}

type splitBackend struct {
	Service string `json:"service"`
	Weight  int32  `json:"weight"`
}

type zoneWire struct {
	Spec struct{} `json:"spec"`
}

func schemas() []Schema {
	split := func(version string) Schema {
		return Schema{Group: "split.example.io", Version: version, Kind: "Split", Wire: splitWire{}, Loose: []string{"spec.loose[].headers"}}
	}
	return []Schema{split("v1"), split("v2"), {Group: "split.example.io", Version: "v1", Kind: "Zone", Cluster: true, Wire: &zoneWire{}}}
}

// start is the start of a Split, up to its spec.
func start(name string) string {
	return "apiVersion: split.example.io/v2\nkind: Split\nmetadata: {name: " + name + ", namespace: shop}\n"
}

func readText(content string, limits Limits) (*Set, report.Report) {
	return Read([]string{"-"}, Options{Schemas: schemas(), Limits: limits, Stdin: strings.NewReader(content)})
}

// told renders findings as "CODE line:column field".
func told(r report.Report) []string {
	var out []string
	for _, f := range r {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %d:%d %s", f.Code, f.At.Line, f.At.Column, f.Source.Field)))
	}
	return out
}

// names renders the objects of a list.
func names(objects []Object) string {
	var out []string
	for _, o := range objects {
		out = append(out, o.Namespace+"/"+o.Name)
	}
	return strings.Join(out, " ")
}

func TestFindings(t *testing.T) {
	good := start("good") + "spec: {service: a, backends: []}\n"
	for _, test := range []struct {
		name, text        string
		objects, rejected string
		says, hint        string // of the first finding
		want              []string
	}{
		{"a good object", good, "shop/good", "", "", "", nil},
		{"nothing", "# no object\n---\n\n", "", "", "no object", "", []string{"MK1013 0:0"}},
		{"YAML that cannot be parsed", good + "---\na: [b\n---\n" + start("b"), "shop/b shop/good", "", "did not find", "", []string{"MK1001 5:1"}},
		{"a tab", good + "---\na:\n\tb: c\n", "shop/good", "", "cannot start any token", "tabs", []string{"MK1001 7:1"}},
		{"a scalar document", "just text\n", "", "", "must be an object, found the string \"just text\"", "", []string{"MK1001 1:1"}},
		{"a list document", "- a\n", "", "", "found a list", "", []string{"MK1001 1:1"}},
		{"UTF-16", "\xff\xfea\x00", "", "", "UTF-8", "", []string{"MK1001 1:1"}},
		{"an unknown field", start("a") + "spec:\n  servce: a\n", "", "shop/a", `unknown field "servce"`, `did you mean "service"?`, []string{"MK1002 5:3 spec.servce"}},
		{"an unknown field in another case", start("a") + "Spec: {}\n", "", "shop/a", `"Spec"`, `did you mean "spec"?`, []string{"MK1002 4:1 Spec"}},
		{"an unknown field in capitals", start("a") + "spec: {SERVICE: a}\n", "", "shop/a", `"SERVICE"`, `did you mean "service"?`, []string{"MK1002 4:8 spec.SERVICE"}},
		{"a field at another place", start("a") + "backends: []\n", "", "shop/a", `"backends"`, `"backends" belongs at spec.backends`, []string{"MK1002 4:1 backends"}},
		{"an unknown field in a list", start("a") + "spec:\n  backends:\n  - service: a\n    wieght: 1\n", "", "shop/a", `"wieght"`, `"weight"`, []string{"MK1002 7:5 spec.backends[0].wieght"}},
		{"an unknown field in metadata", "apiVersion: split.example.io/v2\nkind: Split\nmetadata:\n  name: a\n  label: {}\n", "", "default/a", `"label"`, `"labels"`, []string{"MK1002 5:3 metadata.label"}},
		{"an unknown field whose name is no plain name", start("a") + `"a.b/c": 1` + "\n", "", "shop/a", `"a.b/c"`, "", []string{`MK1002 4:1 ["a.b/c"]`}},
		{"a string for a number", start("a") + "spec: {backends: [{weight: \"1\"}]}\n", "", "shop/a", `found the string "1", expected a whole number`, "", []string{"MK1003 4:28 spec.backends[0].weight"}},
		{"a fraction for a number", start("a") + "spec: {backends: [{weight: 0.5}]}\n", "", "shop/a", "found the number 0.5", "", []string{"MK1003 4:28 spec.backends[0].weight"}},
		{"a number out of range", start("a") + "spec: {backends: [{weight: 3000000000}]}\n", "", "shop/a", "32 bits", "", []string{"MK1003 4:28 spec.backends[0].weight"}},
		{"a number for a string", start("a") + "spec: {service: 1}\n", "", "shop/a", "found the number 1, expected a string", "", []string{"MK1003 4:17 spec.service"}},
		{"a boolean for a string", start("a") + "spec: {service: yes}\n", "", "shop/a", "found the boolean true, expected a string", "", []string{"MK1003 4:17 spec.service"}},
		{"a list for an object", start("a") + "spec: []\n", "", "shop/a", "found a list, expected an object", "", []string{"MK1003 4:7 spec"}},
		{"an object for a list", start("a") + "spec: {backends: {}}\n", "", "shop/a", "found an object, expected a list", "", []string{"MK1003 4:18 spec.backends"}},
		{"null in a list", start("a") + "spec: {backends: [~]}\n", "", "shop/a", "found null", "", []string{"MK1003 4:19 spec.backends[0]"}},
		{"a wrong value in a map", start("a") + "spec: {labels: {a.b/c: [x]}}\n", "", "shop/a", "found a list", "", []string{`MK1003 4:24 spec.labels["a.b/c"]`}},
		{"a label that is no string", "apiVersion: split.example.io/v2\nkind: Split\nmetadata: {name: a, labels: {on: 1}}\n", "", "default/a", "the number 1", "", []string{"MK1003 3:34 metadata.labels.true"}},
		{"a creation time that is none", "apiVersion: split.example.io/v2\nkind: Split\nmetadata: {name: a, creationTimestamp: today}\n", "", "default/a", "RFC 3339", "", []string{"MK1003 3:40 metadata.creationTimestamp"}},
		{"what decoding itself refuses", start("a") + "spec: {pause: never}\n", "", "shop/a", "never", "", []string{"MK1014 1:1"}},
		{"null fields, free fields and loose ones", start("a") + "spec: {sticky: ~, any: {x: 1}, share: 1, key: YQ==, loose: [{headers: {b: 1}}]}\nstatus: {any: thing}\n", "shop/a", "", "", "", nil},
		{"no apiVersion", "kind: Split\nmetadata: {name: a}\n", "", "", "apiVersion is missing", "", []string{"MK1004 1:1 apiVersion"}},
		{"no kind", "apiVersion: v1\nkind:\n", "", "", "kind is missing", "", []string{"MK1004 1:1 kind"}},
		{"a kind that is a number", "apiVersion: v1\nkind: 1\n", "", "", "found the number 1", "", []string{"MK1003 2:7 kind"}},
		{"no name", "apiVersion: split.example.io/v2\nkind: Split\nmetadata: {}\n", "", "default/", "metadata.name is missing", "", []string{"MK1004 3:11 metadata.name"}},
		{"generateName", "apiVersion: split.example.io/v2\nkind: Split\nmetadata: {generateName: a-}\n", "", "default/", "metadata.name is missing", "generateName", []string{"MK1004 3:11 metadata.name"}},
		{"a bad name", "apiVersion: split.example.io/v2\nkind: Split\nmetadata: {name: A_b}\n", "", "default/A_b", `"A_b" is no DNS-1123 subdomain`, "", []string{"MK1005 3:18 metadata.name"}},
		{"a long name", start(strings.Repeat("a", 254)), "", "shop/" + strings.Repeat("a", 254), "subdomain", "", []string{"MK1005 3:18 metadata.name"}},
		{"a bad namespace", "apiVersion: split.example.io/v2\nkind: Split\nmetadata: {name: a, namespace: b.c}\n", "", "b.c/a", "label", "", []string{"MK1005 3:32 metadata.namespace"}},
		{"a long namespace", "apiVersion: split.example.io/v2\nkind: Split\nmetadata: {name: a, namespace: " + strings.Repeat("a", 64) + "}\n", "", strings.Repeat("a", 64) + "/a", "label", "", []string{"MK1005 3:32 metadata.namespace"}},
		{"a cluster-wide object", "apiVersion: split.example.io/v1\nkind: Zone\nmetadata: {name: a}\n", "/a", "", "", "", nil},
		{"an unknown version", "apiVersion: split.example.io/v9\nkind: Split\nmetadata: {name: a}\nspec: {new: 1}\n", "", "default/a", `"v9" is not known; known are v1, v2`, "", []string{"MK1006 1:13 apiVersion"}},
		{"unknown kinds, each once", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\napiVersion: split.example.io/v1\nkind: Splitt\n---\n" + good, "shop/good", "", "v1 Secret", "", []string{"MK1007 1:1", "MK1007 5:1"}},
		{"given twice, different", good + "---\n" + start("good"), "", "shop/good shop/good", "<stdin>:1:1 and <stdin>:6:1", "", []string{"MK1008 6:1"}},
		{"given twice, equal but for order and style", good + "---\nkind: Split\nspec: {backends: [], service: \"a\"}\n" + "apiVersion: split.example.io/v2\nmetadata: {namespace: shop, name: good}\n", "shop/good", "", "given at <stdin>:1:1", "", []string{"MK1011 6:1"}},
		{"given three times", good + "---\n" + start("good") + "---\n" + good, "", "shop/good shop/good", "2 times", "", []string{"MK1008 6:1", "MK1011 10:1"}},
		{"given often", sameName(12), "", strings.TrimSpace(strings.Repeat("shop/a ", 12)), "12 times with different content, at <stdin>:2:1 and <stdin>:7:1 and <stdin>:12:1 and <stdin>:17:1 and <stdin>:22:1 and <stdin>:27:1 and <stdin>:32:1 and <stdin>:37:1 and <stdin>:42:1 and <stdin>:47:1; none", "", []string{"MK1008 7:1"}},
		{"given twice, one broken", good + "---\n" + start("good") + "sepc: {}\n", "", "shop/good shop/good", "", "", []string{"MK1008 6:1", "MK1002 9:1 sepc"}},
		{"nameless twice", "apiVersion: split.example.io/v2\nkind: Split\n---\napiVersion: split.example.io/v2\nkind: Split\nspec: {}\n", "", "default/ default/", "", "", []string{"MK1004 1:1 metadata.name", "MK1004 4:1 metadata.name"}},
		{"a duplicate key", start("a") + "spec:\n  service: a\n  service: b\n", "", "shop/a", "given in line 5 already", "", []string{"MK1012 6:3"}},
		{"a duplicate key in another notation", start("a") + "spec:\n  labels:\n    true: a\n    yes: b\n", "", "shop/a", `"true"`, "", []string{"MK1012 7:5"}},
		{"a key before the merge key that brings it", "x: &x {service: b}\n---\n" + start("a") + "spec:\n  any: &x {service: b}\n  labels:\n    service: c\n    <<: *x\n", "", "shop/a", "apiVersion is missing", "", []string{"MK1004 1:1 apiVersion", "MK1004 1:1 kind", "MK1012 10:9"}},
		{"a duplicate key in one item of a list", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: split.example.io/v2\n  kind: Split\n  metadata: {name: a}\n  kind: Split\n- apiVersion: split.example.io/v2\n  kind: Split\n  metadata: {name: b}\n", "default/b", "default/a", "", "", []string{"MK1012 7:3"}},
		{"an alias to nothing", "a: *b\n", "", "", "unknown anchor", "", []string{"MK1001 1:1"}},
		{"an anchor in itself", "a: &b [*b]\n", "", "", "contains itself", "", []string{"MK1001 1:8"}},
		{"a number that JSON does not have", start("a") + "spec: {share: .inf}\n", "", "", "no form in JSON", "", []string{"MK1001 4:15"}},
		{"a key that is an object", start("a") + "? {a: b}\n: c\n", "", "", "a key is an object", "", []string{"MK1001 4:3"}},
		{"an item that is no object", "apiVersion: v1\nkind: List\nitems: [1]\n", "", "", "found the number 1", "", []string{"MK1001 3:9"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			set, found := readText(test.text, Limits{})
			if got := told(found); !slices.Equal(got, test.want) {
				t.Errorf("findings %q, want %q", got, test.want)
			}
			if got := names(set.Objects); got != test.objects {
				t.Errorf("objects %q, want %q", got, test.objects)
			}
			if got := names(set.Rejected); got != test.rejected {
				t.Errorf("rejected %q, want %q", got, test.rejected)
			}
			for _, o := range set.Objects {
				if o.Rejected {
					t.Errorf("%s is rejected", o.Name)
				}
			}
			for _, o := range set.Rejected {
				if !o.Rejected {
					t.Errorf("%s is not rejected", o.Name)
				}
			}
			if len(found) > 0 && (!strings.Contains(found[0].Message, test.says) || !strings.Contains(found[0].Hint, test.hint)) {
				t.Errorf("says %q with the hint %q, want %q and %q", found[0].Message, found[0].Hint, test.says, test.hint)
			}
		})
	}
}

func TestSeverities(t *testing.T) {
	_, found := readText("apiVersion: v1\nkind: Secret\n---\n"+start("a")+"x: 1\n", Limits{})
	if found[0].Severity != report.Info || found[1].Severity != report.Error {
		t.Errorf("got %+v", found)
	}
}

func TestListsOfEveryKind(t *testing.T) {
	text := `
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: split.example.io/v2
  kind: SplitList
  items:
  - metadata: {name: inner}
    spec: {service: a}
  - kind: Split
    apiVersion: split.example.io/v1
    metadata: {name: other}
- apiVersion: split.example.io/v2
  kind: Split
  metadata: {name: outer}
---
{"kind": "SplitList", "apiVersion": "split.example.io/v2", "items": null}
`
	set, found := readText(text, Limits{})
	if got, want := names(set.Objects), "default/inner default/other default/outer"; got != want || len(found) > 0 {
		t.Errorf("got %s and %v, want %s", got, found, want)
	}
	if v := set.Objects[1].Version; v != "v1" {
		t.Errorf("version %s", v)
	}
}

func TestVersionsThatMeanTheSame(t *testing.T) {
	all := schemas()
	for i := range all {
		all[i].Decode = func(d Document) (any, report.Report) { return d.Wire.(*splitWire).Spec, nil }
	}
	two := start("a") + "spec: {service: a}\n"
	set, found := ReadFiles([]File{{"one", []byte(strings.Replace(two, "v2", "v1", 1))}, {"two", []byte(two)}}, Options{Schemas: all})
	if got := told(found); names(set.Objects) != "shop/a" || len(got) != 1 || got[0] != "MK1011 1:1" {
		t.Errorf("objects %v, findings %v", set.Objects, found)
	}
}

func TestReadFiles(t *testing.T) {
	files := []File{{"a.yaml", []byte(start("a"))}, {"b.json", []byte("{")}, {"c", []byte(start("a"))}, {"big", make([]byte, 200)}}
	set, found := ReadFiles(files, Options{Schemas: schemas(), Limits: Limits{FileBytes: 100}})
	if got, want := told(found), []string{"MK1001 1:2", "MK1009 0:0", "MK1011 1:1"}; !slices.Equal(got, want) || found[0].At.File != "b.json" || found[1].At.File != "big" || found[2].At.File != "c" {
		t.Errorf("findings %v, want %q", found, want)
	}
	if p, _ := set.Locate(set.Objects[0].Ref("kind")); p.String() != "a.yaml:2:7" {
		t.Errorf("the kind is at %v", p)
	}
}

func TestObject(t *testing.T) {
	set, found := readText(`apiVersion: split.example.io/v2
kind: Split
metadata:
  name: a
  creationTimestamp: 2024-05-01T10:00:00+02:00
  labels: {app: shop}
  annotations: {meshknot.io/dialect: osm, kubectl.kubernetes.io/last: "{}"}
spec:
  service: ""
  backends: []
  labels: {a.b/c: x, "on": z}
  sticky: ~
  any: {x: [1, {z: 2}], e: {}}
`, Limits{})
	if len(found) > 0 {
		t.Fatal(found)
	}
	o := set.Objects[0]
	leaves := []string{"spec.any.e", "spec.any.x[0]", "spec.any.x[1].z", "spec.backends", "spec.labels.on", `spec.labels["a.b/c"]`, "spec.service"}
	if !slices.Equal(o.Leaves, leaves) {
		t.Errorf("leaves %q, want %q", o.Leaves, leaves)
	}
	if o.Created.Format("15:04Z") != "08:00Z" || o.Labels["app"] != "shop" {
		t.Errorf("got %+v", o)
	}
	if len(o.Annotations) != 1 || o.Annotations["meshknot.io/dialect"] != "osm" {
		t.Errorf("annotations %v", o.Annotations)
	}
	if got, want := string(set.JSON(o.ID)), `"spec":{"service":"","backends":[],"labels":{"a.b/c":"x","on":"z"},"sticky":null,"any":{"x":[1,{"z":2}],"e":{}}}}`; !strings.HasSuffix(got, want) {
		t.Errorf("document %s, want it to end in %s", got, want)
	}
	if set.JSON(ID{}) != nil {
		t.Error("an object that was not read has a document")
	}
	if w := o.Value.(*splitWire); w.Name != "a" || w.Spec.Labels["on"] != "z" {
		t.Errorf("value %+v", w)
	}
}

// What a rejected object says is kept as far as it fits, so that it can close access.
func TestRejectedObjectsKeepTheirValue(t *testing.T) {
	for _, test := range []struct{ name, text string }{
		{"unknown field", start("a") + "spec: {service: db, x: 1}\n"},
		{"wrong type beside it", start("a") + "spec: {service: db, backends: [{weight: [x]}], labels: 3}\n"},
		{"duplicate key", start("a") + "spec: {service: db, share: 1, share: 2}\n"},
		{"no name", "apiVersion: split.example.io/v2\nkind: Split\nspec: {service: db}\n"},
		{"unknown version", "apiVersion: split.example.io/v7\nkind: Split\nmetadata: {name: a}\nspec: {service: db, more: 1}\n"},
		{"bad metadata", "apiVersion: split.example.io/v1\nkind: Split\nmetadata: [name]\nspec: {service: db}\n"},
	} {
		set, _ := readText(test.text, Limits{})
		if len(set.Rejected) != 1 {
			t.Errorf("%s: %d are rejected", test.name, len(set.Rejected))
			continue
		}
		if w, ok := set.Rejected[0].Value.(*splitWire); !ok || w.Spec.Service != "db" {
			t.Errorf("%s: value %+v", test.name, set.Rejected[0].Value)
		}
	}
}

func TestDecode(t *testing.T) {
	s := schemas()[1]
	s.Decode = func(d Document) (any, report.Report) {
		if d.Wire == nil {
			return "nothing", nil
		}
		service := d.Wire.(*splitWire).Spec.Service
		switch service {
		case "bad":
			return service, report.Report{report.New(report.BadValue, d.Ref("spec.service"), "bad")}
		case "odd":
			return service, report.Report{report.New(report.Lossy, d.Ref("spec.service"), "odd")}
		}
		return service, nil
	}
	text := start("a") + "spec: {service: bad}\n---\n" + start("b") + "spec: {service: odd}\n---\n" + start("c") + "spec: {service: ok}\n---\n" + start("d") + "spec: {pause: x}\n"
	set, found := Read([]string{"-"}, Options{Schemas: []Schema{s}, Stdin: strings.NewReader(text)})
	if got, want := told(found), []string{"MK1014 4:17 spec.service", "MK3001 9:17 spec.service", "MK1014 16:1"}; !slices.Equal(got, want) {
		t.Errorf("findings %q, want %q", got, want)
	}
	if len(set.Objects) != 2 || set.Objects[0].Value != "odd" || set.Objects[1].Value != "ok" {
		t.Errorf("objects %+v", set.Objects)
	}
	if len(set.Rejected) != 2 || set.Rejected[0].Value != "bad" || set.Rejected[1].Value != "nothing" {
		t.Errorf("rejected %+v", set.Rejected)
	}
}

func TestNamesOfDNS(t *testing.T) {
	for name, want := range map[string]bool{"a": true, "a-b.0": true, "": false, "-a": false, "a-": false, "a.": false, ".a": false, "a.-b": false, "A": false, "a_b": false, "ä": false, "a\n": false} {
		if isSubdomain(name) != want {
			t.Errorf("%q is a subdomain: %v", name, !want)
		}
	}
}
