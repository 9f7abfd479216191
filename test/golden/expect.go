package golden

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Expectation is one line of expect.txt:
//
//	FROM -> TO [TCP|UDP | METHOD PATH] [-H 'name: value']... => VERDICT [ROUTE] [BACKEND=PERCENT[!]]... [DETAIL]... [because KIND/NAME]
//
// FROM is sa:NS/ACCOUNT, spiffe:URI or external; TO is svc:NS/NAME:PORT,
// pod:NS/ACCOUNT:PORT or gw:NS/NAME:PORT. A DETAIL is one of
//
//	status=404                   what the proxy answers by itself
//	location=http://host/path    where a redirect leads
//	path=/p?q  host=h            what backends are asked, after rewriting
//	header:NAME=VALUE            a header as the route sends it on; "-" where it is removed
//	response:NAME=VALUE          a header that the route sets in, or adds to, the answer; "-" where it removes it
//	mirror:NS/NAME:PORT=PERCENT  who gets a copy
//	timeout=2s  attempt=1s       what the route says of time
type Expectation struct {
	Line    string
	Request semantics.Request
	Verdict semantics.Verdict
	Route   string
	// Shares are "ns/name:port=percent", with "!" behind a denied one and
	// "invalid=percent" for one that fails.
	Shares  []string
	Details []string
	Because string
}

// details are the keys of what is not a share.
var details = []string{"status=", "location=", "path=", "host=", "header:", "response:", "mirror:", "timeout=", "attempt="}

func parseExpectations(text string) ([]Expectation, error) {
	out := []Expectation{}
	for _, l := range lines(text) {
		e, err := parseExpectation(l)
		if err != nil {
			return nil, fmt.Errorf("expect.txt: %q: %w", l, err)
		}
		out = append(out, e)
	}
	return out, nil
}

func parseExpectation(line string) (Expectation, error) {
	e := Expectation{Line: line}
	call, want, ok := strings.Cut(line, " => ")
	if !ok {
		return e, fmt.Errorf("no =>")
	}
	var err error
	if e.Request, err = semantics.ParseRequest(call); err != nil {
		return e, err
	}
	want, e.Because, _ = strings.Cut(want, " because ")
	e.Because = strings.TrimSpace(e.Because)
	fields := strings.Fields(want)
	if len(fields) == 0 {
		return e, fmt.Errorf("no verdict")
	}
	e.Verdict = semantics.Verdict(fields[0])
	if !slices.Contains([]semantics.Verdict{semantics.Allow, semantics.Deny, semantics.Mixed, semantics.Answer, semantics.UnknownPort}, e.Verdict) {
		return e, fmt.Errorf("no such verdict: %s", fields[0])
	}
	for _, f := range fields[1:] {
		if slices.ContainsFunc(details, func(d string) bool { return strings.HasPrefix(f, d) }) {
			e.Details = append(e.Details, f)
		} else if strings.Contains(f, "=") {
			e.Shares = append(e.Shares, f)
		} else if e.Route == "" {
			e.Route = f
		} else {
			return e, fmt.Errorf("two routes: %s and %s", e.Route, f)
		}
	}
	slices.Sort(e.Shares)
	return e, nil
}

// Check holds a decision against the expectation and says what differs.
func (e Expectation) Check(d semantics.Decision) error {
	if d.Verdict != e.Verdict {
		return fmt.Errorf("%s, want %s (because %v)", d.Verdict, e.Verdict, d.Because)
	}
	if e.Because != "" && !slices.ContainsFunc(d.Because, func(r report.Ref) bool { return object(r) == e.Because }) {
		return fmt.Errorf("because %v, want %s", d.Because, e.Because)
	}
	for _, want := range e.Details {
		if key, _, _ := strings.Cut(want, "="); detail(d, key) != want {
			return fmt.Errorf("%s, want %s", detail(d, key), want)
		}
	}
	if e.Verdict == semantics.Deny || e.Verdict == semantics.UnknownPort {
		return nil
	}
	if e.Route != "" && e.Route != d.Route {
		return fmt.Errorf("route %s, want %s", d.Route, e.Route)
	}
	if got := shares(d); len(e.Shares) > 0 && !slices.Equal(got, e.Shares) {
		return fmt.Errorf("goes to %v, want %v", got, e.Shares)
	}
	return nil
}

// detail renders what a decision says of a key.
func detail(d semantics.Decision, key string) string {
	kind, name, _ := strings.Cut(key, ":")
	value := ""
	switch kind {
	case "status":
		value = strconv.Itoa(d.Status)
	case "location":
		value = d.Location
	case "path":
		value = d.Sent.Path
	case "host":
		value = d.Sent.Host
	case "header":
		if value = strings.Join(d.Sent.Headers[name], ","); value == "" {
			value = "-"
		}
	case "response":
		value = response(d, name)
	case "mirror":
		for _, m := range d.Mirrors {
			if fmt.Sprintf("%s:%d", m.Service, m.Port) == name {
				value = percent(m.Percent)
			}
		}
	case "timeout":
		value = d.Timeout.Request.String()
	case "attempt":
		value = d.Timeout.Backend.String()
	}
	return key + "=" + value
}

func response(d semantics.Decision, name string) string {
	e := d.Sent.Response
	if e == nil {
		return ""
	}
	if slices.Contains(e.Remove, name) {
		return "-"
	}
	var values []string
	for _, h := range slices.Concat(e.Set, e.Add) {
		if h.Name == name {
			values = append(values, h.Value)
		}
	}
	return strings.Join(values, ",")
}

func shares(d semantics.Decision) []string {
	var out []string
	invalid := 0.0
	for _, s := range d.Shares {
		if s.Invalid != "" {
			invalid += s.Percent
			continue
		}
		mark := ""
		if !s.Allowed {
			mark = "!"
		}
		out = append(out, fmt.Sprintf("%s:%d=%s%s", s.Service, s.Port, percent(s.Percent), mark))
	}
	if invalid > 0 {
		out = append(out, "invalid="+percent(invalid))
	}
	slices.Sort(out)
	return out
}

func percent(p float64) string {
	return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(p, 'f', 2, 64), "0"), ".")
}
