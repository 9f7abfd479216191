package conformance

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

func manifests(t *testing.T, dir string, names []string) []input.File {
	t.Helper()
	var out []input.File
	for _, n := range names {
		out = append(out, manifest(t, dir, n))
	}
	return out
}

// request is what the model is asked. The port is that in the host name where the
// Gateway listens there, as the suite's client does it; else 80.
func (e exchange) request(m semantics.Model) semantics.Request {
	f := e.fields
	q := semantics.Request{Gateway: e.gateway, Port: 80, Method: cmp.Or(f["Request.Method"], "GET"), Path: cmp.Or(f["Request.Path"], "/"),
		Headers: map[string][]string{"host": {f["Request.Host"]}}}
	for k, v := range f {
		if h, ok := strings.CutPrefix(k, "Request.Headers."); ok {
			q.Headers[strings.ToLower(h)] = []string{v}
		}
	}
	host, port, ok := strings.Cut(f["Request.Host"], ":")
	if e.client != "" {
		service, namespace, _ := strings.Cut(cmp.Or(host, "echo"), ".")
		q.Gateway, q.Service = ir.Name{}, ir.Name{Namespace: cmp.Or(namespace, "gateway-conformance-mesh"), Name: service}
		q.From = &ir.Identity{Namespace: e.client, Account: "default"}
	}
	if ok {
		if n, err := strconv.ParseInt(port, 10, 32); err == nil {
			other := q
			other.Port = int32(n)
			if m.Decide(other).Verdict != semantics.UnknownPort {
				return other
			}
		}
	}
	return q
}

// differs says in what a decision is not what the suite demands.
func (e exchange) differs(m semantics.Model) string {
	d := m.Decide(e.request(m))
	codes := e.codes()
	switch backend := e.fields["Backend"]; {
	case slices.Contains(codes, "500") && failing(d):
	case slices.Contains(codes, "504"): // what the pod does is not decided here, only that there is an end
		if d.Timeout.Request == 0 && d.Timeout.Backend == 0 {
			return "nothing ends it"
		}
	case backend != "" && !slices.Contains(codes, "500"):
		if why := e.answers(d, ir.Name{Namespace: e.fields["Namespace"], Name: backend}); why != "" {
			return why
		}
	case len(codes) > 0 && codes[0] != "200":
		if !slices.Contains(codes, strconv.Itoa(d.Status)) {
			return fmt.Sprintf("status %d (%s), want %v", d.Status, d.Verdict, codes)
		}
	}
	return cmp.Or(e.redirects(d), e.sends(d), e.gets(d), e.copies(d))
}

// open reports whether the suite's source leaves a value open, or makes it up.
func open(s string) bool { return s == "" || strings.HasPrefix(s, "?") }

