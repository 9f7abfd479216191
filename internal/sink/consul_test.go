package sink

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
)

// consulLab is a Consul, and what is done to it by others than us.
type consulLab struct{ *lab.ConsulAgent }

func (c consulLab) writer(t *testing.T) (*Consul, *requests) {
	t.Helper()
	r := &requests{}
	s, err := NewConsul(ConsulOptions{Address: c.HTTP, Cluster: "one", Wrap: r.wrap})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.next.(*http.Transport).CloseIdleConnections) // of which an agent takes 200
	return s, r
}

func (c consulLab) live(t *testing.T, id translators.ID) entry {
	t.Helper()
	var out entry
	if err := c.Get("/v1/config/"+strings.TrimPrefix(id.Type, entryType)+"/"+id.Name, &out); err != nil {
		return nil
	}
	return out
}

// put writes an entry as somebody does who is not us.
func (c consulLab) put(t *testing.T, e entry) {
	t.Helper()
	if err := c.Put("/v1/config", e); err != nil {
		t.Fatal(err)
	}
}

func serviceDefaults(name, protocol string) translators.Artifact {
	return translators.Artifact{ID: translators.ID{Type: "consul/service-defaults", Name: name}, Payload: object{
		"Kind": "service-defaults", "Name": name, "Protocol": protocol, "Meta": object{"managed-by": "meshknot"},
		"UpstreamConfig": object{"Defaults": object{"PassiveHealthCheck": object{"EnforcingConsecutive5xx": 0}}},
	}}
}

func intentions(name string, from ...string) translators.Artifact {
	var sources []any
	for _, f := range from {
		sources = append(sources, object{"Name": f, "Action": "allow"})
	}
	return translators.Artifact{ID: translators.ID{Type: "consul/service-intentions", Name: name}, Payload: object{
		"Kind": "service-intentions", "Name": name, "Sources": sources, "Meta": object{"managed-by": "meshknot"}}}
}

func mesh() translators.Artifact {
	return translators.Artifact{ID: translators.ID{Type: "consul/mesh", Name: "mesh"}, Payload: object{
		"Kind": "mesh", "Meta": object{"managed-by": "meshknot"},
		"HTTP": object{"Incoming": object{"RequestNormalization": object{"MergeSlashes": true}}}}}
}

func startConsul(t *testing.T) consulLab {
	t.Helper()
	lab.Need(t, lab.Consul)
	agent, err := lab.ForTest(t).StartConsul("deny")
	if err != nil {
		t.Fatal(err)
	}
	return consulLab{agent}
}

func TestConsul(t *testing.T) {
	c := startConsul(t)
	for _, one := range []struct {
		name string
		run  func(t *testing.T, c consulLab)
	}{
		{"a second time nothing is written", consulTwice},
		{"an edit is undone", consulDrift},
		{"foreign", consulForeign},
		{"races", consulRaces},
		{"hand-over and prune", consulHandOver},
		{"crash", consulCrash},
		{"refused", consulRefused},
	} {
		t.Run(one.name, func(t *testing.T) { one.run(t, c) })
	}
}

func consulTwice(t *testing.T, c consulLab) {
	owner := Owner{Binding: "twice"}
	w, sent := c.writer(t)
	all := []translators.Artifact{mesh(), serviceDefaults("twice", "http"), intentions("twice", "zoe", "*", "adam")}
	for _, a := range all {
		mustPut(t, w, owner, a, true)
		mustPut(t, w, owner, a, false)
		if n := sent.writes(); n != 1 {
			t.Errorf("%d writes", n)
		}
	}
	mustList(t, w, owner, "mesh mesh", "service-defaults twice", "service-intentions twice")
	fresh, sent := c.writer(t)
	mustPut(t, fresh, owner, all[0], false)
	mustList(t, fresh, owner, "mesh mesh", "service-defaults twice drifted", "service-intentions twice drifted")
	if n, err := reconcile(t.Context(), fresh, owner, all); n != 0 || err != nil || sent.writes() != 0 {
		t.Errorf("%d writes of what is there: %v", n, err)
	}
	mustList(t, fresh, owner, "mesh mesh", "service-defaults twice", "service-intentions twice")
	stored, err := fresh.List(t.Context(), owner)
	if want, _ := Digest(all[0]); err != nil || stored[0].Digest != want {
		t.Errorf("%v %v, want digest %s", stored, err, want)
	}
	if n, err := reconcile(t.Context(), fresh, owner, nil); n != 3 || err != nil {
		t.Errorf("%d writes to prune three: %v", n, err)
	}
}

