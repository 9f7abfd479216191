package envoy

import (
	"strings"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// reading is how a connection manager reads paths.
type reading struct {
	normalise, merge bool
	escaped          hcmv3.HttpConnectionManager_PathWithEscapedSlashesAction
}

// target splits a request target into the path as conditions see it and the
// query. It reports false for what Envoy answers with status 400.
func (r reading) target(t string) (path, query string, asked, ok bool) {
	path, query, asked = strings.Cut(t, "?")
	if !strings.HasPrefix(path, "/") || strings.Contains(t, "#") || strings.ContainsFunc(t, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return path, query, asked, false
	}
	if r.normalise {
		if strings.Contains(path, "%00") {
			return path, query, asked, false
		}
		path = removeDots(spell(strings.ReplaceAll(path, `\`, "/")))
	}
	lower := strings.ToLower(path)
	if strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") {
		switch r.escaped {
		case hcmv3.HttpConnectionManager_REJECT_REQUEST:
			return path, query, asked, false
		case hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT, hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD:
			path = strings.NewReplacer("%2f", "/", "%2F", "/", "%5c", `\`, "%5C", `\`).Replace(path)
		}
	}
	if r.merge {
		path = mergeSlashes(path)
	}
	return path, query, asked, true
}

// spell decodes the escapes of what needs none and escapes what no URI can hold.
func spell(path string) string {
	if !strings.ContainsAny(path, "%{}|^\"<>`") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case strings.IndexByte("{}|^\"<>`", c) >= 0:
			const digits = "0123456789ABCDEF"
			b.WriteString("%" + digits[c>>4:c>>4+1] + digits[c&15:c&15+1])
		case c == '%' && i+2 < len(path):
			if d, ok := escape(path[i+1 : i+3]); ok && unreserved(d) {
				b.WriteByte(d)
				i += 2
				continue
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escape reads the two digits of an escape.
func escape(digits string) (byte, bool) {
	var out byte
	for i := range 2 {
		d := strings.IndexByte("0123456789abcdef", digits[i]|0x20)
		if digits[i] <= '9' {
			d = strings.IndexByte("0123456789", digits[i])
		}
		if d < 0 {
			return 0, false
		}
		out = out<<4 | byte(d)
	}
	return out, true
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// removeDots resolves "." and "..", also where a semicolon and more come behind
// them in their segment. An empty segment counts as one.
func removeDots(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	in := strings.Split(path[1:], "/")
	var out []string
	for i, segment := range in {
		name, _, _ := strings.Cut(segment, ";")
		switch name {
		case ".", "..":
			if name == ".." {
				out = out[:max(0, len(out)-1)]
			}
			if i == len(in)-1 {
				out = append(out, "")
			}
		default:
			out = append(out, segment)
		}
	}
	return "/" + strings.Join(out, "/")
}

// mergeSlashes makes one of several slashes in a row. What begins with one and
// ends with one does so afterwards, so a path of slashes alone keeps two.
func mergeSlashes(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	merged := strings.Join(strings.FieldsFunc(path, func(c rune) bool { return c == '/' }), "/")
	if strings.HasPrefix(path, "/") {
		merged = "/" + merged
	}
	if strings.HasSuffix(path, "/") {
		merged += "/"
	}
	return merged
}
