package gatewayapi

import (
	"cmp"
	"encoding/hex"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// The kinds of conditions on a path, as they precede each other. Where a regular
// expression stands is ours to say: behind a prefix, such as that of a catch-all
// rule, it would never be asked.
const (
	prefixPath = iota
	regexPath
	exactPath
)

// httpMatches lowers the matches of a rule. One whose expression cannot be read
// holds for nothing and is left out.
func (l *lowering) httpMatches(o input.Object, field string, in []gatewayv1.HTTPRouteMatch) []scored {
	if len(in) == 0 {
		return []scored{{match: ir.MatchAll(o.Ref(field)), specificity: [5]int{prefixPath, 1}}}
	}
	var out []scored
	for i, w := range in {
		at := input.Element(input.Field(field, "matches"), i)
		m := ir.MatchAll(o.Ref(at))
		ok := l.headers(o, &m, at, w.Headers)
		ok = l.query(o, &m, at, w.QueryParams) && ok
		if w.Method != nil {
			m.Methods, m.MethodsRef = []string{string(*w.Method)}, o.Ref(input.Field(at, "method"))
		}
		paths, kind, length := l.path(o, input.Field(at, "path"), w.Path)
		s := scored{match: m, specificity: [5]int{kind, length, set(w.Method), len(m.Headers), len(m.Query)}}
		for _, p := range paths {
			if s.match.Path = p; w.Path != nil {
				s.match.PathRef = o.Ref(input.Field(at, "path"))
			}
			if ok {
				out = append(out, s)
			}
		}
	}
	return out
}

func set[T any](p *T) int {
	if p == nil {
		return 0
	}
	return 1
}

// path lowers a condition on the path: any of the comparisons; its kind and
// length say how specific it is.
func (l *lowering) path(o input.Object, field string, w *gatewayv1.HTTPPathMatch) (paths []ir.StringMatch, kind, length int) {
	if w == nil {
		return []ir.StringMatch{{Kind: ir.MatchAny}}, prefixPath, 1
	}
	written := value(w.Value, "/")
	switch value(w.Type, gatewayv1.PathMatchPathPrefix) {
	case gatewayv1.PathMatchExact:
		return []ir.StringMatch{{Kind: ir.MatchExact, Value: unescaped(written)}}, exactPath, 0
	case gatewayv1.PathMatchRegularExpression:
		alternatives, _ := l.pattern(o, input.Field(field, "value"), written)
		return alternatives, regexPath, len(written)
	}
	if prefix := strings.TrimRight(unescaped(written), "/"); prefix != "" {
		return []ir.StringMatch{{Kind: ir.MatchSegments, Value: prefix}}, prefixPath, len(prefix)
	}
	return []ir.StringMatch{{Kind: ir.MatchAny}}, prefixPath, 1
}

// escape is that of an unreserved character, which a normalised path does not hold.
var escape = regexp.MustCompile(`%(2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])`)

// unescaped writes a path as it is once requests are normalised: "/%7Ea" is "/~a".
func unescaped(path string) string {
	return escape.ReplaceAllStringFunc(path, func(s string) string {
		c, _ := hex.DecodeString(s[1:])
		return string(c)
	})
}

// pattern reads an expression for a whole value.
func (l *lowering) pattern(o input.Object, field, expr string) ([]ir.StringMatch, bool) {
	alternatives, err := ir.ParsePattern(expr, ir.AnchorWhole)
	if err != nil {
		l.add(report.New(report.BadRegex, o.Ref(field), err.Error()+"; what is matched by it alone holds for nothing"))
		return nil, false
	}
	return alternatives, true
}

// oneOf reads an expression into one comparison.
func (l *lowering) oneOf(o input.Object, field, expr string) (ir.StringMatch, bool) {
	alternatives, ok := l.pattern(o, field, expr)
	switch {
	case !ok:
		return ir.StringMatch{}, false
	case len(alternatives) == 1:
		return alternatives[0], true
	}
	if strings.Contains(expr, `\Q`) { // an open \Q would swallow what is added behind it
		if re, err := syntax.Parse(expr, syntax.Perl); err == nil {
			expr = re.String()
		}
	}
	return ir.StringMatch{Kind: ir.MatchRegex, Value: expr}, true
}

// headers adds conditions on headers. Of those on one name, whose letter case
// does not count, the first holds.
func (l *lowering) headers(o input.Object, m *ir.Match, field string, in []gatewayv1.HTTPHeaderMatch) bool {
	seen, good := map[string]string{}, true
	for i, w := range in {
		at := input.Element(input.Field(field, "headers"), i)
		name := strings.ToLower(string(w.Name))
		if first, again := seen[name]; again {
			l.add(report.New(report.NoEffect, o.Ref(at), "header "+name+" has a condition already, of which the first holds").With(o.Ref(first)))
			continue
		}
		seen[name] = at
		h := ir.HeaderMatch{Name: name, Value: ir.StringMatch{Kind: ir.MatchExact, Value: w.Value}, Ref: o.Ref(at)}
		if value(w.Type, gatewayv1.HeaderMatchExact) == gatewayv1.HeaderMatchRegularExpression {
			var ok bool
			h.Value, ok = l.oneOf(o, input.Field(at, "value"), w.Value)
			good = good && ok
		}
		m.Headers = append(m.Headers, h)
	}
	return good
}

// query adds conditions on query parameters, of whose equal names the first holds.
func (l *lowering) query(o input.Object, m *ir.Match, field string, in []gatewayv1.HTTPQueryParamMatch) bool {
	good := true
	for i, w := range in {
		at := input.Element(input.Field(field, "queryParams"), i)
		q := ir.QueryMatch{Name: string(w.Name), Value: ir.StringMatch{Kind: ir.MatchExact, Value: w.Value}, Ref: o.Ref(at)}
		if value(w.Type, gatewayv1.QueryParamMatchExact) == gatewayv1.QueryParamMatchRegularExpression {
			var ok bool
			q.Value, ok = l.oneOf(o, input.Field(at, "value"), w.Value)
			good = good && ok
		}
		m.Query = append(m.Query, q)
	}
	return good
}

// grpcMatches lowers the matches of a rule of a GRPCRoute.
func (l *lowering) grpcMatches(o input.Object, field string, in []gatewayv1.GRPCRouteMatch) []scored {
	if len(in) == 0 {
		return []scored{{match: ir.MatchAll(o.Ref(field))}}
	}
	var out []scored
	for i, w := range in {
		at := input.Element(input.Field(field, "matches"), i)
		m := ir.MatchAll(o.Ref(at))
		var headers []gatewayv1.HTTPHeaderMatch
		for _, h := range w.Headers {
			headers = append(headers, gatewayv1.HTTPHeaderMatch{Type: (*gatewayv1.HeaderMatchType)(h.Type), Name: gatewayv1.HTTPHeaderName(h.Name), Value: h.Value})
		}
		ok := l.headers(o, &m, at, headers)
		s := scored{match: m}
		paths := []ir.StringMatch{{Kind: ir.MatchAny}}
		if w.Method != nil {
			paths = l.method(o, input.Field(at, "method"), *w.Method)
			s.match.PathRef = o.Ref(input.Field(at, "method"))
			s.specificity = [5]int{len(value(w.Method.Service, "")), len(value(w.Method.Method, ""))}
		}
		s.specificity[2] = len(m.Headers)
		for _, p := range paths {
			if s.match.Path = p; ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// method lowers a condition on service and method, which are the two segments
// of the path of a gRPC call.
func (l *lowering) method(o input.Object, field string, w gatewayv1.GRPCMethodMatch) []ir.StringMatch {
	service, method := value(w.Service, ""), value(w.Method, "")
	if value(w.Type, gatewayv1.GRPCMethodMatchExact) == gatewayv1.GRPCMethodMatchRegularExpression {
		const some = "[^/]+"
		for _, part := range []string{"service", "method"} {
			if expr := map[string]string{"service": service, "method": method}[part]; expr != "" {
				if _, ok := l.pattern(o, input.Field(field, part), expr); !ok {
					return nil
				}
			}
		}
		out, _ := l.pattern(o, field, "/(?:"+cmp.Or(closed(service), some)+")/(?:"+cmp.Or(closed(method), some)+")")
		return out
	}
	switch {
	case service != "" && method != "":
		return []ir.StringMatch{{Kind: ir.MatchExact, Value: "/" + service + "/" + method}}
	case service != "":
		return []ir.StringMatch{{Kind: ir.MatchPrefix, Value: "/" + service + "/"}}
	case method != "":
		return []ir.StringMatch{{Kind: ir.MatchSuffix, Value: "/" + method}}
	}
	return []ir.StringMatch{{Kind: ir.MatchAny}}
}

// closed writes an expression so that another may follow it: an open \Q would
// swallow that.
func closed(expr string) string {
	if !strings.Contains(expr, `\Q`) {
		return expr
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return expr
	}
	return re.String()
}
