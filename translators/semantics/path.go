package semantics

import "strings"

// NormalisePath brings the path of a request target into the form in which it
// is matched, as RFC 3986 section 6.2.2 has it and Envoy's normalize_path and
// merge_slashes do: the query and the fragment removed, escapes of unreserved
// characters decoded, dot segments removed, then runs of slashes merged. An
// escaped slash stays what it is.
func NormalisePath(target string) string {
	path, _, _ := strings.Cut(target, "#")
	path, _, _ = strings.Cut(path, "?")
	path = removeDots(decodeUnreserved(strings.ReplaceAll(path, `\`, "/")))
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

func decodeUnreserved(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, ok := unhex(s[i+1], s[i+2]); ok && unreserved(c) {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

func unhex(hi, lo byte) (byte, bool) {
	h, l := strings.IndexByte(hexDigits, lower(hi)), strings.IndexByte(hexDigits, lower(lo))
	return byte(h<<4 | l), h >= 0 && l >= 0
}

const hexDigits = "0123456789abcdef"

func lower(c byte) byte {
	if c >= 'A' && c <= 'F' {
		return c + 'a' - 'A'
	}
	return c
}

// removeDots removes "." and ".." segments, RFC 3986 section 5.2.4. An empty
// segment counts as one, so "/a//.." is "/a/".
func removeDots(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	in := strings.Split(strings.TrimPrefix(path, "/"), "/")
	var out []string
	for i, s := range in {
		last := i == len(in)-1
		switch s {
		case "..":
			out = out[:max(0, len(out)-1)]
			fallthrough
		case ".":
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}
