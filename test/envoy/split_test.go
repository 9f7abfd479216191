package envoy_test

import (
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// TestSplit sends requests through a caller's proxy, which shares them between
// backends behind another proxy, and counts who answered.
func TestSplit(t *testing.T) {
	l := newRig(t)
	options := map[string]string{}
	units := []ir.Unit{mesh, {Workload: &ir.Workload{Namespace: "shop", Account: "reviews", Ports: nil}}}
	workload := units[1].Workload
	at := map[string]int32{} // the inbound place of each backend
	back := func(name string, port int32, p ir.Protocol, process int32, ready bool) {
		at[name] = freePort(t)
		inbound(options, reviews, port, at[name], process)
		workload.Ports = append(workload.Ports, ir.WorkloadPort{Number: port, Protocol: p})
		units = append(units, endpoint(name, 80, at[name], ready))
	}
	back("v1", 8081, ir.HTTP, app(t, "v1"), true)
	back("v2", 8082, ir.HTTP, app(t, "v2"), true)
	back("late", 8083, ir.HTTP, app(t, "late"), false)
	back("tcp1", 8084, ir.TCP, greeter(t, "tcp1"), true)
	back("tcp2", 8085, ir.TCP, greeter(t, "tcp2"), true)
	for _, name := range []string{"v1", "v2", "late"} {
		units = append(units, service(name, 80, ir.HTTP))
	}
	for _, name := range []string{"tcp1", "tcp2"} {
		units = append(units, service(name, 80, ir.TCP))
	}
	for _, name := range []string{"v1", "v2", "late", "tcp1", "tcp2"} {
		listen(options, name, 80, web, freePort(t))
	}
	v1, v2 := backend("v1", 80, 0), backend("v2", 80, 0)
	share := func(b ir.Backend, weight uint32) ir.Backend { b.Weight = weight; return b }
	cases := []struct {
		name  string
		p     ir.Protocol
		route ir.Route
		n     int
		want  map[string]float64 // who answers, and with which share
	}{
		{"four to one", ir.HTTP, route("r", everything, share(v1, 80), share(v2, 20)), 2000, map[string]float64{"v1": .8, "v2": .2}},
		{"one to nothing", ir.HTTP, route("r", everything, share(v1, 1), share(v2, 0)), 200, map[string]float64{"v1": 1}},
		{"large weights", ir.HTTP, route("r", everything, share(v1, math.MaxUint32-1000), share(v2, 1000)), 200, map[string]float64{"v1": 1}},
		{"a missing backend", ir.HTTP, route("r", everything, share(v1, 3), missing("v3", 80, 1)), 2000, map[string]float64{"v1": .75, "500": .25}},
		{"nothing but missing", ir.HTTP, route("r", everything, missing("v3", 80, 1), missing("v4", 80, 1)), 50, map[string]float64{"500": 1}},
		{"all weights zero", ir.HTTP, route("r", everything, share(v1, 0)), 50, map[string]float64{"500": 1}},
		{"an unready backend", ir.HTTP, route("r", everything, share(v1, 1), backend("late", 80, 1)), 1000, map[string]float64{"v1": .5, "503": .5}},
		{"connections", ir.TCP, route("r", everything, backend("tcp1", 80, 3), backend("tcp2", 80, 1)), 1000, map[string]float64{"tcp1": .75, "tcp2": .25}},
		{"connections to a missing backend", ir.TCP, route("r", everything, backend("tcp1", 80, 1), missing("tcp3", 80, 1)), 600, map[string]float64{"tcp1": .5, "closed": .5}},
	}
	callAt := make([]int32, len(cases))
	for i, c := range cases {
		root := fmt.Sprintf("root-%d", i)
		callAt[i] = freePort(t)
		listen(options, root, 80, web, callAt[i])
		units = append(units, service(root, 80, c.p, c.route), endpoint(root, 80, at["v1"], true))
	}
	l.serve(translators.Target{Options: options}, units)
	l.proxy(reviews)
	l.proxy(web)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ask := answerHTTP
			if c.p == ir.TCP {
				ask = answerTCP
			}
			got := map[string]int{}
			for range c.n {
				got[ask(t, callAt[i])]++
			}
			for _, d := range differences(got, c.n, c.want) {
				t.Error(d)
			}
		})
	}
}

// differences says where a count is further from its share than a fair draw
// gets once in ten thousand tries (3.9 standard deviations).
func differences(got map[string]int, n int, want map[string]float64) []string {
	var out []string
	for who, p := range want {
		mean := p * float64(n)
		if slack := 3.9 * math.Sqrt(mean*(1-p)); math.Abs(float64(got[who])-mean) > slack {
			out = append(out, fmt.Sprintf("%s answered %d of %d, want %.0f give or take %.0f", who, got[who], n, mean, slack))
		}
	}
	for who := range got {
		if _, ok := want[who]; !ok {
			out = append(out, fmt.Sprintf("%s answered %d of %d, want never", who, got[who], n))
		}
	}
	return out
}

