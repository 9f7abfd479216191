package consul

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/meshknot/meshknot/test/lab"
)

// speaker starts a process of a protocol in which the server speaks first: it
// says "hello from NAME" and a newline, and then whatever it is told.
func speaker(l *lab.Lab, name string) (int32, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	l.OnClose(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintf(c, "hello from %s\n", name)
				io.Copy(c, c) //nolint:errcheck // until the caller goes
			}()
		}
	}()
	return int32(listener.Addr().(*net.TCPAddr).Port), nil
}

// spokenTo says a word to a speaker and returns whom it heard it from. Consul
// looks at a connection when its caller speaks: one that is denied may hear the
// greeting before, and is closed without an answer.
func spokenTo(address string, id *tls.Config) (string, error) {
	c, err := lab.Dial(address, id)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "word\n"); err != nil {
		return "", err
	}
	r := bufio.NewReader(c)
	greeting, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	name, ok := strings.CutPrefix(strings.TrimSpace(greeting), "hello from ")
	if !ok {
		return "", fmt.Errorf("no speaker says %q", greeting)
	}
	_, err = r.ReadString('\n')
	if err != nil {
		return "", err
	}
	return name, nil
}
