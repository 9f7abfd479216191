package sink_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
)

const cases = "../../test/cases"

// Whatever a back end makes is looked for, or it would never be removed. An ID is
// one artifact's: an object is not told apart by who it is for.
func TestEveryKindIsLookedFor(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range golden.Cases(t, cases) {
		for _, o := range golden.Do(c).Result.Outputs {
			looked := sink.Kinds(o.Target.Backend)
			ids := map[translators.ID]bool{}
			for _, a := range o.Artifacts {
				if strings.HasPrefix(a.ID.Type, "type.googleapis.com/") {
					continue
				}
				if ids[a.ID] {
					t.Errorf("%s: %s: two artifacts are %v", c.Name, o.Target.Backend, a.ID)
				}
				ids[a.ID], seen[a.ID.Type] = true, true
				if kind, ok := strings.CutPrefix(a.ID.Type, "consul/"); ok {
					if !slices.Contains(sink.EntryKinds(), kind) {
						t.Errorf("%s: %s is not looked for", c.Name, a.ID.Type)
					}
					continue
				}
				i := strings.LastIndexByte(a.ID.Type, '/')
				version := a.ID.Type[:i]
				found := false
				for _, k := range looked {
					found = found || k.GroupVersion().String() == version && k.Kind == a.ID.Type[i+1:]
				}
				if !found {
					t.Errorf("%s: %s is not looked for in what %s makes", c.Name, a.ID.Type, o.Target.Backend)
				}
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %d types were seen", len(seen))
	}
}

// example is what the back ends make of an example.
func example(t *testing.T, name string) []translators.Output {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "examples", name, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal(name, err)
	}
	var in []input.File
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, input.File{Name: filepath.Base(f), Data: text})
	}
	p := all.Pipeline()
	set, _ := input.ReadFiles(in, input.Options{Schemas: p.Schemas()})
	return engine.New(p, golden.Targets(golden.Case{}), nil).Run(input.NewStore(set, input.Settings{})).Outputs
}

// accepted puts an output twice, the second time by a process that knows nothing,
// and takes it away again.
func accepted(t *testing.T, owner sink.Owner, artifacts []translators.Artifact, writer func() (sink.Writing, *sink.Requests)) {
	t.Helper()
	first, sent := writer()
	n, err := sink.Reconcile(t.Context(), first, owner, artifacts)
	if err != nil {
		t.Error(err)
		return
	}
	if asked := sent.Writes(); n != asked {
		t.Errorf("%d writes, %d requested", n, asked)
	}
	for what, s := range map[string]sink.Writing{"the same process": first, "another process": nil} {
		if s == nil {
			s, sent = writer()
		}
		sent.Writes()
		n, err := sink.Reconcile(t.Context(), s, owner, artifacts)
		if asked := sent.Writes(); n != 0 || asked != 0 || err != nil {
			t.Errorf("%s wrote what is there: %d writes, %d requested: %v", what, n, asked, err)
		}
		intact(t, s, owner, artifacts)
	}
}

// intact holds what is listed against what was put.
func intact(t *testing.T, s sink.Writing, owner sink.Owner, artifacts []translators.Artifact) {
	t.Helper()
	stored, err := s.List(context.Background(), owner)
	if err != nil {
		t.Fatal(err)
	}
	digests := map[translators.ID]string{}
	for _, a := range artifacts {
		if digests[a.ID], err = sink.Digest(a); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range stored {
		if o.Drifted || digests[o.ID] != o.Digest {
			t.Errorf("%v is listed as %+v, want digest %s", o.ID, o, digests[o.ID])
		}
		delete(digests, o.ID)
	}
	if len(digests) > 0 {
		t.Errorf("not listed: %v", digests)
	}
}

// tried reports whether a case is among those that are put on real servers: some of
// each directory, for each takes a second.
func tried(c golden.Case) bool {
	return os.Getenv("MESHKNOT_ALL_CASES") == "1" || slices.ContainsFunc([]string{
		"access/several-rules", "access/tcp-and-http", "access/header-regex", "access/default-deny-strict", "access/port", "access/path-suffix",
		"gateway/grpc-beside-http", "gateway/written-values", "gateway/framing-headers", "gateway/precedence", "gateway/envoy-edits", "gateway/identity",
		"mesh/consul-objects", "mesh/consul-weights", "mesh/consul-http-route", "mesh/consul-tcp-route", "input/long-names", "mesh/linkerd",
	}, func(name string) bool { return strings.HasPrefix(c.Name, name) })
}

func onKube(t *testing.T, k *sink.Kube, outputs []translators.Output) {
	t.Helper()
	for _, o := range outputs {
		if len(sink.Kinds(o.Target.Backend)) == 0 || len(o.Artifacts) > 0 && strings.HasPrefix(o.Artifacts[0].ID.Type, "consul/") {
			continue
		}
		k.Namespaces(t, o.Artifacts)
		t.Run(o.Target.Backend, func(t *testing.T) {
			accepted(t, k.Owner(t, o.Target.Backend), o.Artifacts, func() (sink.Writing, *sink.Requests) { return k.Writer(t, o.Target.Backend) })
		})
	}
}

// The API server accepts, with the definitions of the meshes, what the back ends
// make, and makes nothing of it that we would write again.
func TestKubeAccepts(t *testing.T) {
	k := sink.StartKube(t)
	t.Run("bookstore", func(t *testing.T) { onKube(t, k, example(t, "bookstore")) })
	for _, c := range golden.Cases(t, cases) {
		if tried(c) {
			t.Run(c.Name, func(t *testing.T) { onKube(t, k, golden.Do(c).Result.Outputs) })
		}
	}
}

func onConsul(t *testing.T, c sink.ConsulLab, outputs []translators.Output) {
	t.Helper()
	for _, o := range outputs {
		if len(o.Artifacts) > 0 && strings.HasPrefix(o.Artifacts[0].ID.Type, "consul/") {
			owner := sink.Owner{Binding: "consul"}
			accepted(t, owner, o.Artifacts, func() (sink.Writing, *sink.Requests) { return c.Writer(t) })
			s, _ := c.Writer(t)
			if _, err := sink.Reconcile(t.Context(), s, owner, nil); err != nil {
				t.Error(err)
			}
		}
	}
}

// Consul accepts every entry, in the order of rank, and what it adds is not taken
// for an edit.
func TestConsulAccepts(t *testing.T) {
	consul := sink.StartConsul(t)
	t.Run("bookstore", func(t *testing.T) { onConsul(t, consul, example(t, "bookstore")) })
	for _, c := range golden.Cases(t, cases) {
		t.Run(c.Name, func(t *testing.T) { onConsul(t, consul, golden.Do(c).Result.Outputs) })
	}
}
