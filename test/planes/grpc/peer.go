package grpc

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Peer is the plane with clients of another implementation, grpcio, which is the
// C core of gRPC under Python. Its servers are those of the plane.
type Peer struct {
	*Plane
	python  string
	version string

	mu      sync.Mutex
	clients map[ir.Identity]*client
}

// client is a process that calls as one account.
type client struct {
	mu   sync.Mutex
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	node string
	log  string // the file of its standard error
}

// Python returns the interpreter that has grpcio: that of MESHKNOT_GRPCIO or the
// one that "make grpcio" installs.
func Python() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	path := cmp.Or(os.Getenv("MESHKNOT_GRPCIO"), filepath.Join(filepath.Dir(file), "..", "..", "..", ".cache", "grpcio", "bin", "python"))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("no grpcio: %w (make grpcio installs it)", err)
	}
	return path, nil
}

// NewPeer starts the plane in a lab.
func NewPeer(l *lab.Lab) (*Peer, error) {
	python, err := Python()
	if err != nil {
		return nil, err
	}
	p, err := New(l)
	if err != nil {
		return nil, err
	}
	return &Peer{Plane: p, python: python, clients: map[ir.Identity]*client{}}, nil
}

// Name implements planes.Plane.
func (p *Peer) Name() string { return "grpcio" }

// Programs implements planes.Plane. The version of the clients is known once one
// has been started.
func (p *Peer) Programs() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{strings.TrimSpace("grpcio " + p.version)}, p.Plane.Programs()...)
}

// Close implements planes.Plane.
func (p *Peer) Close() {
	p.mu.Lock()
	for _, c := range p.clients {
		c.in.Close()
		syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
		c.cmd.Wait()                                      //nolint:errcheck // it was killed
	}
	p.clients = nil
	p.mu.Unlock()
	p.Plane.Close()
}

// Show implements planes.Plane. The clients forget what they know, and it is
// awaited that they do, before the scene changes.
func (p *Peer) Show(s planes.Scene) (planes.Showing, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.clients {
		if _, err := c.say(map[string]any{"reset": true}); err != nil {
			return planes.Showing{}, err
		}
	}
	err := p.lab.Eventually("client that forgets", patience, func() bool {
		for _, n := range p.xds.Status().Nodes {
			if strings.HasPrefix(n.Node, peerNode) {
				return false
			}
		}
		return true
	})
	if err != nil {
		return planes.Showing{}, err
	}
	return p.Plane.Show(s)
}

// peerNode begins the names of the clients as nodes.
const peerNode = "peer~"

// Ask implements planes.Plane. Callers without xDS are those of the plane.
func (p *Peer) Ask(q semantics.Request) planes.Answer {
	if straight(q) || unspeakable(q) != "" {
		return p.Plane.Ask(q)
	}
	p.Plane.mu.RLock()
	defer p.Plane.mu.RUnlock()
	if p.scene == nil {
		return planes.Answer{Cannot: "nothing is shown"}
	}
	if why := p.scene.unreachable(q); why != "" {
		return planes.Answer{Cannot: why}
	}
	c, err := p.client(*q.From)
	if err != nil {
		return planes.Answer{Err: err}
	}
	host, _ := p.scene.host(q)
	words := map[string]any{"target": "xds:///" + host, "authority": lab.AnyHost, "method": q.Path}
	if h := q.Headers["host"]; len(h) > 0 {
		words["authority"] = h[0]
	}
	said := [][2]string{}
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		for _, v := range q.Headers[name] {
			if name != "host" {
				said = append(said, [2]string{name, v})
			}
		}
	}
	words["metadata"] = said
	r, err := c.say(words)
	if err == nil {
		err = p.refused(p.scene.nacks)
	}
	if err != nil {
		return planes.Answer{Err: err}
	}
	return r.answer()
}

// reply is what a client says.
type reply struct {
	Version, Code, Message, Body string
	Headers                      [][2]string
}

func (r reply) answer() planes.Answer {
	var code codes.Code
	if err := code.UnmarshalJSON([]byte(`"` + r.Code + `"`)); err != nil {
		return planes.Answer{Err: err}
	}
	a := understood(status.Error(code, r.Message), false)
	a.Header = http.Header{}
	for _, h := range r.Headers {
		a.Header.Add(h[0], h[1])
	}
	if a.Status != http.StatusOK {
		return a
	}
	body, err := base64.StdEncoding.DecodeString(r.Body)
	var text wrapperspb.StringValue
	if a.Err = errors.Join(err, proto.Unmarshal(body, &text)); a.Err == nil {
		a.Err = json.Unmarshal([]byte(text.GetValue()), &a.Heard)
	}
	if a.Err == nil {
		a.App = a.Heard.App
	}
	return a
}

// client returns the process that calls as somebody.
func (p *Peer) client(id ir.Identity) (*client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.clients[id]; c != nil {
		return c, nil
	}
	node := peerNode + id.Namespace + "/" + id.Account
	config, err := p.bootstrap(id, node)
	if err != nil {
		return nil, err
	}
	_, file, _, _ := runtime.Caller(0)
	c := &client{node: node, cmd: exec.Command(p.python, filepath.Join(filepath.Dir(file), "peer", "peer.py"))}
	c.cmd.Env = append(os.Environ(), "GRPC_XDS_BOOTSTRAP_CONFIG="+string(config))
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	log, err := os.CreateTemp(p.lab.Dir, "peer-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.cmd.Stderr, c.log = log, log.Name()
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting grpcio: %w", err)
	}
	p.clients[id] = c
	hello, err := c.hear()
	if err != nil {
		return nil, fmt.Errorf("starting grpcio: %w", err)
	}
	p.version = hello.Version
	return c, nil
}

// say sends a line and hears the one that answers it.
func (c *client) say(words map[string]any) (reply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, err := json.Marshal(words)
	if err != nil {
		return reply{}, err
	}
	if _, err := c.in.Write(append(text, '\n')); err != nil {
		return reply{}, fmt.Errorf("%s: %w", c.node, err)
	}
	return c.hear()
}

func (c *client) hear() (reply, error) {
	var r reply
	text, err := c.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		said, _ := os.ReadFile(c.log) // what is lost is a hint
		return r, fmt.Errorf("%s: %w; it said %s", c.node, err, said[max(0, len(said)-1000):])
	}
	return r, nil
}
