package semantics

import "testing"

func TestNormalisePath(t *testing.T) {
	tests := []struct{ name, target, want string }{
		{"plain", "/a/b", "/a/b"},
		{"query", "/a?x=/../b", "/a"},
		{"fragment", "/a#b", "/a"},
		{"dot segments", "/pre/../secret", "/secret"},
		{"encoded dots", "/pre/%2e%2E/secret", "/secret"},
		{"above the root", "/../../a", "/a"},
		{"trailing dot", "/a/.", "/a/"},
		{"trailing dots", "/a/b/..", "/a/"},
		{"dots in a name", "/a..b/...", "/a..b/..."},
		{"encoded slash stays", "/ok%2f..%2fsecret", "/ok%2f..%2fsecret"},
		{"unreserved decoded", "/%61%7e%2D", "/a~-"},
		{"reserved stays", "/%3f%25", "/%3f%25"},
		{"broken escape stays", "/%zz%4", "/%zz%4"},
		{"slashes merged", "//a///b/", "/a/b/"},
		{"dots before slashes", "/a//../b", "/a/b"},
		{"backslash", `/a\..\b`, "/b"},
		{"root", "/", "/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := NormalisePath(tt.target); got != tt.want {
				t.Errorf("NormalisePath(%q) = %q, want %q", tt.target, got, tt.want)
			}
		})
	}
}
