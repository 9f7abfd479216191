package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// places is a Locator over a map.
type places map[Ref]Position

func (p places) Locate(r Ref) (Position, bool) { at, ok := p[r]; return at, ok }

func (p places) Excerpt(at Position) (string, bool) {
	text, ok := map[Position]string{
		{"split.yaml", 14, 7}: "    - name: beta",
		{"tab.yaml", 1, 3}:    "\t\x1b[31mred",
		{"long.yaml", 1, 200}: strings.Repeat("x", 199) + "Y" + strings.Repeat("z", 300),
	}[at]
	return text, ok
}

var (
	split    = Ref{Group: "split.smi-spec.io", Kind: "TrafficSplit", Namespace: "shop", Name: "reviews"}
	target   = Ref{Group: "access.smi-spec.io", Kind: "TrafficTarget", Namespace: "shop", Name: "web"}
	findings = Report{
		New(Refused, target.At("spec.rules[0]"), "cannot say it").WithHint("rewrite it"),
		New(Lossy, split.At("spec.matches[0]"), "needs 2 routers").WithClass(Approximated).With(target).WithHint(""),
		{Code: Undecodable, Severity: Error, Message: "did not find a value", At: Position{"bad.yaml", 3, 1}},
		{Code: WaiverUnused, Severity: Warning, Message: "nothing to waive", Waived: "agreed"},
	}
	known = places{
		split.At("spec.matches[0]"): {"split.yaml", 14, 7},
		target:                      {"target.yaml", 1, 1},
		target.At("spec.rules[0]"):  {"target.yaml", 12, 0},
	}
)

func sample() Report {
	out := append(Report{}, findings...)
	out[1].Backend = "consul"
	return out
}

