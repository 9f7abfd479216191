package consul

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/semantics"
)

// judge decides requests on entries as Consul and its proxies would. It shares
// nothing with the translator: it reads what Consul would be sent.
type judge struct {
	t       *testing.T
	entries []entry
	// allows: what no intention speaks of passes.
	allows bool
}

// entry has the fields that Consul looks at, as its own types have them.
type entry struct {
	Kind, Name, Protocol string
	Sources              []struct {
		Name, Action string
		Permissions  []struct {
			Action string
			HTTP   condition
		}
	}
	Routes []struct {
		Match       struct{ HTTP condition }
		Destination struct {
			Service, PrefixRewrite, RequestTimeout string
			RequestHeaders, ResponseHeaders        *modifiers
		}
	}
	Splits []struct {
		Service         string
		Weight          float32
		RequestHeaders  *modifiers
		ResponseHeaders *modifiers
	}
}

type modifiers struct {
	Add, Set map[string]string
	Remove   []string
}

type condition struct {
	PathExact, PathPrefix, PathRegex string
	Methods                          []string
	Header                           []comparison
	QueryParam                       []comparison
}

type comparison struct {
	Name, Exact, Prefix, Suffix, Regex string
	Present                            bool
}

func judgeOf(t *testing.T, allows bool, out []translators.Artifact) judge {
	t.Helper()
	j := judge{t: t, allows: allows}
	for _, a := range out {
		var e entry
		if err := json.Unmarshal([]byte(encode(t, a.Payload)), &e); err != nil {
			t.Fatal(err)
		}
		j.entries = append(j.entries, e)
	}
	return j
}

func (j judge) find(kind, name string) (entry, bool) {
	i := slices.IndexFunc(j.entries, func(e entry) bool { return e.Kind == kind && e.Name == name })
	if i < 0 {
		return entry{}, false
	}
	return j.entries[i], true
}

// admits decides at the proxy of a service. The intention of the most exact
// names counts, and of its permissions the first that holds; who has no
// certificate is nobody.
func (j judge) admits(service, caller string, q semantics.Request) bool {
	if q.From == nil {
		return false
	}
	defaults, _ := j.find("service-defaults", service)
	http := !q.Raw && slices.Contains([]string{"http", "http2", "grpc"}, defaults.Protocol)
	for _, pair := range [][2]string{{service, caller}, {service, "*"}, {"*", caller}, {"*", "*"}} {
		e, _ := j.find("service-intentions", pair[0])
		for _, s := range e.Sources {
			if s.Name != pair[1] {
				continue
			}
			if len(s.Permissions) == 0 {
				return s.Action == "allow"
			}
			for _, p := range s.Permissions {
				if http && p.HTTP.holds(inbound(q.Path), q) {
					return p.Action == "allow"
				}
			}
			return http && j.allows
		}
	}
	return j.allows
}

