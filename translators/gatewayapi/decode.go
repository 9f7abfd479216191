package gatewayapi

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// decoder holds a document and what was found in it.
type decoder struct {
	input.Document               // INPUT
	found          report.Report // OUTPUT
}

// decode makes a Schema.Decode of a function that checks a document of wire
// type W, as an API server would, and keeps what matters of it.
func decode[W, V any](convert func(*decoder, W) *V) func(input.Document) (any, report.Report) {
	return func(doc input.Document) (any, report.Report) {
		d := &decoder{Document: doc}
		v := convert(d, wire[W](doc))
		return v, d.found
	}
}

// wire returns the document as its wire type. Where it does not fit, which is
// reported by whoever checks documents against the type, it returns the fields
// that do.
func wire[W any](doc input.Document) W {
	if w, ok := doc.Wire.(*W); ok && w != nil {
		return *w
	}
	var w W
	_ = json.Unmarshal(doc.JSON, &w) // goes on after a field of the wrong type
	return w
}

func (d *decoder) say(code report.Code, field, message string) {
	d.found = append(d.found, report.New(code, d.Ref(field), message))
}

// bad reports a value that is not allowed.
func (d *decoder) bad(field, format string, args ...any) {
	d.say(report.BadValue, field, fmt.Sprintf(format, args...))
}

// unspoken reports a field that is known, and that nobody is told of.
func (d *decoder) unspoken(said bool, field, what string) {
	if said {
		f := report.New(report.NotSpoken, d.Ref(field), what)
		d.found = append(d.found, f.WithClass(report.Dropped))
	}
}

// form is the form of a string, as the CRDs have it.
type form struct {
	*regexp.Regexp
	max  int
	what string
}

const (
	dnsLabel     = `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
	dnsSubdomain = dnsLabel + `(\.` + dnsLabel + `)*`
	pathChars    = `(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+`
)

var (
	labelForm    = form{regexp.MustCompile(`^` + dnsLabel + `$`), 63, "a name of a namespace"}
	sectionForm  = form{regexp.MustCompile(`^` + dnsSubdomain + `$`), 253, "a name of lower-case letters, digits, '-' and '.'"}
	groupForm    = form{regexp.MustCompile(`^$|^` + dnsSubdomain + `$`), 253, "an API group"}
	kindForm     = form{regexp.MustCompile(`^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$`), 63, "a kind"}
	nameForm     = form{regexp.MustCompile(`^(?s:.+)$`), 253, "a name"}
	hostForm     = form{regexp.MustCompile(`^(\*\.)?` + dnsSubdomain + `$`), 253, "a host name in lower case, exact or \"*.\" and a suffix"}
	preciseForm  = form{regexp.MustCompile(`^` + dnsSubdomain + `$`), 253, "a host name in lower case without \"*\""}
	headerForm   = form{regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$`), 256, "a header name"}
	durationForm = form{regexp.MustCompile(`^([0-9]{1,5}(h|m|s|ms)){1,4}$`), 32, "a duration such as 1h30m, 10s or 250ms"}
	pathForm     = form{regexp.MustCompile(`^` + pathChars + `$`), 1024, "a path; what has another meaning there is written %XX"}
	serviceForm  = form{regexp.MustCompile(`^(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$`), 1024, "the name of a gRPC service"}
	methodForm   = form{regexp.MustCompile(`^[A-Za-z_][A-Za-z_0-9]*$`), 1024, "the name of a gRPC method"}
	ctrlForm     = form{regexp.MustCompile(`^` + dnsSubdomain + `/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$`), 253, "a controller such as example.com/name"}
	protocolForm = form{regexp.MustCompile(`^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|` + dnsSubdomain + `/[A-Za-z0-9]+$`), 255, "a protocol"}
)

// is checks a string that is given.
func (d *decoder) is(f form, field, s string) {
	switch {
	case len(s) > f.max:
		d.bad(field, "longer than %d characters", f.max)
	case !f.MatchString(s):
		d.bad(field, "%q is not %s", s, f.what)
	}
}

// needs checks a string that has to be given.
func (d *decoder) needs(f form, field, s string) {
	if s == "" {
		_, last := split(field)
		d.say(report.MissingField, field, last+" is missing")
		return
	}
	d.is(f, field, s)
}

