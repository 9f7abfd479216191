package policies

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"pgregory.net/rapid"
)

// keyPair makes PEM of a private key and of its public one.
func keyPair(t testing.TB, private crypto.Signer) (secret, public []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	open, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: open})
}

func edwards(t testing.TB) (*SigningKey, *PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return parsePair(t, private)
}

func parsePair(t testing.TB, private crypto.Signer) (*SigningKey, *PublicKey) {
	t.Helper()
	secret, public := keyPair(t, private)
	s, err := ParseSigningKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func built(t testing.TB, modules []Module, revision string, key *SigningKey) []byte {
	t.Helper()
	packed, problems, err := BuildBundle(modules, revision, key)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return packed
}

// team is a small set of rules that uses the library.
func teamRules() []Module {
	return []Module{
		module("owner/rule.rego", "package team.owner\n\nimport data.lib.meshknot as lib\n\ndeny contains \"x\" if lib.resource.kind == \"TrafficSplit\"\n"),
		module("owner/rule_test.rego", "package team.owner_test\n\ntest_it if true\n"),
		module("old.rego", "package old\n\ndeny[msg] { msg := \"v0\" }\n"),
	}
}

func TestBundleIsDeterministic(t *testing.T) {
	key, _ := edwards(t)
	want := built(t, Shipped(), "7", key)
	modules := Shipped()
	slices.Reverse(modules)
	if !bytes.Equal(built(t, modules, "7", key), want) {
		t.Error("the same rules gave another file")
	}
	if bytes.Equal(built(t, modules, "8", key), want) {
		t.Error("the revision is not in the file")
	}
	again, err := SignBundle(built(t, Shipped(), "7", nil), key)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, want) {
		t.Error("a bundle that is signed later differs")
	}
}

