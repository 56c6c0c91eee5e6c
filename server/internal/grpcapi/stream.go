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

// ScoreStream scores frames as they are sent.
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
			return scoring.Problemf(scoring.BadRequest, "the first message must be a config")
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
			return scoring.Problemf(scoring.BadVideo, "the config's video: %w", err)
		}
		var emit scoring.Emit
		if config.GetFrames() {
			emit = func(ctx context.Context, f scoring.Frame) error {
				return out.put(ctx, &vmafv1.ScoreStreamResponse{Message: &vmafv1.ScoreStreamResponse_Frame{Frame: toFrame(f)}})
			}
		}
		result, err := s.engine.Score(ctx, options, &messagePairs{ctx: ctx, in: in, format: format}, emit)
		if err != nil {
			return err
		}
		if err := out.put(ctx, &vmafv1.ScoreStreamResponse{Message: &vmafv1.ScoreStreamResponse_Result{Result: toResult(result)}}); err != nil {
			return err
		}
		return out.flush(ctx)
	})
}

// messagePairs takes frame pairs out of messages.
type messagePairs struct {
	ctx    context.Context
	in     *receiver
	format y4m.Format
	pair   *vmafv1.FramePair
	frames int
}

func (p *messagePairs) Format() y4m.Format { return p.format }

func (p *messagePairs) Next() error {
	m, err := p.in.next(p.ctx)
	if err != nil {
		return err
	}
	if p.pair = m.GetFrame(); p.pair == nil {
		return scoring.Problemf(scoring.BadRequest, "message %d must be a frame", p.frames+1)
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
			return scoring.Problemf(scoring.BadVideo, "frame %d of the %s: %w", p.frames-1, side.name, err)
		}
	}
	return nil
}

// receiver waits for messages no longer than it should: gRPC's own calls end
// only with the whole call.
type receiver struct {
	messages chan *vmafv1.ScoreStreamRequest
	err      error // once messages is closed
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
		return nil, scoring.Problemf(scoring.Timeout, "nothing came for %s", r.stall)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// sender sends beside the scoring, so that who does not read cannot keep it.
type sender struct {
	messages chan *vmafv1.ScoreStreamResponse
	done     chan error
	stall    time.Duration
	ended    bool
}

func send(ctx context.Context, stream scoreStream, stall time.Duration) *sender {
	s := &sender{messages: make(chan *vmafv1.ScoreStreamResponse), done: make(chan error, 1), stall: stall}
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

func (s *sender) put(ctx context.Context, m *vmafv1.ScoreStreamResponse) error {
	late := time.NewTimer(s.stall)
	defer late.Stop()
	select {
	case s.messages <- m:
		return nil
	case err := <-s.done:
		return scoring.Problemf(scoring.Cancelled, "the client has gone: %w", err)
	case <-late.C:
		return scoring.Problemf(scoring.Timeout, "the client did not read for %s", s.stall)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// flush waits until all was sent.
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

func (s *sender) end() {
	if !s.ended {
		s.ended = true
		close(s.messages)
	}
}
