package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// translated is what a translator made of a Gateway, in words of neither: which
// host, path and method lead to which address. It is sorted.
type translated []string

// message is xDS as JSON.
type message map[string]any

func (m message) child(key string) message {
	c, _ := m[key].(map[string]any)
	return c
}

func (m message) list(key string) []message {
	all, _ := m[key].([]any)
	var out []message
	for _, v := range all {
		if c, ok := v.(map[string]any); ok {
			out = append(out, c)
		}
	}
	return out
}

func (m message) text(key string) string {
	s, _ := m[key].(string)
	return s
}

// outcome finds all route tables and endpoints in a translator's output, wherever
// they are, and lists what leads where. What leads to no address is left out: an
// answer without a backend is no route.
func outcome(output []byte) (translated, error) {
	var all any
	d := json.NewDecoder(bytes.NewReader(output))
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("reading the output: %w", err)
	}
	addresses, hosts := map[string]string{}, []message{}
	walk(all, func(m message) {
		switch {
		case m["clusterName"] != nil && m["endpoints"] != nil:
			addresses[m.text("clusterName")] = address(m)
		case m["virtualHosts"] != nil:
			hosts = append(hosts, m.list("virtualHosts")...)
		}
	})
	var out translated
	for _, h := range hosts {
		for _, r := range h.list("routes") {
			to := target(r.child("route"), addresses)
			if to == "" {
				continue
			}
			domains, _ := h["domains"].([]any)
			for _, domain := range domains {
				if name := fmt.Sprint(domain); strings.HasSuffix(name, ".example.com") {
					out = append(out, fmt.Sprintf("%s %s %s", name, match(r.child("match")), to))
				}
			}
		}
	}
	slices.Sort(out)
	return separated(slices.Compact(out)), nil
}

// walk calls f for every object.
func walk(v any, f func(message)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, c := range v {
			walk(c, f)
		}
	case []any:
		for _, c := range v {
			walk(c, f)
		}
	}
}

// address of what an assignment leads to. The Service's own address and its
// endpoint's differ in their first number and in the port (10 and 80, 11 and 8080),
// and mean the same Service: egctl leads to the one, we to the other.
func address(assignment message) string {
	var out []string
	for _, locality := range assignment.list("endpoints") {
		for _, e := range locality.list("lbEndpoints") {
			s := e.child("endpoint").child("address").child("socketAddress")
			at := fmt.Sprintf("%s:%v", s.text("address"), s["portValue"])
			for _, form := range []struct{ network, port string }{{"10.", ":80"}, {"11.", ":8080"}} {
				if rest, ok := strings.CutPrefix(at, form.network); ok && strings.HasSuffix(rest, form.port) {
					at = "service " + strings.TrimSuffix(rest, form.port)
					break
				}
			}
			out = append(out, at)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

func target(route message, addresses map[string]string) string {
	if c := route.text("cluster"); c != "" {
		return addresses[c]
	}
	var out []string
	for _, c := range route.child("weightedClusters").list("clusters") {
		out = append(out, addresses[c.text("name")])
	}
	return strings.Join(out, ",")
}

// match says path and method: "=/a" is /a alone, "/a*" all that begins with it.
func match(m message) string {
	path := "/*"
	switch {
	case m.text("path") != "":
		path = "=" + m.text("path")
	case m.text("pathSeparatedPrefix") != "":
		path = m.text("pathSeparatedPrefix") + "/**"
	case m.text("prefix") != "":
		path = m.text("prefix") + "*"
	}
	method := "any"
	for _, h := range m.list("headers") {
		if h.text("name") == ":method" {
			method = h.child("stringMatch").text("exact")
		}
	}
	return path + " " + method
}

// separated writes a path and all below it as one, as Envoy's separated prefix
// does, where a translator has made two routes of it.
func separated(all translated) translated {
	has := map[string]bool{}
	for _, l := range all {
		has[l] = true
	}
	var out translated
	for _, l := range all {
		host, rest, _ := strings.Cut(l, " ")
		path, end, _ := strings.Cut(rest, " ")
		if p, ok := strings.CutPrefix(path, "="); ok && has[host+" "+p+"/* "+end] {
			continue
		}
		if p, ok := strings.CutSuffix(path, "/*"); ok && !strings.HasSuffix(path, "**") && has[host+" ="+p+" "+end] {
			l = host + " " + p + "/** " + end
		}
		out = append(out, l)
	}
	slices.Sort(out)
	return out
}

// equal says where two outcomes differ.
func (t translated) equal(o translated) error {
	if slices.Equal(t, o) {
		return nil
	}
	for i := range min(len(t), len(o)) {
		if t[i] != o[i] {
			return fmt.Errorf("one has %q where the other has %q (%d and %d in all)", t[i], o[i], len(t), len(o))
		}
	}
	return errors.New("one has " + fmt.Sprint(len(t)) + " routes, the other " + fmt.Sprint(len(o)))
}
