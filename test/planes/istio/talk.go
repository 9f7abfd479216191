package istio

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/semantics"
)

// The words of a talker, each with its name behind.
const (
	hello   = "hello from "
	goodbye = "goodbye from "
)

// talker starts a process of a protocol in which the server speaks first, hears a
// line and has the last word.
func (p *Plane) talker(name string) (int32, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	p.lab.OnClose(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintf(c, "%s%s\n", hello, name)
				if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
					fmt.Fprintf(c, "%s%s\n", goodbye, name)
				}
			}()
		}
	}()
	return int32(listener.Addr().(*net.TCPAddr).Port), nil
}

// converse speaks to whoever is at an address and returns all that is heard.
func converse(address string, id *tls.Config) (string, error) {
	c, err := lab.Dial(address, id)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return "", err
	}
	said, err := io.ReadAll(c)
	return string(said), err
}

func lastLine(text string) string {
	text = strings.TrimSuffix(text, "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// Listen connects as the caller of a raw request and says nothing; it returns the
// first line that is heard.
func (p *Plane) Listen(q semantics.Request) (string, error) {
	d, cannot, err := p.door(q)
	if err != nil || cannot != "" {
		return "", errors.Join(err, errors.New(cannot))
	}
	c, err := lab.Dial(lab.Local(d.port), d.id)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return bufio.NewReader(c).ReadString('\n')
}
