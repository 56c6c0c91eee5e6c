package grpcapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	vmafv1 "vmaf-images/server/api/vmaf/v1"
	"vmaf-images/server/internal/metrics"
	"vmaf-images/server/internal/overload"
	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/y4m"
	"vmaf-images/server/internal/y4mtest"
)

var format = y4m.Format{Width: 64, Height: 64, Chroma: y4m.Chroma420, BitDepth: 8}

// fixture is a running server and its client.
type fixture struct {
	vmafv1.ScoringClient
	connection *grpc.ClientConn
	engine     *scoring.Engine
	cutOff     context.CancelCauseFunc
	refusals   *overload.Summary
}

// start runs a server with small limits, which change may modify.
func start(t *testing.T, change func(*scoring.Limits, *Settings)) *fixture {
	listener := bufconn.Listen(1 << 20)
	dial := func(context.Context, string) (net.Conn, error) { return listener.Dial() }
	return startWith(t, change, listener, dial, io.Discard)
}

// startWith is start with a listener, how the client connects to it, and the output of the log.
func startWith(t *testing.T, change func(*scoring.Limits, *Settings), listener net.Listener,
	dial func(context.Context, string) (net.Conn, error), output io.Writer) *fixture {
	l := scoring.Limits{
		DataRoot: t.TempDir(), ScratchDir: t.TempDir(), DefaultModel: "vmaf_v0.6.1",
		MaxScratchBytes: 1 << 20, MaxFramePixels: 1 << 20, MaxFrames: 100,
		MaxThreads: 4, Threads: 1, Concurrency: 1, RequestTimeout: time.Minute,
	}
	s := Settings{
		MaxMessageBytes: 1 << 20, MaxHeaderBytes: 1 << 16,
		HeaderTimeout: time.Minute, IdleTimeout: time.Minute, StallTimeout: time.Minute,
		MaxStreams: 100,
	}
	log := slog.New(slog.NewJSONHandler(output, nil))
	s.Refusals = overload.NewSummary(log)
	if change != nil {
		change(&l, &s)
	}
	m := metrics.New("v", "r", "l")
	engine, err := scoring.NewEngine(l, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	for name, step := range map[string]int{"good.y4m": 1, "worse.y4m": 16} {
		path := filepath.Join(l.DataRoot, name)
		if err := os.WriteFile(path, y4mtest.Video(format, 4, step), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base, cutOff := context.WithCancelCause(context.Background())
	server := New(base, s, engine, m, log)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	connection, err := grpc.NewClient("passthrough:///server",
		grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return &fixture{
		ScoringClient: vmafv1.NewScoringClient(connection),
		connection:    connection,
		engine:        engine,
		cutOff:        cutOff,
		refusals:      s.Refusals,
	}
}

func config(frames bool) *vmafv1.ScoreStreamRequest {
	message := &vmafv1.ScoreStreamRequest_Config{Config: &vmafv1.Config{
		Video: toVideo(format), Frames: frames,
		Options: &vmafv1.Options{Pooling: []vmafv1.Pooling{vmafv1.Pooling_POOLING_MEAN}},
	}}
	return &vmafv1.ScoreStreamRequest{Message: message}
}

func pair(ref, dist []byte) *vmafv1.ScoreStreamRequest {
	return &vmafv1.ScoreStreamRequest{Message: &vmafv1.ScoreStreamRequest_Frame{
		Frame: &vmafv1.FramePair{Reference: ref, Distorted: dist},
	}}
}

func frame(i int) *vmafv1.ScoreStreamRequest {
	return pair(y4mtest.Frame(format, i, 1), y4mtest.Frame(format, i, 16))
}

// stream sends messages, closes the stream, and returns the responses.
func (f *fixture) stream(
	t *testing.T, messages ...*vmafv1.ScoreStreamRequest,
) (got []*vmafv1.ScoreStreamResponse, err error) {
	t.Helper()
	s, err := f.ScoreStream(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if err := s.Send(m); err != nil {
			break // Recv returns the cause.
		}
	}
	_ = s.CloseSend()
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, m)
	}
}

func TestScoreAndScoreStreamAreEqual(t *testing.T) {
	f := start(t, nil)
	paths, err := f.Score(context.Background(),
		&vmafv1.ScoreRequest{Reference: "good.y4m", Distorted: "worse.y4m"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.stream(t, config(true), frame(0), frame(1), frame(2), frame(3))
	if err != nil || len(got) != 5 {
		t.Fatalf("%v, %v", got, err)
	}
	sum := 0.0
	for i, m := range got[:4] {
		if int(m.GetFrame().GetFrame()) != i {
			t.Errorf("%v is not frame %d", m, i)
		}
		sum += m.GetFrame().GetModels()["vmaf_v0.6.1"]
	}
	result := got[4].GetResult()
	mean := result.GetModels()[0].GetPooled()
	if mean.GetMean() != paths.GetModels()[0].GetPooled().GetMean() ||
		mean.GetMean()-sum/4 > 1e-9 || mean.Min != nil {
		t.Errorf("ScoreStream %v, Score %v, sum of the frames %v", result, paths, sum)
	}
}

func TestInvalidRequests(t *testing.T) {
	f := start(t, func(l *scoring.Limits, _ *Settings) { l.MaxFrames = 2 })
	huge, none := config(false), config(false)
	huge.GetConfig().Video = &vmafv1.Video{Width: 1 << 31, Height: 1 << 31,
		Chroma: vmafv1.Chroma_CHROMA_420, BitDepth: 8}
	none.GetConfig().Video = nil
	ref := y4mtest.Frame(format, 0, 1)
	for name, c := range map[string]struct {
		code     codes.Code
		messages []*vmafv1.ScoreStreamRequest
	}{
		"nothing":   {codes.InvalidArgument, nil},
		"no config": {codes.InvalidArgument, []*vmafv1.ScoreStreamRequest{frame(0)}},
		"two configs": {codes.InvalidArgument,
			[]*vmafv1.ScoreStreamRequest{config(false), config(false)}},
		"no frames": {codes.InvalidArgument, []*vmafv1.ScoreStreamRequest{config(false)}},
		"no video":  {codes.InvalidArgument, []*vmafv1.ScoreStreamRequest{none, frame(0)}},
		"short frame": {codes.InvalidArgument,
			[]*vmafv1.ScoreStreamRequest{config(false), pair(ref, ref[1:])}},
		"huge frame": {codes.OutOfRange, []*vmafv1.ScoreStreamRequest{huge}},
		"many frames": {codes.OutOfRange,
			[]*vmafv1.ScoreStreamRequest{config(false), frame(0), frame(1), frame(2)}},
		"too large": {codes.ResourceExhausted,
			[]*vmafv1.ScoreStreamRequest{config(false), pair(make([]byte, 2<<20), ref)}},
	} {
		_, err := f.stream(t, c.messages...)
		if status.Code(err) != c.code {
			t.Errorf("%s: error %v, want code %v", name, err, c.code)
		}
		// If a message is too large, gRPC itself responds before the handler has returned.
		for end := time.Now().Add(5 * time.Second); f.engine.Running() != 0; {
			if time.Now().After(end) {
				t.Fatalf("%s: the slot is still taken", name)
			}
			time.Sleep(time.Millisecond)
		}
	}
	for path, code := range map[string]codes.Code{
		"none.y4m":    codes.NotFound,
		"../good.y4m": codes.PermissionDenied,
		"":            codes.InvalidArgument,
	} {
		_, err := f.Score(context.Background(),
			&vmafv1.ScoreRequest{Reference: "good.y4m", Distorted: path})
		if status.Code(err) != code {
			t.Errorf("%q: error %v, want code %v", path, err, code)
		}
	}
	if f.engine.Running() != 0 {
		t.Error("a slot is still taken")
	}
}

func TestQueueStallAndCutOff(t *testing.T) {
	f := start(t, func(_ *scoring.Limits, s *Settings) { s.StallTimeout = 300 * time.Millisecond })
	s, err := f.ScoreStream(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(config(false))
	for f.engine.Running() == 0 {
		time.Sleep(time.Millisecond)
	}
	_, err = f.stream(t, config(false), frame(0))
	if status.Code(err) != codes.ResourceExhausted || len(status.Convert(err).Details()) != 1 {
		t.Errorf("a full queue: %v", err)
	}
	if _, err := s.Recv(); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a stall: %v", err)
	}

	f = start(t, nil)
	if s, err = f.ScoreStream(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = s.Send(config(false))
	for f.engine.Running() == 0 {
		time.Sleep(time.Millisecond)
	}
	f.cutOff(scoring.Problemf(scoring.Draining, "the server is shutting down"))
	if _, err := s.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("a call that was cut off: %v", err)
	}
}

func TestModelsAndHealth(t *testing.T) {
	f := start(t, nil)
	list, err := f.ListModels(context.Background(), &vmafv1.ListModelsRequest{})
	if err != nil || list.GetDefaultModel() != "vmaf_v0.6.1" || !list.GetModels()[0].GetBuiltIn() ||
		len(list.GetFeatures()) == 0 {
		t.Errorf("%v, %v", list, err)
	}
	health := grpc_health_v1.NewHealthClient(f.connection)
	for _, service := range []string{"", "vmaf.v1.Scoring"} {
		resp, err := health.Check(context.Background(),
			&grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil || resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", service, resp, err)
		}
	}
}