// codes are the status codes that are allowed.
func (e exchange) codes() []string {
	var out []string
	for k, v := range e.fields {
		if k == "Response.StatusCode" || strings.HasPrefix(k, "Response.StatusCodes.") {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// failing reports whether every share fails for want of a backend.
func failing(d semantics.Decision) bool {
	return d.Status == 500 || len(d.Shares) > 0 && !slices.ContainsFunc(d.Shares, func(s semantics.Share) bool { return s.Invalid == "" })
}

func (e exchange) answers(d semantics.Decision, backend ir.Name) string {
	if d.Verdict != semantics.Allow {
		return fmt.Sprintf("%s, status %d, want %s", d.Verdict, d.Status, backend)
	}
	for _, s := range d.Shares {
		// In a mesh the suite tells the pods that answer by the beginning of their name.
		other := s.Service.Name != backend.Name && (e.client == "" || !strings.HasPrefix(s.Service.Name, backend.Name))
		if s.Invalid != "" || other || !open(backend.Namespace) && s.Service.Namespace != backend.Namespace {
			return fmt.Sprintf("goes to %s (%s), want %s", s.Service, s.Invalid, backend)
		}
	}
	return ""
}

// redirects compares a redirect part by part; what the suite leaves open is not compared.
func (e exchange) redirects(d semantics.Decision) string {
	host, path := e.fields["RedirectRequest.Host"], e.fields["RedirectRequest.Path"]
	scheme, port := e.fields["RedirectRequest.Scheme"], e.fields["RedirectRequest.Port"]
	if host+path+scheme+port == "" {
		return ""
	}
	gotScheme, rest, _ := strings.Cut(d.Location, "://")
	authority, gotPath, _ := strings.Cut(rest, "/")
	gotHost, gotPort, _ := strings.Cut(authority, ":")
	for _, p := range []struct{ what, want, got string }{
		{"scheme", scheme, gotScheme}, {"host", host, gotHost}, {"port", port, gotPort}, {"path", path, "/" + gotPath},
	} {
		if !open(p.want) && p.want != p.got {
			return fmt.Sprintf("redirected to %s, want %s %s", d.Location, p.what, p.want)
		}
	}
	return ""
}

// sends compares what backends are asked.
func (e exchange) sends(d semantics.Decision) string {
	const request = "ExpectedRequest."
	headers := maps.Clone(d.Sent.Headers)
	for _, s := range d.Shares {
		apply(headers, s.Request)
	}
	for k, want := range e.fields {
		k, ok := strings.CutPrefix(k, request)
		if !ok || open(want) {
			continue
		}
		k = strings.TrimPrefix(k, "Request.")
		got := want
		if h, ok := strings.CutPrefix(k, "Headers."); ok {
			got = strings.Join(headers[strings.ToLower(h)], ",")
		} else if strings.HasPrefix(k, "AbsentHeaders.") {
			if len(headers[strings.ToLower(want)]) > 0 {
				return "header " + want + " is sent"
			}
		} else if k == "Path" {
			got = d.Sent.Path
		} else if k == "Host" {
			got = d.Sent.Host
		}
		if got != want {
			return fmt.Sprintf("%s is sent as %q, want %q", k, got, want)
		}
	}
	return ""
}

// gets compares the headers of the answer.
func (e exchange) gets(d semantics.Decision) string {
	headers := map[string][]string{}
	for k, v := range e.fields {
		if h, ok := strings.CutPrefix(k, "BackendSetResponseHeaders."); ok {
			headers[strings.ToLower(h)] = []string{v}
		}
	}
	apply(headers, d.Sent.Response)
	for _, s := range d.Shares {
		apply(headers, s.Response)
	}
	for k, want := range e.fields {
		if h, ok := strings.CutPrefix(k, "Response.Headers."); ok && !open(want) {
			if got := strings.Join(headers[strings.ToLower(h)], ","); got != want {
				return fmt.Sprintf("%s is answered as %q, want %q", h, got, want)
			}
		}
		if strings.HasPrefix(k, "Response.AbsentHeaders.") && len(headers[strings.ToLower(want)]) > 0 {
			return "header " + want + " is answered"
		}
	}
	return ""
}

// copies compares who gets copies.
func (e exchange) copies(d semantics.Decision) string {
	want := 0
	for k, backend := range e.fields {
		if !strings.HasPrefix(k, "MirroredTo.") || !strings.HasSuffix(k, ".Name") {
			continue
		}
		want++
		if !slices.ContainsFunc(d.Mirrors, func(s semantics.Share) bool { return s.Service.Name == backend && s.Invalid == "" }) {
			return "no copies for " + backend
		}
	}
	if len(d.Mirrors) != want {
		return fmt.Sprintf("%d get copies, want %d", len(d.Mirrors), want)
	}
	return ""
}

// apply edits headers as one share does.
func apply(headers map[string][]string, e *ir.HeaderEdit) {
	if e == nil {
		return
	}
	for _, name := range e.Remove {
		delete(headers, name)
	}
	for _, h := range e.Set {
		headers[h.Name] = []string{h.Value}
	}
	for _, h := range e.Add {
		headers[h.Name] = slices.Concat(headers[h.Name], []string{h.Value})
	}
}