// TestBundleRoundTrip: what is read is what was built, and judges alike.
func TestBundleRoundTrip(t *testing.T) {
	key, public := edwards(t)
	b, err := ReadBundle("b.tar.gz", built(t, Shipped(), "1.2.3", key), Trust{Key: public, MinRevision: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	if b.Revision != "1.2.3" || !b.Verified {
		t.Errorf("got revision %s, verified %v", b.Revision, b.Verified)
	}
	objects := world(50)
	want, got := New(Shipped()...).Check(t.Context(), objects), New(b.Modules...).Check(t.Context(), objects)
	if !reflect.DeepEqual(got, want) || len(got) < 20 {
		t.Errorf("got %d findings, want %d", len(got), len(want))
	}
	both := New(append(Shipped(), b.Modules...)...)
	if got := both.Check(t.Context(), objects); !reflect.DeepEqual(got, want) {
		t.Errorf("shipped rules and a bundle of them gave %d findings, want %d", len(got), len(want))
	}
}

func TestBundleOfAnotherLibrary(t *testing.T) {
	other := module("b/lib/meshknot.rego", "package lib.meshknot\n\nresource := input\n")
	rule := module("b/r.rego", "package r\n\ndeny contains \"own\" if data.lib.meshknot.resource.kind\n")
	if got := New(other, rule).Check(t.Context(), []Object{split("a")}); len(got) != 1 || got[0].Message != "r: own" {
		t.Errorf("a bundle must see the library that it brings: %+v", got)
	}
	problems := New(append(Shipped(), other, rule)...).Problems()
	if len(problems) != 1 || problems[0].At.File != "b/lib/meshknot.rego" {
		t.Errorf("two libraries of one name must be told: %+v", problems)
	}
}

// TestOPAReadsBundle reads a bundle as opa does: with its own verification, and
// compiled by its own compiler.
func TestOPAReadsBundle(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []crypto.Signer{rsaKey, elliptical(t, elliptic.P256()), elliptical(t, elliptic.P384()), elliptical(t, elliptic.P521())} {
		key, public := parsePair(t, private)
		keys := map[string]*bundle.KeyConfig{"default": {Key: public.pem, Algorithm: public.algorithm}}
		packed := built(t, teamRules(), "3", key)
		b, err := bundle.NewReader(bytes.NewReader(packed)).
			WithBundleVerificationConfig(bundle.NewVerificationConfig(keys, "", "", nil)).Read()
		if err != nil {
			t.Fatalf("%s: %v", key.algorithm, err)
		}
		if b.Manifest.Revision != "3" || strings.Join(*b.Manifest.Roots, " ") != "lib/inventory lib/meshknot lib/route old team/owner" {
			t.Errorf("got manifest %+v with roots %v", b.Manifest, *b.Manifest.Roots)
		}
		c := ast.NewCompiler()
		if c.Compile(b.ParsedModules("b")); c.Failed() {
			t.Error(c.Errors)
		}
		if len(b.Modules) != 5 {
			t.Errorf("%d modules, want two rules and the library, and no test", len(b.Modules))
		}
		if _, err := ReadBundle("b", packed, Trust{Key: public}); err != nil {
			t.Errorf("%s: %v", key.algorithm, err)
		}
	}
}

func elliptical(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestBuildBundleErrors(t *testing.T) {
	for _, revision := range []string{"", "01", "1.2", "1.2.3.4", "v1.2.3", "-1", "1.0.0-rc1", " 1", "99999999999999999999"} {
		if _, _, err := BuildBundle(teamRules(), revision, nil); err == nil {
			t.Errorf("revision %q was taken", revision)
		}
	}
	packed, problems, err := BuildBundle([]Module{module("a.rego", "package a\n\ndeny contains x if true")}, "1", nil)
	if err != nil || len(problems) == 0 || packed != nil {
		t.Errorf("broken rules were packed: %v %v", problems, err)
	}
}

// member is a file of a bundle.
type memberFile struct{ name, content string }

func filesOf(t testing.TB, packed []byte) []memberFile {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var files []memberFile
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, memberFile{header.Name, string(content)})
	}
}

func packFiles(t testing.TB, files []memberFile) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	w := tar.NewWriter(zipped)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Size: int64(len(f.content)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestBundleChanged takes each file of a signed bundle away, changes it and adds
// one: all of that is refused when a key is demanded.
func TestBundleChanged(t *testing.T) {
	key, public := edwards(t)
	files := filesOf(t, built(t, teamRules(), "3", key))
	if _, err := ReadBundle("b", packFiles(t, files), Trust{Key: public}); err != nil {
		t.Fatalf("packing it again must change nothing: %v", err)
	}
	refused := func(what string, files []memberFile) {
		t.Helper()
		_, err := ReadBundle("b", packFiles(t, files), Trust{Key: public, MinRevision: "3"})
		if !errors.As(err, &Refused{}) {
			t.Errorf("%s: got %v, want a refusal", what, err)
		}
	}
	for i, f := range files {
		refused(f.name+" is missing", slices.Delete(slices.Clone(files), i, i+1))
		changed := slices.Clone(files)
		changed[i].content = strings.NewReplacer(`"3"`, `"4"`, "package", "# x\npackage", "{}", `{"a": 1}`, `"signatures"`, `"signature"`).Replace(f.content)
		if changed[i] == f {
			t.Fatalf("%s was not changed", f.name)
		}
		refused(f.name+" is changed", changed)
		refused(f.name+" is there twice", append(slices.Clone(files), f))
	}
	refused("a file is added", append(slices.Clone(files), memberFile{"/more.rego", "package more\n"}))
	refused("a signature of nothing", append(files[:0:0], memberFile{"/.signatures.json", `{"signatures": []}`}))
}

// TestBundleFlips: a changed byte anywhere is refused or changes nothing that is used.
func TestBundleFlips(t *testing.T) {
	key, public := edwards(t)
	packed := built(t, teamRules(), "3", key)
	want, err := ReadBundle("b", packed, Trust{Key: public})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		flipped := slices.Clone(packed)
		at := rapid.IntRange(0, len(packed)-1).Draw(t, "at")
		flipped[at] ^= rapid.ByteRange(1, 255).Draw(t, "with")
		got, err := ReadBundle("b", flipped, Trust{Key: public})
		if err != nil && !errors.As(err, &Refused{}) {
			t.Fatalf("byte %d: %v is no refusal", at, err)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("byte %d: another bundle was taken", at)
		}
	})
}

func TestBundleOfAnotherKey(t *testing.T) {
	key, public := edwards(t)
	_, stranger := edwards(t)
	_, otherKind := parsePair(t, elliptical(t, elliptic.P256()))
	packed := built(t, teamRules(), "3", key)
	for _, wrong := range []*PublicKey{stranger, otherKind} {
		if _, err := ReadBundle("b", packed, Trust{Key: wrong}); !errors.As(err, &Refused{}) {
			t.Errorf("got %v, want a refusal", err)
		}
	}
	if _, err := ReadBundle("b", built(t, teamRules(), "3", nil), Trust{Key: public}); !errors.As(err, &Refused{}) {
		t.Errorf("an unsigned bundle: got %v, want a refusal", err)
	}
	b, err := ReadBundle("b", packed, Trust{})
	if err != nil || b.Verified {
		t.Errorf("without a key nothing is demanded, and nothing verified: %v", err)
	}
}

