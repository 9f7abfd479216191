package cli

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// process is a "meshknot serve" of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
}

func serve(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t, exec.Command("meshknot", append([]string{"serve"}, args...)...), make(chan string, 1000)}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	return p
}

// until waits for a line that holds text and returns it.
func (p *process) until(text string) string {
	p.t.Helper()
	late := time.After(20 * time.Second)
	var seen []string
	for {
		select {
		case line, ok := <-p.lines:
			if strings.Contains(line, text) {
				return line
			}
			if seen = append(seen, line); !ok {
				p.t.Fatalf("it ended without %q:\n%s", text, strings.Join(seen, "\n"))
			}
		case <-late:
			p.t.Fatalf("no %q in time:\n%s", text, strings.Join(seen, "\n"))
		}
	}
}

// TestServe: serve gets ready, recompiles what an edit touches and nothing else,
// keeps what it has when the files cannot be read, and ends with status 0.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	if err := copyExamples(dir); err != nil {
		t.Fatal(err)
	}
	p := serve(t, "-f", filepath.Join(dir, "examples/bookstore"), "--watch", "--xds-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	p.until("open to everybody (access selected): shop/web")
	p.until(" compiled; ")
	p.until("Serving xDS on 127.0.0.1:")
	admin := "http://" + strings.TrimSuffix(strings.TrimPrefix(p.until("Serving status on "), "Serving status on "), ".")
	ready(t, admin+"/readyz")
	for path, want := range map[string]string{"/healthz": "ok\n", "/status": `"ready": true`, "/debug/units": "shop"} {
		if got := get(t, admin+path); !strings.Contains(got, want) {
			t.Errorf("%s answers %q", path, got)
		}
	}
	split := filepath.Join(dir, "examples/bookstore/split.yaml")
	edit(t, split, "weight: 90", "weight: 80")
	if got := p.until(" compiled; "); !strings.Contains(got, " 1 compiled; ") {
		t.Errorf("after the edit of a weight: %s", got)
	}
	edit(t, split, "# One call", "# Call it a comment: one call")
	if got := p.until(" compiled; "); !strings.Contains(got, " 0 compiled; ") {
		t.Errorf("after the edit of a comment: %s", got)
	}
	edit(t, split, "kind: TrafficSplit", "kind: [")
	p.until("Nothing was changed: proxies keep what they have.")
	edit(t, split, "kind: [", "kind: TrafficSplit")
	if got := p.until(" compiled; "); !strings.Contains(got, " 0 compiled; ") {
		t.Errorf("after what was broken is as it was: %s", got)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for range p.lines { // until it has ended
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}

// ready waits for readiness.
func ready(t *testing.T, url string) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(url)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(late) {
			t.Fatalf("not ready in time: %v", err)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}

// edit replaces text in a file, all at once.
func edit(t *testing.T, file, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	next := bytes.Replace(text, []byte(old), []byte(replacement), 1)
	if bytes.Equal(next, text) {
		t.Fatalf("%q is not in %s", old, file)
	}
	if err := os.WriteFile(file+".next", next, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".next", file); err != nil {
		t.Fatal(err)
	}
}
