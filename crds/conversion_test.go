package crds_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/crds/convert"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/smi"
)

// unnamed reports whether an object has a field that the API server keeps, and
// that its version has no name for; SMI's front end refuses such an object.
func unnamed(o map[string]any) bool {
	spec, _ := o["spec"].(map[string]any)
	_, ok := spec["matches"]
	return ok && o["apiVersion"] == "split.smi-spec.io/v1alpha2"
}

// meant reads an object as SMI's front end does; ok says that it has no error.
func meant(o map[string]any) (value any, ok bool) {
	version, _ := o["apiVersion"].(string)
	group, version, _ := strings.Cut(version, "/")
	for _, s := range smi.Schemas() {
		if s.Group != group || s.Version != version || s.Kind != o["kind"] {
			continue
		}
		raw, _ := json.Marshal(o)
		v, found := s.Decode(input.Document{ID: input.ID{Group: group, Kind: s.Kind, Namespace: "shop", Name: "x"}, Version: version, JSON: raw})
		if found.Worst(report.Error) > 0 {
			return nil, false
		}
		text, _ := json.Marshal(v)
		var out any
		_ = json.Unmarshal(text, &out)
		return withoutFields(out), true
	}
	return nil, false
}

// withoutFields takes out where a value was written, and whether a list was.
func withoutFields(v any) any {
	switch v := v.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(name string, value any) bool {
			list, ok := value.([]any)
			return strings.HasSuffix(name, "Field") || value == nil || ok && len(list) == 0
		})
		for name, value := range v {
			v[name] = withoutFields(value)
		}
	case []any:
		for i, value := range v {
			v[i] = withoutFields(value)
		}
	}
	return v
}

// says reports, independently of how it is converted, whether a version can say
// what an object means.
func says(version string, o map[string]any) bool {
	text, _ := json.Marshal(o)
	has := func(part string) bool { return strings.Contains(string(text), part) }
	switch o["kind"] {
	case "TrafficSplit":
		return version > "v1alpha1" || !has(`"matches":[{`)
	case "HTTPRouteGroup":
		return version > "v1alpha1" || !has(`"headers":[{`) && !has(`"headers":{"`)
	case "TCPRoute":
		return version == "v1alpha4" || !has(`"ports":[1`) && !has(`"name":"m`)
	case "TrafficTarget":
		return (version == "v1alpha4" || !has("IdentityBinding")) && (version <= "v1alpha2" || !has(`"port":`))
	}
	return true
}

// roundTrip converts an object to all versions of its kind, on to all others, and back.
func roundTrip(t rapid.TB, all schemas, o map[string]any) {
	kind, own := o["kind"].(string), o["apiVersion"].(string)
	group, _, _ := strings.Cut(own, "/")
	before := runtime.DeepCopyJSON(o)
	want, valid := meant(o)
	var versions []string
	for name := range all {
		if g, rest, _ := strings.Cut(name, "/"); g == group && strings.HasSuffix(rest, " "+kind) {
			versions = append(versions, strings.TrimSuffix(rest, " "+kind))
		}
	}
	for _, v := range versions {
		one, err := convert.Convert(o, group+"/"+v)
		if can := says(v, o); (err == nil) != can {
			t.Fatalf("%v to %s: %v, and it can be said: %v", o, v, err, can)
		}
		if err != nil {
			continue
		}
		for _, fault := range all[kindOf(one)].faults(one) {
			t.Errorf("%v to %s: %s", o, v, fault)
		}
		if got, ok := meant(one); valid && !unnamed(o) && !unnamed(one) && (!ok || !reflect.DeepEqual(got, want)) {
			t.Errorf("%v to %s is %v, which means %v and not %v", o, v, one, got, want)
		}
		for _, w := range versions {
			two, err := convert.Convert(one, group+"/"+w)
			if err != nil {
				if says(w, o) {
					t.Errorf("%v to %s and %s: %v", o, v, w, err)
				}
				continue
			}
			if back, err := convert.Convert(two, own); err != nil || !reflect.DeepEqual(back, before) {
				t.Errorf("%v to %s, %s and back: %v, %v", o, v, w, back, err)
			}
		}
	}
	if !reflect.DeepEqual(o, before) {
		t.Errorf("what was given was changed: %v", o)
	}
}

type manifest = map[string]any

func TestConversionOfAll(t *testing.T) {
	all := compile(t)
	rapid.Check(t, func(t *rapid.T) {
		schema := rapid.SampledFrom(smi.Schemas()).Draw(t, "schema")
		o := manifest{"apiVersion": schema.Group + "/" + schema.Version, "kind": schema.Kind, "metadata": manifest{"name": "x", "namespace": "shop"}}
		maps.Copy(o, anyContent(t, schema.Kind, schema.Version))
		if rapid.Bool().Draw(t, "status") {
			o["status"] = manifest{"conditions": []any{}}
		}
		if faults := all[kindOf(o)].faults(o); len(faults) > 0 {
			t.Fatalf("the test's own object: %v", faults)
		}
		roundTrip(t, all, o)
	})
}

