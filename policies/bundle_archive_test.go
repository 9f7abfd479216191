package policies

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// archived zips a tar that write fills, with more behind its end.
func archived(t *testing.T, write func(*tar.Writer), behind []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	w := tar.NewWriter(zipped)
	write(w)
	err := w.Close()
	_, last := zipped.Write(behind)
	if err := errors.Join(err, last, zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func putFile(t *testing.T, w *tar.Writer, h tar.Header, content string) {
	t.Helper()
	h.Size, h.Mode = int64(len(content)), 0o600
	if err := w.WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
}

// What a signature does not speak of is not in a signed bundle, in whatever form:
// whoever unpacks it by other means would have it.
func TestNothingHidesInABundle(t *testing.T) {
	key, public := edwards(t)
	files := filesOf(t, built(t, teamRules(), "3", key))
	all := func(more ...tar.Header) func(*tar.Writer) {
		return func(w *tar.Writer) {
			for _, f := range files {
				putFile(t, w, tar.Header{Name: f.name, Typeflag: tar.TypeReg}, f.content)
			}
			for _, h := range more {
				putFile(t, w, h, "")
			}
		}
	}
	hidden := archived(t, func(w *tar.Writer) {
		putFile(t, w, tar.Header{Name: "/more.rego", Typeflag: tar.TypeReg}, "package more\n")
	}, nil)
	unzipped, err := gzip.NewReader(bytes.NewReader(hidden))
	if err != nil {
		t.Fatal(err)
	}
	tail, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		packed []byte
		want   string
	}{
		{"a directory and zeros", archived(t, all(tar.Header{Name: "/lib/", Typeflag: tar.TypeDir}), make([]byte, 9000)), ""},
		{"a link", archived(t, all(tar.Header{Name: "/more.rego", Linkname: "/etc/x", Typeflag: tar.TypeSymlink}), nil), "/more.rego is neither a file nor a directory"},
		{"a file of another type", archived(t, all(tar.Header{Name: "/more.rego", Typeflag: tar.TypeCont}), nil), "/more.rego is neither"},
		{"an archive behind the end", archived(t, all(), tail), "behind the end"},
		{"another one, zipped by itself", append(archived(t, all(), nil), hidden...), "behind the end"},
	} {
		_, err := ReadBundle("b", tt.packed, Trust{Key: public})
		if tt.want == "" && err != nil || tt.want != "" && (!errors.As(err, &Refused{}) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// The limit on what is unpacked counts headers too. Where it falls between two
// files the rest would not have been looked at: it could be of any size, or the
// second of a name.
func TestLimitBetweenTwoFiles(t *testing.T) {
	const block = 512
	left := (maxUnpackedBytes + headerBytes*maxBundleFiles) / block
	packed := archived(t, func(w *tar.Writer) {
		putFile(t, w, tar.Header{Name: "/a.rego", Typeflag: tar.TypeReg}, "package a\n")
		left -= 2
		for i := 0; left > 0; i++ {
			// Two headers, and as many blocks of records as make what is left.
			n := min(left, 1500)
			if rest := left - n; rest > 0 && rest < 4 {
				n -= 4
			}
			records := map[string]string{"MESHKNOT.x": ""}
			length := (n - 2) * block
			pad := length - len(fmt.Sprintf("%d MESHKNOT.x=\n", length))
			records["MESHKNOT.x"] = strings.Repeat("x", pad)
			putFile(t, w, tar.Header{Name: fmt.Sprintf("/%d/", i), Typeflag: tar.TypeDir, PAXRecords: records, Format: tar.FormatPAX}, "")
			left -= n
		}
		putFile(t, w, tar.Header{Name: "/a.rego", Typeflag: tar.TypeReg}, "package b\n")
	}, nil)
	_, err := ReadBundle("b", packed, Trust{})
	if !errors.As(err, &Refused{}) || !strings.Contains(err.Error(), "when it is unpacked") {
		t.Errorf("got %v, want a refusal for its size", err)
	}
}
