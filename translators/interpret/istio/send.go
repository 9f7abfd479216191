package istio

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators/interpret/sidecar"
	"github.com/meshknot/meshknot/translators/ir"
)

// answer is what a proxy says by itself.
type answer struct {
	status   int
	location string
}

func responding(status int) (func(*asked, *match) answer, error) {
	if status < 200 || status > 599 {
		return nil, fmt.Errorf("a response of status %d", status)
	}
	return func(*asked, *match) answer { return answer{status: status} }, nil
}

// wellKnown are the ports that schemes imply.
var wellKnown = map[string]int32{"http": 80, "https": 443}

// compile makes an answer that leads elsewhere, for requests in plain HTTP. What
// is not said stays as it was asked, the port of the host too, unless another is set.
func (w wireRedirect) compile(h wireHTTP) (func(*asked, *match) answer, error) {
	status := w.RedirectCode
	if status == 0 {
		status = 301
	}
	if !slices.Contains([]int{301, 302, 303, 307, 308}, status) {
		return nil, fmt.Errorf("a redirect of status %d", status)
	}
	if w.URI != "" && w.PrefixRewrite != "" || w.Port != 0 && w.DerivePort != "" {
		return nil, fmt.Errorf("a redirect that says one thing twice")
	}
	if w.PrefixRewrite != "" && (len(h.Match) == 0 || slices.ContainsFunc(h.Match, func(m wireMatch) bool { return m.URI == nil || m.URI.Prefix == nil })) {
		return nil, fmt.Errorf("a redirect that replaces a prefix, for a match that has none")
	}
	scheme := w.Scheme
	if scheme == "" {
		scheme = "http"
	}
	return func(q *asked, m *match) answer {
		path := q.path
		switch {
		case w.URI != "":
			path = w.URI
		case w.PrefixRewrite != "":
			path = sidecar.Replaced(path, m.replaced(path), w.PrefixRewrite)
		}
		return answer{status, scheme + "://" + w.host(q, scheme) + path + q.query}
	}, nil
}

// host is the host of the new place, with its port unless the scheme implies it.
func (w wireRedirect) host(q *asked, scheme string) string {
	port := w.Port
	if w.DerivePort == "FROM_REQUEST_PORT" {
		port = q.Port
	}
	if port == wellKnown[scheme] {
		port = 0
	}
	host := w.Authority
	if hosts := q.Headers[sidecar.Host]; host == "" && len(hosts) > 0 {
		name, said, _ := strings.Cut(hosts[0], ":")
		if host = hosts[0]; port != 0 || scheme != "http" && said == "80" {
			host = name
		}
	}
	if port != 0 {
		host = fmt.Sprintf("%s:%d", host, port)
	}
	return host
}

// timeoutOf reads times, of which Istio takes whole milliseconds. A time for one
// attempt counts where there may be several.
func timeoutOf(w wireHTTP) (t ir.Timeout, err error) {
	read := func(text string) (time.Duration, error) {
		if text == "" {
			return 0, nil
		}
		d, err := time.ParseDuration(text)
		if err == nil && (d < time.Millisecond || d%time.Millisecond != 0) {
			err = fmt.Errorf("a time of %s", text)
		}
		return d, err
	}
	if t.Request, err = read(w.Timeout); err != nil || w.Retries == nil {
		return t, err
	}
	if w.Retries.Attempts < 0 || w.Retries.Attempts == 0 && (w.Retries.RetryOn != "" || w.Retries.PerTryTimeout != "") {
		return t, fmt.Errorf("retries that say how, and not how often")
	}
	t.Backend, err = read(w.Retries.PerTryTimeout)
	return t, err
}

// edits are what a level of the configuration does to headers.
type edits struct {
	request, response level
	// host is set in the request, where that is asked for.
	host string
}

type level struct {
	remove   []string
	set, add []ir.Header
}

func (l level) empty() bool { return len(l.remove)+len(l.set)+len(l.add) == 0 }

func newEdits(w *wireHeaders) (e edits, err error) {
	if w == nil {
		return e, nil
	}
	if e.request, err = newLevel(w.Request, &e.host); err != nil {
		return e, err
	}
	e.response, err = newLevel(w.Response, nil)
	return e, err
}

// newLevel reads edits. The host of a request is set apart from its headers; other
// pseudo-headers, and the host of an answer, nobody may edit.
func newLevel(w *wireEdits, host *string) (l level, err error) {
	if w == nil {
		return l, nil
	}
	for _, n := range w.Remove {
		if n == "" || n[0] == ':' || strings.EqualFold(n, sidecar.Host) {
			return l, fmt.Errorf("the header %q is removed", n)
		}
		l.remove = append(l.remove, n)
	}
	for _, list := range []struct {
		in   map[string]string
		into *[]ir.Header
	}{{w.Set, &l.set}, {w.Add, &l.add}} {
		for _, n := range slices.Sorted(maps.Keys(list.in)) {
			value, err := sidecar.Value(list.in[n])
			switch isHost := strings.EqualFold(n, sidecar.Host) || n == sidecar.Authority; {
			case err != nil:
				return l, err
			case isHost && host != nil:
				*host = value
			case n == "" || n[0] == ':' || isHost:
				return l, fmt.Errorf("the header %q is edited", n)
			default:
				*list.into = append(*list.into, ir.Header{Name: strings.ToLower(n), Value: value})
			}
		}
	}
	return l, nil
}

// inOrder does one level after the other, each as an Envoy does: it removes, then
// it sets and adds. Levels that are joined are one.
func inOrder(joined bool, levels ...level) *ir.HeaderEdit {
	var e sidecar.Edits
	remove := func(l level) {
		for _, n := range l.remove {
			e.Remove(n)
		}
	}
	for _, l := range levels {
		if joined {
			remove(l)
		}
	}
	for _, l := range levels {
		if !joined {
			remove(l)
		}
		for _, h := range l.set {
			e.Set(h.Name, h.Value)
		}
		for _, h := range l.add {
			e.Add(h.Name, h.Value)
		}
	}
	return e.Edit()
}