func anyContent(t *rapid.T, kind, version string) manifest {
	switch kind {
	case smi.KindTrafficSplit:
		return manifest{"spec": anySplit(t, version)}
	case smi.KindHTTPRouteGroup:
		matches := some(t, "matches", 1, 3, func(i int) any { return anyMatch(t, version, i) })
		if version <= "v1alpha2" {
			return manifest{"matches": matches}
		}
		return manifest{"spec": manifest{"matches": matches}}
	case smi.KindTCPRoute, smi.KindUDPRoute:
		switch version {
		case "v1alpha4":
			m := manifest{"ports": some(t, "ports", 0, 2, func(i int) any { return int64(10 + i) })}
			if rapid.Bool().Draw(t, "named") {
				m["name"] = "m"
			}
			return manifest{"spec": manifest{"matches": m}}
		case "v1alpha3":
			return manifest{"spec": manifest{}}
		}
		return nil
	case smi.KindTrafficTarget:
		return anyTarget(t, version)
	}
	return manifest{"spec": manifest{"schemes": manifest{"serviceAccount": "a"}}}
}

func some(t *rapid.T, label string, least, most int, one func(i int) any) []any {
	out := []any{}
	for i := range rapid.IntRange(least, most).Draw(t, label) {
		out = append(out, one(i))
	}
	return out
}

func anySplit(t *rapid.T, version string) manifest {
	weight := rapid.Map(rapid.Int64Range(0, 1<<30), func(n int64) any { return n })
	if version == "v1alpha1" {
		weight = rapid.OneOf(weight, rapid.SampledFrom([]any{"1", "500m", "0.5", "1k", "10m", ".25", "1e2", "+3", "1Ki", "7.", "90"}))
	}
	s := manifest{"service": "root", "backends": some(t, "backends", 1, 3, func(i int) any {
		return manifest{"service": string(rune('a' + i)), "weight": weight.Draw(t, "weight")}
	})}
	if version > "v1alpha1" && rapid.Bool().Draw(t, "matches") {
		s["matches"] = some(t, "match", 0, 2, func(int) any { return manifest{"kind": "HTTPRouteGroup", "name": "g"} })
	}
	return s
}

func anyMatch(t *rapid.T, version string, i int) manifest {
	m := manifest{"name": string(rune('a' + i))}
	if rapid.Bool().Draw(t, "path") {
		m["pathRegex"] = rapid.SampledFrom([]string{"", "/", "/a.*"}).Draw(t, "regex")
	}
	if rapid.Bool().Draw(t, "methods") {
		m["methods"] = some(t, "method", 0, 2, func(int) any { return "GET" })
	}
	if version > "v1alpha1" && rapid.Bool().Draw(t, "headers") {
		m["headers"] = rapid.SampledFrom([]any{[]any{}, []any{manifest{"a": "b"}}, []any{manifest{"a": "b", "c": "d"}, manifest{"e": "f"}}, manifest{"a": "b"}, manifest{}}).Draw(t, "header")
	}
	return runtime.DeepCopyJSON(m)
}

func anyTarget(t *rapid.T, version string) manifest {
	account := func(label string) manifest {
		a := manifest{"kind": "ServiceAccount", "name": "a"}
		if version == "v1alpha4" && rapid.Bool().Draw(t, label+" bound") {
			a["kind"] = "IdentityBinding"
			if rapid.Bool().Draw(t, label+" group") {
				a["group"] = "access.smi-spec.io"
			}
		} else if version == "v1alpha4" && rapid.Bool().Draw(t, label+" group") {
			a["group"] = ""
		}
		if rapid.Bool().Draw(t, label+" elsewhere") {
			a["namespace"] = "far"
		}
		return a
	}
	destination := account("destination")
	if version <= "v1alpha2" && rapid.Bool().Draw(t, "port") {
		destination["port"] = rapid.SampledFrom([]any{int64(80), "80"}).Draw(t, "number")
	}
	under := manifest{"destination": destination}
	if version != "v1alpha2" || rapid.Bool().Draw(t, "rules") {
		under["rules"] = some(t, "rule", 0, 2, func(int) any { return manifest{"kind": "TCPRoute", "name": "r", "matches": []any{}} })
	}
	if version != "v1alpha2" || rapid.Bool().Draw(t, "sources") {
		under["sources"] = some(t, "source", 0, 2, func(int) any { return account("source") })
	}
	if version != "v1alpha1" {
		return manifest{"spec": under}
	}
	under["specs"] = under["rules"]
	delete(under, "rules")
	return under
}

// The same over what others wrote.
func TestConversionOfCorpus(t *testing.T) {
	if _, err := os.Stat(corpus); err != nil {
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatalf("no corpus of manifests at %s", corpus)
		}
		t.Skipf("SKIPPED: no corpus of manifests at %s", corpus)
	}
	all := compile(t)
	seen := 0
	err := filepath.WalkDir(corpus, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || slices.Contains(broken, e.Name()) {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, text := range separator.Split(string(raw), -1) {
			o := object(t, text)
			if _, ok := all[kindOf(o)]; ok {
				seen++
				roundTrip(t, all, o)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := 54; seen != want {
		t.Errorf("converted %d objects, want %d", seen, want)
	}
}
