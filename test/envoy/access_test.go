package envoy_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// ask sends a request word for word ("GET /path" and lines of headers) and
// returns the status and the body; 0 where there was no answer at all.
func ask(t *testing.T, port int32, id *tls.Config, request string) (int, string) {
	t.Helper()
	return askAt(t, lab.Local(port), id, request)
}

func askAt(t *testing.T, address string, id *tls.Config, request string) (int, string) {
	t.Helper()
	r, err := lab.Converse(address, id, request)
	switch {
	case err != nil:
		return 0, err.Error()
	case strings.HasPrefix(request, "HEAD "):
		return r.Status, r.Header.Get("X-App")
	}
	return r.Status, r.Body
}

func dial(address string, id *tls.Config) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(10 * time.Second)) // then reading fails
	if id == nil {
		return c, nil
	}
	s := tls.Client(c, id)
	if err := s.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// guarded is a workload that denies by default, behind a real proxy.
type guarded struct {
	*rig
	options map[string]string
	web     *tls.Config
	thief   *tls.Config
}

func newGuarded(t *testing.T) guarded {
	l := newRig(t)
	return guarded{l, map[string]string{}, l.ca.client(web.URI("cluster.local"), "http/1.1"), l.ca.client(thief.URI("cluster.local"), "http/1.1")}
}

func (g guarded) place(port, process int32) int32 {
	at := freePort(g.t)
	inbound(g.options, reviews, port, at, process)
	return at
}

func (g guarded) serve(w ir.Workload, change ...func(*translators.Artifact)) {
	w.Namespace, w.Account, w.Enforced = reviews.Namespace, reviews.Account, true
	w.Ref = report.Ref{Kind: "ServiceAccount", Namespace: "shop", Name: "reviews"}
	g.rig.serve(translators.Target{Options: g.options}, []ir.Unit{mesh, {Workload: &w}}, change...)
}

