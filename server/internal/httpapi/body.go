package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"vmaf-images/server/internal/scoring"
)

// body is the body of a request. It limits the size, and the duration of each read. Its
// reads can be cut off.
type body struct {
	src     io.Reader
	control *http.ResponseController
	left    int64
	limit   int64
	stall   time.Duration

	mu     sync.Mutex
	closed bool
	err    error // the first error of Read
}

func newBody(r *http.Request, control *http.ResponseController, limit int64,
	stall time.Duration) *body {
	return &body{src: r.Body, control: control, left: limit, limit: limit, stall: stall}
}

// Read reads from the connection. Each call has its own deadline.
func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// Read one more byte to find out whether the body exceeds the limit or ends.
		p = p[:min(len(p), 1)]
	}
	b.deadline(b.control.SetReadDeadline, time.Now().Add(b.stall))
	n, err := b.src.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, b.fail(tooLarge("body", b.limit))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, b.fail(broken(err, b.stall))
	}
	if err != nil {
		// net/http continues to read, to detect that the client closes the connection.
		b.deadline(b.control.SetReadDeadline, time.Time{})
	}
	return n, err
}

// deadline sets a deadline of the connection, unless closeOn has closed it.
func (b *body) deadline(set func(time.Time) error, t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		_ = set(t)
	}
}

func (b *body) fail(err error) error {
	b.err = err
	return err
}

// broken converts an error of the connection to a Problem.
func broken(err error, stall time.Duration) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return scoring.Problemf(scoring.Timeout, "the client did not send for %s", stall)
	}
	return scoring.Problemf(scoring.Cancelled, "the connection failed: %w", err)
}

// explain returns the error of the connection instead of err, if there is one: err is then
// only a consequence of it.
func (b *body) explain(err error) error {
	if err != nil && b.err != nil {
		return b.err
	}
	return err
}

// allowWrite sets the deadline of the next write.
func (b *body) allowWrite() {
	b.deadline(b.control.SetWriteDeadline, time.Now().Add(b.stall))
}

// closeOn makes pending and later reads and writes fail once ctx is done. The returned
// function undoes that.
func (b *body) closeOn(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.closed = true
		past := time.Unix(1, 0)
		_ = b.control.SetReadDeadline(past)
		_ = b.control.SetWriteDeadline(past)
	})
	return func() { stop() }
}