// fresh makes a connection for each request.
var fresh = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

func answerHTTP(t *testing.T, port int32) string {
	return answerTo(t, port, "/", nil)
}

func answerTo(t *testing.T, port int32, path string, header http.Header) string {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+local(port)+path, nil)
	must(t, err)
	for k, v := range header {
		r.Header[k] = v
	}
	reply, err := fresh.Do(r)
	must(t, err)
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	must(t, err)
	if reply.StatusCode != http.StatusOK {
		return fmt.Sprint(reply.StatusCode)
	}
	return name(string(body))
}

func answerTCP(t *testing.T, port int32) string {
	t.Helper()
	c, err := net.Dial("tcp", local(port))
	must(t, err)
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(10 * time.Second)) // then Read fails
	var who string
	if _, err := fmt.Fscanf(c, "hello from %s\n", &who); err != nil {
		return "closed"
	}
	return who
}

// TestMatches sends requests of different kinds and asks who answered.
func TestMatches(t *testing.T) {
	l := newRig(t)
	options := map[string]string{}
	callAt, at1, at2 := freePort(t), freePort(t), freePort(t)
	inbound(options, reviews, 8081, at1, app(t, "root"))
	inbound(options, reviews, 8082, at2, app(t, "beta"))
	listen(options, "reviews", 80, web, callAt)
	listen(options, "beta", 80, web, freePort(t))
	matches := []ir.Match{
		withHeader(match(anyPath), "x-beta", exact("yes")),
		withHeader(match(anyPath), "x-user", regex("a[0-9]+")),
		withHeader(match(anyPath), "x-note", contains("urgent")),
		withHeader(match(anyPath), "x-any", anyPath),
		withHeader(match(anyPath), "host", prefix("beta.example:")),
		match(exact("/exact")), match(prefix("/pre")), match(suffix(".beta")), match(contains("/mid/")),
		match(regex("/v[0-9]+/users/[a-zA-Z0-9_-]{1,64}/orders/[0-9]{1,10}")),
		match(prefix("/write"), "POST", "PUT"),
	}
	units := []ir.Unit{mesh, service("beta", 80, ir.HTTP), endpoint("beta", 80, at2, true),
		service("reviews", 80, ir.HTTP, route("beta", matches, backend("beta", 80, 1))), endpoint("reviews", 80, at1, true),
		{Workload: &ir.Workload{Namespace: "shop", Account: "reviews",
			Ports: []ir.WorkloadPort{{Number: 8081, Protocol: ir.HTTP}, {Number: 8082, Protocol: ir.HTTP}}}}}
	l.serve(translators.Target{Options: options}, units)
	l.proxy(reviews)
	l.proxy(web)
	for _, c := range []struct{ name, request, want string }{
		{"nothing holds", "GET /", "root"},
		{"header", "GET /\nX-Beta: yes", "beta"},
		{"other value", "GET /\nX-Beta: yess", "root"},
		{"second line of a header", "GET /\nX-Beta: no\nX-Beta: yes", "beta"},
		{"lines are not joined", "GET /\nX-User: a1\nX-User: b", "beta"},
		{"whole header value", "GET /\nX-User: a1b", "root"},
		{"contained", "GET /\nX-Note: so urgent!", "beta"},
		{"empty header is present", "GET /\nX-Any:", "beta"},
		{"host with port", "GET /\nHost: beta.example:80", "beta"},
		{"exact path with query", "GET /exact?a=b", "beta"},
		{"exact path only", "GET /exact/", "root"},
		{"prefix is no segment", "GET /prefix", "beta"},
		{"suffix", "GET /x.beta", "beta"},
		{"no suffix", "GET /x.betas", "root"},
		{"suffix dot is a dot", "GET /xxbeta", "root"},
		{"contains", "GET /a/mid/b", "beta"},
		{"large expression", "GET /v1/users/bob/orders/77", "beta"},
		{"expression is whole", "GET /v1/users/bob/orders/77/x", "root"},
		{"first method", "POST /write", "beta"},
		{"second method", "PUT /write", "beta"},
		{"other method", "DELETE /write", "root"},
		{"normalised before it is matched", "GET /x/../exact", "beta"},
		{"escaped before it is matched", "GET /%65xact", "beta"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := ask(t, callAt, nil, c.request)
			if status != 200 || name(body) != c.want {
				t.Errorf("answered by %s %q, want %s", fmt.Sprint(status), body, c.want)
			}
		})
	}
}
