package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// configMap lays files out as a kubelet does: ..data links to a directory of
// this version, and the file links through it.
func configMap(t *testing.T, dir, version, text string) {
	t.Helper()
	write(t, filepath.Join(dir, version, "policy.yaml"), text)
	do(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")),
		os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	if _, err := os.Lstat(filepath.Join(dir, "policy.yaml")); err != nil {
		do(t, os.Symlink("..data/policy.yaml", filepath.Join(dir, "policy.yaml")))
	}
}

var cases = []struct {
	name   string
	before func(t *testing.T, dir string)
	paths  []string
	change func(t *testing.T, dir string)
	want   bool
}{
	{"a file is written", nil, []string{"a.yaml"},
		func(t *testing.T, dir string) { write(t, filepath.Join(dir, "a.yaml"), "two") }, true},
	{"an editor renames over a file", nil, []string{"a.yaml"},
		func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, ".a.swp"), "two")
			do(t, os.Rename(filepath.Join(dir, ".a.swp"), filepath.Join(dir, "a.yaml")))
		}, true},
	{"a file appears in a directory", nil, []string{"."},
		func(t *testing.T, dir string) { write(t, filepath.Join(dir, "b.yaml"), "new") }, true},
	{"a file goes", nil, []string{"."},
		func(t *testing.T, dir string) { do(t, os.Remove(filepath.Join(dir, "a.yaml"))) }, true},
	{"a file in a new directory below", nil, []string{"."},
		func(t *testing.T, dir string) { write(t, filepath.Join(dir, "x", "y", "b.yaml"), "new") }, true},
	{"a ConfigMap is swapped, its file watched",
		func(t *testing.T, dir string) { configMap(t, dir, "..v1", "one") }, []string{"policy.yaml"},
		func(t *testing.T, dir string) { configMap(t, dir, "..v2", "one") }, true},
	{"a ConfigMap is swapped, its directory watched",
		func(t *testing.T, dir string) { configMap(t, dir, "..v1", "one") }, []string{"."},
		func(t *testing.T, dir string) { configMap(t, dir, "..v2", "two") }, true},
	{"what a link leads to is written",
		func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "real", "f"), "one")
			do(t, os.Symlink("real/f", filepath.Join(dir, "link")))
		}, []string{"link"},
		func(t *testing.T, dir string) { write(t, filepath.Join(dir, "real", "f"), "longer") }, true},
	{"what did not exist appears", nil, []string{"later.yaml"},
		func(t *testing.T, dir string) { write(t, filepath.Join(dir, "later.yaml"), "x") }, true},
	{"a glob finds more", nil, []string{"*.yml"},
		func(t *testing.T, dir string) { write(t, filepath.Join(dir, "b.yml"), "x") }, true},
	{"links in a circle",
		func(t *testing.T, dir string) { do(t, os.Symlink(".", filepath.Join(dir, "self"))) }, []string{"."},
		func(t *testing.T, dir string) { write(t, filepath.Join(dir, "a.yaml"), "two") }, true},
	{"another file beside the one watched", nil, []string{"a.yaml"},
		func(t *testing.T, dir string) { write(t, filepath.Join(dir, "b.yaml"), "x") }, false},
	{"only the mode changes", nil, []string{"a.yaml"},
		func(t *testing.T, dir string) { do(t, os.Chmod(filepath.Join(dir, "a.yaml"), 0o644)) }, false},
}

func TestChanges(t *testing.T) {
	for _, mode := range []struct {
		name    string
		options Options
	}{
		{"events", Options{Debounce: 20 * time.Millisecond, Poll: time.Hour}},
		{"polling", Options{NoEvents: true, Poll: 20 * time.Millisecond}},
	} {
		for _, tt := range cases {
			t.Run(mode.name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				write(t, filepath.Join(dir, "a.yaml"), "one")
				if tt.before != nil {
					tt.before(t, dir)
				}
				var paths []string
				for _, p := range tt.paths {
					paths = append(paths, filepath.Join(dir, p))
				}
				changes := Changes(t.Context(), paths, mode.options)
				tt.change(t, dir)
				wait := 5 * time.Second
				if !tt.want {
					wait = 200 * time.Millisecond
				}
				select {
				case <-changes:
					if !tt.want {
						t.Error("told of a change that is none")
					}
				case <-time.After(wait):
					if tt.want {
						t.Error("the change was missed")
					}
				}
			})
		}
	}
}

func TestSecondChangeIsToldToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "one")
	changes := Changes(t.Context(), []string{path}, Options{Debounce: 10 * time.Millisecond, Poll: time.Hour})
	for i := range 3 {
		do(t, os.Remove(path))
		write(t, path, fmt.Sprint("version ", i))
		select {
		case <-changes:
		case <-time.After(5 * time.Second):
			t.Fatalf("change %d was missed", i)
		}
		select {
		case <-changes:
			t.Fatalf("change %d was told twice", i)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestConstantChangeIsToldInTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	changes := Changes(t.Context(), []string{path}, Options{Debounce: 100 * time.Millisecond, Poll: time.Hour})
	end := time.After(4 * time.Second)
	for i := 0; ; i++ {
		write(t, path, fmt.Sprint(i))
		select {
		case <-changes:
			return
		case <-end:
			t.Fatal("a file that keeps changing is never told of")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	changes := Changes(ctx, []string{t.TempDir()}, Options{})
	cancel()
	select {
	case _, open := <-changes:
		if open {
			t.Error("a signal instead of the end")
		}
	case <-time.After(5 * time.Second):
		t.Error("the channel is not closed")
	}
}
