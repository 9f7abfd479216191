package envoy_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// heard is a request as a backend heard it.
type heard struct {
	App     string
	Host    string
	Path    string // with the query, as it arrived
	Headers map[string][]string
}

// echo is a process that answers with what it hears, and keeps it. It sleeps for
// the time that the header "x-sleep" says, and answers with some headers that
// are there to be edited.
type echo struct {
	name string
	port int32
	mu   sync.Mutex
	all  []heard
}

func newEcho(t *testing.T, name string) *echo {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	e := &echo{name: name, port: int32(l.Addr().(*net.TCPAddr).Port)}
	s := &http.Server{Handler: e}
	go s.Serve(l) // it ends when the test does
	t.Cleanup(func() { s.Close() })
	return e
}

// ServeHTTP implements http.Handler.
func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := hearing(e.name, r)
	e.mu.Lock()
	e.all = append(e.all, h)
	e.mu.Unlock()
	if d, err := time.ParseDuration(r.Header.Get("x-sleep")); err == nil {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
	maps.Copy(w.Header(), answered)
	w.Header().Set("X-Heard", h.String()) // the caller may be gone
}

func hearing(name string, r *http.Request) heard {
	h := heard{name, r.Host, r.RequestURI, map[string][]string{}}
	for k, v := range r.Header {
		h.Headers[strings.ToLower(k)] = v
	}
	return h
}

// String is h in one line.
func (h heard) String() string {
	text, err := json.Marshal(h)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// answered are headers of every answer, there to be edited.
var answered = http.Header{"X-Old": {"old"}, "X-More": {"one"}, "X-Gone": {"here"}}

// times counts the requests that were heard for a path.
func (e *echo) times(path string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, h := range e.all {
		if h.Path == path {
			n++
		}
	}
	return n
}

// reply is what a caller hears.
type reply struct {
	status int
	header http.Header
	body   string
	heard  heard // where a backend answered
}

// exchange sends a request word for word in plain text, and hears the whole answer.
func exchange(t *testing.T, port int32, request string) reply {
	t.Helper()
	r, err := converse(local(port), nil, request)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return r
}

// converse sends a request word for word ("GET /path" and lines of headers).
func converse(address string, id *tls.Config, request string) (reply, error) {
	c, err := dial(address, id)
	if err != nil {
		return reply{}, err
	}
	defer c.Close()
	first, headers, _ := strings.Cut(request, "\n")
	if !strings.Contains(strings.ToLower("\n"+headers), "\nhost:") {
		headers = "Host: callee.example\n" + headers
	}
	text := first + " HTTP/1.1\n" + strings.TrimRight(headers, "\n") + "\nConnection: close\n\n"
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		return reply{}, err
	}
	method, _, _ := strings.Cut(first, " ")
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return reply{}, err
	}
	defer r.Body.Close()
	out := reply{status: r.StatusCode, header: r.Header}
	body, err := io.ReadAll(r.Body)
	if out.body = string(body); err != nil {
		return reply{}, err
	}
	if text := r.Header.Get("X-Heard"); text != "" {
		err = json.Unmarshal([]byte(text), &out.heard)
	}
	return out, err
}