func consulDrift(t *testing.T, c consulLab) {
	owner := Owner{Binding: "drift"}
	w, sent := c.writer(t)
	for name, edit := range map[string]func(e entry){
		"value":      func(e entry) { e["Protocol"] = "tcp" },
		"taken away": func(e entry) { delete(e, "UpstreamConfig") },
		"added":      func(e entry) { e["MutualTLSMode"] = "permissive" },
		"digest":     func(e entry) { e["Meta"].(map[string]any)[DigestAnnotation] = "0" },
		"meta":       func(e entry) { e["Meta"].(map[string]any)["more"] = "0" },
	} {
		a := serviceDefaults("drift", "http")
		mustPut(t, w, owner, a, true)
		before := c.live(t, a.ID)
		edited := c.live(t, a.ID)
		edit(edited)
		if name == "added" { // Consul takes that where the mesh allows it
			c.put(t, entry{"Kind": "mesh", "AllowEnablingPermissiveMutualTLS": true})
		}
		c.put(t, edited)
		mustList(t, w, owner, "service-defaults drift drifted")
		sent.writes()
		mustPut(t, w, owner, a, true)
		mustPut(t, w, owner, a, false)
		if n := sent.writes(); n != 1 {
			t.Errorf("%s: %d writes", name, n)
		}
		mustList(t, w, owner, "service-defaults drift")
		if before.fingerprint() != c.live(t, a.ID).fingerprint() {
			t.Errorf("%s:\n%s", name, cmp.Diff(before, c.live(t, a.ID)))
		}
		mustDelete(t, w, owner, a.ID, true)
		_ = c.DeleteEntry("mesh", "mesh")
	}
}

func consulForeign(t *testing.T, c consulLab) {
	owner := Owner{Binding: "foreign"}
	for _, meta := range []struct {
		meta    object
		manager string
	}{
		{nil, "nobody known"}, {object{"managed-by": "meshknot"}, "nobody known"}, {object{"external-source": "kubernetes"}, "kubernetes"},
		{object{"managed-by": "meshknot", metaCluster: "two", metaBinding: "foreign"}, "MeshBinding foreign of cluster two"},
	} {
		for _, a := range []translators.Artifact{mesh(), serviceDefaults("foreign", "http")} {
			c.put(t, bare(a, meta.meta))
			before := c.live(t, a.ID)
			w, sent := c.writer(t)
			mustList(t, w, owner)
			var f *Foreign
			if _, err := w.Put(t.Context(), owner, a); !errors.As(err, &f) || f.ID != a.ID || f.Manager != meta.manager {
				t.Errorf("%v: %v", meta.meta, err)
			}
			mustDelete(t, w, owner, a.ID, false)
			if n := sent.writes(); n != 0 {
				t.Errorf("%v: %d writes", meta.meta, n)
			}
			if d := cmp.Diff(before, c.live(t, a.ID)); d != "" {
				t.Errorf("%v: it was touched:\n%s", meta.meta, d)
			}
			c.put(t, bare(a, object{TakeOverAnnotation: "true"}))
			mustPut(t, w, owner, a, true)
			mustDelete(t, w, owner, a.ID, true)
		}
	}
}

// bare is an entry in the place of an artifact that says nothing.
func bare(a translators.Artifact, meta object) entry {
	e := entry{"Kind": strings.TrimPrefix(a.ID.Type, entryType), "Meta": meta}
	if e["Kind"] != "mesh" {
		e["Name"] = a.ID.Name
	}
	return e
}

func consulRaces(t *testing.T, c consulLab) {
	owner := Owner{Binding: "races"}
	theirs := entry{"Kind": "service-defaults", "Name": "races", "Protocol": "grpc"}
	w, sent := c.writer(t)
	a := serviceDefaults("races", "http")
	meanwhile := func(replaced bool) {
		sent.meanwhile(func(*http.Request) error {
			sent.meanwhile(nil)
			if replaced {
				if err := c.DeleteEntry("service-defaults", "races"); err != nil {
					return err
				}
			}
			return c.Put("/v1/config", theirs)
		})
	}
	untouched := func(what string, err error) {
		t.Helper()
		if live := c.live(t, a.ID); live["Protocol"] != "grpc" || len(live.GetMeta()) > 0 || err != nil && !errors.As(err, new(*Foreign)) {
			t.Errorf("%s: %v %v", what, live, err)
		}
		if err := c.DeleteEntry("service-defaults", "races"); err != nil {
			t.Fatal(err)
		}
	}
	meanwhile(false)
	_, err := w.Put(t.Context(), owner, a)
	untouched("made meanwhile", err)
	mustPut(t, w, owner, a, true)
	meanwhile(true)
	_, err = w.Put(t.Context(), owner, serviceDefaults("races", "http2"))
	untouched("replaced before it is changed", err)
	mustPut(t, w, owner, a, true)
	meanwhile(true)
	mustDelete(t, w, owner, a.ID, false)
	untouched("replaced before it is deleted", nil)

	mustPut(t, w, owner, a, true)
	n := 0
	sent.meanwhile(func(*http.Request) error {
		live := c.live(t, a.ID)
		n++
		live["ExternalSNI"] = fmt.Sprint("storm", n)
		return c.Put("/v1/config", live)
	})
	if _, err := w.Put(t.Context(), owner, serviceDefaults("races", "grpc")); err == nil || errors.As(err, new(*Refused)) || n != attempts {
		t.Errorf("after %d attempts: %v", n, err)
	}
	n = 0
	if _, err := w.Delete(t.Context(), owner, a.ID); err == nil || n != attempts {
		t.Errorf("after %d attempts: %v", n, err)
	}
	sent.meanwhile(nil)
	mustDelete(t, w, owner, a.ID, true)
}