// split takes the last step off a path.
func split(field string) (parent, last string) {
	i := strings.LastIndexByte(field, '.')
	return field[:max(i, 0)], field[i+1:]
}

// check checks a string that may be left out.
func check[S ~string](d *decoder, f form, field string, s *S) {
	if s != nil {
		d.is(f, field, string(*s))
	}
}

// oneOf checks a value that has to be one of a list.
func oneOf[S ~string](d *decoder, field string, s *S, allowed ...S) {
	if s == nil || slices.Contains(allowed, *s) {
		return
	}
	var words []string
	for _, a := range allowed {
		words = append(words, string(a))
	}
	d.bad(field, "%q is none of %s", string(*s), strings.Join(words, ", "))
}

// between checks a number that is given.
func (d *decoder) between(field string, n, low, high int) {
	if n < low || n > high {
		d.bad(field, "%d is not between %d and %d", n, low, high)
	}
}

// atMost checks the length of a list.
func (d *decoder) atMost(field string, n, limit int) {
	if n > limit {
		d.bad(field, "%d elements, of which there may be at most %d", n, limit)
	}
}

// some checks the length of a list that must not be empty.
func (d *decoder) some(field string, n, limit int) {
	if n == 0 {
		d.say(report.MissingField, field, "at least one element is needed")
	}
	d.atMost(field, n, limit)
}

// unique checks that no two elements of a list have the same key.
func (d *decoder) unique(keys []string, at func(i int) string, what string) {
	first := map[string]int{}
	for i, k := range keys {
		if j, again := first[k]; again {
			f := report.New(report.BadValue, d.Ref(at(i)), fmt.Sprintf("%s %q is given twice", what, k))
			d.found = append(d.found, f.With(d.Ref(at(j))))
			continue
		}
		first[k] = i
	}
}

// sum of the lengths of lists.
func sum[T any](all []T, count func(T) int) int {
	n := 0
	for _, one := range all {
		n += count(one)
	}
	return n
}

func httpRoute(d *decoder, w gatewayv1.HTTPRoute) *HTTPRoute {
	d.common(w.Spec.CommonRouteSpec)
	d.hostnames(w.Spec.Hostnames)
	if w.Spec.Rules != nil {
		d.some("spec.rules", len(w.Spec.Rules), 16)
	}
	d.matches(sum(w.Spec.Rules, func(r gatewayv1.HTTPRouteRule) int { return len(r.Matches) }))
	var names []*gatewayv1.SectionName
	for i, r := range w.Spec.Rules {
		d.httpRule(input.Element("spec.rules", i), r)
		names = append(names, r.Name)
	}
	d.ruleNames(names)
	return &HTTPRoute{Spec: w.Spec}
}

func grpcRoute(d *decoder, w gatewayv1.GRPCRoute) *GRPCRoute {
	d.common(w.Spec.CommonRouteSpec)
	d.hostnames(w.Spec.Hostnames)
	d.atMost("spec.rules", len(w.Spec.Rules), 16)
	d.matches(sum(w.Spec.Rules, func(r gatewayv1.GRPCRouteRule) int { return len(r.Matches) }))
	var names []*gatewayv1.SectionName
	for i, r := range w.Spec.Rules {
		d.grpcRule(input.Element("spec.rules", i), r)
		names = append(names, r.Name)
	}
	d.ruleNames(names)
	return &GRPCRoute{Spec: w.Spec}
}

func tcpRoute(d *decoder, w gatewayv1.TCPRoute) *TCPRoute {
	d.common(w.Spec.CommonRouteSpec)
	d.some("spec.rules", len(w.Spec.Rules), 1)
	for i, r := range w.Spec.Rules {
		at := input.Element("spec.rules", i)
		check(d, sectionForm, input.Field(at, "name"), r.Name)
		d.some(input.Field(at, "backendRefs"), len(r.BackendRefs), 16)
		for j, b := range r.BackendRefs {
			d.backendRef(input.Element(input.Field(at, "backendRefs"), j), b)
		}
	}
	return &TCPRoute{Spec: w.Spec}
}

// unspokenKind keeps nothing of a kind that is known and not translated.
func unspokenKind(what string) func(input.Document) (any, report.Report) {
	return func(doc input.Document) (any, report.Report) {
		d := &decoder{Document: doc}
		d.unspoken(true, "spec", what)
		return nil, d.found
	}
}
