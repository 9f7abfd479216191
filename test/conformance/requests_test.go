package conformance

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// The suite's tests write down requests and who has to answer them. They need a
// cluster to run; what they demand can be read from their sources, and held against
// what the model says of each request.

// exchange is a request of a test and what must become of it.
type exchange struct {
	at token.Position
	// gateway is called from outside or, where client is set, a Service from a
	// pod of that namespace.
	gateway ir.Name
	client  string
	// fields are those of the literal, by path: "Request.Host", "Request.Headers.X".
	fields map[string]string
}

// TestRequests decides every request that the suite's tests of HTTP make.
func TestRequests(t *testing.T) {
	dir := suite(t)
	constants := constantsOf(t, filepath.Join(dir, "utils", "suite", "consts.go"))
	for pattern, least := range map[string]int{"tests/*.go": 250, "tests/mesh/*.go": 40} {
		files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		tried := 0
		for _, file := range files {
			rel, err := filepath.Rel(dir, strings.TrimSuffix(file, ".go"))
			if err != nil {
				t.Fatal(err)
			}
			exchanges, runs := readTest(t, file, constants)
			for _, manifests := range runs {
				if len(exchanges) == 0 || beyond(filepath.Base(rel)) != "" {
					continue
				}
				t.Run(filepath.ToSlash(rel), func(t *testing.T) { tried += decide(t, dir, exchanges, manifests) })
			}
		}
		t.Logf("%s: %d requests", pattern, tried)
		if tried < least {
			t.Errorf("%s: only %d requests were found in the sources of the suite; how they are written may have changed", pattern, tried)
		}
	}
}

func decide(t *testing.T, dir string, exchanges []exchange, names []string) (tried int) {
	first := base("tests/")
	if exchanges[0].client != "" {
		first = base("tests/mesh/")
	}
	names = append([]string{first}, names...)
	model := modelOf(t, manifests(t, dir, names))
	for _, e := range exchanges {
		m := model
		switch {
		case strings.HasPrefix(e.fields["Request.Host"], "?"):
			continue // the address of a pod, which only a cluster knows
		case strings.HasSuffix(e.at.Filename, "httproute-reference-grant.go") && e.fields["Response.StatusCode"] == "500":
			m = modelOf(t, revoked(manifests(t, dir, names))) // the test takes the grant away first
		}
		if strings.HasSuffix(e.at.Filename, filepath.Join("mesh", "httproute-named-rule.go")) {
			delete(e.fields, "ExpectedRequest.Request.Path") // written wrong there, and never compared
		}
		if why := e.differs(m); why != "" {
			t.Errorf("%s: %v: %s", filepath.Base(e.at.String()), e.fields, why)
		}
		tried++
	}
	return tried
}

// beyond says why the requests of a test are not decided.
func beyond(name string) string {
	for prefix, why := range map[string]string{
		"backendtlspolicy":                       "BackendTLSPolicy is not read",
		"tlsroute":                               "TLSRoute is not read",
		"tcproute":                               "TCP is not served at Gateways",
		"udproute":                               "UDP is not served at Gateways",
		"gateway-tls":                            "TLS is not served",
		"gateway-with-clientcertificate":         "TLS is not served",
		"gateway-with-invalid-clientcertificate": "TLS is not served",
		"gateway-invalid-default-frontend":       "TLS is not served",
		"httproute-https-listener":               "HTTPS is not served",
		"httproute-redirect-port-and-scheme":     "HTTPS is not served",
		"httproute-cors":                         "CORS is not read",
		"httproute-retry":                        "retries are not read",
		"httproute-backend-protocol":             "what pods answer is theirs",
		"grpcroute":                              "gRPC tests write their requests in another form",
		"httproute-service-types":                "its requests are made up by a loop",
	} {
		if strings.HasPrefix(name, prefix) {
			return why
		}
	}
	return ""
}

func modelOf(t *testing.T, files []input.File) semantics.Model {
	t.Helper()
	return semantics.New(translate(t, files...).result.Units)
}

// revoked takes the ReferenceGrants out of manifests.
func revoked(files []input.File) []input.File {
	for i := range files {
		files[i].Data = bytes.ReplaceAll(files[i].Data, []byte("kind: ReferenceGrant"), []byte("kind: Revoked"))
	}
	return files
}

// constantsOf reads string constants from a source.
func constantsOf(t *testing.T, file string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Names) == 1 && len(v.Values) == 1 {
			if s, ok := text(v.Values[0], nil); ok {
				out[v.Names[0].Name] = s
			}
		}
		return true
	})
	return out
}

