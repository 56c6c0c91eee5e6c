// Package overload keeps a server in service while clients send more than it can answer: it
// limits open connections, and summarizes refused requests in the log.
package overload

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	// Reserved is the number of connections above the limit that a Listener accepts, to answer
	// health checks and requests for metrics.
	Reserved = 64
	// reservedPerSecond limits how many of them are accepted in a second.
	reservedPerSecond = 200
	// reservedTime is the time after which such a connection is closed.
	reservedTime = 2 * time.Second
)

// Listener limits the number of open connections. The kernel queues further ones.
//
// netutil.LimitListener has no reserved connections, and hides the method CloseWrite, which
// net/http needs in order to close a connection without a reset.
type Listener struct {
	*net.TCPListener
	limit  int
	open   atomic.Int64
	places chan struct{} // of the open connections, and of the one that Accept waits for
	pace   *rate.Limiter // of reserved connections
	life   time.Duration // of reserved connections
	closed chan struct{}
	close  func()
}

// Listen listens on a TCP address. It accepts up to limit connections, and Reserved more.
func Listen(address string, limit int) (*Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	closed := make(chan struct{})
	return &Listener{
		TCPListener: l.(*net.TCPListener),
		limit:       limit,
		places:      make(chan struct{}, limit+Reserved),
		pace:        rate.NewLimiter(reservedPerSecond, 1),
		life:        reservedTime,
		closed:      closed,
		close:       sync.OnceFunc(func() { close(closed) }),
	}, nil
}

// Accept waits for the next connection and for a place.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	if l.Open() >= l.limit {
		time.Sleep(l.pace.Reserve().Delay())
	}
	tcp, err := l.AcceptTCP()
	if err != nil {
		<-l.places
		return nil, err
	}
	c := &conn{TCPConn: tcp, leave: sync.OnceFunc(func() {
		l.open.Add(-1)
		<-l.places
	})}
	if l.open.Add(1) > int64(l.limit) {
		c.reserved = true
		time.AfterFunc(l.life, func() { _ = c.Close() })
	}
	return c, nil
}

// Close stops accepting connections. It does not close those that are open.
func (l *Listener) Close() error {
	l.close()
	return l.TCPListener.Close()
}

// Open returns the number of open connections.
func (l *Listener) Open() int { return int(l.open.Load()) }

// conn is an accepted connection.
type conn struct {
	*net.TCPConn
	leave    func()
	reserved bool
}

func (c *conn) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}

// RemoteAddr returns the address of the client.
func (c *conn) RemoteAddr() net.Addr {
	if c.reserved {
		return reservedAddr{c.TCPConn.RemoteAddr()}
	}
	return c.TCPConn.RemoteAddr()
}

// reservedAddr is the client's address of a reserved connection. It is how the gRPC server, which
// shows handlers only the address, learns of the reservation.
type reservedAddr struct{ net.Addr }

// IsReserved returns whether an address is that of a client with a reserved connection.
func IsReserved(a net.Addr) bool {
	_, reserved := a.(reservedAddr)
	return reserved
}

type reservedKey struct{}

// ConnContext is the function of that name of an http.Server, for FromReserved.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, reservedKey{}, IsReserved(c.RemoteAddr()))
}

// FromReserved returns whether an HTTP request with the given context came on a reserved
// connection.
func FromReserved(ctx context.Context) bool {
	reserved, _ := ctx.Value(reservedKey{}).(bool)
	return reserved
}
