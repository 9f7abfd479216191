package ask

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Unknown says that a request names something that the input does not have, so
// that nothing can be said of it.
type Unknown struct {
	// What is the name, such as "svc:shop/reviews:9080".
	What string
	// Why says what is missing.
	Why string
	// Near are names that may be meant, the most likely first.
	Near []string
}

// Error implements error.
func (u Unknown) Error() string {
	text := u.What + ": " + u.Why
	if len(u.Near) > 0 {
		text += "; did you mean " + strings.Join(u.Near, " or ") + "?"
	}
	return text
}

// WellFormed reports what no client would send.
func WellFormed(q semantics.Request) error {
	for name := range q.Headers {
		if strings.ContainsAny(name, " \t/\"'(),;<=>?@[\\]{}") {
			return fmt.Errorf("%q is no name of a header", name)
		}
	}
	switch {
	case q.Raw:
		return nil
	case len(q.Headers["host"]) > 1:
		return fmt.Errorf("a request asks for one host, not for %s", strings.Join(q.Headers["host"], " and "))
	case q.Method == "" || strings.ContainsAny(q.Method, " /:\t"):
		return fmt.Errorf("%q is no method", q.Method)
	case q.Method == "TCP" || q.Method == "UDP":
		return fmt.Errorf("%s %s: a connection on which no request is made has no path", q.Method, q.Path)
	case q.Method != strings.ToUpper(q.Method) && q.Method == strings.ToLower(q.Method):
		return fmt.Errorf("method %q: methods are told apart by case; did you mean %s?", q.Method, strings.ToUpper(q.Method))
	case !strings.HasPrefix(q.Path, "/") && q.Path != "*":
		return fmt.Errorf("path %q does not start with a slash", q.Path)
	case strings.ContainsFunc(q.Path, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return fmt.Errorf("path %q holds a space or a control character: write it as %%20 and the like", q.Path)
	}
	return nil
}

// Known reports an Unknown where a request names a callee, a port or a caller
// that does not exist, and else what is doubtful about it.
func (a *Asker) Known(q semantics.Request, s Slice) (doubts []string, err error) {
	if err := a.callee(q, s); err != nil {
		return nil, err
	}
	if q.Workload != (ir.Name{}) {
		doubts = straight(q, s)
	}
	more, err := a.caller(q, s)
	return append(doubts, more...), err
}

func (a *Asker) callee(q semantics.Request, s Slice) error {
	switch {
	case q.Workload != (ir.Name{}):
		if _, ok := s.unit(ir.Key{Kind: ir.KindWorkload, Namespace: q.Workload.Namespace, Name: q.Workload.Name}); !ok {
			return Unknown{q.Callee(), "no object names the account " + q.Workload.String(),
				a.near("pod:", q.Workload, q.Port, ir.KindWorkload)}
		}
		return nil
	case q.Gateway != (ir.Name{}):
		u, ok := s.unit(ir.Key{Kind: ir.KindGateway, Namespace: q.Gateway.Namespace, Name: q.Gateway.Name})
		if !ok {
			return Unknown{q.Callee(), "there is no Gateway " + q.Gateway.String(), a.near("gw:", q.Gateway, q.Port, ir.KindGateway)}
		}
		var ports []int32
		for _, p := range u.Gateway.Ports {
			ports = append(ports, p.Number)
		}
		return unknownPort(q, "gw:", q.Gateway, ports)
	}
	u, ok := s.unit(ir.Key{Kind: ir.KindService, Namespace: q.Service.Namespace, Name: q.Service.Name})
	if !ok {
		return Unknown{q.Callee(), "there is no Service " + q.Service.String(), a.near("svc:", q.Service, q.Port, ir.KindService)}
	}
	var ports []int32
	for _, p := range u.Service.Ports {
		ports = append(ports, p.Number)
	}
	return unknownPort(q, "svc:", q.Service, ports)
}

func unknownPort(q semantics.Request, prefix string, n ir.Name, ports []int32) error {
	if slices.Contains(ports, q.Port) || slices.Contains(ports, ir.AnyPort) {
		return nil
	}
	out := Unknown{What: q.Callee(), Why: fmt.Sprintf("%s has no port %d", n, q.Port)}
	for _, p := range ports {
		out.Near = append(out.Near, fmt.Sprintf("%s%s:%d", prefix, n, p))
	}
	return out
}

// straight doubts that anything listens at a port of pods.
func straight(q semantics.Request, s Slice) []string {
	u, _ := s.unit(ir.Key{Kind: ir.KindWorkload, Namespace: q.Workload.Namespace, Name: q.Workload.Name})
	var ports []string
	for _, p := range u.Workload.Ports {
		if p.Number == q.Port {
			return nil
		}
		ports = append(ports, fmt.Sprint(p.Number))
	}
	if len(ports) == 0 || slices.Contains(u.Workload.OtherPorts, q.Port) {
		return nil
	}
	return []string{fmt.Sprintf("%s: no Service leads to port %d of these pods; Services lead to %s",
		q.Callee(), q.Port, strings.Join(ports, ", "))}
}

// caller checks that something names the account that calls. Nobody has to
// declare accounts, so one that no object names is an error only where it looks
// like a slip of the pen, or where everything was given.
func (a *Asker) caller(q semantics.Request, s Slice) ([]string, error) {
	if q.From == nil || q.From.SPIFFE != "" {
		return nil, nil
	}
	if _, ok := s.unit(ir.Key{Kind: ir.KindWorkload, Namespace: q.From.Namespace, Name: q.From.Account}); ok {
		return nil, nil
	}
	for _, u := range s.Units {
		if u.Workload != nil && slices.Contains(granted(*u.Workload), *q.From) {
			return nil, nil
		}
	}
	known := a.accounts()
	if slices.Contains(known, *q.From) {
		return nil, nil
	}
	out := Unknown{What: semantics.Caller(q.From), Why: "no object names this account"}
	var names []ir.Name
	for _, id := range known {
		names = append(names, ir.Name{Namespace: id.Namespace, Name: id.Account})
	}
	similar := nearest(ir.Name{Namespace: q.From.Namespace, Name: q.From.Account}, names)
	local := false
	for _, n := range similar {
		out.Near = append(out.Near, "sa:"+n.String())
		local = local || n.Namespace == q.From.Namespace
	}
	if local || a.store.Reader().Settings(q.From.Namespace).Complete {
		return nil, out
	}
	return []string{out.Error()}, nil
}

// accounts lists every account that some object names, as a workload or as a
// caller. It compiles every workload, so it is for who has to know.
func (a *Asker) accounts() []ir.Identity {
	var out []ir.Identity
	for _, k := range a.keys(ir.KindWorkload) {
		if u, _, ok := a.pipeline.Compile(k, a.reader); ok {
			out = append(out, ir.Identity{Namespace: k.Namespace, Account: k.Name})
			out = append(out, granted(*u.Workload)...)
		}
	}
	slices.SortFunc(out, ir.Identity.Compare)
	return slices.Compact(out)
}

// granted lists the callers that a workload's grants name.
func granted(w ir.Workload) []ir.Identity {
	var out []ir.Identity
	for _, g := range w.Grants {
		for _, s := range g.Sources {
			out = append(out, s.Identity)
		}
	}
	return out
}

// near lists callees of a kind whose name is like one that is not there.
func (a *Asker) near(prefix string, n ir.Name, port int32, kind ir.UnitKind) []string {
	var names []ir.Name
	for _, k := range a.keys(kind) {
		names = append(names, ir.Name{Namespace: k.Namespace, Name: k.Name})
	}
	var out []string
	for _, like := range nearest(n, names) {
		// What an object only speaks of does not exist for that.
		if _, _, ok := a.pipeline.Compile(ir.Key{Kind: kind, Namespace: like.Namespace, Name: like.Name}, a.reader); ok {
			out = append(out, fmt.Sprintf("%s%s:%d", prefix, like, port))
		}
	}
	return out
}

// nearest lists up to three names that are like one: in its own namespace with
// a few letters changed, or the same in a namespace like it.
func nearest(n ir.Name, names []ir.Name) []ir.Name {
	type candidate struct {
		name     ir.Name
		distance int
	}
	var found []candidate
	for _, o := range names {
		d := input.Distance(n.Name, o.Name)
		if len(n.Name) > 2 && (strings.HasPrefix(o.Name, n.Name+"-") || strings.HasPrefix(n.Name, o.Name+"-")) {
			d = min(d, 2)
		}
		if d > min(2, (len(n.Name)-1)/2) {
			continue
		}
		if o.Namespace != n.Namespace {
			if d > 0 {
				continue
			}
			d = 1 + input.Distance(n.Namespace, o.Namespace)
		}
		found = append(found, candidate{o, d})
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), a.name.Compare(b.name))
	})
	var out []ir.Name
	for _, c := range found[:min(3, len(found))] {
		out = append(out, c.name)
	}
	return out
}