// TestAccess calls one workload with real identities and without.
func TestAccess(t *testing.T) {
	g := newGuarded(t)
	open := g.place(8081, app(t, "one"))
	other := g.place(8082, app(t, "two"))
	g.serve(ir.Workload{
		Ports: []ir.WorkloadPort{{Number: 8081, Protocol: ir.HTTP}, {Number: 8082, Protocol: ir.HTTP}},
		Grants: []ir.Grant{
			grant("path", []int32{8081}, web, match(exact("/exact")), match(prefix("/pre")), match(suffix(".png")),
				match(contains("/mid/")), match(regex("/v[0-9]+/[a-zA-Z0-9_-]{1,64}/orders/[0-9]{1,10}")), match(prefix("/write"), "POST", "PUT")),
			grant("header", []int32{8081}, web, withHeader(withHeader(match(anyPath), "x-a", exact("1")), "x-b", regex("b+"))),
			grant("all-of-two", []int32{8082}, web, ir.MatchAll(report.Ref{})),
			grant("thief", []int32{8081}, thief, match(exact("/loot"), "GET")),
		},
		Probes: []ir.Probe{{Port: 8081, Protocol: ir.HTTP, Path: "/healthz?full"}},
	})
	g.proxy(reviews)
	foreign := newAuthority(t).client(web.URI("cluster.local"), "http/1.1")
	elsewhere := g.ca.client("spiffe://cluster.local/ns/other/sa/web", "http/1.1")
	for _, c := range []struct {
		name    string
		id      *tls.Config
		port    int32
		request string
		want    int
	}{
		{"exact path", g.web, open, "GET /exact", 200},
		{"exact path with query", g.web, open, "GET /exact?x=/y", 200},
		{"nothing granted there", g.web, open, "GET /", 403},
		{"prefix is string-wise", g.web, open, "GET /prefix", 200},
		{"suffix", g.web, open, "GET /a/b.png", 200},
		{"suffix in the query", g.web, open, "GET /a?b.png", 403},
		{"contains", g.web, open, "GET /a/mid/c", 200},
		{"large expression", g.web, open, "GET /v12/bob/orders/7", 200},
		{"expression is whole", g.web, open, "GET /v12/bob/orders/7/x", 403},
		{"one of the methods", g.web, open, "PUT /write/x", 200},
		{"none of the methods", g.web, open, "DELETE /write/x", 403},
		{"both headers", g.web, open, "GET /\nX-A: 1\nX-B: bb", 200},
		{"one header", g.web, open, "GET /\nX-A: 1", 403},
		{"header is whole", g.web, open, "GET /\nX-A: 1\nX-B: bbc", 403},
		{"one line of the header", g.web, open, "GET /\nX-A: 0\nX-A: 1\nX-B: b", 200},
		{"lines are not joined", g.web, open, "GET /\nX-A: 1\nX-B: a\nX-B: c", 403},
		{"whole port", g.web, other, "GET /anything", 200},
		{"granted to another only", g.web, open, "GET /loot", 403},
		{"other caller, his grant", g.thief, open, "GET /loot", 200},
		{"other caller, other method", g.thief, open, "POST /loot", 403},
		{"other caller, other's grant", g.thief, open, "GET /exact", 403},
		{"other caller, other's port", g.thief, other, "GET /loot", 403},
		{"same account of another namespace", elsewhere, open, "GET /exact", 403},
		{"same name of another authority", foreign, open, "GET /exact", 0},
		{"no certificate", &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}, open, "GET /exact", 0},
		{"no certificate, probe", &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}, open, "GET /healthz", 0},
		{"no identity", nil, open, "GET /exact", 403},
		{"no identity, probe", nil, open, "GET /healthz", 200},
		{"no identity, not the probe's method", nil, open, "POST /healthz", 403},
		{"no identity, not the probe's path", nil, open, "GET /healthz/x", 403},
		{"no identity, not the probe's port", nil, other, "GET /healthz", 403},
		{"a probe is for callers without identity", g.thief, open, "GET /healthz", 403},
		{"an identity that is only claimed", nil, open, "GET /exact\nX-Forwarded-Client-Cert: URI=spiffe://cluster.local/ns/shop/sa/web", 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, body := ask(t, c.port, c.id, c.request); got != c.want {
				t.Errorf("%s: status %d (%s), want %d", c.request, got, body, c.want)
			}
		})
	}
	if _, body := ask(t, open, g.web, "GET /exact\nX-Forwarded-Client-Cert: URI=spiffe://forged"); !strings.Contains(body, web.URI("cluster.local")) || strings.Contains(body, "forged") {
		t.Errorf("the process was told of caller %q", body)
	}
}

// TestPathTricks asks for a path that is granted in words that mean another,
// and the other way round; the process must see what was judged.
func TestPathTricks(t *testing.T) {
	g := newGuarded(t)
	at := g.place(8081, app(t, "app"))
	g.serve(ir.Workload{Ports: []ir.WorkloadPort{{Number: 8081, Protocol: ir.HTTP}},
		Grants: []ir.Grant{grant("public", []int32{8081}, web, match(prefix("/public")))}})
	g.proxy(reviews)
	for _, c := range []struct {
		path string
		want int
		sees string
	}{
		{"/public/a", 200, "/public/a"},
		{"/public/../secret", 403, ""},
		{"/public/%2e%2e/secret", 403, ""},
		{"/public/%2E%2e/secret", 403, ""},
		{"/public/.%2e/secret", 403, ""},
		{"/public/./a", 200, "/public/a"},
		{"/x/../public/a", 200, "/public/a"},
		{"/%70ublic/a", 200, "/public/a"},
		{"//public/a", 200, "/public/a"},
		{"/public//a", 200, "/public/a"},
		{"/public//../../secret", 403, ""},
		{"/public%2fa", 200, "/public%2fa"},
		{"/public%2f..%2fsecret", 200, "/public%2f..%2fsecret"},
		{"/%2fpublic/a", 403, ""},
		{"/PUBLIC/a", 403, ""},
		{"/secret?/public", 403, ""},
		{"/secret;/../public", 200, "/public"},
		{"/secret#/../public", 0, ""},
	} {
		t.Run(c.path, func(t *testing.T) {
			status, body := ask(t, at, g.web, "GET "+c.path)
			if c.want == 0 && status >= 400 {
				return // refused one way or another
			}
			if status != c.want {
				t.Fatalf("status %d (%s), want %d", status, body, c.want)
			}
			if words := strings.Fields(body); c.want == 200 && words[1] != c.sees {
				t.Errorf("the process saw %s, want %s", words[1], c.sees)
			}
		})
	}
}