// inbound is how a proxy reads a path before intentions, by our mesh entry: dots
// resolved, slashes merged, nothing else decoded than what needs no escape.
func inbound(target string) string {
	target, _, _ = strings.Cut(target, "?")
	target, _, _ = strings.Cut(target, "#")
	target = strings.NewReplacer(`\`, "/", "%2e", ".", "%2E", ".", "%61", "a").Replace(target)
	var out []string
	segments := strings.Split(target, "/")[1:]
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "..":
			out = out[:max(0, len(out)-1)]
		case s != "." && (s != "" || last):
			out = append(out, s)
			continue
		}
		if last && s != "" {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

func (c condition) holds(path string, q semantics.Request) bool {
	switch {
	case c.PathExact != "" && path != c.PathExact,
		c.PathPrefix != "" && !strings.HasPrefix(path, c.PathPrefix),
		c.PathRegex != "" && !whole(c.PathRegex, path),
		len(c.Methods) > 0 && !slices.Contains(c.Methods, q.Method):
		return false
	}
	for _, h := range c.Header {
		name := h.Name
		if name == ":authority" {
			name = "host"
		}
		lines, ok := q.Headers[name]
		if !ok || !h.holds(strings.Join(lines, ",")) {
			return false
		}
	}
	for _, p := range c.QueryParam {
		value, ok := queried(q.Path, p.Name)
		if !ok || !p.holds(value) {
			return false
		}
	}
	return true
}

func (c comparison) holds(value string) bool {
	switch {
	case c.Exact != "":
		return value == c.Exact
	case c.Regex != "":
		return whole(c.Regex, value)
	case c.Prefix != "":
		return strings.HasPrefix(value, c.Prefix)
	case c.Suffix != "":
		return strings.HasSuffix(value, c.Suffix)
	}
	return c.Present
}

func whole(expr, s string) bool { return regexp.MustCompile("^(?:" + expr + ")$").MatchString(s) }

func queried(target, name string) (string, bool) {
	_, query, _ := strings.Cut(target, "?")
	for _, pair := range strings.Split(query, "&") {
		if k, v, _ := strings.Cut(pair, "="); k == name && pair != "" {
			return v, true
		}
	}
	return "", false
}

// way is where a request to a service goes, in percent, and what it asks then.
type way struct {
	shares  map[string]float64
	timeout string
	path    string
	// request and response are what is done to headers, by service.
	request, response map[string][]*modifiers
}

// route decides at the caller's proxy: the router of the service that is called
// and no other, then splitters, and what a proxy keeps of their weights.
func (j judge) route(service string, q semantics.Request) way {
	out := way{shares: map[string]float64{}, timeout: "15s", path: q.Path, request: map[string][]*modifiers{}, response: map[string][]*modifiers{}}
	j.speakAlike(service)
	path, query, asked := strings.Cut(q.Path, "?")
	to := service
	var request, response *modifiers
	router, _ := j.find("service-router", service)
	for _, r := range router.Routes {
		if !r.Match.HTTP.holds(path, q) {
			continue
		}
		to, out.timeout, request, response = r.Destination.Service, r.Destination.RequestTimeout, r.Destination.RequestHeaders, r.Destination.ResponseHeaders
		if prefix := r.Destination.PrefixRewrite; prefix != "" {
			out.path = prefix + strings.TrimPrefix(path, r.Match.HTTP.PathExact+r.Match.HTTP.PathPrefix)
			if asked {
				out.path += "?" + query
			}
		}
		break
	}
	splitter, ok := j.find("service-splitter", to)
	if !ok {
		out.shares[to], out.request[to], out.response[to] = 100, []*modifiers{request}, []*modifiers{response}
		return out
	}
	total := 0
	kept := make([]int, len(splitter.Splits))
	for i, s := range splitter.Splits {
		kept[i] = proxied(s.Weight)
		total += kept[i]
	}
	if total != 10000 {
		j.t.Errorf("the proxy would be given weights that make %d: %+v", total, splitter.Splits)
	}
	for i, s := range splitter.Splits {
		if _, ok := out.shares[s.Service]; ok {
			j.t.Errorf("%s occurs twice", s.Service)
		}
		out.shares[s.Service] = float64(kept[i]) / 100
		// Envoy edits for the share first, then for the route.
		out.request[s.Service] = []*modifiers{s.RequestHeaders, request}
		out.response[s.Service] = []*modifiers{s.ResponseHeaders, response}
	}
	return out
}

// proxied is Consul's arithmetic: it rounds to hundredths when it stores, and
// cuts off when it makes the proxy's weight.
func proxied(weight float32) int {
	scaled := float64(weight * 100.0)
	stored := float32(int(scaled+0.5)) / 100.0
	return int(stored * 100)
}

// speakAlike checks what Consul checks of the services on a request's way: all
// are known to speak the same, and that is HTTP where there is a router. What is
// known of a service that is a backend only is not ours to say.
func (j judge) speakAlike(service string) {
	router, ok := j.find("service-router", service)
	if !ok {
		return
	}
	own, _ := j.find("service-defaults", service)
	if own.Protocol == "tcp" || own.Protocol == "" {
		j.t.Errorf("%s speaks %q and has a router", service, own.Protocol)
	}
	for _, r := range router.Routes {
		to, made := j.find("service-defaults", r.Destination.Service)
		splitter, split := j.find("service-splitter", r.Destination.Service)
		if split && !made || made && to.Protocol != own.Protocol {
			j.t.Errorf("%s speaks %q, but %s %q", service, own.Protocol, r.Destination.Service, to.Protocol)
		}
		for _, s := range splitter.Splits {
			if _, again := j.find("service-splitter", s.Service); again {
				j.t.Errorf("%s shares with %s, which is split again", splitter.Name, s.Service)
			}
			if to, made := j.find("service-defaults", s.Service); made && to.Protocol != own.Protocol {
				j.t.Errorf("%s speaks %q, but %s %q", service, own.Protocol, s.Service, to.Protocol)
			}
		}
	}
}
