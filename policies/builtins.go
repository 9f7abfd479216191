package policies

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// allowed lists the built-in functions that a rule may call: those whose result
// depends on nothing but their arguments and whose cost follows the size of
// these or yields to cancellation. It is a list of what is allowed, so that a
// function that a later version of OPA adds is forbidden until it was looked at.
//
// Forbidden are, above all, the network (http.send, net.*, and json.*_schema,
// which fetch references), the host (opa.runtime), clock and chance
// (time.now_ns, rand.intn, uuid.rfc4122: the same input would not give the same
// findings), code that is not in the file (rego.parse_module), tracing, keys
// and certificates, and what a small argument makes huge (bits.lsh,
// graph.reachable_paths, regex.globs_match, strings.render_template).
var allowed = []string{
	// Operators and what the compiler itself emits.
	"and", "assign", "div", "eq", "equal", "gt", "gte", "lt", "lte", "minus", "mul", "neq", "or", "plus", "rem",
	"internal.member_2", "internal.member_3", "internal.print", "internal.template_string", "internal.test_case",
	// print says nothing in a check; in a test its text is part of the result.
	"print",
	// Numbers.
	"abs", "bits.and", "bits.negate", "bits.or", "bits.rsh", "bits.xor", "ceil", "floor", "format_int",
	"numbers.range", "numbers.range_step", "round", "to_number", "units.parse", "units.parse_bytes",
	// Collections.
	"all", "any", "array.concat", "array.flatten", "array.reverse", "array.slice", "count", "graph.reachable",
	"intersection", "json.filter", "json.patch", "json.remove", "max", "min", "object.filter", "object.get",
	"object.keys", "object.remove", "object.subset", "object.union", "object.union_n", "product", "set_diff",
	"sort", "sum", "union", "walk",
	// Strings.
	"concat", "contains", "endswith", "glob.match", "glob.quote_meta", "indexof", "indexof_n", "lower",
	"re_match", "regex.find_all_string_submatch_n", "regex.find_n", "regex.is_valid", "regex.match",
	"regex.replace", "regex.split", "regex.template_match", "replace", "semver.compare", "semver.is_valid",
	"split", "sprintf", "startswith", "strings.any_prefix_match", "strings.any_suffix_match", "strings.count",
	"strings.replace_n", "strings.reverse", "strings.split_n", "substring", "trim", "trim_left", "trim_prefix",
	"trim_right", "trim_space", "trim_suffix", "upper", "uri.is_valid", "uri.parse", "uuid.parse",
	// Types.
	"cast_array", "cast_boolean", "cast_null", "cast_object", "cast_set", "cast_string", "is_array", "is_boolean",
	"is_null", "is_number", "is_object", "is_set", "is_string", "type_name",
	// Encodings and digests.
	"base64.decode", "base64.encode", "base64.is_valid", "base64url.decode", "base64url.encode",
	"base64url.encode_no_pad", "crypto.md5", "crypto.sha1", "crypto.sha256", "hex.decode", "hex.encode",
	"json.is_valid", "json.marshal", "json.marshal_with_options", "json.unmarshal", "urlquery.decode",
	"urlquery.decode_object", "urlquery.encode", "urlquery.encode_object", "yaml.is_valid", "yaml.marshal",
	"yaml.unmarshal",
	// Times that the rule or the object names.
	"time.add_date", "time.clock", "time.date", "time.diff", "time.format", "time.parse_duration_ns",
	"time.parse_ns", "time.parse_rfc3339_ns", "time.weekday",
	// A rule's own annotations.
	"rego.metadata.chain", "rego.metadata.rule",
}

// capabilities is what the compiler is told that rules may use.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	return &ast.Capabilities{
		Builtins: slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool {
			return !slices.Contains(allowed, b.Name)
		}),
		FutureKeywords: c.FutureKeywords,
		Features:       c.Features,
		AllowNet:       []string{},
	}
}

// forbidden returns the places of m that call a function that is not allowed,
// or put one in the place of another by "with". The compiler would find them
// too, but as functions that it never heard of.
func forbidden(m *ast.Module) []*ast.Term {
	var found []*ast.Term
	judge := func(t *ast.Term) {
		name := t.Value.String()
		if _, exists := ast.BuiltinMap[name]; exists && !slices.Contains(allowed, name) {
			found = append(found, t)
		}
	}
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if x.IsCall() {
				judge(x.OperatorTerm())
			}
		case ast.Call:
			judge(x[0])
		case *ast.With:
			judge(x.Target)
			judge(x.Value)
		}
		return false
	}).Walk(m)
	return found
}
