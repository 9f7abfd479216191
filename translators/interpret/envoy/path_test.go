package envoy

import (
	"testing"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// What Envoy 1.40 made of these paths when it was asked for them, with
// normalize_path, merge_slashes and KEEP_UNCHANGED; "" is an answer with status 400.
func TestPathsAsEnvoyReadsThem(t *testing.T) {
	read := reading{normalise: true, merge: true, escaped: hcmv3.HttpConnectionManager_KEEP_UNCHANGED}
	for sent, want := range map[string]string{
		"/a/../b":           "/b",
		"/a/%2e%2e/b":       "/b",
		"/a/..;x/b":         "/b", // what comes behind a semicolon does not count
		"/a/.;x/b":          "/a/b",
		"/..;x":             "/",
		"/a/b;..":           "/a/b;..",
		"/a/..x;y/b":        "/a/..x;y/b",
		"/a/...":            "/a/...",
		"/a/..":             "/",
		"/a/.":              "/a/",
		"/a//..":            "/a/", // an empty segment counts as one
		"//":                "//",  // two slashes stay of a path of slashes alone
		"///":               "//",
		"/a//b":             "/a/b",
		"/x/..//p":          "/p",
		"/{a}":              "/%7Ba%7D", // braces, and more, are escaped
		"/a|b":              "/a%7Cb",
		"/a^b":              "/a%5Eb",
		`/a"b`:              "/a%22b",
		"/a<b":              "/a%3Cb",
		"/a`b":              "/a%60b",
		"/a[b]":             "/a[b]",
		`/a\b`:              "/a/b", // a backslash is a slash
		"/a%5cb":            "/a%5cb",
		"/%41%7e":           "/A~", // escapes of what needs none are decoded
		"/%zz":              "/%zz",
		"/a%2fb":            "/a%2fb", // an escaped slash stays
		"/a/..%2fb":         "/a/..%2fb",
		"/%2f%2e":           "/%2f.",
		"/a!$&'()*+,:@=b":   "/a!$&'()*+,:@=b",
		"/a b":              "",
		"/a#x":              "",
		"*":                 "",
		"a":                 "",
		"/%00a":             "",
		"/\u00e9":           "",
		"/a\x7fb":           "",
		"/a//?x=//../b":     "/a/", // the query is not looked at
		"/a%":               "/a%",
		"/a/;/../b":         "/a/b",
		"/a/..;/../b":       "/b",
		"/a/../../../b/./c": "/b/c",
	} {
		got, query, asked, ok := read.target(sent)
		if !ok {
			got = ""
		}
		if got != want || ok == (want == "") {
			t.Errorf("%s is read as %q, want %q", sent, got, want)
		}
		if asked && query != "x=//../b" {
			t.Errorf("%s has the query %q", sent, query)
		}
	}
}

// Without the options a path stays what it is, so conditions on it can be evaded;
// an escaped slash can be refused or unescaped.
func TestPathOptions(t *testing.T) {
	for _, c := range []struct {
		read reading
		sent string
		want string
		ok   bool
	}{
		{reading{}, "/a/../b", "/a/../b", true},
		{reading{}, "//a", "//a", true},
		{reading{merge: true}, "/a//../b", "/a/../b", true},
		{reading{normalise: true}, "/a//b", "/a//b", true},
		{reading{escaped: hcmv3.HttpConnectionManager_REJECT_REQUEST}, "/a%2Fb", "/a%2Fb", false},
		{reading{escaped: hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD}, "/a%2Fb", "/a/b", true},
	} {
		if got, _, _, ok := c.read.target(c.sent); got != c.want || ok != c.ok {
			t.Errorf("%+v: %s is %q, %v", c.read, c.sent, got, ok)
		}
	}
}

// The most exact of port, TLS and protocol wins, one after the other, and what
// has won is not given up again.
func TestFilterChains(t *testing.T) {
	tls := &chain{port: 80, transport: "tls", protocols: []string{"own"}}
	plain := &chain{port: 80}
	other := &chain{transport: "tls"}
	rest := &chain{}
	l := &listener{inspects: true, chains: []*chain{tls, plain, other}, rest: rest}
	for _, c := range []struct {
		name string
		a    arrived
		want *chain
	}{
		{"TLS with the protocol", arrived{80, true, []string{"h2", "own"}}, tls},
		{"TLS with another protocol is not taken for plain text", arrived{80, true, []string{"h2"}}, rest},
		{"plain text", arrived{80, false, nil}, plain},
		{"TLS at another port", arrived{81, true, nil}, other},
		{"plain text at another port", arrived{81, false, nil}, rest},
	} {
		if got := l.chainFor(c.a); got != c.want {
			t.Errorf("%s: chain %+v", c.name, got)
		}
	}
	l.inspects = false // nobody looks whether it is TLS
	if got := l.chainFor(arrived{80, true, []string{"own"}}); got != plain {
		t.Errorf("uninspected: chain %+v", got)
	}
}

// A redirect keeps the port of the host that was asked for, unless it says a port
// or changes the scheme from the one that the port implies.
func TestLocations(t *testing.T) {
	for _, c := range []struct {
		r    redirect
		host string
		want string
	}{
		{redirect{}, "a.example:8080", "http://a.example:8080/p?q"},
		{redirect{}, "a.example:80", "http://a.example/p?q"},
		{redirect{scheme: "https"}, "a.example:80", "https://a.example/p?q"},
		{redirect{scheme: "https"}, "a.example:8080", "https://a.example:8080/p?q"},
		{redirect{port: 8443}, "a.example:8080", "http://a.example:8443/p?q"},
		{redirect{host: "b.example", path: "/new"}, "a.example", "http://b.example/new?q"},
		{redirect{path: "/new?x"}, "a.example", "http://a.example/new?x"},
		{redirect{rewrite: rewrite{prefix: "/n"}, stripQuery: true}, "a.example", "http://a.example/n"},
	} {
		if got := c.r.location(c.host, "/p", "q", true, "/p"); got != c.want {
			t.Errorf("%+v for %s: %s, want %s", c.r, c.host, got, c.want)
		}
	}
}
