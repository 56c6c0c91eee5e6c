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

// body is a request's body that must keep coming, and may be cut off.
type body struct {
	src     io.Reader
	control *http.ResponseController
	left    int64
	limit   int64
	stall   time.Duration

	mu     sync.Mutex
	closed bool
	err    error // why the connection gave no more, if it failed
}

func newBody(r *http.Request, control *http.ResponseController, limit int64, stall time.Duration) *body {
	return &body{src: r.Body, control: control, left: limit, limit: limit, stall: stall}
}

// Read reads with a deadline for each step.
func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// One byte more tells the end from too much.
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
		// net/http goes on reading, to notice when the client goes.
		b.deadline(b.control.SetReadDeadline, time.Time{})
	}
	return n, err
}

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

func broken(err error, stall time.Duration) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return scoring.Problemf(scoring.Timeout, "nothing came for %s", stall)
	}
	return scoring.Problemf(scoring.Cancelled, "the connection broke: %w", err)
}

// explain prefers the failure of the connection to what it led to.
func (b *body) explain(err error) error {
	if err != nil && b.err != nil {
		return b.err
	}
	return err
}

// allowWrite gives the next write its time.
func (b *body) allowWrite() {
	b.deadline(b.control.SetWriteDeadline, time.Now().Add(b.stall))
}

// closeOn has reads and writes end when ctx does. The returned function ends that.
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
