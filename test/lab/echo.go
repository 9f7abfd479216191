package lab

import (
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Heard is a request as a backend heard it.
type Heard struct {
	App  string
	Host string
	// Path as it arrived, with the query.
	Path string
	// Method as it arrived.
	Method string
	// Headers by lower-case name.
	Headers map[string][]string
}

// Answered are headers of every answer of an Echo, there to be edited.
var Answered = http.Header{"X-Old": {"old"}, "X-More": {"one"}, "X-Gone": {"here"}}

// Echo is a process behind a proxy. It answers HTTP/1.1 and HTTP/2 without TLS
// with what it hears, in the header X-Heard, and keeps it. It sleeps for the time
// that the header "x-sleep" says.
type Echo struct {
	Name string
	Port int32
	mu   sync.Mutex
	all  []Heard
}

// Echo starts one on loopback until the lab is closed.
func (l *Lab) Echo(name string) (*Echo, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &Echo{Name: name, Port: portOf(listener)}
	s := &http.Server{Handler: e, Protocols: Plain()}
	go s.Serve(listener) //nolint:errcheck // it ends when the lab does
	l.OnClose(func() { s.Close() })
	return e, nil
}

// Plain are HTTP/1.1 and HTTP/2, both without TLS.
func Plain() *http.Protocols {
	both := &http.Protocols{}
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	return both
}

func portOf(l net.Listener) int32 { return int32(l.Addr().(*net.TCPAddr).Port) }

// ServeHTTP implements http.Handler.
func (e *Echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := Heard{e.Name, r.Host, r.RequestURI, r.Method, map[string][]string{}}
	for k, v := range r.Header {
		h.Headers[strings.ToLower(k)] = v
	}
	e.mu.Lock()
	e.all = append(e.all, h)
	e.mu.Unlock()
	if d, err := time.ParseDuration(r.Header.Get("x-sleep")); err == nil {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
	text, err := json.Marshal(h)
	if err != nil {
		text = []byte(err.Error())
	}
	maps.Copy(w.Header(), Answered)
	w.Header().Set("X-Heard", string(text)) // the caller may be gone
}

// Requests returns what was heard so far.
func (e *Echo) Requests() []Heard {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Heard(nil), e.all...)
}
