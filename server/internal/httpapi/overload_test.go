package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vmaf-images/server/internal/overload"
	"vmaf-images/server/internal/scoring"
)

// output stores what the server logs.
type output struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lines.Write(p)
}

// TestRefusalsShareALogLine checks that the log has the number of refused requests instead of a
// line for each.
func TestRefusalsShareALogLine(t *testing.T) {
	var log output
	f := startWith(t, func(l *scoring.Limits, _ *Settings) { l.Concurrency, l.Queue = 1, 0 },
		nil, &log)
	goOn, status := f.pausedUpload()
	f.eventually("one request is running", func() bool { return f.engine.Running() == 1 })
	const attempts = 20
	for range attempts {
		code, text := f.upload("", field{"reference", good}, field{"distorted", good})
		f.refused(code, text, 429, "queue-full")
	}
	close(goOn)
	if code := <-status; code != 200 {
		t.Errorf("the running request got status %d, want 200", code)
	}
	f.refusals.Flush()
	log.mu.Lock()
	defer log.mu.Unlock()
	refused := 0
	for _, line := range strings.Split(strings.TrimSpace(log.lines.String()), "\n") {
		var entry struct {
			Msg        string
			Code, HTTP int
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Code == 429 {
			t.Errorf("%s: %v", line, err)
		}
		refused += entry.HTTP
	}
	if refused != attempts {
		t.Errorf("the log counts %d refused requests, want %d:\n%s", refused, attempts, &log.lines)
	}
}

// TestRefusedBodyDelaysRefusals checks that reading the body of a refused request counts as
// refusals.
func TestRefusedBodyDelaysRefusals(t *testing.T) {
	f := start(t, func(l *scoring.Limits, s *Settings) {
		l.Concurrency, l.Queue = 1, 0
		l.RefusalsPerSecond, l.MaxConnections = 10, 100
		s.MaxBodyBytes = 1000 * scoring.BytesOfRefusal
	})
	goOn, status := f.pausedUpload()
	f.eventually("one request is running", func() bool { return f.engine.Running() == 1 })
	body := io.LimitReader(zeros{}, 100*scoring.BytesOfRefusal)
	code, _, text := f.post("", "multipart/form-data; boundary=b", body)
	f.refused(code, text, 429, "queue-full")
	// Without the body, the second request would be refused within two tenths of a second.
	second := make(chan []byte, 1)
	go func() {
		_, text := f.upload("", field{"reference", good}, field{"distorted", good})
		second <- text
	}()
	f.eventually("the second request waits", func() bool { return f.engine.Delayed() == 1 })
	time.Sleep(time.Second / 2)
	f.engine.Drain() // ends the wait
	var p problem
	if err := json.Unmarshal(<-second, &p); err != nil || p.Type != "urn:vmaf:problem:draining" {
		t.Errorf("%v, %v; want draining", p, err)
	}
	close(goOn)
	<-status
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestReservedConnections checks that health checks and metrics are answered while as many
// connections are open as the limit allows, and that other requests are refused.
func TestReservedConnections(t *testing.T) {
	listener, err := overload.Listen("127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	f := startWith(t, nil, listener, io.Discard)
	first, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	f.eventually("the only connection is taken", func() bool { return listener.Open() == 1 })
	for _, path := range monitoring {
		resp, err := http.Get(f.url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || !resp.Close {
			t.Errorf("%s: status %d, connection closed: %v", path, resp.StatusCode, resp.Close)
		}
		f.eventually("the reserved connection is closed",
			func() bool { return listener.Open() == 1 })
	}
	for _, path := range []string{"/v1/models", "/", "/none"} {
		resp, err := http.Get(f.url + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		f.refused(resp.StatusCode, text, 429, "queue-full")
	}
	code, header, text := f.post("", "application/json", strings.NewReader("{}"))
	f.refused(code, text, 429, "queue-full")
	if header.Get("Retry-After") == "" {
		t.Error("the refusal has no Retry-After")
	}
	first.Close()
	f.eventually("all connections are closed", func() bool { return listener.Open() == 0 })
	f.mean(f.upload("", field{"reference", good}, field{"distorted", good}))
}
