// Package corpus runs manifests that others wrote through validate and
// translate, and keeps what becomes of each in one reviewed file. They lie
// beside the project, are read in place and are not ours to copy.
package corpus

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the directory of the manifests: that which MESHKNOT_CORPUS names
// or, beside the project, shared/corpus/smi. It is called by tests of packages
// two folders below the root. A test that has none is skipped, or fails where
// REQUIRE_REAL is 1.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("MESHKNOT_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpus", "smi")
	}
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if os.Getenv("REQUIRE_REAL") == "1" {
		t.Fatalf("no corpus at %s (set MESHKNOT_CORPUS)", dir)
	}
	t.Skipf("LOUD SKIP: no corpus at %s (set MESHKNOT_CORPUS): manifests of other projects were not tried", dir)
	return ""
}