// readTest finds the exchanges in the source of a test, and the manifests of each
// test that makes them. An exchange that is written before any Gateway is named is
// made with each of them.
func readTest(t *testing.T, file string, constants map[string]string) (exchanges []exchange, runs [][]string) {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known := maps.Clone(constants)
	var gateway ir.Name
	var gateways []ir.Name
	client := ""
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if list, ok := n.Value.(*ast.CompositeLit); ok && name(n.Key) == "Manifests" {
				runs = append(runs, slices.Collect(maps.Values(fieldsOf(list, known))))
			}
		case *ast.AssignStmt:
			if len(n.Lhs) != 1 || len(n.Rhs) != 1 {
				break
			}
			if s, ok := text(n.Rhs[0], known); ok {
				known[name(n.Lhs[0])] = s
			}
			if c := clientOf(n.Rhs[0], known); c != "" {
				client = c
			}
			lit, ok := n.Rhs[0].(*ast.CompositeLit)
			if ok && typeName(lit.Type) == "NamespacedName" && strings.HasPrefix(name(n.Lhs[0]), "gw") {
				f := fieldsOf(lit, known)
				gateway = ir.Name{Namespace: f["Namespace"], Name: f["Name"]}
				gateways = append(gateways, gateway)
			}
		case *ast.CompositeLit:
			for _, lit := range exchangesIn(n) {
				exchanges = append(exchanges, exchange{set.Position(lit.Pos()), gateway, client, fieldsOf(lit, known)})
			}
		}
		return true
	})
	var out []exchange
	for _, e := range exchanges {
		if e.gateway != (ir.Name{}) || e.client != "" {
			out = append(out, e)
			continue
		}
		for _, g := range gateways {
			e.gateway = g
			out = append(out, e)
		}
	}
	return out, runs
}

// clientOf returns the namespace of the pod that an expression connects to; empty
// where it does something else.
func clientOf(e ast.Expr, known map[string]string) string {
	c, ok := e.(*ast.CallExpr)
	switch {
	case !ok:
	case name(c.Fun) == "ConnectToApp":
		return known["MeshNamespace"]
	case name(c.Fun) == "ConnectToAppInNamespace" && len(c.Args) == 4:
		s, _ := text(c.Args[3], known)
		return s
	}
	return ""
}

// exchangesIn returns the literals of exchanges that a literal is or lists.
func exchangesIn(lit *ast.CompositeLit) []*ast.CompositeLit {
	if typeName(lit.Type) == "ExpectedResponse" {
		return []*ast.CompositeLit{lit}
	}
	list, ok := lit.Type.(*ast.ArrayType)
	if !ok || typeName(list.Elt) != "ExpectedResponse" {
		return nil
	}
	var out []*ast.CompositeLit
	for _, e := range lit.Elts {
		if one, ok := e.(*ast.CompositeLit); ok && one.Type == nil {
			out = append(out, one)
		}
	}
	return out
}

func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func typeName(e ast.Expr) string {
	if e == nil {
		return ""
	}
	return name(e)
}

// text evaluates what is a string or a number.
func text(e ast.Expr, known map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		}
		return e.Value, true
	case *ast.Ident, *ast.SelectorExpr:
		s, ok := known[name(e)]
		return s, ok
	case *ast.CallExpr: // a conversion, as string(ns)
		if len(e.Args) == 1 {
			return text(e.Args[0], known)
		}
	case *ast.BinaryExpr:
		a, ok1 := text(e.X, known)
		b, ok2 := text(e.Y, known)
		return a + b, ok1 && ok2 && e.Op == token.ADD
	}
	return "", false
}

// fieldsOf flattens a literal of structs, maps and lists.
func fieldsOf(lit *ast.CompositeLit, known map[string]string) map[string]string {
	out := map[string]string{}
	for i, e := range lit.Elts {
		key, val := strconv.Itoa(i), e
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, val = name(kv.Key), kv.Value; key == "" {
				key, _ = text(kv.Key, known)
			}
		}
		if ref, ok := val.(*ast.UnaryExpr); ok {
			val = ref.X
		}
		if inner, ok := val.(*ast.CompositeLit); ok {
			for k, v := range fieldsOf(inner, known) {
				out[key+"."+k] = v
			}
			continue
		}
		if s, ok := text(val, known); ok {
			out[key] = s
		} else {
			out[key] = "?" + name(val)
		}
	}
	return out
}
