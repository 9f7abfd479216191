package input

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// plainScalars are scalars that YAML 1.1, YAML 1.2 and people read differently.
var plainScalars = []string{
	"y", "Y", "yes", "Yes", "YES", "yEs", "n", "N", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "oFF",
	"true", "True", "TRUE", "tRue", "false", "False", "FALSE", "null", "Null", "NULL", "nUll", "~", "''", "",
	"0", "-0", "+1", "1_000", "_1", "1_", "0x1F", "0X1f", "0b101", "-0b11", "0o17", "-0o17", "017", "08", "0777", "00", "0_7",
	"9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775809",
	"1.0", "1.", ".5", "-.5", "+.5", "1e3", "1E3", "1e-3", "1.5e+10", "1e400", "-1e400", "1e21", "1e20", "0.1", "1e", "e3", ".", "..", "-", "+", "-.", "._1", ".1_0", "1__0.5",
	"0x", "0b", "0o", "0b2", "0xg", "1:30", "190:20:30", "1,000", "12e03", "-2E+05", "0.", "0x1p4", ".0x1", ".e1", "1e1_0", ".inf1", "Infinity", "inf", "nan", "NaN",
	"2001-12-14", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43", "2001-1-1", "20011214",
	"a", "a b", "1 2", "1a", "0.0.0.0", "1.2.3", "v1", "=", "<<x", "#x", "a#b", "a: b", "'1'", `"1"`, `"\u00e9\n\x1b"`, "'it''s'",
	"!!str 1", "!!str true", "!!int 1", "!!int '1'", "!!float 1", "!!float 1.5", "!!bool yes", "!!bool 'yes'", "!!null ''", "!!null ~", "!!binary YWI=", "!custom 1", "!custom x", "!!timestamp 2001-12-14",
	"|\n  a\n  b", ">-\n  a\n  b", "[yes, 1, ~]", "{yes: 1, 2: x, 1.5: y, 0x10: z, true: q, .5: r}", "{1e3: a}", "{~: a}", "{null: a}", "{? : a}", "{[a]: b}", "{2001-12-14: a}", "{'': a}", "{\"<<\": a}",
}

// refused are scalars that sigs.k8s.io/yaml reads and this package refuses, each
// with the reason.
var refused = map[string]string{
	"!!int '1'":    "a tag that contradicts the quotes is more likely a mistake",
	"!!bool 'yes'": "a tag that contradicts the quotes is more likely a mistake",
}

func TestScalarsAreReadAsKubernetesDoes(t *testing.T) {
	for _, s := range plainScalars {
		if _, ok := refused[s]; !ok {
			compare(t, "v: "+s+"\n")
		}
	}
}

// compare reads a text with this package and with sigs.k8s.io/yaml.
func compare(t *testing.T, text string) {
	t.Helper()
	want, wantErr := yaml.YAMLToJSON([]byte(text))
	docs := yamlDocuments(segment{text: []byte(text)}, Limits{}.withDefaults())
	if len(docs) != 1 {
		t.Errorf("%q is %d documents", text, len(docs))
		return
	}
	if (docs[0].fatal != nil) != (wantErr != nil) {
		t.Errorf("%q: got error %v, want %v", text, docs[0].fatal, wantErr)
		return
	}
	if wantErr == nil && !sameJSON(docs[0].root.json(nil), want) {
		t.Errorf("%q: got %s, want %s", text, docs[0].root.json(nil), want)
	}
}

// sameJSON compares JSON texts without regard to the order of keys, numbers by
// how they are written.
func sameJSON(a, b []byte) bool {
	canonical := func(text []byte) string {
		var v any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if d.Decode(&v) != nil {
			return "no JSON: " + string(text)
		}
		out, _ := json.Marshal(v)
		return string(out)
	}
	return canonical(a) == canonical(b)
}

// Random scalars of the characters that matter are read alike too.
func TestRandomScalarsAreReadAsKubernetesDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const characters = "0123456789._+-eExbo:yntf~ "
	for range 20_000 {
		var b strings.Builder
		for range 1 + random.IntN(6) {
			b.WriteByte(characters[random.IntN(len(characters))])
		}
		compare(t, "v: ["+strings.TrimSpace(b.String())+"]\n")
	}
}

func TestDocumentsAreReadAsKubernetesDoes(t *testing.T) {
	for _, text := range []string{
		"a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n",
		"a: &x {b: 1}\nd: {<<: [*x, {b: 3, c: 4}], c: 5}\n",
		"? a\n: b\n",
		"a:\n- b\n-   - c\n    - d\n",
		"a: 'x\n  y'\nb: \"x\\\n  y\"\n",
		"# c\na: b # d\n# e\n",
		"'a.b/c': {}\n\"\": []\n",
	} {
		compare(t, text)
	}
}
