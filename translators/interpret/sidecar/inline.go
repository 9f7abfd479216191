package sidecar

import "strings"

// inline are the headers of which Envoy holds one value, beside its own: lines that
// arrive are joined by a comma. Of all others it holds each line.
var inline = map[string]bool{
	"accept": true, "accept-encoding": true, "access-control-request-headers": true, "access-control-request-method": true,
	"authorization": true, "cache-control": true, "content-encoding": true, "content-type": true, "expect": true,
	"grpc-accept-encoding": true, "grpc-timeout": true, "if-match": true, "if-modified-since": true, "if-none-match": true,
	"if-range": true, "if-unmodified-since": true, "origin": true, "pragma": true, "proxy-status": true, "referer": true,
	"te": true, "user-agent": true, "via": true, "x-client-trace-id": true, "x-forwarded-client-cert": true,
	"x-forwarded-for": true, "x-forwarded-host": true, "x-forwarded-port": true, "x-forwarded-proto": true, "x-request-id": true,
}

// Inline reports whether lines of a header, by its name in lower case, are joined
// as they arrive.
func Inline(name string) bool { return inline[name] || strings.HasPrefix(name, "x-envoy-") }
