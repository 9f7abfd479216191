package demo

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/internal/demo/ca"
)

// TestEditReachesConnectedClient follows one edit of a file all the way: it is
// noticed, translated and pushed, and a client that was connected before acts on
// it, within two seconds. A comment is noticed and pushed to nobody.
func TestEditReachesConnectedClient(t *testing.T) {
	dir := t.TempDir()
	if err := writePolicies(dir); err != nil {
		t.Fatal(err)
	}
	authority, err := ca.New()
	if err != nil {
		t.Fatal(err)
	}
	planes, err := newPlanes(dir, authority, Options{WithoutEnvoy: true})
	if err != nil {
		t.Fatal(err)
	}
	p := planes[0]
	defer p.stop()
	control, err := startControl(dir, authority, planes, pipeline())
	if err != nil {
		t.Fatal(err)
	}
	defer control.close()
	if err := p.start(control.address); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	web := calls()[0]
	conn, err := p.dial(web)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	count := func() map[string]int {
		t.Helper()
		got := map[string]int{}
		for range 60 {
			outcome, err := one(ctx, conn, web)
			if err != nil {
				t.Fatal(err)
			}
			got[outcome]++
		}
		return got
	}
	file := filepath.Join(dir, "policies", "split.yaml")
	edit := func(old, replacement string) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), old) {
			t.Fatalf("%s does not say %q", file, old)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, replacement, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	noticed := func() {
		t.Helper()
		select {
		case err := <-control.reloaded:
			if err != nil {
				t.Fatal(err)
			}
		case <-ctx.Done():
			t.Fatal("the edit was not noticed")
		}
	}
	if got := count(); got["reviews-v1"] == 0 {
		t.Fatalf("before the edit: %v", got)
	}
	if err := control.settle(ctx, 3); err != nil {
		t.Fatal(err)
	}

	pushes := control.server.Status().Pushes
	edit("spec:", "# nothing that matters\nspec:")
	noticed()
	time.Sleep(100 * time.Millisecond)
	if st := control.server.Status(); st.Pushes != pushes || st.Revision != 2 {
		t.Errorf("a comment led to %d pushes, revision %d", st.Pushes-pushes, st.Revision)
	}

	began := time.Now()
	edit("weight: 80", "weight: 0")
	noticed()
	for {
		if got := count(); len(got) == 1 && got["reviews-v2"] == 60 {
			break
		}
		if time.Since(began) > 2*time.Second {
			t.Fatalf("not in effect after %s", time.Since(began))
		}
	}
}