func rendered(t *testing.T, format string, r Report, o RenderOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := Render(&b, format, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func equal(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestText(t *testing.T) {
	equal(t, rendered(t, "text", sample(), RenderOptions{Locator: known}), `bad.yaml:3:1: error MK1001 did not find a value
split.yaml:14:7: warning MK3001 [consul: approximated] TrafficSplit shop/reviews: spec.matches[0]: needs 2 routers
  14 |     - name: beta
     |       ^
  see: target.yaml:1:1: TrafficTarget shop/web
target.yaml:12: error MK3002 TrafficTarget shop/web: spec.rules[0]: cannot say it
  hint: rewrite it
warning MK3010 nothing to waive
  waived: agreed
`)
}

func TestTextColor(t *testing.T) {
	r := Report{{Code: Lossy, Severity: Warning, Message: "m"}}
	equal(t, rendered(t, "text", r, RenderOptions{Color: true}), "\x1b[1;33mwarning\x1b[0m MK3001 m\n")
}

func TestTextExcerptOfLongLine(t *testing.T) {
	r := Report{{Code: Lossy, Severity: Warning, Message: "m", At: Position{"long.yaml", 1, 200}}}
	lines := strings.Split(rendered(t, "text", r, RenderOptions{Locator: places{}}), "\n")
	if len(lines[1]) > widest+20 || lines[1][strings.Index(lines[2], "^")] != 'Y' {
		t.Errorf("the caret does not stand below Y:\n%s\n%s", lines[1], lines[2])
	}
}

func TestTextExcerptKeepsColumns(t *testing.T) {
	r := Report{{Code: Lossy, Severity: Warning, Message: "m", At: Position{"tab.yaml", 1, 3}}}
	equal(t, rendered(t, "text", r, RenderOptions{Locator: places{}}), "tab.yaml:1:3: warning MK3001 m\n  1 |  ·[31mred\n    |   ^\n")
}

// What JSON need not escape stays readable; what a terminal would obey does not.
func TestWriteJSON(t *testing.T) {
	var out bytes.Buffer
	if err := WriteJSON(&out, []string{"a -> b & <c>", "\x1b[31m\u202e"}); err != nil {
		t.Fatal(err)
	}
	equal(t, out.String(), "[\n  \"a -> b & <c>\",\n  \"\\u001b[31m\\u202e\"\n]\n")
}

func TestJSON(t *testing.T) {
	equal(t, rendered(t, "json", sample()[1:2], RenderOptions{Locator: known}), `{
  "findings": [
    {
      "code": "MK3001",
      "severity": "warning",
      "class": "approximated",
      "backend": "consul",
      "message": "needs 2 routers",
      "hint": "",
      "source": {
        "group": "split.smi-spec.io",
        "kind": "TrafficSplit",
        "namespace": "shop",
        "name": "reviews",
        "field": "spec.matches[0]",
        "file": "split.yaml",
        "line": 14,
        "column": 7
      },
      "related": [
        {
          "group": "access.smi-spec.io",
          "kind": "TrafficTarget",
          "namespace": "shop",
          "name": "web",
          "field": "",
          "file": "target.yaml",
          "line": 1,
          "column": 1
        }
      ]
    }
  ]
}
`)
	equal(t, rendered(t, "json", nil, RenderOptions{}), "{\n  \"findings\": []\n}\n")
}

func TestGitHub(t *testing.T) {
	equal(t, rendered(t, "github", sample(), RenderOptions{Locator: known}), `::error file=bad.yaml,line=3,col=1,title=MK1001::did not find a value
::warning file=split.yaml,line=14,col=7,title=MK3001::[consul: approximated] TrafficSplit shop/reviews: spec.matches[0]: needs 2 routers
::error file=target.yaml,line=12,title=MK3002::TrafficTarget shop/web: spec.rules[0]: cannot say it%0Ahint: rewrite it
::warning title=MK3010::nothing to waive
`)
	r := Report{{Code: IgnoredKind, Severity: Info, Message: "100%\n::error::x", At: Position{File: "a,b:c.yaml", Line: 1, Column: 2}}}
	equal(t, rendered(t, "github", r, RenderOptions{}), "::notice file=a%2Cb%3Ac.yaml,line=1,col=2,title=MK1007::100%25\\n::error::x\n")
}

func TestMarkdown(t *testing.T) {
	equal(t, rendered(t, "markdown", sample()[:2], RenderOptions{Locator: known}), `| Severity | Code | Place | Finding | Hint |
|---|---|---|---|---|
| warning | MK3001 | split.yaml:14:7 | \[consul: approximated\] TrafficSplit shop/reviews: spec.matches\[0\]: needs 2 routers |  |
| error | MK3002 | target.yaml:12 | TrafficTarget shop/web: spec.rules\[0\]: cannot say it | rewrite it |
`)
	r := Report{{Code: IgnoredKind, Severity: Info, Message: "a|b\n<script>`*_"}}
	if got, want := rendered(t, "markdown", r, RenderOptions{}), "| info | MK1007 |  | a\\|b\\\\n&lt;script&gt;\\`\\*\\_ |  |\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want it to end in %q", got, want)
	}
	equal(t, rendered(t, "markdown", nil, RenderOptions{}), "No findings.\n")
}

func TestJUnit(t *testing.T) {
	equal(t, rendered(t, "junit", sample()[:2], RenderOptions{Locator: known}), `<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="meshknot" tests="2" failures="1">
    <testcase name="MK3001 TrafficSplit shop/reviews: spec.matches[0]" classname="meshknot.MK3001" file="split.yaml" line="14">
      <system-out>split.yaml:14:7: warning MK3001 [consul: approximated] TrafficSplit shop/reviews: spec.matches[0]: needs 2 routers</system-out>
    </testcase>
    <testcase name="MK3002 TrafficTarget shop/web: spec.rules[0]" classname="meshknot.MK3002" file="target.yaml" line="12">
      <failure type="MK3002" message="cannot say it">target.yaml:12: error MK3002 TrafficTarget shop/web: spec.rules[0]: cannot say it&#xA;hint: rewrite it</failure>
    </testcase>
  </testsuite>
</testsuites>
`)
	if got := rendered(t, "junit", nil, RenderOptions{}); !strings.Contains(got, `tests="1" failures="0"`) || !strings.Contains(got, `name="no findings"`) {
		t.Errorf("without findings: %s", got)
	}
}

func TestSARIF(t *testing.T) {
	text := rendered(t, "sarif", sample(), RenderOptions{Locator: known, Version: "1.2.3"})
	var log sarifLog
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if log.Version != "2.1.0" || run.Tool.Driver.Version != "1.2.3" || len(run.Tool.Driver.Rules) != len(Codes()) {
		t.Errorf("version %s, driver %s, %d rules", log.Version, run.Tool.Driver.Version, len(run.Tool.Driver.Rules))
	}
	for _, r := range run.Results {
		if run.Tool.Driver.Rules[*r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s has the index of %s", r.RuleID, run.Tool.Driver.Rules[*r.RuleIndex].ID)
		}
	}
	_, results, _ := strings.Cut(text, `"results": [`)
	_, results, _ = strings.Cut(results, `"ruleId": "MK1001"`)
	_, results, _ = strings.Cut(results, "    },\n    ")
	got, _, _ := strings.Cut(results, `"ruleId": "MK3002"`)
	for _, want := range []string{
		`"text": "TrafficSplit shop/reviews: spec.matches[0]: needs 2 routers"`,
		"\"uri\": \"split.yaml\"\n", `"startLine": 14`, `"startColumn": 7`,
		`"fullyQualifiedName": "TrafficSplit shop/reviews: spec.matches[0]"`,
		`"uri": "target.yaml"`, `"backend": "consul"`, `"class": "approximated"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if s := run.Results[3].Suppressions; len(s) != 1 || s[0].Justification != "agreed" {
		t.Errorf("suppressions %v", s)
	}
}

func TestFileURI(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"relative", "a/b c.yaml", "a/b%20c.yaml"},
		{"absolute", "/a/b.yaml", "file:///a/b.yaml"},
		{"colon", "a:b.yaml", "./a:b.yaml"},
		{"stdin", "<stdin>", "%3Cstdin%3E"},
	} {
		if got := fileURI(test.file); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	if err := Render(io.Discard, "yaml", nil, RenderOptions{}); err == nil || !strings.Contains(err.Error(), "sarif") {
		t.Errorf("got %v", err)
	}
}

// hostile holds what a terminal or a reader might act on: an escape sequence, a
// C1 control, a mark that reverses the direction of writing, line breaks, bytes
// that are no text.
const hostile = "a\x1b[2Jb\u009bc\u202ed\r\ne\u2028f\xffg\x00h"

func TestNothingHostileGetsThrough(t *testing.T) {
	ref := Ref{Kind: hostile, Namespace: hostile, Name: hostile, Field: hostile}
	r := Report{{Code: Lossy, Severity: Error, Backend: hostile, Class: hostile, Message: hostile, Hint: hostile,
		Source: ref, Related: []Ref{ref}, Waived: hostile, At: Position{hostile, 1, 1}}}
	for _, format := range Formats() {
		text := rendered(t, format, r, RenderOptions{Locator: places{}})
		for i, c := range text {
			if strings.ContainsRune("\x00\r\x1b\u009b\u202e\u2028", c) || c == '\ufffd' && format != "json" && format != "sarif" {
				t.Errorf("%s: %q at %d of %q", format, c, i, text)
				break
			}
		}
	}
}

func TestHostileTextKeepsItsMeaning(t *testing.T) {
	r := Report{{Code: Lossy, Severity: Error, Message: "x\x1b\u009b\u202e\U000e0001y"}}
	var doc struct{ Findings []FindingJSON }
	if err := json.Unmarshal([]byte(rendered(t, "json", r, RenderOptions{})), &doc); err != nil {
		t.Fatal(err)
	}
	equal(t, doc.Findings[0].Message, r[0].Message)
	if err := xml.Unmarshal([]byte(rendered(t, "junit", r, RenderOptions{})), &junitSuites{}); err != nil {
		t.Error(err)
	}
}

func TestClean(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"text", "é 世界 🙂", "é 世界 🙂"},
		{"lines", "a\nb\tc\r", `a\nb\tc\u000d`},
		{"an escape sequence", "\x1b[1m", `\u001b[1m`},
		{"bytes that are no text", "a\xffb", `a\xffb`},
		{"the character for such bytes", "a\ufffdb", `a\ufffdb`},
		{"a mark of direction", "\u202e", `\u202e`},
		{"a tag character", "\U000e0041", `\udb40\udc41`},
	} {
		if got := clean(test.text); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}
