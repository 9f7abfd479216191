// Package image builds the container image as a release does, on a base that the
// test serves, and looks at what is in it.
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/lab"
)

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

// base serves an image with nothing in it that runs as 65532, and returns its name.
func base(t *testing.T) string {
	t.Helper()
	config := []byte(`{"architecture":"` + runtime.GOARCH + `","os":"linux","config":{"User":"65532"},"rootfs":{"type":"layers","diff_ids":[]}}`)
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor{"application/vnd.oci.image.config.v1+json", digest(config), len(config)}, "layers": []descriptor{}})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Docker-Content-Digest", digest(manifest))
			_, _ = w.Write(manifest)
		case strings.HasSuffix(r.URL.Path, digest(config)):
			_, _ = w.Write(config)
		case r.URL.Path != "/v2/":
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://") + "/nothing:latest"
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// TestImage: the image has one static program, which runs, as nobody, by no path of
// the machine that built it.
func TestImage(t *testing.T) {
	lab.Need(t, "ko")
	ko, err := lab.Binary("ko")
	if err != nil {
		t.Fatal(err)
	}
	// The name of a test has capitals, which ko does not take.
	layout, err := os.MkdirTemp("", "image-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(layout)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, ko, "build", "--push=false", "--oci-layout-path", layout, "--platform", "linux/"+runtime.GOARCH, "--sbom=none", "./cmd/meshknot")
	c.Dir = filepath.Join("..", "..", "..")
	c.Env = append(os.Environ(), "KO_CONFIG_PATH=deploy", "KO_DOCKER_REPO=meshknot", "KO_DEFAULTBASEIMAGE="+base(t), "VERSION=v0.0.1-test")
	// A registry or compiler that does not answer must not take the whole suite along.
	if said, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	blob := func(digest string, into any) []byte {
		text, err := os.ReadFile(filepath.Join(layout, "blobs", filepath.FromSlash(strings.Replace(digest, ":", "/", 1))))
		if err == nil && into != nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	text, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct{ Manifests []descriptor }
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	var config struct {
		Config struct {
			User            string
			Entrypoint, Env []string
		}
	}
	if err := json.Unmarshal(text, &index); err != nil || len(index.Manifests) != 1 {
		t.Fatal(err, len(index.Manifests))
	}
	blob(index.Manifests[0].Digest, &manifest)
	blob(manifest.Config.Digest, &config)
	if config.Config.User != "65532" || len(config.Config.Entrypoint) != 1 {
		t.Errorf("%+v", config.Config)
	}
	var program []byte
	for _, l := range manifest.Layers {
		if found := file(t, blob(l.Digest, nil), config.Config.Entrypoint[0]); found != nil {
			program = found
		}
	}
	runs(t, program)
}

// file reads a file of a layer, or returns nil.
func file(t *testing.T, layer []byte, name string) []byte {
	t.Helper()
	var in io.Reader = bytes.NewReader(layer)
	if zipped, err := gzip.NewReader(bytes.NewReader(layer)); err == nil {
		in = zipped
	}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Trim(h.Name, "/") != strings.Trim(name, "/") {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

// runs demands that a program is static, knows no path of this machine, and runs.
func runs(t *testing.T, program []byte) {
	t.Helper()
	binary, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the program is linked dynamically")
	}
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(program, []byte(root+"/internal")) {
		t.Error("the program knows where it was built")
	}
	path := filepath.Join(t.TempDir(), "meshknot")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "v0.0.1-test") {
		t.Errorf("%v\n%s", err, out)
	}
}
