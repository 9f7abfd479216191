package semantics

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// String renders a request as ParseRequest, and a shell, reads it.
func (q Request) String() string {
	text := fmt.Sprintf("%s -> %s", Caller(q.From), q.Callee())
	if !q.Raw {
		text += " " + q.Method + " " + q.Path
	}
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		for _, value := range q.Headers[name] {
			text += " -H '" + strings.ReplaceAll(name+": "+value, `'`, `'\''`) + "'"
		}
	}
	return text
}

// Caller renders a caller: sa:NAMESPACE/ACCOUNT, spiffe:URI or external.
func Caller(id *ir.Identity) string {
	switch {
	case id == nil:
		return "external"
	case id.SPIFFE != "":
		return "spiffe:" + id.SPIFFE
	}
	return "sa:" + id.Namespace + "/" + id.Account
}

// Callee renders who is called: svc:, pod: or gw:NAMESPACE/NAME:PORT.
func (q Request) Callee() string {
	switch {
	case q.Workload != (ir.Name{}):
		return fmt.Sprintf("pod:%s:%d", q.Workload, q.Port)
	case q.Gateway != (ir.Name{}):
		return fmt.Sprintf("gw:%s:%d", q.Gateway, q.Port)
	}
	return fmt.Sprintf("svc:%s:%d", q.Service, q.Port)
}

// ParseRequest reads "FROM -> TO [TCP|UDP | METHOD PATH] [-H 'name: value']...",
// where FROM is what ParseCaller reads and TO what ParseCallee reads. A call
// without method and path is a connection on which no request is made.
func ParseRequest(call string) (Request, error) {
	q := Request{Headers: map[string][]string{}}
	from, to, ok := strings.Cut(call, " -> ")
	if !ok {
		return q, fmt.Errorf("no ->")
	}
	var err error
	if q.From, err = ParseCaller(strings.TrimSpace(from)); err != nil {
		return q, err
	}
	to, headers, _ := strings.Cut(to, " -H ")
	fields := strings.Fields(to)
	if len(fields) == 0 {
		return q, fmt.Errorf("no callee")
	}
	if err := q.ParseCallee(fields[0]); err != nil {
		return q, err
	}
	switch {
	case len(fields) == 1, len(fields) == 2 && (fields[1] == "TCP" || fields[1] == "UDP"):
		q.Raw = true
	case len(fields) == 3:
		q.Method, q.Path = fields[1], fields[2]
	default:
		return q, fmt.Errorf("want METHOD PATH, TCP or UDP")
	}
	for headers != "" {
		var line string
		if line, headers, err = headerLine(headers); err != nil {
			return q, err
		}
		if err := q.AddHeader(line); err != nil {
			return q, err
		}
	}
	return q, nil
}

// headerLine reads what stands behind -H, in quotes as a shell reads them or up
// to the next -H, and returns what stands behind that.
func headerLine(s string) (line, rest string, err error) {
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, "'") && !strings.HasPrefix(s, `"`) {
		line, rest, _ = strings.Cut(s, " -H ")
		return line, rest, nil
	}
	i := 0
	for i < len(s) && s[i] != ' ' {
		switch c := s[i]; {
		case c == '\'' || c == '"':
			end := strings.IndexByte(s[i+1:], c)
			if end < 0 {
				return "", "", fmt.Errorf("header %s: a quote is not closed", s)
			}
			line += s[i+1 : i+1+end]
			i += end + 2
		case c == '\\' && i+1 < len(s):
			line += s[i+1 : i+2]
			i += 2
		default:
			line += s[i : i+1]
			i++
		}
	}
	if rest = strings.TrimSpace(s[i:]); rest == "" {
		return line, "", nil
	}
	next, ok := strings.CutPrefix(rest, "-H ")
	if !ok {
		return "", "", fmt.Errorf("%q stands behind a header: want -H", rest)
	}
	return line, next, nil
}

// AddHeader adds a line "name: value".
func (q *Request) AddHeader(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok || strings.TrimSpace(name) == "" {
		return fmt.Errorf("header %q is not \"name: value\"", line)
	}
	if q.Headers == nil {
		q.Headers = map[string][]string{}
	}
	name = strings.ToLower(strings.TrimSpace(name))
	q.Headers[name] = append(q.Headers[name], strings.TrimSpace(value))
	return nil
}

// ParseCaller reads sa:NAMESPACE/ACCOUNT, spiffe:URI or external (nil).
func ParseCaller(s string) (*ir.Identity, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch kind {
	case "external":
		if rest == "" {
			return nil, nil
		}
	case "spiffe":
		if !strings.HasPrefix(rest, "spiffe://") || strings.ContainsAny(rest, " \t") {
			return nil, fmt.Errorf("caller %q: want spiffe: and a URI, such as spiffe:spiffe://cluster.local/ns/shop/sa/web", s)
		}
		return &ir.Identity{SPIFFE: rest}, nil
	case "sa":
		if ns, name, ok := strings.Cut(rest, "/"); ok && ns != "" && name != "" {
			return &ir.Identity{Namespace: ns, Account: name}, nil
		}
	}
	return nil, fmt.Errorf("caller %q is not sa:NAMESPACE/ACCOUNT, spiffe:URI or external", s)
}

// ParseCallee reads svc:NAMESPACE/NAME:PORT, pod:NAMESPACE/ACCOUNT:PORT or
// gw:NAMESPACE/NAME:PORT into Service, Workload or Gateway, and Port.
func (q *Request) ParseCallee(s string) error {
	kind, rest, _ := strings.Cut(s, ":")
	i := strings.LastIndexByte(rest, ':')
	if i < 0 {
		return fmt.Errorf("callee %q has no port", s)
	}
	port, err := strconv.ParseInt(rest[i+1:], 10, 32)
	if err != nil || port < 0 || port > 65535 {
		return fmt.Errorf("callee %q: the port is not a number from 0 to 65535", s)
	}
	q.Port = int32(port)
	var name ir.Name
	if err := name.UnmarshalText([]byte(rest[:i])); err != nil {
		return err
	}
	switch kind {
	case "svc":
		q.Service = name
	case "pod":
		q.Workload = name
	case "gw":
		q.Gateway = name
	default:
		return fmt.Errorf("callee %q is not svc:, pod: or gw:NAMESPACE/NAME:PORT", s)
	}
	return nil
}
