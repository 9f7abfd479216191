package input_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

const (
	managed = `"managedFields":[{"manager":"kubectl","operation":"Apply","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:weird":{}}}}]`
	served  = `"uid":"5d3c","resourceVersion":"812","generation":3,"creationTimestamp":"2026-01-01T00:00:00Z",` + managed
)

var servedObjects = []struct {
	name, text string
	rejected   bool
	findings   []string // severity, code and field of each
}{
	{name: "a split with what an API server adds", text: `{"apiVersion":"split.smi-spec.io/v1alpha4","kind":"TrafficSplit","metadata":{"name":"a","namespace":"n",` + served + `},
		"spec":{"service":"s","backends":[{"service":"s-v1","weight":1}]},"status":{"conditions":[{"type":"Accepted"}]}}`},
	{name: "a service with a status", text: `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"n",` + served + `},"spec":{"ports":[{"port":80}]},"status":{"loadBalancer":{}}}`},
	{name: "a service of a newer server", text: `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"n"},"spec":{"ports":[{"port":80,"novel":{"a":1}}],"new":true}}`,
		findings: []string{"info MK1002 spec.new", "info MK1002 spec.ports[0].novel"}},
	{name: "an unknown field of a policy", text: `{"apiVersion":"split.smi-spec.io/v1alpha4","kind":"TrafficSplit","metadata":{"name":"a","namespace":"n"},"spec":{"service":"s","backendz":[]}}`,
		rejected: true, findings: []string{"error MK1002 spec.backendz"}},
	{name: "a version nobody knows", text: `{"apiVersion":"split.smi-spec.io/v9","kind":"TrafficSplit","metadata":{"name":"a","namespace":"n"},"spec":{"service":"s","backends":[]}}`,
		rejected: true, findings: []string{"error MK1006 apiVersion"}},
	{name: "a cluster-scoped kind", text: `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}`},
}

func TestDecodeOne(t *testing.T) {
	d := input.NewDecoder(input.Options{Schemas: all.Pipeline().Schemas()}, "")
	for _, c := range servedObjects {
		t.Run(c.name, func(t *testing.T) {
			o, found := d.Decode([]byte(c.text))
			if o.Rejected != c.rejected || o.Name != "a" || o.Leaves != nil {
				t.Errorf("rejected: %v, name %q, leaves %v", o.Rejected, o.Name, o.Leaves)
			}
			var said []string
			for _, f := range found {
				said = append(said, fmt.Sprintf("%s %s %s", f.Severity, f.Code, f.Source.Field))
				if f.At != (report.Position{}) {
					t.Errorf("a position where there is no file: %v", f.At)
				}
			}
			slices.Sort(said)
			if d := cmp.Diff(c.findings, said); d != "" {
				t.Error(d)
			}
		})
	}
}

// What Read makes of a file is what Decode makes of the same text.
func TestDecodeOneIsRead(t *testing.T) {
	o := input.Options{Schemas: all.Pipeline().Schemas()}
	d := input.NewDecoder(o)
	for _, c := range servedObjects {
		set, found := input.ReadFiles([]input.File{{Name: "a.json", Data: []byte(c.text)}}, o)
		want := slices.Concat(set.Objects, set.Rejected)[0]
		want.Leaves = nil
		got, said := d.Decode([]byte(c.text))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if len(found) != len(said) {
			t.Errorf("%s: Read finds %v, Decode %v", c.name, found, said)
		}
	}
}

func TestDecodeOneRefuses(t *testing.T) {
	d := input.NewDecoder(input.Options{Schemas: all.Pipeline().Schemas(), Limits: input.Limits{Depth: 8}})
	for _, text := range []string{``, `{`, `[]`, `{} {}`, `3`, `{"kind":"Service"}`, `{"apiVersion":"v1","kind":"ServiceList","items":[]}`,
		`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","x":[[[[[[[[[[]]]]]]]]]]}}`} {
		if o, found := d.Decode([]byte(text)); o.Name != "" || len(found) == 0 {
			t.Errorf("%s: %v, %v", text, o, found)
		}
	}
}

func TestDecodeOneTogether(t *testing.T) {
	d := input.NewDecoder(input.Options{Schemas: all.Pipeline().Schemas()})
	var w sync.WaitGroup
	for range 4 {
		w.Go(func() {
			for range 50 {
				for _, c := range servedObjects {
					d.Decode([]byte(c.text))
				}
			}
		})
	}
	w.Wait()
}

func BenchmarkDecodeOne(b *testing.B) {
	d := input.NewDecoder(input.Options{Schemas: all.Pipeline().Schemas()}, "")
	for _, c := range servedObjects[:2] {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d.Decode([]byte(c.text))
			}
		})
	}
}
