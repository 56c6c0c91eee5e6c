package grpcapi

import (
	"context"
	"errors"
	"io"
	"time"

	vmafv1 "vmaf-images/server/api/vmaf/v1"
	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/y4m"
)

type scoreStream = vmafv1.Scoring_ScoreStreamServer

// ScoreStream implements the method of scoring.proto.
func (s *service) ScoreStream(stream scoreStream) error {
	start := time.Now()
	err := s.scoreStream(stream)
	s.engine.Finished("grpc", err, time.Since(start))
	if err != nil {
		return s.fail(err)
	}
	return nil
}

func (s *service) scoreStream(stream scoreStream) error {
	ctx, cancel := s.bound(stream.Context())
	defer cancel()
	in := receive(ctx, stream, s.stall)
	out := send(ctx, stream, s.stall)
	defer out.end()
	return s.engine.Do(ctx, func(ctx context.Context) error {
		first, err := in.next(ctx)
		if errors.Is(err, io.EOF) || err == nil && first.GetConfig() == nil {
			return scoring.Problemf(scoring.BadRequest, "the first message must be a Config")
		}
		if err != nil {
			return err
		}
		config := first.GetConfig()
		options, err := fromOptions(config.GetOptions())
		if err != nil {
			return err
		}
		format := fromVideo(config.GetVideo())
		if err := format.Validate(); err != nil {
			return scoring.Problemf(scoring.BadVideo, "the video in the Config: %w", err)
		}
		var emit scoring.Emit
		if config.GetFrames() {
			emit = func(ctx context.Context, f scoring.Frame) error {
				message := &vmafv1.ScoreStreamResponse_Frame{Frame: toFrame(f)}
				return out.put(ctx, &vmafv1.ScoreStreamResponse{Message: message})
			}
		}
		result, err := s.engine.Score(ctx, options, &messagePairs{in: in, format: format}, emit)
		if err != nil {
			return err
		}
		message := &vmafv1.ScoreStreamResponse_Result{Result: toResult(result)}
		if err := out.put(ctx, &vmafv1.ScoreStreamResponse{Message: message}); err != nil {
			return err
		}
		return out.flush(ctx)
	})
}

// messagePairs reads frame pairs from messages.
type messagePairs struct {
	in     *receiver
	format y4m.Format
	pair   *vmafv1.FramePair
	frames int
}

func (p *messagePairs) Format() y4m.Format { return p.format }

func (p *messagePairs) Next(ctx context.Context) error {
	m, err := p.in.next(ctx)
	if err != nil {
		return err
	}
	if p.pair = m.GetFrame(); p.pair == nil {
		return scoring.Problemf(scoring.BadRequest, "message %d must be a FramePair", p.frames+1)
	}
	p.frames++
	return nil
}

func (p *messagePairs) Read(ref, dist y4m.Frame) error {
	for _, side := range []struct {
		name string
		into y4m.Frame
		from []byte
	}{{"reference", ref, p.pair.GetReference()}, {"distorted", dist, p.pair.GetDistorted()}} {
		if err := p.format.Copy(side.into, side.from); err != nil {
			return scoring.Problemf(scoring.BadVideo, "frame %d of the %s: %w",
				p.frames-1, side.name, err)
		}
	}
	return nil
}

// receiver receives messages in a goroutine, to be able to stop waiting for one. Recv of
// the stream itself blocks until the call ends.
type receiver struct {
	messages chan *vmafv1.ScoreStreamRequest
	err      error // valid once messages is closed
	stall    time.Duration
}

func receive(ctx context.Context, stream scoreStream, stall time.Duration) *receiver {
	r := &receiver{messages: make(chan *vmafv1.ScoreStreamRequest), stall: stall}
	go func() {
		defer close(r.messages)
		for {
			m, err := stream.Recv()
			if err != nil {
				r.err = err
				return
			}
			select {
			case r.messages <- m:
			case <-ctx.Done():
				r.err = context.Cause(ctx)
				return
			}
		}
	}()
	return r
}

// next returns the next message. It waits for stall at most.
func (r *receiver) next(ctx context.Context) (*vmafv1.ScoreStreamRequest, error) {
	late := time.NewTimer(r.stall)
	defer late.Stop()
	select {
	case m, open := <-r.messages:
		if !open {
			return nil, r.err
		}
		return m, nil
	case <-late.C:
		return nil, scoring.Problemf(scoring.Timeout, "the client did not send for %s", r.stall)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// sender sends messages in a goroutine, so that a client that does not read cannot block the
// scoring forever.
type sender struct {
	messages chan *vmafv1.ScoreStreamResponse
	done     chan error
	stall    time.Duration
	ended    bool
}

func send(ctx context.Context, stream scoreStream, stall time.Duration) *sender {
	s := &sender{messages: make(chan *vmafv1.ScoreStreamResponse), done: make(chan error, 1),
		stall: stall}
	go func() {
		for m := range s.messages {
			if err := stream.Send(m); err != nil {
				s.done <- err
				return
			}
		}
		s.done <- nil
	}()
	return s
}

// put sends a message. It waits for stall at most if earlier messages are still being sent.
func (s *sender) put(ctx context.Context, m *vmafv1.ScoreStreamResponse) error {
	late := time.NewTimer(s.stall)
	defer late.Stop()
	select {
	case s.messages <- m:
		return nil
	case err := <-s.done:
		return scoring.Problemf(scoring.Cancelled, "the client cancelled the call: %w", err)
	case <-late.C:
		return scoring.Problemf(scoring.Timeout, "the client did not read for %s", s.stall)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// flush ends the sending and waits until all messages are sent.
func (s *sender) flush(ctx context.Context) error {
	s.end()
	late := time.NewTimer(s.stall)
	defer late.Stop()
	select {
	case err := <-s.done:
		return err
	case <-late.C:
		return scoring.Problemf(scoring.Timeout, "the client did not read for %s", s.stall)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end stops the goroutine after the messages that were put.
func (s *sender) end() {
	if !s.ended {
		s.ended = true
		close(s.messages)
	}
}
