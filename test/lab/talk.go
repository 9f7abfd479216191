package lab

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// What a Greeter says, each with its name behind.
const (
	hello   = "hello from "
	goodbye = "goodbye from "
)

// Talker starts a process that says to each connection what talk says, until the
// lab is closed. The connection is closed after it.
func (l *Lab) Talker(talk func(c net.Conn)) (int32, error) {
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
				talk(c)
			}()
		}
	}()
	return portOf(listener), nil
}

// Greeter starts a process of a protocol in which the server speaks first: it says
// hello, hears a line, says goodbye and ends the connection.
func (l *Lab) Greeter(name string) (int32, error) {
	return l.Talker(func(c net.Conn) { Greet(c, name) })
}

// Greet is a Greeter on one connection, up to the goodbye.
func Greet(c net.Conn, name string) {
	fmt.Fprintf(c, "%s%s\n", hello, name)
	if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
		fmt.Fprintf(c, "%s%s\n", goodbye, name)
	}
}

// Greeted connects, says nothing, and hears whom a Greeter says it is. A connection
// that is closed without a word is an error.
func Greeted(address string, id *tls.Config) (string, error) {
	c, err := Dial(address, id)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return afterWord(bufio.NewReader(c), hello)
}

// Talk is what a caller hears from a Greeter: who greeted, and who answered what
// the caller said. Both may be missing where proxies cut the caller off.
type Talk struct{ Greeted, Answered string }

// Speak connects and says a line; where wait is not zero, it waits for so long to be
// greeted before. An answer that is missing is an error, as is one of somebody who
// is no Greeter.
func Speak(address string, id *tls.Config, wait time.Duration) (t Talk, err error) {
	c, err := Dial(address, id)
	if err != nil {
		return t, err
	}
	defer c.Close()
	heard := make(chan error, 1)
	greeted := make(chan struct{})
	go func() {
		r := bufio.NewReader(c)
		var err error
		if t.Greeted, err = afterWord(r, hello); err == nil {
			close(greeted)
			t.Answered, err = afterWord(r, goodbye)
		}
		heard <- err
	}()
	if wait > 0 {
		select {
		case <-greeted:
		case err := <-heard:
			return t, err
		case <-time.After(wait):
		}
	}
	if _, err := io.WriteString(c, "word\n"); err != nil { // which no proxy takes for the beginning of a request
		return t, errors.Join(err, <-heard) // what was said before is heard
	}
	return t, <-heard
}

// afterWord reads a line, which begins with a word, and returns the rest.
func afterWord(r *bufio.Reader, word string) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	name, ok := strings.CutPrefix(strings.TrimSpace(line), word)
	if !ok {
		return "", fmt.Errorf("no Greeter says %q", line)
	}
	return name, nil
}
