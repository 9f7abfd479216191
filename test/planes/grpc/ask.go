package grpc

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Ask implements planes.Plane.
func (p *Plane) Ask(q semantics.Request) planes.Answer {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.scene == nil {
		return planes.Answer{Cannot: "nothing is shown"}
	}
	if why := unspeakable(q); why != "" {
		return planes.Answer{Cannot: why}
	}
	if why := p.scene.unreachable(q); why != "" {
		return planes.Answer{Cannot: why}
	}
	a := p.scene.ask(q)
	if err := p.refused(p.scene.nacks); err != nil {
		return planes.Answer{Err: err}
	}
	return a
}

// unspeakable says why no gRPC client makes a request, if none does.
func unspeakable(q semantics.Request) string {
	switch {
	case q.Raw:
		return "a gRPC client makes requests"
	case q.Method != "POST":
		return "every gRPC call is a POST"
	case strings.ContainsAny(q.Path, "?#"):
		return "a gRPC call has no query"
	case !strings.HasPrefix(q.Path, "/") || strings.Count(q.Path, "/") < 2:
		return "a gRPC call names a service and a method"
	case strings.ContainsFunc(q.Path, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "no gRPC client sends such a path"
	}
	for name, values := range q.Headers {
		if name == "host" {
			continue
		}
		if why := illegal(name, values); why != "" {
			return why
		}
	}
	return ""
}

// reserved are the headers that gRPC makes itself, or that HTTP/2 does not have.
var reserved = []string{"content-type", "te", "user-agent", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "content-length"}

func illegal(name string, values []string) string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	}
	switch {
	case name == "" || strings.ContainsFunc(name, odd):
		return fmt.Sprintf("%q is no name of metadata", name)
	case slices.Contains(reserved, name) || strings.HasPrefix(name, "grpc-"):
		return fmt.Sprintf("gRPC keeps the header %s to itself", name)
	case strings.HasSuffix(name, "-bin"):
		return fmt.Sprintf("the header %s is sent encoded", name)
	}
	for _, v := range values {
		if strings.TrimSpace(v) != v || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Sprintf("the value %q of the header %s is no metadata", v, name)
		}
	}
	return ""
}

// unreachable says why a request has nowhere to go here, if it has not.
func (s *scene) unreachable(q semantics.Request) string {
	switch {
	case q.Gateway != (ir.Name{}):
		return "gRPC applications are no gateways"
	case q.Workload != (ir.Name{}):
		if s.address(q) == "" {
			return "no gRPC server is told to serve at that port"
		}
		if header := s.asked[q.Workload]; header != "" {
			return Unsaid(q.Workload, header)
		}
		return ""
	}
	host, ok := s.host(q)
	switch {
	case !ok:
		return "no gRPC client is told of that port of the Service"
	case straight(q):
		if at := s.behind[ir.ServicePort{Service: q.Service, Port: q.Port}]; len(at) != 1 || s.address(q) == "" {
			return fmt.Sprintf("%d known servers are behind the Service, and a caller without xDS is not routed", len(at))
		}
		if s.answers[host] {
			return "routes answer some of these calls, and a caller without xDS is not routed"
		}
	case s.lacks[host] != "":
		return fmt.Sprintf("the routes speak of %s, and there is no such cluster", s.lacks[host])
	}
	return s.unsaid(q, host)
}

// ask makes a call.
func (s *scene) ask(q semantics.Request) planes.Answer {
	authority := lab.AnyHost
	if h := q.Headers["host"]; len(h) > 0 {
		authority = h[0]
	}
	conn, over, err := s.dial(q, authority)
	if err != nil {
		return planes.Answer{Err: err}
	}
	defer over()
	a, _ := call(conn, q, straight(q))
	return a
}

// call makes a call on a connection; straight says that it is that of a caller
// without xDS. Beside the answer it returns what gRPC said.
func call(conn *gogrpc.ClientConn, q semantics.Request, straight bool) (planes.Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	said := ctx
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		for _, v := range q.Headers[name] {
			if name != "host" {
				said = metadata.AppendToOutgoingContext(said, name, v)
			}
		}
	}
	var header metadata.MD
	var body wrapperspb.StringValue
	err := conn.Invoke(said, q.Path, &emptypb.Empty{}, &body, gogrpc.Header(&header))
	if ctx.Err() != nil {
		return planes.Answer{Err: fmt.Errorf("no answer in time: %w", err)}, err
	}
	a := understood(err, straight)
	a.Header = http.Header{}
	for name, values := range header {
		a.Header[http.CanonicalHeaderKey(name)] = values
	}
	if a.Status == http.StatusOK {
		if a.Err = json.Unmarshal([]byte(body.GetValue()), &a.Heard); a.Err == nil {
			a.App = a.Heard.App
		}
	}
	return a, err
}

// understood is the answer that a gRPC status stands for. A caller without xDS
// that hears nothing was turned away by the server, which demands a certificate.
func understood(err error, straight bool) planes.Answer {
	switch status.Code(err) {
	case codes.OK:
		return planes.Answer{Status: http.StatusOK}
	case codes.PermissionDenied:
		return planes.Answer{Status: http.StatusForbidden, Denied: true}
	case codes.Unimplemented:
		return planes.Answer{Status: http.StatusNotFound}
	case codes.Unknown:
		return planes.Answer{Status: http.StatusInternalServerError}
	case codes.DeadlineExceeded:
		return planes.Answer{Status: http.StatusGatewayTimeout}
	case codes.Unavailable:
	default:
		return planes.Answer{Err: fmt.Errorf("an answer that nothing stands for: %w", err)}
	}
	switch {
	case strings.Contains(status.Convert(err).Message(), "connection refused"):
		return planes.Answer{Err: fmt.Errorf("a process is gone: %w", err)}
	case straight:
		return planes.Answer{Denied: true}
	}
	return planes.Answer{Status: http.StatusServiceUnavailable}
}
