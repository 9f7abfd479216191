package ir

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParsePattern(t *testing.T) {
	tests := []struct {
		expr   string
		anchor Anchor
		want   string
	}{
		{"/api", AnchorStart, `[prefix "/api"]`},
		{"/api", AnchorWhole, `[exact "/api"]`},
		{"/api", AnchorNone, `[contains "/api"]`},
		{"^/api$", AnchorStart, `[exact "/api"]`},
		{"/api.*", AnchorWhole, `[prefix "/api"]`},
		{"/api$", AnchorStart, `[exact "/api"]`},
		{"/(a|b)", AnchorStart, `[prefix "/a" prefix "/b"]`},
		{"/a|/b$", AnchorStart, `[exact "/b" prefix "/a"]`},
		{"t|True", AnchorWhole, `[exact "True" exact "t"]`},
		{".*", AnchorStart, `[any ""]`},
		{"", AnchorStart, `[any ""]`},
		{"", AnchorWhole, `[exact ""]`},
		{".*\\.png", AnchorWhole, `[suffix ".png"]`},
		{".*-http-client/*.*", AnchorWhole, `[regex ".*-http-client/*.*"]`},
		{".*firefox.*", AnchorWhole, `[contains "firefox"]`},
		{"/v[12]/x", AnchorWhole, `[exact "/v1/x" exact "/v2/x"]`},
		{"/v[0-9]+", AnchorStart, `[regex "(?:/v[0-9]+).*"]`},
		{".*a-book.*new", AnchorStart, `[regex "(?:.*a-book.*new).*"]`},
		{"(?i)/API", AnchorWhole, `[regex "(?i)/API"]`},
		{`\Q/a.b`, AnchorStart, `[prefix "/a.b"]`},
		{`\Q/a.b\E+`, AnchorStart, `[regex "(?:/a\\.b+).*"]`},
		{"/a.b", AnchorWhole, `[regex "/a.b"]`},
		{"/items/?", AnchorWhole, `[exact "/items" exact "/items/"]`},
		{"a^b", AnchorWhole, `[regex "a^b"]`},
		{".*^/x", AnchorStart, `[prefix "/x"]`},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s/%d", tt.expr, tt.anchor), func(t *testing.T) {
			got, err := ParsePattern(tt.expr, tt.anchor)
			if err != nil {
				t.Fatal(err)
			}
			if s := fmt.Sprint(got); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
		})
	}
}

func TestParsePatternRefuses(t *testing.T) {
	for _, expr := range []string{"(", "[", "a{1001}", "(?=x)", `\8`} {
		if got, err := ParsePattern(expr, AnchorStart); err == nil {
			t.Errorf("%q: got %v, want an error", expr, got)
		}
	}
}

// A reduced expression must mean what the written one means, for any string.
func TestParsePatternMeansTheSame(t *testing.T) {
	atom := rapid.SampledFrom([]string{"a", "b", "/", ".*", ".", "^", "$", "[ab]", "a?", "(a|b)", "(/|.*)", "b*", "(?:ab|$)"})
	rapid.Check(t, func(t *rapid.T) {
		expr := strings.Join(rapid.SliceOfN(atom, 0, 5).Draw(t, "expr"), "")
		s := rapid.StringMatching(`[ab/]{0,5}`).Draw(t, "s")
		anchor := Anchor(rapid.IntRange(0, 2).Draw(t, "anchor"))
		written := map[Anchor]string{AnchorWhole: `^(?:%s)$`, AnchorStart: `^(?:%s)`, AnchorNone: `(?:%s)`}[anchor]
		want := regexp.MustCompile(fmt.Sprintf(written, expr)).MatchString(s)
		alts, err := ParsePattern(expr, anchor)
		if err != nil {
			t.Fatal(err)
		}
		got := false
		for _, m := range alts {
			got = got || m.Matches(s)
		}
		if got != want {
			t.Fatalf("%q on %q: %v says %v, the expression says %v", expr, s, alts, got, want)
		}
	})
}
