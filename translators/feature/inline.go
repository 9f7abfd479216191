package feature

import (
	"slices"
	"strings"
)

// inline are the headers, besides its own, of which Envoy 1.40 holds one value per
// request. TestInlineHeaders of test/envoy asks an Envoy for each.
var inline = []string{
	"accept", "accept-encoding", "access-control-request-headers", "access-control-request-method", "authorization",
	"cache-control", "content-encoding", "content-type", "expect", "grpc-accept-encoding", "grpc-timeout",
	"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "origin", "pragma",
	"proxy-status", "referer", "te", "user-agent", "via", "x-client-trace-id",
	"x-forwarded-client-cert", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-request-id",
}

// InlineHeader reports whether Envoy joins the lines of a header, by its name in
// lower case, as they arrive: a condition is then compared with all of them,
// joined by commas, and not with each line.
func InlineHeader(name string) bool {
	_, found := slices.BinarySearch(inline, name)
	return found || strings.HasPrefix(name, "x-envoy-")
}
