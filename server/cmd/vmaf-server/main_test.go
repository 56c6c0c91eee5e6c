package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"vmaf-images/server/internal/config"
	"vmaf-images/server/internal/sandbox"
)

// The test program is the sandbox of FFmpeg, too, as the server is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Flag {
		os.Exit(sandbox.Main(os.Args[2:], os.Stderr))
	}
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	for _, c := range []struct {
		arg      string
		code     int
		out, err string
	}{
		{"--version", success, "vmaf-server unknown (unknown), libvmaf ", ""},
		{"--help", success, "--max-frames", ""},
		{"--none", misuse, "", "--none"},
		{"--default-model=none", failure, "", "default-model"},
	} {
		var stdout, stderr bytes.Buffer
		code := run([]string{c.arg}, &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.out) ||
			!strings.Contains(stderr.String(), c.err) ||
			code == misuse && strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", c.arg, code, &stdout, &stderr)
		}
	}
}

func TestHealthcheck(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("healthcheck requested %s, want /readyz", r.URL)
		}
		w.WriteHeader(status)
	}))
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for _, host := range []string{"", "0.0.0.0", "127.0.0.1"} {
		if err := healthcheck(host + ":" + port); err != nil {
			t.Errorf("%q: %v", host, err)
		}
	}
	status = http.StatusServiceUnavailable
	if healthcheck(":"+port) == nil {
		t.Error("no error from a server that is not ready")
	}
	server.Close()
	if healthcheck(":"+port) == nil || healthcheck("x") == nil {
		t.Error("no error without a server")
	}
}

func TestServe(t *testing.T) {
	c, err := config.Parse([]string{"--http-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0"},
		func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- serve(ctx, c, slog.New(slog.NewJSONHandler(io.Discard, nil))) }()
	time.Sleep(50 * time.Millisecond)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	c.HTTPAddress = "no address"
	if err := serve(ctx, c, slog.New(slog.NewJSONHandler(io.Discard, nil))); err == nil ||
		!strings.Contains(err.Error(), "--http-address") {
		t.Error(err)
	}
}