func TestBundleRevisions(t *testing.T) {
	for _, tt := range []struct {
		has, least string
		taken      bool
	}{
		{"3", "3", true}, {"10", "9", true}, {"9", "10", false}, {"1.10.0", "1.9.0", true}, {"1.9.0", "1.10.0", false},
		{"1.2.3", "1.2.4", false}, {"2.0.0", "1.9.9", true}, {"5", "1.0.0", false}, {"1.0.0", "1", false}, {"0", "0", true},
	} {
		_, err := ReadBundle("b", built(t, teamRules(), tt.has, nil), Trust{MinRevision: tt.least})
		if (err == nil) != tt.taken || err != nil && !errors.As(err, &Refused{}) {
			t.Errorf("revision %s where %s is demanded: %v", tt.has, tt.least, err)
		}
	}
	unversioned := packFiles(t, []memberFile{{"/.manifest", `{"revision": "latest"}`}, {"/a.rego", "package a\n"}})
	if _, err := ReadBundle("b", unversioned, Trust{MinRevision: "1"}); !errors.As(err, &Refused{}) {
		t.Errorf("got %v, want a refusal", err)
	}
	if _, err := ReadBundle("b", unversioned, Trust{MinRevision: "x"}); err == nil || errors.As(err, &Refused{}) {
		t.Errorf("a demand that says nothing is the caller's mistake: %v", err)
	}
}

func TestBundleLimits(t *testing.T) {
	many := []memberFile{}
	for i := range maxBundleFiles + 1 {
		many = append(many, memberFile{fmt.Sprintf("/%d.rego", i), "package a\n"})
	}
	blank := strings.Repeat(" ", maxModuleBytes)
	bomb := []memberFile{}
	for i := range maxUnpackedBytes/maxModuleBytes + 1 {
		bomb = append(bomb, memberFile{fmt.Sprintf("/%d.rego", i), blank})
	}
	rule := memberFile{"/a.rego", "package a\n"}
	for _, tt := range []struct {
		name   string
		packed []byte
		want   string
	}{
		{"too many files", packFiles(t, many), "more than 2016 files"},
		{"a large file", packFiles(t, []memberFile{{"/a.rego", blank + " "}}), "more than 1048576 bytes"},
		{"a small file that becomes a large one", packFiles(t, bomb), "when it is unpacked"},
		{"too large", make([]byte, MaxBundleBytes+1), "more than 16777216 bytes"},
		{"no archive", []byte("package a\n"), "not a bundle"},
		{"nothing", nil, "not a bundle"},
		{"half of one", packFiles(t, many[:9])[:60], "not a bundle"},
		{"no rules", packFiles(t, []memberFile{{"/data.json", "{}"}}), "no rules"},
		{"no Rego", packFiles(t, []memberFile{{"/a.rego", "this is none"}}), "a.rego"},
		{"data", packFiles(t, []memberFile{rule, {"/x/data.json", `{"a": 1}`}}), "beside rules, which are never used here: data.x"},
		{"WebAssembly", packFiles(t, []memberFile{rule, {"/policy.wasm", "x"}}), "policy.wasm"},
		{"a file twice", packFiles(t, []memberFile{rule, {"a.rego", "package b\n"}}), "/a.rego is there twice"},
		{"a delta", packFiles(t, []memberFile{{"/patch.json", `{"data": []}`}}), ""},
		{"rules out of their roots", packFiles(t, []memberFile{rule, {"/.manifest", `{"revision": "1", "roots": ["b"]}`}}), "roots"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadBundle("b", tt.packed, Trust{})
			if !errors.As(err, &Refused{}) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a refusal with %q", err, tt.want)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	secret, public := keyPair(t, weak)
	if k, err := ParseSigningKey(secret); err != nil || k.algorithm != "RS256" {
		t.Errorf("got %v %v", k, err)
	}
	old := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(weak)})
	if k, err := ParseSigningKey(old); err != nil || k.algorithm != "RS256" {
		t.Errorf("got %v %v", k, err)
	}
	if _, err := ParsePublicKey(secret); err == nil {
		t.Error("a private key was taken for a public one")
	}
	if _, err := ParseSigningKey(public); err == nil {
		t.Error("a public key was taken for a private one")
	}
	broken := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("hush hush")})
	for _, source := range [][]byte{broken, []byte("hush"), nil} {
		if _, err := ParseSigningKey(source); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("got %v", err)
		}
	}
	key, err := ParseSigningKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(key), fmt.Sprintf("%+v", *key), fmt.Sprintf("%#v", *key), fmt.Sprintf("%v", []any{key, *key})} {
		if strings.Contains(text, "PRIVATE") || len(text) > 80 {
			t.Errorf("the key prints itself: %.40s", text)
		}
	}
}