// TestNormalisation asks for odd paths; what arrives must be what the model
// says that the path means, for that is what was judged. Where Envoy is known to
// differ from the model, want says what Envoy does; the back end's table tells.
func TestNormalisation(t *testing.T) {
	g := newGuarded(t)
	at := g.place(8081, app(t, "app"))
	g.serve(ir.Workload{Ports: []ir.WorkloadPort{{Number: 8081, Protocol: ir.HTTP}},
		Grants: []ir.Grant{grant("all", []int32{8081}, web, ir.MatchAll(report.Ref{}))}})
	g.proxy(reviews)
	arrives := func(path, want string) {
		t.Helper()
		status, body := ask(t, at, g.web, "GET "+path)
		words := strings.Fields(body)
		if status != 200 || len(words) < 2 {
			t.Errorf("%s: status %d %q", path, status, body)
			return
		}
		if got, _, _ := strings.Cut(words[1], "?"); got != want {
			t.Errorf("%s: arrived as %s, want %s", path, got, want)
		}
	}
	for _, path := range []string{
		"/", "///a", "/.", "/..", "/../..", "/a/.", "/a/..", "/a/../", "/a/b/../..", "/a//..", "/a//../b", "/a/./b//c/..",
		"/%2e%2e/a", "/a/%2e", "/a/%2E%2e/b", "/a/.%2e", "/a%2fb", "/a%2Fb", "/a/%2f../b", "/a%5cb", `/a\b`, `/a\..\b`,
		"/%41%7e%2d%5F", "/%7E%20%21%22", "/%3f%23", "/a;b=c/../d", "/...", "/a/.../b", "/.a", "/a..", "/a/..b", "/a/..%3b/b",
		"/a+b", "/a:b", "/*", "/~a", "/A", "/a?b=/../c", "/a//b?c//d", "/a?", "/%e2%82%ac", "/a/%2e%2e;/b", "/a/...;/b",
	} {
		arrives(path, semantics.NormalisePath(path))
	}
	for _, c := range []struct{ path, want string }{
		{"//", "//"}, {"///", "//"}, {"/a/..//", "//"}, // a path of slashes alone keeps two
		{"/a/..;/b", "/b"}, {"/a/.;x/b", "/a/b"}, {"/a/..;x", "/"}, // a parameter on dots does not hide them
	} {
		arrives(c.path, c.want)
	}
	for _, path := range []string{"/%zz", "/%", "/%4", "/\xc3\xa9"} {
		if status, _ := ask(t, at, g.web, "GET "+path); status != 400 {
			t.Errorf("%q: status %d, want 400", path, status)
		}
	}
}

