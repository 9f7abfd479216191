package smi

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// documentOf makes a document of YAML, in namespace "shop" unless it says so.
func documentOf(t testing.TB, text string) (input.Schema, input.Document) {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("the test's own document: %v", err)
	}
	return documentOfJSON(t, raw)
}

func documentOfJSON(t testing.TB, raw []byte) (input.Schema, input.Document) {
	t.Helper()
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct{ Name, Namespace string }
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		t.Fatalf("the test's own document: %v", err)
	}
	group, version, _ := strings.Cut(head.APIVersion, "/")
	id := input.ID{Group: group, Kind: head.Kind, Namespace: head.Metadata.Namespace, Name: head.Metadata.Name}
	if id.Namespace == "" {
		id.Namespace = "shop"
	}
	for _, s := range Schemas() {
		if s.Group != group || s.Version != version || s.Kind != head.Kind {
			continue
		}
		doc := input.Document{ID: id, Version: version, JSON: raw}
		w := reflect.New(reflect.TypeOf(s.Wire))
		if doc.WireErr = json.Unmarshal(raw, w.Interface()); doc.WireErr == nil {
			doc.Wire = w.Interface()
		}
		return s, doc
	}
	t.Fatalf("no schema for %s %s", head.APIVersion, head.Kind)
	return input.Schema{}, input.Document{}
}

func decodeText(t testing.TB, text string) (any, report.Report) {
	t.Helper()
	s, doc := documentOf(t, text)
	return s.Decode(doc)
}

// said renders findings as "severity code field".
func said(r report.Report) []string {
	out := []string{}
	for _, f := range r {
		out = append(out, string(f.Severity)+" "+string(f.Code)+" "+f.Source.Field)
	}
	slices.Sort(out)
	return out
}

func checkSaid(t *testing.T, r report.Report, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := said(r); !slices.Equal(got, want) {
		t.Errorf("findings\n got %q\nwant %q\n%+v", got, want, r)
	}
}

func checkValue(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		t.Errorf("value\n got %s\nwant %s", g, w)
	}
}

func TestDecodeNeverPanics(t *testing.T) {
	values := []string{`null`, `1`, `"x"`, `[]`, `[null]`, `[1]`, `[[]]`, `{}`, `{"spec":null}`, `{"spec":[]}`, `{"spec":1}`,
		`{"destination":[]}`, `{"matches":{}}`, `{"matches":[null]}`, `{"matches":[{"headers":[null,1,"x",[],{"":1}]}]}`,
		`{"spec":{"matches":[null]}}`, `{"spec":{"matches":{"ports":{}}}}`, `{"spec":{"matches":{"ports":[null,{},"x",1e99]}}}`,
		`{"spec":{"backends":[null,{"weight":{}},{"weight":[]},{"weight":""}]}}`, `{"spec":{"schemes":{"podLabelSelector":1}}}`,
		`{"spec":{"destination":{"port":{}}}}`, `{"spec":{"destination":{"port":""}}}`}
	for _, s := range Schemas() {
		for _, v := range values {
			doc := input.Document{ID: input.ID{Group: s.Group, Kind: s.Kind, Name: "x", Namespace: "shop"}, Version: s.Version, JSON: []byte(v)}
			if got, _ := s.Decode(doc); reflect.ValueOf(got).IsNil() {
				t.Errorf("%s %s of %s: no value", s.Kind, s.Version, v)
			}
		}
	}
}
