package rules_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/meshknot/meshknot/internal/rules"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/test/lab"
)

// rego is a rule of a package, found in every object.
func rego(pkg, message string) string {
	return fmt.Sprintf("package %s\n\ndeny contains %q if input.metadata.name == \"any\"\n", pkg, message)
}

const broken = "package house\n\ndeny contains \"no\" if nowhere(input)\n"

// counts are what the metrics were told last.
type counts struct {
	mu  sync.Mutex
	now [3]int
}

func (c *counts) Rules(inForce, good, broken int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = [3]int{inForce, good, broken}
}

func (c *counts) last() [3]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// world is rules that are followed, in a namespace of their own.
type world struct {
	*testing.T
	*lab.Kube
	lab       *lab.Lab
	namespace string
	live      *policies.Live
	rules     *rules.Rules
	counts    counts
}

// follow runs rules of a namespace, and of files, until the test ends.
func follow(t *testing.T, l *lab.Lab, k *lab.Kube, namespace string, trust policies.Trust, files ...string) *world {
	t.Helper()
	w := &world{T: t, Kube: k, lab: l, namespace: namespace}
	w.must(k.Apply(lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": namespace}}))
	config, err := k.Config()
	w.must(err)
	client, err := kubernetes.NewForConfig(config)
	w.must(err)
	w.live, err = policies.NewLive(policies.NewInventory(), nil, nil)
	w.must(err)
	w.rules = rules.New(client, w.live, rules.Options{Namespace: namespace, Files: files, Trust: trust, Every: 20 * time.Millisecond, Metrics: &w.counts,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.rules.Run(ctx) }()
	go w.rules.Announce(ctx)
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// put writes a ConfigMap with rules.
func (w *world) put(name, text string) lab.Object {
	w.Helper()
	o := lab.Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": lab.Object{"name": name, "namespace": w.namespace, "labels": lab.Object{rules.Label: "true"}},
		"data": lab.Object{"house.rego": text}}
	w.must(w.Apply(o))
	return o
}

// denies waits until an object is denied with these messages, by a rule each, and the
// metrics count these sources.
func (w *world) denies(good, bad int, messages ...string) {
	w.Helper()
	w.deniesBy(len(messages), good, bad, messages...)
}

// deniesBy is denies where a rule may say several things.
func (w *world) deniesBy(inForce, good, bad int, messages ...string) {
	w.Helper()
	var got []string
	object := policies.NewObject(map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "any", "namespace": "shop"}})
	err := w.lab.Eventually("rules in force", 30*time.Second, func() bool {
		got = nil
		for _, f := range w.live.Review(w.Context(), object) {
			_, message, _ := strings.Cut(f.Message, ": ") // which the rule's name stands before
			got = append(got, message)
		}
		return slices.Equal(got, messages) && w.counts.last() == [3]int{inForce, good, bad}
	})
	if err != nil {
		w.Fatalf("denied with %q, want %q; in force, good and broken are %v, want %d, %d and %d", got, messages, w.counts.last(), inForce, good, bad)
	}
}

// problem is what is said of a source that is not in order.
func (w *world) problem(source string) string {
	for _, s := range w.live.States() {
		if s.Name == source && len(s.Problems) > 0 {
			return rules.Note(s)
		}
	}
	return ""
}

// notes are what Events say of a ConfigMap.
func (w *world) notes(name string) []string {
	w.Helper()
	all, err := w.List("events.k8s.io/v1", "Event", w.namespace)
	w.must(err)
	var out []string
	for _, e := range all {
		if e["regarding"].(map[string]any)["name"] == name && e["reportingController"] == rules.Reporter {
			out = append(out, fmt.Sprint(e["reason"], " ", e["note"]))
		}
	}
	return out
}

func TestRules(t *testing.T) {
	l, k := lab.KubeForTest(t)
	for name, test := range map[string]func(*testing.T, *lab.Lab, *lab.Kube){
		"edited": edited, "two": two, "many": many, "directory": directory, "bundle": bundle,
	} {
		t.Run(name, func(t *testing.T) { test(t, l, k) })
	}
}

// A ConfigMap comes, is edited so that it does not compile, is mended, loses its label,
// has it again, and goes.
func edited(t *testing.T, l *lab.Lab, k *lab.Kube) {
	w := follow(t, l, k, "edited", policies.Trust{})
	w.denies(0, 0)
	w.put("house", rego("house", "first"))
	w.denies(1, 0, "first")
	w.must(l.Eventually("readiness", 30*time.Second, func() bool { return w.rules.Ready() == nil }))
	w.put("house", broken)
	w.denies(0, 1, "first")
	w.must(l.Eventually("event", 30*time.Second, func() bool {
		notes := w.notes("house")
		return len(notes) == 1 && strings.HasPrefix(notes[0], "MK4002 configmap/edited/house/house.rego:3: ") && strings.HasSuffix(notes[0], "(the last good ones stay in force: 1)")
	}))
	o := w.put("house", rego("house", "second"))
	w.denies(1, 0, "second")
	label := func(value string) {
		_, err := w.Patch(o, lab.Object{"metadata": lab.Object{"labels": lab.Object{rules.Label: value}}})
		w.must(err)
	}
	label("false")
	w.denies(0, 0)
	label("true")
	w.denies(1, 0, "second")
	w.must(w.Delete(o))
	w.denies(0, 0)
}

// Two ConfigMaps with a package of one name have the rules of both; where the two do
// not go together, the one that is edited is told of, and what was in force stays.
func two(t *testing.T, l *lab.Lab, k *lab.Kube) {
	w := follow(t, l, k, "two", policies.Trust{})
	w.put("a", rego("house", "of a"))
	w.put("b", rego("house", "of b"))
	w.deniesBy(1, 2, 0, "of a", "of b")
	w.put("b", "package house\n\ndeny := 7\n")
	w.deniesBy(1, 1, 1, "of a", "of b")
	if got := w.problem("configmap/two/b"); !strings.Contains(got, "conflicting rules data.house.deny") {
		t.Errorf("of b is said %q", got)
	}
	if got := w.problem("configmap/two/a"); got != "" {
		t.Errorf("of a, which is as it was, is said %q", got)
	}
}

// Of many ConfigMaps 64 are read, and of the others it is said; what an Event says of
// many problems has the length that it may have.
func many(t *testing.T, l *lab.Lab, k *lab.Kube) {
	w := follow(t, l, k, "many", policies.Trust{})
	w.must(l.Eventually("readiness", 30*time.Second, func() bool { return w.rules.Ready() == nil }))
	const most = 64
	var messages []string
	for i := range most {
		message := fmt.Sprintf("rule %02d", i)
		w.put(fmt.Sprintf("m%02d", i), rego(fmt.Sprintf("house%02d", i), message))
		messages = append(messages, message)
	}
	w.denies(most, 0, messages...)
	w.put("one-more", rego("more", "too many"))
	w.denies(most, 1, messages...)
	if got := w.problem("configmap/many/one-more"); !strings.Contains(got, "too many ConfigMaps") {
		t.Errorf("of the one that is too many is said %q", got)
	}
	w.put("m00", "package house00\n\n"+strings.Repeat("deny contains \"no\" if "+strings.Repeat("nowhere", 40)+"(input)\n", 20))
	w.must(l.Eventually("event", 30*time.Second, func() bool {
		notes := w.notes("m00")
		return len(notes) == 1 && len(notes[0]) > 1000 && len(notes[0]) <= len("MK4002 ")+1024
	}))
}

// A directory as a kubelet mounts it: files are links through ..data, which is another
// at once. A content that does not compile, or none, leaves what was good.
func directory(t *testing.T, l *lab.Lab, k *lab.Kube) {
	dir := t.TempDir()
	swap := func(version, text string) {
		t.Helper()
		for _, err := range []error{
			os.Mkdir(filepath.Join(dir, version), 0o700),
			os.WriteFile(filepath.Join(dir, version, "house.rego"), []byte(text), 0o600),
			os.Symlink(version, filepath.Join(dir, "..data_tmp")),
			os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	swap("..1", rego("house", "first"))
	if err := os.Symlink(filepath.Join("..data", "house.rego"), filepath.Join(dir, "house.rego")); err != nil {
		t.Fatal(err)
	}
	w := follow(t, l, k, "directory", policies.Trust{}, dir)
	w.denies(1, 0, "first")
	swap("..2", rego("house", "second"))
	w.denies(1, 0, "second")
	swap("..3", broken)
	w.denies(0, 1, "second")
	swap("..4", rego("house", "third"))
	w.denies(1, 0, "third")
}

// A bundle that another key signed is no source, and replaces none that was.
func bundle(t *testing.T, l *lab.Lab, k *lab.Kube) {
	file := filepath.Join(t.TempDir(), "rules.tar.gz")
	own, trusted := keys(t)
	other, _ := keys(t)
	ship := func(message string, key *policies.SigningKey) {
		t.Helper()
		packed, found, err := policies.BuildBundle([]policies.Module{{File: "house.rego", Source: []byte(rego("house", message))}}, "1", key)
		if err != nil || len(found) > 0 {
			t.Fatal(err, found)
		}
		if err := os.WriteFile(file+".new", packed, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	ship("of others", other)
	w := follow(t, l, k, "bundle", policies.Trust{Key: trusted}, file)
	w.denies(0, 1)
	ship("ours", own)
	w.denies(1, 0, "ours")
	ship("of others", other)
	w.denies(0, 1, "ours")
	if got := w.problem(file); !strings.Contains(got, "sign") {
		t.Errorf("of the bundle is said %q", got)
	}
}

func keys(t *testing.T) (*policies.SigningKey, *policies.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(kind string, der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	secret := encoded("PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(public)
	open := encoded("PUBLIC KEY", der, err)
	signing, err := policies.ParseSigningKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := policies.ParsePublicKey(open)
	if err != nil {
		t.Fatal(err)
	}
	return signing, trusted
}