// TestTCP grants a port on which no requests can be told apart. The server
// speaks first, so whoever is denied must not hear even its greeting.
func TestTCP(t *testing.T) {
	g := newGuarded(t)
	process := greeter(t, "db")
	granted, ungranted := g.place(5432, process), g.place(5433, process)
	probed := g.place(5434, app(t, "metrics"))
	g.serve(ir.Workload{
		Ports:  []ir.WorkloadPort{{Number: 5432, Protocol: ir.TCP}, {Number: 5433, Protocol: ir.TCP}, {Number: 5434, Protocol: ir.TCP}},
		Probes: []ir.Probe{{Port: 5432, Protocol: ir.TCP}, {Port: 5434, Protocol: ir.HTTP, Path: "/healthz"}},
		Grants: []ir.Grant{
			grant("db", []int32{5432}, web, ir.MatchAll(report.Ref{})),
			grant("http-on-tcp", []int32{5432, 5433}, thief, match(prefix("/"))),
		}})
	g.proxy(reviews)
	for _, c := range []struct {
		request string
		want    int
	}{{"GET /healthz", 200}, {"GET /", 403}} {
		if status, body := ask(t, probed, nil, c.request); status != c.want {
			t.Errorf("%s by a kubelet on a TCP port: status %d %s, want %d", c.request, status, body, c.want)
		}
	}
	tcp := func(id ir.Identity) *tls.Config { return g.ca.client(id.URI("cluster.local"), "meshknot-tcp") }
	for _, c := range []struct {
		name string
		id   *tls.Config
		port int32
		want string
	}{
		{"granted", tcp(web), granted, "hello from db\n"},
		{"not granted", tcp(thief), granted, ""},
		{"not on this port", tcp(web), ungranted, ""},
		{"no identity", nil, granted, ""},
		{"no identity, no grant", nil, ungranted, ""},
		{"foreign authority", newAuthority(t).client(web.URI("cluster.local"), "meshknot-tcp"), granted, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // those without identity wait until Envoy gives up looking for TLS
			conn, err := dial(local(c.port), c.id)
			if err != nil {
				if c.want != "" {
					t.Fatal(err)
				}
				return
			}
			defer conn.Close()
			got := make([]byte, 100)
			n, err := conn.Read(got)
			if string(got[:n]) != c.want {
				t.Errorf("heard %q (%v), want %q", got[:n], err, c.want)
			}
			if c.want == "" && err == nil {
				t.Error("the connection was not ended")
			}
		})
	}
}

// TestRemoval takes a grant away while the proxy runs: new connections are
// denied again, and a change of another grant leaves the rest as it was.
func TestRemoval(t *testing.T) {
	g := newGuarded(t)
	at := g.place(8081, app(t, "app"))
	w := ir.Workload{Ports: []ir.WorkloadPort{{Number: 8081, Protocol: ir.HTTP}}}
	step := func(name string, want int, grants ...ir.Grant) {
		t.Helper()
		w.Grants = grants
		g.serve(w)
		if name == "nothing" {
			g.proxy(reviews)
		}
		g.await(reviews)
		eventually(t, fmt.Sprintf("answers with status %d with %s", want, name), func() bool {
			status, _ := ask(t, at, g.web, "GET /a")
			return status == want
		})
		for range 20 { // and it stays so
			if status, _ := ask(t, at, g.web, "GET /a"); status != want {
				t.Fatalf("%s: status %d, want %d", name, status, want)
			}
		}
	}
	all := ir.MatchAll(report.Ref{})
	step("nothing", 403)
	step("a grant", 200, grant("web", []int32{8081}, web, all))
	step("another grant beside it", 200, grant("thief", []int32{8081}, thief, all), grant("web", []int32{8081}, web, all))
	step("the other grant alone", 403, grant("thief", []int32{8081}, thief, all))
	step("no grant", 403)
}

// TestOpen calls a workload that nobody guards, with an identity and without.
func TestOpen(t *testing.T) {
	g := newGuarded(t)
	web80, db := g.place(8081, app(t, "app")), g.place(5432, greeter(t, "db"))
	w := ir.Workload{Namespace: "shop", Account: "reviews",
		Ports: []ir.WorkloadPort{{Number: 8081, Protocol: ir.HTTP}, {Number: 5432, Protocol: ir.TCP}}}
	g.rig.serve(translators.Target{Options: g.options}, []ir.Unit{mesh, {Workload: &w}})
	g.proxy(reviews)
	for _, id := range []*tls.Config{g.thief, nil} {
		if status, body := ask(t, web80, id, "GET /a/../b"); status != 200 || strings.Fields(body)[1] != "/a/../b" {
			t.Errorf("status %d, %q; want 200 and the path untouched", status, body)
		}
	}
	conn, err := dial(local(db), g.ca.client(thief.URI("cluster.local"), "meshknot-tcp"))
	must(t, err)
	defer conn.Close()
	var who string
	if _, err := fmt.Fscanf(conn, "hello from %s\n", &who); err != nil || who != "db" {
		t.Errorf("heard from %q (%v), want db", who, err)
	}
}
