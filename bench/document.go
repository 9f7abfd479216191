package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// document writes a report for people. All figures in it are of the report.
func document(r *Report) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	fmt.Fprintf(&b, "\nMeasured on %s, %d processors, %d MiB, %s. Versions:", r.Machine.CPU, r.Machine.CPUs, r.Machine.MemoryMiB, r.Machine.OS)
	for i, name := range slices.Sorted(maps.Keys(r.Versions)) {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, " %s %s", name, r.Versions[name])
	}
	b.WriteString(".\n\n## Numbers to reach\n\n")
	line(&b, "", "what", "got", "must", "aim", "verdict")
	line(&b, "---", "---", "---:", "---:", "---:", "---")
	for _, res := range r.Results {
		for _, c := range checks(res) {
			got := "-"
			if c.measured {
				got = show(c.got)
			}
			line(&b, res.Bench, c.figure, unit(got, c.unit), c.sense()+" "+show(c.must.must), show(c.aim), c.verdict())
		}
	}
	for _, res := range r.Results {
		section(&b, res)
	}
	return b.Bytes()
}

const head = `# Performance

Written by ` + "`make bench`" + ` from bench/results.json; do not edit. Every server runs in a
process of its own and all clients in another, one TCP connection each, on loopback. Programs
take turns, A-B-B-A. A time counts only when every client received exactly the resources that
it was to receive, bytes and all, or when translators made the same routes. Medians, unless
said otherwise. "Server CPU" is the server's alone, "all CPU" that of both ends; garbage and
allocations are the server's, for one round. "gRPC floor" passes bytes that were encoded
before through the same gRPC library, "TCP floor" through plain connections: no server can do
less. Load is the machine's load average before and after; where it is far above the number
of processors compare ratios, and no times.
`

func unit(v, u string) string {
	if u == "" || v == "-" {
		return v
	}
	return v + " " + u
}

func section(b *bytes.Buffer, r *Result) {
	fmt.Fprintf(b, "\n## %s: %s\n\n%s It took %.0f s, at a load of %.1f to %.1f.\n", r.Bench, r.Title, r.How, r.Seconds, r.Load[0], r.Load[1])
	for _, rows := range r.tables() {
		b.WriteString("\n")
		line(b, rows[0].columns()...)
		rule := []string{"---", "---"}
		for range rows[0].Values {
			rule = append(rule, "---:")
		}
		line(b, rule...)
		for _, row := range rows {
			line(b, row.cells()...)
		}
	}
	if names := others(r); len(names) > 0 {
		b.WriteString("\nBesides:")
		for i, n := range names {
			if i > 0 {
				b.WriteString(";")
			}
			fmt.Fprintf(b, " %s %s", n, show(r.Figures[n]))
		}
		b.WriteString(".\n")
	}
	if len(r.Notes) > 0 {
		b.WriteString("\n")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(b, "- %s\n", n)
	}
}

// others are the figures without a must.
func others(r *Result) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(r.Figures)) {
		if !slices.ContainsFunc(musts, func(m must) bool { return m.bench == r.Bench && m.figure == name }) {
			out = append(out, name)
		}
	}
	return out
}

func line(b *bytes.Buffer, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}
