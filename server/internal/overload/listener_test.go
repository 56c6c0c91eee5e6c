package overload

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// listen returns a listener that closes reserved connections after life.
func listen(t *testing.T, limit int, life time.Duration) *Listener {
	l, err := Listen("127.0.0.1:0", limit)
	if err != nil {
		t.Fatal(err)
	}
	l.life = life
	t.Cleanup(func() { l.Close() })
	return l
}

// dial opens a connection to a listener.
func dial(t *testing.T, l *Listener) net.Conn {
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// accept opens and accepts a connection.
func accept(t *testing.T, l *Listener) net.Conn {
	dial(t, l)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestConnectionsAboveTheLimitAreReserved(t *testing.T) {
	l := listen(t, 2, time.Hour)
	first, second := accept(t, l), accept(t, l)
	third := accept(t, l)
	for i, c := range []net.Conn{first, second, third} {
		if got, want := IsReserved(c.RemoteAddr()), i == 2; got != want {
			t.Errorf("connection %d is reserved: %v, want %v", i+1, got, want)
		}
	}
	third.Close()
	first.Close()
	first.Close()
	if n := l.Open(); n != 1 {
		t.Errorf("%d connections are open, want 1", n)
	}
	if IsReserved(accept(t, l).RemoteAddr()) {
		t.Error("a connection within the limit is reserved")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	l := listen(t, 1, time.Hour)
	var last net.Conn
	for range 1 + Reserved {
		last = accept(t, l)
	}
	var closed atomic.Bool
	dial(t, l)
	accepted := make(chan bool)
	go func() {
		_, err := l.Accept()
		accepted <- err == nil && closed.Load()
	}()
	time.Sleep(20 * time.Millisecond) // in which an Accept without a limit returns
	closed.Store(true)
	last.Close()
	if !<-accepted {
		t.Error("a connection above all limits was accepted before another one was closed")
	}
	go func() {
		_, err := l.Accept()
		accepted <- errors.Is(err, net.ErrClosed)
	}()
	l.Close()
	if !<-accepted {
		t.Error("Accept of a closed listener does not return net.ErrClosed")
	}
}

func TestReservedConnectionsAreClosed(t *testing.T) {
	l := listen(t, 1, time.Millisecond)
	accept(t, l)
	reserved := accept(t, l)
	if _, err := reserved.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading a reserved connection: %v, want %v", err, net.ErrClosed)
	}
}