func consulHandOver(t *testing.T, c consulLab) {
	old, now := Owner{Binding: "old"}, Owner{Binding: "new"}
	w, _ := c.writer(t)
	same, gone := serviceDefaults("same", "http"), serviceDefaults("gone", "http")
	mustPut(t, w, old, same, true)
	mustPut(t, w, old, gone, true)
	created := c.live(t, same.ID).GetCreateIndex()
	mustPut(t, w, now, same, true)
	if n, err := reconcile(t.Context(), w, old, nil); n != 1 || err != nil {
		t.Error(n, err)
	}
	mustDelete(t, w, old, same.ID, false)
	mustList(t, w, now, "service-defaults same")
	if c.live(t, same.ID).GetCreateIndex() != created || c.live(t, gone.ID) != nil {
		t.Error("there was a gap, or too much is left")
	}
	mustDelete(t, w, now, same.ID, true)
}

func consulCrash(t *testing.T, c consulLab) {
	owner := Owner{Binding: "crash"}
	before := []translators.Artifact{serviceDefaults("a", "http"), serviceDefaults("b", "http"), intentions("b", "a")}
	after := []translators.Artifact{serviceDefaults("a", "http2"), intentions("a", "b"), serviceDefaults("c", "http")}
	const writes = 5 // and both of b go
	for last := range writes {
		clean, _ := c.writer(t)
		if _, err := reconcile(t.Context(), clean, owner, before); err != nil {
			t.Fatal(err)
		}
		w, sent := c.writer(t)
		n := 0
		sent.meanwhile(func(*http.Request) error {
			if n++; n > last {
				return errors.New("gone")
			}
			return nil
		})
		if _, err := reconcile(t.Context(), w, owner, after); err == nil {
			t.Error("nothing failed")
		}
		fresh, sent := c.writer(t)
		n, err := reconcile(t.Context(), fresh, owner, after)
		if sent := sent.writes(); n != writes-last || sent != n || err != nil {
			t.Errorf("stopped after %d writes: %d more, %d sent: %v", last, n, sent, err)
		}
		mustList(t, fresh, owner, "service-defaults a", "service-defaults c", "service-intentions a")
	}
}

func consulRefused(t *testing.T, c consulLab) {
	owner := Owner{Binding: "refused"}
	w, _ := c.writer(t)
	split := translators.Artifact{ID: translators.ID{Type: "consul/service-splitter", Name: "refused"}, Payload: object{
		"Kind": "service-splitter", "Name": "refused", "Splits": []any{object{"Weight": 100, "Service": "v1"}}}}
	unknown := serviceDefaults("unknown", "http")
	unknown.Payload.(object)["Meshknot"] = true
	for says, a := range map[string]translators.Artifact{"protocol": split, "Meshknot": unknown} {
		var r *Refused
		if _, err := w.Put(t.Context(), owner, a); !errors.As(err, &r) || r.ID != a.ID || !strings.Contains(r.Message, says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	for _, a := range []translators.Artifact{serviceDefaults("v1", "http"), serviceDefaults("refused", "http"), split} { // which makes it right
		mustPut(t, w, owner, a, true)
	}
	if n, err := reconcile(t.Context(), w, owner, nil); err != nil || n != 3 {
		t.Error(n, err)
	}
	nobody, err := NewConsul(ConsulOptions{Address: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nobody.Put(t.Context(), owner, split); err == nil || errors.As(err, new(*Refused)) {
		t.Error(err)
	}
}

// A token of a file is the one that the file holds when a request is made.
func TestConsulToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	var said []string
	c, err := NewConsul(ConsulOptions{Address: "127.0.0.1:1", TokenFile: file, Wrap: func(next http.RoundTripper) http.RoundTripper {
		r := &requests{before: func(q *http.Request) error {
			said = append(said, q.Header.Get("X-Consul-Token"))
			return errors.New("not today")
		}}
		return r.wrap(next)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"first", "second\n"} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.List(t.Context(), Owner{Binding: "any"}); err == nil {
			t.Error("no error")
		}
	}
	if !slices.Equal(said, []string{"first", "second"}) {
		t.Errorf("showed %v", said)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := c.List(t.Context(), Owner{Binding: "any"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
