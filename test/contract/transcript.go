package contract

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// Exchange is what one side sent until the other answered.
type Exchange struct {
	Request, Response string
}

// Session is what went over one connection.
type Session struct {
	Name      string // the command line
	Exchanges []Exchange
}

// The marks of the lines that are not of the wire. None of them is JSON.
const (
	sessionMark  = "=== "
	requestMark  = ">>>"
	responseMark = "<<<"
)

// Format writes sessions as text.
func Format(sessions []Session) []byte {
	var b bytes.Buffer
	line := func(text string) {
		b.WriteString(text)
		if !strings.HasSuffix(text, "\n") {
			b.WriteByte('\n')
		}
	}
	for _, s := range sessions {
		line(sessionMark + s.Name)
		for _, e := range s.Exchanges {
			line(requestMark)
			line(e.Request)
			line(responseMark)
			line(e.Response)
		}
	}
	return b.Bytes()
}

// Parse reads what [Format] has written.
func Parse(text string) ([]Session, error) {
	var list []Session
	var into *string
	for line := range strings.Lines(text) {
		mark := strings.TrimRight(line, "\n")
		switch name, isSession := strings.CutPrefix(mark, sessionMark); {
		case isSession:
			list = append(list, Session{Name: name})
			into = nil
		case mark == requestMark && len(list) > 0:
			s := &list[len(list)-1]
			s.Exchanges = append(s.Exchanges, Exchange{})
			into = &s.Exchanges[len(s.Exchanges)-1].Request
		case mark == responseMark && into != nil:
			s := &list[len(list)-1]
			into = &s.Exchanges[len(s.Exchanges)-1].Response
		case into == nil:
			return nil, fmt.Errorf("contract: a line in no exchange: %q", mark)
		default:
			*into += line
		}
	}
	return list, nil
}

// Tap is a socket in front of another one, and keeps what passes.
type Tap struct {
	ln     net.Listener
	target string

	mu      sync.Mutex
	session Session
}

// NewTap listens at path for connections to the socket target.
func NewTap(path, target string) (*Tap, error) {
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	t := &Tap{ln: ln, target: target}
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go t.pass(nc)
		}
	}()
	return t, nil
}

// Close ends the listening.
func (t *Tap) Close() error { return t.ln.Close() }

// Take returns what has passed since the last call.
func (t *Tap) Take(name string) Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.session
	t.session = Session{}
	s.Name = name
	return s
}

func (t *Tap) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", t.target)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, io.TeeReader(client, tapWriter{t, true})) // either side may go at any time
		_ = server.(*net.UnixConn).CloseWrite()
	})
	both.Go(func() {
		_, _ = io.Copy(client, io.TeeReader(server, tapWriter{t, false}))
		client.Close()
	})
	both.Wait()
}

// tapWriter keeps what one side has sent. Tools wait for the answer before they send more.
type tapWriter struct {
	t       *Tap
	request bool
}

func (w tapWriter) Write(p []byte) (int, error) {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	all := &w.t.session.Exchanges
	if w.request && (len(*all) == 0 || (*all)[len(*all)-1].Response != "") {
		*all = append(*all, Exchange{})
	}
	if len(*all) > 0 {
		e := &(*all)[len(*all)-1]
		if w.request {
			e.Request += string(p)
		} else {
			e.Response += string(p)
		}
	}
	return len(p), nil
}
