package scoring

import (
	"context"
	"errors"
	"fmt"
	"io"

	"vmaf-images/server/internal/y4m"
)

// Kind is what sort of thing went wrong; each interface has its own code for it.
type Kind string

// The kinds, by the names that docs/server.md lists.
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
	Internal     Kind = "internal"
	// Cancelled has no answer: the client has gone.
	Cancelled Kind = "cancelled"
)

// Problem is an error that is the client's to read.
type Problem struct {
	Kind   Kind
	Detail string
	cause  error
}

func (p *Problem) Error() string { return p.Detail }
func (p *Problem) Unwrap() error { return p.cause }

// Problemf returns a Problem.
func Problemf(kind Kind, format string, a ...any) *Problem {
	err := fmt.Errorf(format, a...)
	return &Problem{kind, err.Error(), errors.Unwrap(err)}
}

// AsProblem returns the problem that an error is; one that is none is internal,
// and its text is for the log alone.
func AsProblem(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, context.Canceled):
		return &Problem{Cancelled, "the client has gone", err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Problem{Timeout, "the request took too long", err}
	}
	return &Problem{Internal, "the server failed; its log says how", err}
}

// ofVideo names the video that an error is about.
func ofVideo(which string, err error) error {
	var bad y4m.FormatError
	if errors.As(err, &bad) {
		return Problemf(BadVideo, "the %s video cannot be read: %w", which, bad)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return Problemf(BadVideo, "the %s video ends too soon", which)
	}
	return err
}

// Open reads a video's header, and refuses frames above the limit.
func (e *Engine) Open(which string, src io.Reader) (*y4m.Reader, error) {
	r, err := y4m.NewReader(src)
	if err != nil {
		return nil, ofVideo(which, err)
	}
	return r, e.checkPixels(r.Format)
}

func (e *Engine) checkPixels(f y4m.Format) error {
	if f.Above(e.limits.MaxFramePixels) {
		return Problemf(TooLarge, "a frame of %s is above the limit of %d pixels", f, e.limits.MaxFramePixels)
	}
	return nil
}
