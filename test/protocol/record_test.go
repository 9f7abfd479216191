package protocol

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "play all servers, and rewrite results.json and docs/protocol.md")

const results = "results.json"

var document = filepath.Join("..", "..", "docs", "protocol.md")

// record is what came of the examples, by server and example.
type record map[string]map[string]string

func readRecord(t *testing.T) record {
	t.Helper()
	text, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	var out record
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRecord plays the other servers and holds what comes of it against the
// record: what is published of them is what they do. Of ours TestRules sees to
// that all is well, and the record says so of every example.
func TestRecord(t *testing.T) {
	if testing.Short() && !*update {
		t.Skip("short: the peers are not played")
	}
	now := record{}
	for _, s := range servers {
		if s.name != nameOurs || *update {
			now[s.name] = judge(s.name, s.make)
		}
	}
	if *update {
		text, err := json.MarshalIndent(now, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(results, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := readRecord(t)
	for name, got := range now {
		if d := cmp.Diff(want[name], got); d != "" {
			t.Errorf("%s is not as recorded (-update records it):\n%s", name, d)
		}
	}
	each(func(r rule, e example, on variants) {
		if got := want[nameOurs][key(r, e, on)]; !strings.HasPrefix(got, "yes") && !strings.HasPrefix(got, "n/a") {
			t.Errorf("%s: %q is recorded of our server", key(r, e, on), got)
		}
	})
}

// TestDocument holds docs/protocol.md against the record.
func TestDocument(t *testing.T) {
	text := render(readRecord(t))
	if *update {
		if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(have), text); d != "" {
		t.Errorf("docs/protocol.md is not what the record says (-update writes it):\n%s", d)
	}
}

const preamble = `# The xDS protocol, rule by rule

Made by "go test ./test/protocol -update" from what three servers do; a test plays them again and holds this page against it.
Every rule is tried with what must happen and with what must not ("not" below), by a client that sends and reads bare protobuf
messages, over the incremental protocol (delta) and the state of the world (world). That nothing is sent is proved by a later
exchange on the same stream that is answered, not by waiting.

The peers are the two caches of go-control-plane %s behind its own server: SnapshotCache, with versions that are hashes of the
contents, so that they change only with these, and LinearCache, one for each type behind a MuxCache, told of what changed alone, what is
new first and what is gone last. Options that help are on: answers in order (WithOrderedADS; for R14 and R16 also the "ads" mode of
SnapshotCache), no wildcard of old for types that have none (DeactivateLegacyWildcardForTypes), a prefix of versions for each life of a
LinearCache. Callbacks could be made to do more; what a caller would have to write is not counted as done.

An example that is marked † asks for more than the specification does: it is what we think a server owes its clients.

`

// render writes the document.
func render(rec record) string {
	var b strings.Builder
	fmt.Fprintf(&b, preamble, "v0.14.0")
	b.WriteString("| rule | what it means |")
	for _, s := range servers {
		fmt.Fprintf(&b, " %s |", s.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(servers)) + "\n")
	for _, r := range rules() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s |", r.id, strings.ToLower(r.id), r.says)
		for _, s := range servers {
			fmt.Fprintf(&b, " %s |", sum(rec[s.name], r))
		}
		b.WriteString("\n")
	}
	for _, r := range rules() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| example | over |", r.id, r.says)
		for _, s := range servers {
			fmt.Fprintf(&b, " %s |", s.name)
		}
		b.WriteString("\n|---|---|" + strings.Repeat("---|", len(servers)) + "\n")
		for _, e := range r.cases {
			for _, row := range lines(rec, r, e) {
				b.WriteString(row)
			}
		}
	}
	return b.String()
}

// lines are the rows of an example: one where both protocols come to the same.
func lines(rec record, r rule, e example) []string {
	name := e.name
	if e.not {
		name = "not: " + name
	}
	if e.more {
		name += " †"
	}
	cells := map[variants]string{}
	for _, v := range []variants{delta, world} {
		if e.on&v == 0 {
			continue
		}
		for _, s := range servers {
			cells[v] += " " + strings.ReplaceAll(rec[s.name][key(r, e, v)], "|", "/") + " |"
		}
	}
	over := map[variants]string{delta: "delta", world: "world"}
	if len(cells) == 2 && cells[delta] == cells[world] {
		return []string{fmt.Sprintf("| %s | both |%s\n", name, cells[delta])}
	}
	var out []string
	for _, v := range slices.Sorted(maps.Keys(cells)) {
		out = append(out, fmt.Sprintf("| %s | %s |%s\n", name, over[v], cells[v]))
	}
	return out
}

// sum says how many examples of a rule hold for a server.
func sum(rec map[string]string, r rule) string {
	holds, all := 0, 0
	for _, e := range r.cases {
		for _, v := range []variants{delta, world} {
			got := rec[key(r, e, v)]
			if e.on&v == 0 || strings.HasPrefix(got, "n/a") {
				continue
			}
			all++
			if got == "yes" {
				holds++
			}
		}
	}
	switch {
	case all == 0:
		return "n/a"
	case holds == all:
		return "yes"
	case holds == 0:
		return "**no**"
	}
	return fmt.Sprintf("%d of %d", holds, all)
}
