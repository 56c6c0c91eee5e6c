package grpcapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	vmafv1 "vmaf-images/server/api/vmaf/v1"
	"vmaf-images/server/internal/overload"
)

// TestReservedConnections checks that health checks are answered while as many connections are
// open as the limit allows, and that other calls are refused.
func TestReservedConnections(t *testing.T) {
	listener, err := overload.Listen("127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	first, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
	}
	f := startWith(t, nil, listener, dial, io.Discard)
	health := grpc_health_v1.NewHealthClient(f.connection)
	if _, err := health.Check(context.Background(),
		&grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("a health check: %v", err)
	}
	_, err = f.ListModels(context.Background(), &vmafv1.ListModelsRequest{})
	if status.Code(err) != codes.ResourceExhausted || len(status.Convert(err).Details()) != 1 {
		t.Errorf("a call: %v", err)
	}
	if _, err = f.stream(t, config(false), frame(0)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a stream: %v", err)
	}
}

// TestRefusalsShareALogLine checks that the log has the number of refused calls instead of a line
// for each.
func TestRefusalsShareALogLine(t *testing.T) {
	var log bytes.Buffer
	listener := bufconn.Listen(1 << 20)
	dial := func(context.Context, string) (net.Conn, error) { return listener.Dial() }
	f := startWith(t, nil, listener, dial, &log)
	f.engine.Drain()
	const attempts = 20
	for range attempts {
		_, err := f.Score(context.Background(),
			&vmafv1.ScoreRequest{Reference: "good.y4m", Distorted: "worse.y4m"})
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%v, want code %v", err, codes.Unavailable)
		}
	}
	f.refusals.Flush()
	refused := 0
	for decoder := json.NewDecoder(&log); decoder.More(); {
		var line struct {
			Code string
			GRPC int
		}
		if err := decoder.Decode(&line); err != nil || line.Code != "" {
			t.Errorf("%v: %v", line, err)
		}
		refused += line.GRPC
	}
	if refused != attempts {
		t.Errorf("the log counts %d refused calls, want %d", refused, attempts)
	}
}
