package grpc

import (
	gogrpc "google.golang.org/grpc"

	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Unspeakable says why no gRPC client makes a request, if none does.
func Unspeakable(q semantics.Request) string { return unspeakable(q) }

// Call makes a call on a connection. On a straight one, of a caller without xDS,
// a server that does not answer is one that refuses. The error is what gRPC said.
func Call(conn *gogrpc.ClientConn, q semantics.Request, straight bool) (planes.Answer, error) {
	return call(conn, q, straight)
}

// Echo answers every method with what was heard, under a name.
func Echo(name string) gogrpc.StreamHandler { return (&process{name: name}).echo }
