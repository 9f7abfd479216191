package lab

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators/semantics"
)

// Reply is what a caller hears.
type Reply struct {
	Status int
	Header http.Header
	Body   string
	// Heard is set where an Echo answered.
	Heard Heard
}

// AnyHost is the host that is asked for where a request names none.
const AnyHost = "callee.example"

// Words renders a request as Converse sends it.
func Words(q semantics.Request) string {
	text := cmp.Or(q.Method, "GET") + " " + cmp.Or(q.Path, "/")
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		for _, value := range q.Headers[name] {
			text += "\n" + name + ": " + value
		}
	}
	return text
}

// Converse sends a request word for word ("GET /path" and lines of headers) on a
// new connection, with TLS where id is given, and hears the whole answer.
func Converse(address string, id *tls.Config, request string) (Reply, error) {
	c, err := Dial(address, id)
	if err != nil {
		return Reply{}, err
	}
	defer c.Close()
	first, headers, _ := strings.Cut(request, "\n")
	if !strings.Contains(strings.ToLower("\n"+headers), "\nhost:") {
		headers = "Host: " + AnyHost + "\n" + headers
	}
	text := first + " HTTP/1.1\n" + strings.TrimRight(headers, "\n") + "\nConnection: close\n\n"
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		return Reply{}, err
	}
	method, _, _ := strings.Cut(first, " ")
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return Reply{}, err
	}
	defer r.Body.Close()
	out := Reply{Status: r.StatusCode, Header: r.Header}
	body, err := io.ReadAll(r.Body)
	if out.Body = string(body); err != nil {
		return Reply{}, err
	}
	if text := r.Header.Get("X-Heard"); text != "" {
		err = json.Unmarshal([]byte(text), &out.Heard)
	}
	return out, err
}

// Dial connects within ten seconds, and the connection lasts no longer than that.
func Dial(address string, id *tls.Config) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	if id != nil {
		c = tls.Client(c, id)
	}
	return c, nil
}

// Client is the TLS configuration of a caller with an identity. Servers are not
// checked: it is them that are under test, as judges of callers.
func (l *Lab) Client(uri, alpn string) (*tls.Config, error) {
	files, err := l.Files(uri)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, NextProtos: []string{alpn}}, nil
}
