package protocol

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	goxds "google.golang.org/grpc/xds"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/internal/bootstrap"
	planegrpc "github.com/meshknot/meshknot/test/planes/grpc"
)

// apiListener is what a gRPC client asks for by the name of its target.
func apiListener(routes string) *listenerv3.Listener {
	return &listenerv3.Listener{Name: "shop", ApiListener: &listenerv3.ApiListener{ApiListener: manager(routes)}}
}

// greeters are gRPC processes that answer every method with their names.
func greeters(t *testing.T, names ...string) processes {
	t.Helper()
	out := processes{}
	for _, name := range names {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
				return err
			}
			return stream.SendMsg(wrapperspb.String(name))
		}))
		go s.Serve(lis)
		t.Cleanup(s.Stop)
		out[name] = uint32(lis.Addr().(*net.TCPAddr).Port)
	}
	return out
}

// grpcGo is grpc-go's xDS client, in this process.
type grpcGo struct {
	processes
	conn *grpc.ClientConn
}

// Listener implements plane.
func (grpcGo) Listener(routes string) *listenerv3.Listener { return apiListener(routes) }

// Ask implements plane.
func (g grpcGo) Ask(path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var who wrapperspb.StringValue
	err := g.conn.Invoke(ctx, path, &emptypb.Empty{}, &who)
	return who.GetValue(), err
}

func grpcBootstrap(t *testing.T, l *life) []byte {
	t.Helper()
	text, err := bootstrap.GRPC(bootstrap.Options{Namespace: "shop", Account: "web", Server: l.stage.addr})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestGRPCGo plays a life with grpc-go. It speaks the state of the world alone.
func TestGRPCGo(t *testing.T) {
	l := begin(t)
	resolver, err := goxds.NewXDSResolverWithConfigForTesting(grpcBootstrap(t, l))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///shop", grpc.WithResolvers(resolver), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	l.plane = grpcGo{greeters(t, "one", "two"), conn}
	l.live(false)
}

// talker is a client in a process of its own, which reads calls and writes answers,
// a line of JSON for each: see test/planes/grpc/peer.
type talker struct {
	processes
	in  *json.Encoder
	out *bufio.Scanner
}

// Listener implements plane.
func (talker) Listener(routes string) *listenerv3.Listener { return apiListener(routes) }

// Ask implements plane.
func (c talker) Ask(path string) (string, error) {
	if err := c.in.Encode(map[string]any{"target": "xds:///shop", "authority": "shop", "method": path, "metadata": [][2]string{}}); err != nil {
		return "", err
	}
	var answer struct{ Code, Message, Body string }
	if !c.out.Scan() {
		return "", fmt.Errorf("the client is gone: %w", c.out.Err())
	}
	if err := json.Unmarshal(c.out.Bytes(), &answer); err != nil {
		return "", err
	}
	if answer.Code != "OK" {
		return "", fmt.Errorf("%s: %s", answer.Code, answer.Message)
	}
	body, err := base64.StdEncoding.DecodeString(answer.Body)
	var who wrapperspb.StringValue
	if err == nil {
		err = proto.Unmarshal(body, &who)
	}
	return who.GetValue(), err
}

// talk starts such a client until the test ends.
func talk(t *testing.T, l *life, program string, args ...string) talker {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "GRPC_XDS_BOOTSTRAP_CONFIG="+string(grpcBootstrap(t, l)), "GRPC_VERBOSITY=ERROR")
	cmd.Stderr = t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	c := talker{greeters(t, "one", "two"), json.NewEncoder(in), bufio.NewScanner(out)}
	if !c.out.Scan() {
		t.Fatal("the client does not start")
	}
	t.Logf("%s", c.out.Text())
	return c
}

// TestGRPCIO plays a life with grpcio, the C core of gRPC.
func TestGRPCIO(t *testing.T) {
	python, err := planegrpc.Python()
	if err != nil {
		t.Skipf("SKIPPED, NOTHING PROVEN: %v", err)
	}
	l := begin(t)
	l.plane = talk(t, l, python, filepath.Join("..", "planes", "grpc", "peer", "peer.py"))
	l.live(false)
}

// TestGRPCJS plays a life with grpc-js, of the directory in MESHKNOT_GRPCJS or of
// .cache/grpc-js, in which "npm install @grpc/grpc-js @grpc/grpc-js-xds" was run.
func TestGRPCJS(t *testing.T) {
	dir := cmp.Or(os.Getenv("MESHKNOT_GRPCJS"), filepath.Join("..", "..", ".cache", "grpc-js"))
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "node_modules", "@grpc", "grpc-js-xds"))
	}
	if err != nil {
		t.Skipf("SKIPPED, NOTHING PROVEN: there is no grpc-js: %v", err)
	}
	l := begin(t)
	l.plane = talk(t, l, node, "peer.js", dir)
	l.live(false)
}
