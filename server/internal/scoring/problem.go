package scoring

import (
	"context"
	"errors"
	"fmt"
	"io"

	"vmaf-images/server/internal/y4m"
)

// Kind classifies a Problem. Each interface maps it to a status code.
type Kind string

// The kinds of problems. docs/server.md explains them.
const (
	BadRequest   Kind = "bad-request"
	BadOptions   Kind = "bad-options"
	PathRefused  Kind = "path-refused"
	NotFound     Kind = "not-found"
	Timeout      Kind = "timeout"
	TooLarge     Kind = "too-large"
	BadVideo     Kind = "bad-video"
	VideosDiffer Kind = "videos-differ"
	NotScorable  Kind = "not-scorable"
	QueueFull    Kind = "queue-full"
	Draining     Kind = "draining"
	ScratchFull  Kind = "scratch-full"
	NoDecoder    Kind = "no-decoder"
	NotDone      Kind = "not-done"
	Internal     Kind = "internal"
	// Cancelled is never sent to a client: the client has closed the connection.
	Cancelled Kind = "cancelled"
)

// Problem is an error whose message is sent to the client.
type Problem struct {
	Kind   Kind
	Detail string
	// Check is the check that two videos did not pass, if it is one that a job may allow to fail.
	Check string
	cause error
}

func (p *Problem) Error() string { return p.Detail }
func (p *Problem) Unwrap() error { return p.cause }

// Problemf returns a Problem with a message formatted like fmt.Errorf does.
func Problemf(kind Kind, format string, a ...any) *Problem {
	err := fmt.Errorf(format, a...)
	return &Problem{Kind: kind, Detail: err.Error(), cause: errors.Unwrap(err)}
}

// AsProblem returns the Problem in err's chain. It returns an Internal one if there is none;
// the message of err is then only for the log.
func AsProblem(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, context.Canceled):
		return &Problem{Kind: Cancelled, Detail: "the client cancelled the request", cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Problem{Kind: Timeout, Detail: "the request took too long", cause: err}
	}
	return &Problem{Kind: Internal, Detail: "internal error; see the server's log", cause: err}
}

// Overloaded returns whether err refuses a request that the server could answer at another time:
// the queue is full, or the server is shutting down.
func Overloaded(err error) bool {
	var p *Problem
	return errors.As(err, &p) && (p.Kind == QueueFull || p.Kind == Draining)
}

// ofVideo adds the name of the video to an error, unless it is an error of the source.
func ofVideo(which string, err error) error {
	var bad y4m.FormatError
	if errors.As(err, &bad) {
		return Problemf(BadVideo, "the %s video cannot be read: %w", which, bad)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return Problemf(BadVideo, "the %s video is truncated", which)
	}
	return err
}

// Open reads the header of a video. It returns an error if its frames exceed the limit.
func (e *Engine) Open(which string, src io.Reader) (*y4m.Reader, error) {
	r, err := y4m.NewReader(src)
	if err != nil {
		return nil, ofVideo(which, err)
	}
	return r, e.checkPixels(r.Format)
}

func (e *Engine) checkPixels(f y4m.Format) error {
	if f.Above(e.limits.MaxFramePixels) {
		return Problemf(TooLarge, "a frame of %s exceeds the limit of %d pixels",
			f, e.limits.MaxFramePixels)
	}
	return nil
}
