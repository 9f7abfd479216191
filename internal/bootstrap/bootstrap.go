// Package bootstrap makes what a proxy is started with: the bootstrap of an
// Envoy sidecar and of a proxyless gRPC application, both for the artifacts that
// the translators make and the server in internal/xds.
package bootstrap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// nodePrefix begins the ID of a node that says who it is.
const nodePrefix = "sidecar~"

// Options say who a proxy is and where its server is.
type Options struct {
	// Namespace and Account that the proxy runs as.
	Namespace, Account string
	// Node is the ID of the node, "sidecar~NAMESPACE/ACCOUNT" when empty. An ID
	// that begins like this makes Namespace and Account unnecessary.
	Node string
	// Server is the HOST:PORT of the xDS server.
	Server string
	// Files prove who the proxy is to others. Without them it speaks plaintext.
	Files Files
	// SecretsDir is the directory in which Envoy finds what Secrets makes. With
	// it Envoy reads Files again when they change; the target's option "sds" of
	// the envoy back end must then be "file:" and the directory. Without it Envoy
	// reads them once, when it starts.
	SecretsDir string
	// ServerIdentity is the SPIFFE ID that the xDS server must prove, over TLS
	// with Files. When empty the server is spoken to in plaintext. gRPC cannot
	// compare it: it compares the name in Server with the certificate's.
	ServerIdentity string
	// Admin is the HOST:PORT of Envoy's administration, "127.0.0.1:15000" when
	// empty. Port 0 means any.
	Admin string
	// StateOfTheWorld: ask for everything with each change, not for deltas.
	StateOfTheWorld bool
}

// Files are the paths of PEM files. gRPC reads them again when they change.
type Files struct{ Cert, Key, CA string }

func (f Files) given() bool { return f != Files{} }

// normalise fills in what follows from what is given, and checks it.
func (o Options) normalise() (Options, error) {
	if o.Namespace == "" && o.Account == "" {
		rest, ok := strings.CutPrefix(o.Node, nodePrefix)
		if rest, _, _ = strings.Cut(rest, "~"); ok {
			o.Namespace, o.Account, _ = strings.Cut(rest, "/")
		}
	}
	if o.Namespace == "" || o.Account == "" {
		return o, fmt.Errorf("node %q does not say who it is: an ID like %sNAMESPACE/ACCOUNT does", o.Node, nodePrefix)
	}
	if o.Node == "" {
		o.Node = nodePrefix + o.Namespace + "/" + o.Account
	}
	if o.Admin == "" {
		o.Admin = "127.0.0.1:15000"
	}
	if f := o.Files; f.given() && (f.Cert == "" || f.Key == "" || f.CA == "") {
		return o, errors.New("a certificate, its key and a CA belong together: one of them is missing")
	}
	if o.ServerIdentity != "" && !o.Files.given() {
		return o, errors.New("a server that proves who it is wants the same of the proxy: certificate, key and CA are missing")
	}
	_, _, err := hostPort(o.Server)
	return o, err
}

// metadata tells the xDS server who the node is.
func (o Options) metadata(backend string) map[string]any {
	return map[string]any{"namespace": o.Namespace, "account": o.Account, "backend": backend}
}

func hostPort(s string) (string, uint32, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not HOST:PORT", s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("%q is not HOST:PORT", s)
	}
	return host, uint32(n), nil
}

func structOf(m map[string]any) (*structpb.Struct, error) {
	s, err := structpb.NewStruct(m)
	if err != nil {
		return nil, fmt.Errorf("encoding metadata: %w", err)
	}
	return s, nil
}

// render prints a message as JSON, the same bytes each time.
func render(m proto.Message) ([]byte, error) {
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil { // protojson's own spaces are not stable
		return nil, fmt.Errorf("indenting: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
