package gatewayapi_test

import (
	"fmt"
	"strings"

	"github.com/meshknot/meshknot/translators/report"
)

func object(kind, spec string) string {
	return "apiVersion: gateway.networking.k8s.io/v1\nkind: " + kind + "\nmetadata: {name: x}\nspec: " + spec
}

func repeat(n int, format string) string {
	var out []string
	for i := range n {
		if strings.Contains(format, "%d") {
			out = append(out, fmt.Sprintf(format, i))
		} else {
			out = append(out, format)
		}
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// rejections are objects of every kind, each with one mistake or none.
func rejections() []rejection {
	var out []rejection
	add := func(kind, spec string, code report.Code, field string) {
		out = append(out, rejection{object: object(kind, spec), code: code, field: field})
	}
	const bad, missing = report.BadValue, report.MissingField
	route := func(spec string, code report.Code, field string) { add("HTTPRoute", spec, code, field) }
	rule := func(rule string, code report.Code, field string) {
		if field != "" {
			field = "spec.rules[0]." + field
		}
		route("{rules: [{"+rule+"}]}", code, field)
	}
	match := func(m string, code report.Code, field string) {
		if field != "" {
			field = "matches[0]." + field
		}
		rule("matches: [{"+m+"}]", code, field)
	}
	filter := func(f string, code report.Code, field string) {
		if field != "" {
			field = "filters[0]." + field
		}
		rule("filters: [{"+f+"}]", code, field)
	}

	// the whole route
	route("{}", "", "")
	route("{rules: []}", missing, "spec.rules")
	route("{rules: "+repeat(16, "{}")+"}", "", "")
	route("{rules: "+repeat(17, "{}")+"}", bad, "spec.rules")
	route("{rules: [{name: a}, {name: a}]}", bad, "spec.rules[1].name")
	route("{rules: [{name: A}]}", bad, "spec.rules[0].name")
	route("{rules: [{matches: "+repeat(64, "{path: {value: /%d}}")+"}]}", "", "")
	route("{rules: [{matches: "+repeat(65, "{path: {value: /%d}}")+"}]}", bad, "spec.rules[0].matches")
	route("{rules: "+repeat(2, "{matches: "+repeat(64, "{}")+"}")+"}", "", "")
	route("{rules: [{matches: "+repeat(64, "{}")+"}, {matches: "+repeat(64, "{}")+"}, {matches: [{}]}]}", bad, "spec.rules")
	route("{hostnames: [a.example.com, '*.example.com']}", "", "")
	route("{hostnames: [A.example.com]}", bad, "spec.hostnames[0]")
	route("{hostnames: ['*']}", bad, "spec.hostnames[0]")
	route("{hostnames: ['a.*.com']}", bad, "spec.hostnames[0]")
	out = append(out, rejection{object("HTTPRoute", "{hostnames: [192.0.2.1]}"), bad, "spec.hostnames[0]", true})
	route("{hostnames: "+repeat(17, "a%d.com")+"}", bad, "spec.hostnames")
	route("{parentRefs: [{name: a}]}", "", "")
	route("{parentRefs: [{}]}", missing, "spec.parentRefs[0].name")
	route("{parentRefs: [{name: a, group: 'A b'}]}", bad, "spec.parentRefs[0].group")
	route("{parentRefs: [{name: a, kind: 'Gate way'}]}", bad, "spec.parentRefs[0].kind")
	route("{parentRefs: [{name: a, namespace: A}]}", bad, "spec.parentRefs[0].namespace")
	route("{parentRefs: [{name: a, sectionName: A}]}", bad, "spec.parentRefs[0].sectionName")
	route("{parentRefs: [{name: a, port: 0}]}", bad, "spec.parentRefs[0].port")
	route("{parentRefs: [{name: a, port: 65536}]}", bad, "spec.parentRefs[0].port")
	route("{parentRefs: [{name: a, sectionName: a}, {name: a, sectionName: b}]}", "", "")
	route("{parentRefs: [{name: a, port: 1}, {name: a, port: 2}]}", "", "")
	route("{parentRefs: [{name: a, port: 1}, {name: a, port: 1}]}", bad, "spec.parentRefs[1]")
	route("{parentRefs: [{name: a, port: 1}, {name: a}]}", bad, "spec.parentRefs[1]")
	route("{parentRefs: "+repeat(33, "{name: a%d}")+"}", bad, "spec.parentRefs")

	// matches
	match("path: {}", "", "")
	match("path: {type: Exact, value: /a%20b}", "", "")
	match("path: {type: Suffix, value: /a}", bad, "path.type")
	for _, path := range []string{"a", "/a//b", "/a/./b", "/a/../b", "/a%2fb", "/a%2Fb", "/a#b", "/a/..", "/a/.", "/a b", "/a?b", "/a%4", "/" + strings.Repeat("a", 1024)} {
		match("path: {value: '"+path+"'}", bad, "path.value")
		match("path: {type: Exact, value: '"+path+"'}", bad, "path.value")
	}
	match("path: {type: RegularExpression, value: 'a//b'}", "", "")
	match("method: GET", "", "")
	match("method: get", bad, "method")
	match("headers: [{name: A, value: b}, {name: a, value: c}]", "", "")
	match("headers: [{name: a, value: b}, {name: a, value: c}]", bad, "headers[1]")
	match("headers: [{value: b}]", missing, "headers[0].name")
	match("headers: [{name: a}]", missing, "headers[0].value")
	match("headers: [{name: 'a b', value: b}]", bad, "headers[0].name")
	match("headers: [{name: a, value: b, type: Prefix}]", bad, "headers[0].type")
	match("headers: "+repeat(17, "{name: a%d, value: b}"), bad, "headers")
	match("queryParams: [{name: a, value: b}, {name: a, value: c}]", bad, "queryParams[1]")
	match("queryParams: [{name: a, value: b, type: Prefix}]", bad, "queryParams[0].type")
	match("queryParams: [{name: a, value: "+strings.Repeat("b", 1025)+"}]", bad, "queryParams[0].value")

	// filters
	filter("type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}], add: [{name: b, value: c}], remove: [c]}", "", "")
	filter("requestHeaderModifier: {}", missing, "type")
	filter("type: Nonsense", bad, "type")
	filter("type: RequestHeaderModifier", missing, "requestHeaderModifier")
	filter("type: CORS", missing, "cors")
	filter("type: ExtensionRef", missing, "extensionRef")
	filter("type: ExtensionRef, extensionRef: {group: a.b, kind: C, name: d}", "", "")
	filter("type: ExtensionRef, extensionRef: {group: a.b, kind: C}", missing, "extensionRef.name")
	filter("type: ResponseHeaderModifier, responseHeaderModifier: {}, requestHeaderModifier: {}", bad, "requestHeaderModifier")
	filter("type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}, {name: a, value: c}]}", bad, "requestHeaderModifier.set[1]")
	filter("type: RequestHeaderModifier, requestHeaderModifier: {remove: [a, a]}", bad, "requestHeaderModifier.remove[1]")
	filter("type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: a}]}", missing, "requestHeaderModifier.add[0].value")
	filter("type: RequestRedirect, requestRedirect: {scheme: https, hostname: a.com, port: 1, statusCode: 308}", "", "")
	filter("type: RequestRedirect, requestRedirect: {scheme: ftp}", bad, "requestRedirect.scheme")
	filter("type: RequestRedirect, requestRedirect: {hostname: '*.a.com'}", bad, "requestRedirect.hostname")
	filter("type: RequestRedirect, requestRedirect: {statusCode: 304}", bad, "requestRedirect.statusCode")
	filter("type: RequestRedirect, requestRedirect: {port: 0}", bad, "requestRedirect.port")
	filter("type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /a}}", "", "")
	filter("type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /a}}", "", "")
	filter("type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath}}", missing, "urlRewrite.path.replaceFullPath")
	filter("type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replaceFullPath: /a, replacePrefixMatch: /b}}", bad, "urlRewrite.path.replaceFullPath")
	filter("type: URLRewrite, urlRewrite: {path: {replaceFullPath: /a}}", missing, "urlRewrite.path.type")
	filter("type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}, percent: 100}", "", "")
	filter("type: RequestMirror, requestMirror: {backendRef: {name: a}}", missing, "requestMirror.backendRef.port")
	filter("type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}, percent: 101}", bad, "requestMirror.percent")
	filter("type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}, percent: 1, fraction: {numerator: 1}}", bad, "requestMirror.fraction")
	filter("type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}, fraction: {numerator: 101}}", bad, "requestMirror.fraction")
	filter("type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}, fraction: {numerator: 0, denominator: 0}}", bad, "requestMirror.fraction")
	rule("filters: "+repeat(2, "{type: RequestHeaderModifier, requestHeaderModifier: {}}"), bad, "filters[1]")
	rule("filters: "+repeat(2, "{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}}}"), "", "")
	rule("filters: [{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: {}}]", bad, "filters[1]")
	rule("filters: "+repeat(17, "{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}}}"), bad, "filters")
	rule("filters: [{type: RequestRedirect, requestRedirect: {}}], backendRefs: [{name: a, port: 1}]", bad, "backendRefs")
	const prefix = "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /a}}}]"
	const at = "filters[0].urlRewrite.path.replacePrefixMatch"
	rule(prefix+", matches: [{headers: [{name: a, value: b}]}]", "", "")
	rule(prefix+", matches: [{path: {value: /b}}]", "", "")
	rule(prefix+", matches: [{path: {type: Exact, value: /b}}]", bad, at)
	rule(prefix+", matches: [{path: {value: /b}}, {path: {value: /c}}]", bad, at)
	rule("backendRefs: [{name: a, port: 1, "+prefix+"}], matches: [{path: {type: Exact, value: /b}}]", bad, "backendRefs[0]."+at)

	// backends and time
	rule("backendRefs: [{name: a, port: 1, weight: 1000000}]", "", "")
	rule("backendRefs: [{name: a, port: 1, weight: 1000001}]", bad, "backendRefs[0].weight")
	rule("backendRefs: [{name: a, port: 1, weight: -1}]", bad, "backendRefs[0].weight")
	rule("backendRefs: [{name: a}]", missing, "backendRefs[0].port")
	rule("backendRefs: [{port: 1}]", missing, "backendRefs[0].name")
	rule("backendRefs: [{name: a, kind: ServiceImport, group: multicluster.x-k8s.io}]", "", "")
	rule("backendRefs: [{name: a, port: 70000}]", bad, "backendRefs[0].port")
	rule("backendRefs: "+repeat(17, "{name: a, port: 1}"), bad, "backendRefs")
	rule("timeouts: {request: 1h30m, backendRequest: 250ms}", "", "")
	rule("timeouts: {request: 0s, backendRequest: 10s}", "", "")
	rule("timeouts: {request: 1.5s}", bad, "timeouts.request")
	rule("timeouts: {request: 10}", report.WrongType, "timeouts.request")
	rule("timeouts: {backendRequest: 1d}", bad, "timeouts.backendRequest")
	rule("timeouts: {request: 1s, backendRequest: 2s}", bad, "timeouts.backendRequest")
	rule("retry: {attempts: 2, codes: [503], backoff: 1s}", "", "")
	rule("retry: {attempts: 0}", bad, "retry.attempts")
	rule("retry: {codes: [200]}", bad, "retry.codes[0]")
	rule("sessionPersistence: {type: Header}", "", "")
	rule("sessionPersistence: {type: Nothing}", bad, "sessionPersistence.type")
	return append(out, otherRejections()...)
}

func otherRejections() []rejection {
	var out []rejection
	add := func(kind, spec string, code report.Code, field string) {
		out = append(out, rejection{object: object(kind, spec), code: code, field: field})
	}
	const bad, missing = report.BadValue, report.MissingField
	grpc := func(match string, code report.Code, field string) {
		add("GRPCRoute", "{rules: [{matches: [{"+match+"}]}]}", code, field)
	}
	add("GRPCRoute", "{}", "", "")
	grpc("method: {service: a.B, method: C}", "", "")
	grpc("method: {}", bad, "spec.rules[0].matches[0].method")
	grpc("method: {service: 'a/B'}", bad, "spec.rules[0].matches[0].method.service")
	grpc("method: {method: 'a.B'}", bad, "spec.rules[0].matches[0].method.method")
	grpc("method: {type: RegularExpression, method: 'a.*'}", "", "")
	grpc("method: {type: Prefix, method: a}", bad, "spec.rules[0].matches[0].method.type")
	grpc("headers: [{name: a, value: b}, {name: a, value: b}]", bad, "spec.rules[0].matches[0].headers[1]")
	add("GRPCRoute", "{rules: [{filters: [{type: RequestRedirect}]}]}", bad, "spec.rules[0].filters[0].type")
	add("TCPRoute", "{rules: [{backendRefs: [{name: a, port: 1}]}]}", "", "")
	add("TCPRoute", "{rules: [{}]}", missing, "spec.rules[0].backendRefs")
	add("TCPRoute", "{rules: [{backendRefs: [{name: a}]}]}", missing, "spec.rules[0].backendRefs[0].port")
	add("TCPRoute", "{rules: "+repeat(2, "{backendRefs: [{name: a, port: 1}]}")+"}", bad, "spec.rules")

	gateway := func(listeners string, code report.Code, field string) {
		add("Gateway", "{gatewayClassName: a, listeners: "+listeners+"}", code, field)
	}
	gateway("[{name: a, port: 80, protocol: HTTP}]", "", "")
	gateway("[]", missing, "spec.listeners")
	gateway("[{name: A, port: 80, protocol: HTTP}]", bad, "spec.listeners[0].name")
	gateway("[{name: a, port: 0, protocol: HTTP}]", bad, "spec.listeners[0].port")
	gateway("[{name: a, port: 80}]", missing, "spec.listeners[0].protocol")
	gateway("[{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}]", bad, "spec.listeners[1]")
	gateway("[{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}]", bad, "spec.listeners[1]")
	gateway("[{name: a, port: 80, protocol: TCP, hostname: a.com}]", bad, "spec.listeners[0].hostname")
	gateway("[{name: a, port: 80, protocol: HTTP, tls: {certificateRefs: [{name: a}]}}]", bad, "spec.listeners[0].tls")
	gateway("[{name: a, port: 80, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}]", "", "")
	gateway("[{name: a, port: 80, protocol: HTTPS, tls: {}}]", bad, "spec.listeners[0].tls")
	gateway("[{name: a, port: 80, protocol: HTTPS, tls: {mode: Passthrough}}]", bad, "spec.listeners[0].tls.mode")
	gateway("[{name: a, port: 80, protocol: TLS}]", bad, "spec.listeners[0].tls")
	gateway("[{name: a, port: 80, protocol: TLS, tls: {mode: Passthrough}}]", "", "")
	gateway("[{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: None}}}]", bad, "spec.listeners[0].allowedRoutes.namespaces.from")
	gateway("[{name: a, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{}]}}]", missing, "spec.listeners[0].allowedRoutes.kinds[0].kind")
	add("Gateway", "{gatewayClassName: '', listeners: [{name: a, port: 80, protocol: HTTP}]}", missing, "spec.gatewayClassName")
	add("ListenerSet", "{parentRef: {name: a}, listeners: [{name: a, port: 80, protocol: HTTP}]}", "", "")
	add("ListenerSet", "{parentRef: {}, listeners: [{name: a, port: 80, protocol: HTTP}]}", missing, "spec.parentRef.name")
	add("ListenerSet", "{parentRef: {name: a}, listeners: []}", missing, "spec.listeners")
	add("GatewayClass", "{controllerName: example.com/a}", "", "")
	add("GatewayClass", "{controllerName: a}", bad, "spec.controllerName")
	add("ReferenceGrant", "{from: [{group: '', kind: A, namespace: b}], to: [{group: '', kind: Service}]}", "", "")
	add("ReferenceGrant", "{from: [], to: [{group: '', kind: Service}]}", missing, "spec.from")
	add("ReferenceGrant", "{from: [{group: '', kind: A}], to: [{group: '', kind: Service}]}", missing, "spec.from[0].namespace")
	add("ReferenceGrant", "{from: [{group: '', kind: A, namespace: b}], to: [{group: ''}]}", missing, "spec.to[0].kind")
	return out
}
