package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vmaf-images/server/internal/jobs"
	"vmaf-images/server/internal/metrics"
	"vmaf-images/server/internal/overload"
	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/y4m"
	"vmaf-images/server/internal/y4mtest"
)

var (
	format = y4m.Format{Width: 64, Height: 64, Chroma: y4m.Chroma420, BitDepth: 8}
	good   = y4mtest.Video(format, 4, 1)
	worse  = y4mtest.Video(format, 4, 16)
)

// fixture is a running server.
type fixture struct {
	*testing.T
	url      string
	data     string
	engine   *scoring.Engine
	cutOff   context.CancelCauseFunc
	refusals *overload.Summary
}

// start runs a server with small limits, which change may modify.
func start(t *testing.T, change func(*scoring.Limits, *Settings)) *fixture {
	return startWith(t, change, nil, io.Discard)
}

// startWith is start with the listener of the server, if not nil, and the output of its log.
func startWith(t *testing.T, change func(*scoring.Limits, *Settings), listener net.Listener,
	output io.Writer) *fixture {
	return startScorer(t, nil, change, listener, output)
}

// startJobs runs a server that takes jobs for a scorer.
func startJobs(t *testing.T, scorer jobs.Scorer) *fixture {
	return startScorer(t, scorer, nil, nil, io.Discard)
}

func startScorer(t *testing.T, scorer jobs.Scorer, change func(*scoring.Limits, *Settings),
	listener net.Listener, output io.Writer) *fixture {
	limits := scoring.Limits{
		DataRoot: t.TempDir(), ScratchDir: t.TempDir(), DefaultModel: "vmaf_v0.6.1",
		MaxScratchBytes: 1 << 20, MaxFramePixels: 1 << 20, MaxFrames: 100,
		MaxThreads: 4, Threads: 1, Concurrency: 2, Queue: 2, RequestTimeout: time.Minute,
	}
	settings := Settings{
		MaxBodyBytes: 1 << 20, MaxOptionsBytes: 1 << 10, MaxHeaderBytes: 4 << 10,
		HeaderTimeout: time.Minute, IdleTimeout: time.Minute, StallTimeout: time.Minute,
	}
	log := slog.New(slog.NewJSONHandler(output, nil))
	settings.Refusals = overload.NewSummary(log)
	if change != nil {
		change(&limits, &settings)
	}
	m := metrics.New("v", "r", "l")
	engine, err := scoring.NewEngine(limits, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	m.Watch(engine)
	base, cutOff := context.WithCancelCause(context.Background())
	server := httptest.NewUnstartedServer(nil)
	if listener != nil {
		server.Listener.Close()
		server.Listener = listener
	}
	service := jobs.New(jobs.Settings{Workers: 1, Timeout: time.Minute, Keep: jobs.Keep{Queue: 1,
		Jobs: 10, Bytes: 1 << 20, For: time.Minute}}, engine, scorer, log)
	server.Config = New(base, settings, engine, service, m, log)
	running, stopJobs := context.WithCancel(context.Background())
	t.Cleanup(stopJobs)
	go service.Run(running)
	server.Start()
	t.Cleanup(server.Close)
	for name, video := range map[string][]byte{
		"good.y4m": good, "worse.y4m": worse, "cut.y4m": worse[:len(worse)-1],
	} {
		if err := os.WriteFile(filepath.Join(limits.DataRoot, name), video, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &fixture{T: t, url: server.URL, data: limits.DataRoot, engine: engine, cutOff: cutOff,
		refusals: settings.Refusals}
}

// field is a part of a form.
type field struct {
	name    string
	content []byte
}

func form(parts ...field) (contentType string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		to, _ := w.CreateFormFile(p.name, "file")
		_, _ = to.Write(p.content)
	}
	w.Close()
	return w.FormDataContentType(), b.Bytes()
}

func (f *fixture) post(query, contentType string, body io.Reader) (int, http.Header, []byte) {
	f.Helper()
	resp, err := http.Post(f.url+"/v1/score"+query, contentType, body)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	return resp.StatusCode, resp.Header, text
}

func (f *fixture) upload(query string, parts ...field) (int, []byte) {
	f.Helper()
	contentType, body := form(parts...)
	code, _, text := f.post(query, contentType, bytes.NewReader(body))
	return code, text
}

// refused checks that a response is a problem document with the given status and type.
func (f *fixture) refused(code int, text []byte, status int, name string) {
	f.Helper()
	var p problem
	if err := json.Unmarshal(text, &p); err != nil || code != status || p.Status != status ||
		p.Type != "urn:vmaf:problem:"+name || p.Title == "" || p.Detail == "" {
		f.Errorf("%d %s, want %d %s", code, text, status, name)
	}
}

// mean checks that a response is a result, and returns the mean score of the first model.
func (f *fixture) mean(code int, text []byte) float64 {
	f.Helper()
	var r result
	if err := json.Unmarshal(text, &r); err != nil || code != http.StatusOK {
		f.Fatalf("%d %s", code, text)
	}
	return *r.Models[0].Pooled["mean"]
}

func TestScore(t *testing.T) {
	f := start(t, nil)
	code, text := f.upload("", field{"reference", good}, field{"distorted", worse})
	mean := f.mean(code, text)
	same := f.mean(f.upload("", field{"reference", good}, field{"distorted", good}))
	if same <= mean {
		t.Errorf("the reference itself scores %v, a worse video %v", same, mean)
	}
	swapped := f.mean(f.upload("", field{"distorted", worse}, field{"reference", good}))
	if swapped != mean {
		t.Errorf("%v with the distorted video first, want %v", swapped, mean)
	}
	code, _, text = f.post("", "application/json",
		strings.NewReader(`{"reference": "good.y4m", "distorted": "worse.y4m"}`))
	if paths := f.mean(code, text); paths != mean {
		t.Errorf("%v by paths, want %v", paths, mean)
	}
	if f.engine.Running() != 0 || f.engine.Scratch.Used() != 0 {
		t.Error("a slot or scratch space is still taken")
	}
}

func TestFrames(t *testing.T) {
	f := start(t, nil)
	code, text := f.upload("?frames=true",
		field{"options", []byte(
			`{"models": ["vmaf_v0.6.1", "vmaf_b_v0.6.3"], "features": ["psnr"], "subsample": 2}`)},
		field{"reference", good}, field{"distorted", worse})
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if code != http.StatusOK || len(lines) != 3 {
		t.Fatalf("%d %s", code, text)
	}
	sum := 0.0
	for i, line := range lines[:2] {
		var frame frameLine
		if err := json.Unmarshal(line, &frame); err != nil || frame.Type != "frame" ||
			frame.Frame != 2*i || len(frame.Features) != 3 {
			t.Fatalf("%s: %v", line, err)
		}
		sum += *frame.Models["vmaf_v0.6.1"]
	}
	var last result
	if err := json.Unmarshal(lines[2], &last); err != nil || last.Type != "result" ||
		last.Frames != 4 || last.Scored != 2 ||
		last.Models[1].Bootstrap == nil {
		t.Fatalf("%s: %v", lines[2], err)
	}
	if mean := *last.Models[0].Pooled["mean"]; math.Abs(mean-sum/2) > 1e-9 {
		t.Errorf("the mean of the frames is %v, the result %v", sum/2, mean)
	}
}

func TestErrorEndsStream(t *testing.T) {
	f := start(t, nil)
	// For other models, libvmaf 3.2 computes the motion feature only at the end of the video.
	contentType, body := form(field{"options", []byte(`{"models": ["vmaf_float_v0.6.1"]}`)},
		field{"reference", good}, field{"distorted", worse[:len(worse)-1]})
	r, w := io.Pipe()
	goOn := make(chan struct{})
	go func() {
		_, _ = w.Write(body[:len(body)-5000])
		<-goOn
		_, _ = w.Write(body[len(body)-5000:])
		w.Close()
	}()
	resp, err := http.Post(f.url+"/v1/score?frames=true", contentType, r)
	close(goOn) // The response has begun before the end of the body is sent.
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var last errorLine
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil ||
		resp.StatusCode != http.StatusOK ||
		last.Type != "error" || last.Problem.Type != "urn:vmaf:problem:bad-video" {
		t.Errorf("%d %s", resp.StatusCode, lines[len(lines)-1])
	}
}

func TestInvalidUploads(t *testing.T) {
	f := start(t, func(l *scoring.Limits, _ *Settings) {
		l.MaxFrames, l.MaxFramePixels, l.MaxScratchBytes = 10, 10_000, 100_000
	})
	video := func(header string) []byte {
		return append([]byte("YUV4MPEG2 "+header+"\n"), good[bytes.IndexByte(good, '\n')+1:]...)
	}
	ref, dist := field{"reference", good}, field{"distorted", worse}
	for name, c := range map[string]struct {
		status  int
		problem string
		parts   []field
	}{
		"nothing":         {400, "bad-request", nil},
		"one video":       {400, "bad-request", []field{ref}},
		"a video twice":   {400, "bad-request", []field{ref, ref}},
		"a third part":    {400, "bad-request", []field{ref, dist, dist}},
		"unknown part":    {400, "bad-request", []field{{"x", good}, ref, dist}},
		"options last":    {400, "bad-request", []field{ref, dist, {"options", []byte("{}")}}},
		"options no JSON": {400, "bad-request", []field{{"options", []byte("{")}, ref, dist}},
		"options unknown": {400, "bad-options",
			[]field{{"options", []byte(`{"x": 1}`)}, ref, dist}},
		"options large": {413, "too-large",
			[]field{{"options", bytes.Repeat([]byte(" "), 2000)}, ref, dist}},
		"unknown model": {400, "bad-options",
			[]field{{"options", []byte(`{"models": ["x"]}`)}, ref, dist}},
		"model outside": {400, "bad-options",
			[]field{{"options", []byte(`{"models": ["../x.json"]}`)}, ref, dist}},
		"no Y4M":    {422, "bad-video", []field{{"reference", []byte("x")}, dist}},
		"empty":     {422, "bad-video", []field{ref, {"distorted", nil}}},
		"truncated": {422, "bad-video", []field{ref, {"distorted", worse[:len(worse)-1]}}},
		"no frame": {422, "bad-video",
			[]field{ref, {"distorted", worse[:bytes.IndexByte(worse, '\n')+1]}}},
		"shorter": {422, "videos-differ",
			[]field{ref, {"distorted", y4mtest.Video(format, 3, 1)}}},
		"longer": {422, "videos-differ",
			[]field{ref, {"distorted", y4mtest.Video(format, 5, 1)}}},
		"another size": {422, "videos-differ", []field{ref, {"distorted", video("W64 H32")}}},
		"too small": {422, "not-scorable",
			[]field{{"reference", video("W32 H32")}, {"distorted", video("W32 H32")}}},
		"feature small": {422, "not-scorable",
			[]field{{"options", []byte(`{"features": ["float_ms_ssim"]}`)}, ref, dist}},
		"huge frame": {413, "too-large",
			[]field{{"reference", video("W2000000000 H2000000000 C444p16")}, dist}},
		"overflow": {413, "too-large", []field{ref, {"distorted", video("W65536 H65536")}}},
		"many frames": {413, "too-large",
			[]field{{"reference", y4mtest.Video(format, 11, 1)},
				{"distorted", y4mtest.Video(format, 11, 1)}}},
		"no scratch": {503, "scratch-full",
			[]field{{"reference", y4mtest.Video(format, 30, 1)}, dist}},
	} {
		t.Run(name, func(t *testing.T) {
			at := *f
			at.T = t
			code, text := f.upload("", c.parts...)
			at.refused(code, text, c.status, c.problem)
			if n := f.engine.Scratch.Used(); n != 0 {
				t.Errorf("%d bytes are still stored", n)
			}
		})
	}
	f.mean(f.upload("", ref, dist))
}

func TestInvalidBodies(t *testing.T) {
	f := start(t, nil)
	contentType, body := form(field{"reference", good}, field{"distorted", worse})
	json := func(text string) io.Reader { return strings.NewReader(text) }
	for _, c := range []struct {
		query, contentType string
		body               io.Reader
		status             int
		problem            string
	}{
		{"", "text/plain", json("x"), 415, "unsupported-media-type"},
		{"", "", json("x"), 415, "unsupported-media-type"},
		{"", "multipart/form-data", json("x"), 400, "bad-request"},
		{"", contentType, bytes.NewReader(body[:len(body)-100]), 400, "bad-request"},
		{"", contentType, bytes.NewReader(append(body, make([]byte, 2<<20)...)),
			413, "too-large"},
		{"?frames=x", contentType, bytes.NewReader(body), 400, "bad-request"},
		{"?x=1", contentType, bytes.NewReader(body), 400, "bad-request"},
		{"?frames=%zz", contentType, bytes.NewReader(body), 400, "bad-request"},
		{"", "application/json", json("{"), 400, "bad-request"},
		{"", "application/json", json(strings.Repeat(" ", 2000)), 413, "too-large"},
		{"", "application/json", json(`{"reference": "good.y4m", "distorted": "none.y4m"}`), 404,
			"not-found"},
		{"", "application/json", json(`{"reference": "good.y4m", "distorted": "../good.y4m"}`), 403,
			"path-refused"},
		{"", "application/json", json(`{"reference": "good.y4m", "distorted": "/etc/passwd"}`), 403,
			"path-refused"},
		{"", "application/json", json(`{"reference": "good.y4m", "distorted": "."}`), 403,
			"path-refused"},
		{"", "application/json", json(`{"reference": "good.y4m", "distorted": "a\u0000b"}`), 403,
			"path-refused"},
		{"", "application/json", json(`{"reference": "good.y4m", "distorted": "cut.y4m"}`), 422,
			"bad-video"},
	} {
		code, _, text := f.post(c.query, c.contentType, c.body)
		f.refused(code, text, c.status, c.problem)
	}
	request, _ := http.NewRequest("POST", f.url+"/v1/score", bytes.NewReader(body))
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Content-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	f.refused(resp.StatusCode, text, 415, "unsupported-media-type")
}

func TestLinks(t *testing.T) {
	f := start(t, nil)
	for link, target := range map[string]string{
		"out": "/etc/passwd", "up": "..", "in": "good.y4m",
	} {
		if err := os.Symlink(target, filepath.Join(f.data, link)); err != nil {
			t.Fatal(err)
		}
	}
	score := func(path string) (int, []byte) {
		code, _, text := f.post("", "application/json",
			strings.NewReader(fmt.Sprintf(`{"reference": %q, "distorted": "worse.y4m"}`, path)))
		return code, text
	}
	for _, path := range []string{"out", "up/x", "up"} {
		code, text := score(path)
		f.refused(code, text, 403, "path-refused")
	}
	f.mean(score("in"))
}

func TestEndpoints(t *testing.T) {
	f := start(t, nil)
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ok", "/v1/models": "vmaf_v0.6.1", "/openapi.yaml": "openapi:",
		"/metrics": "vmaf_scorings_running 0",
		"/":        "<!doctype html>", "/page.js": "use strict", "/page.css": "color-scheme",
	} {
		resp, err := http.Get(f.url + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s: %d %.100s", path, resp.StatusCode, text)
		}
	}
	for _, c := range []struct {
		method, path string
		header       string
		status       int
		problem      string
	}{
		{"GET", "/none", "", 404, "not-found"},
		{"GET", "/v1/score", "", 405, "method-not-allowed"},
		{"DELETE", "/healthz", "", 405, "method-not-allowed"},
		{"GET", "/healthz", strings.Repeat("x", 5000), 431, "headers-too-large"},
	} {
		request, _ := http.NewRequest(c.method, f.url+c.path, nil)
		request.Header.Set("X", c.header)
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		f.refused(resp.StatusCode, text, c.status, c.problem)
	}
}

// pausedUpload starts an upload that pauses before its end until goOn is closed. It sends
// the response's status code to status.
func (f *fixture) pausedUpload() (goOn chan struct{}, status chan int) {
	contentType, body := form(field{"reference", good}, field{"distorted", worse})
	goOn, status = make(chan struct{}), make(chan int, 1)
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write(body[:len(body)-5000])
		<-goOn
		_, _ = w.Write(body[len(body)-5000:])
		w.Close()
	}()
	go func() {
		code, _, _ := f.post("", contentType, r)
		status <- code
	}()
	return goOn, status
}

// eventually waits until condition is true.
func (f *fixture) eventually(description string, condition func() bool) {
	f.Helper()
	for range 1000 {
		if condition() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	f.Fatalf("timed out waiting until %s", description)
}

func TestQueue(t *testing.T) {
	f := start(t, func(l *scoring.Limits, _ *Settings) { l.Concurrency, l.Queue = 1, 1 })
	firstGo, first := f.pausedUpload()
	f.eventually("one request is running", func() bool { return f.engine.Running() == 1 })
	secondGo, second := f.pausedUpload()
	f.eventually("one request is queued", func() bool { return f.engine.Queued() == 1 })
	contentType, body := form(field{"reference", good}, field{"distorted", worse})
	code, header, text := f.post("", contentType, bytes.NewReader(body))
	f.refused(code, text, 429, "queue-full")
	if header.Get("Retry-After") != "1" || header.Get("Content-Length") == "" {
		t.Errorf("the headers of a refusal: %v", header)
	}
	close(secondGo)
	close(firstGo)
	if a, b := <-first, <-second; a != 200 || b != 200 {
		t.Errorf("%d, %d", a, b)
	}
}

func TestStall(t *testing.T) {
	f := start(t, func(_ *scoring.Limits, s *Settings) { s.StallTimeout = 50 * time.Millisecond })
	goOn, status := f.pausedUpload()
	defer close(goOn)
	if code := <-status; code != 408 {
		t.Errorf("status %d, want 408", code)
	}
	f.eventually("the slot is free", func() bool { return f.engine.Running() == 0 })
}

func TestRequestTimeout(t *testing.T) {
	f := start(t, func(l *scoring.Limits, _ *Settings) { l.RequestTimeout = 50 * time.Millisecond })
	goOn, status := f.pausedUpload()
	defer close(goOn)
	if code := <-status; code != 408 {
		t.Errorf("status %d, want 408", code)
	}
}

// TestScoringOutlastsStallTimeout checks that the scoring may take longer than the stall timeout.
func TestScoringOutlastsStallTimeout(t *testing.T) {
	f := start(t, func(l *scoring.Limits, s *Settings) {
		s.StallTimeout, l.MaxFramePixels = 20*time.Millisecond, 1<<24
	})
	large := y4m.Format{Width: 1280, Height: 720, Chroma: y4m.Chroma420, BitDepth: 8}
	path := filepath.Join(f.data, "large.y4m")
	if err := os.WriteFile(path, y4mtest.Video(large, 8, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, text := f.post("", "application/json",
		strings.NewReader(`{"reference": "large.y4m", "distorted": "large.y4m"}`))
	f.mean(code, text)
}

func TestClientLeaves(t *testing.T) {
	f := start(t, nil)
	contentType, body := form(field{"reference", good}, field{"distorted", worse})
	connection, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(connection, "POST /v1/score HTTP/1.1\r\nHost: x\r\n"+
		"Content-Type: %s\r\nContent-Length: %d\r\n\r\n", contentType, len(body))
	_, _ = connection.Write(body[:len(body)-5000])
	f.eventually("the upload is being scored",
		func() bool { return f.engine.Running() == 1 && f.engine.Scratch.Used() > 0 })
	connection.Close()
	f.eventually("the slot and scratch space are free",
		func() bool { return f.engine.Running() == 0 && f.engine.Scratch.Used() == 0 })
}

func TestDrain(t *testing.T) {
	f := start(t, nil)
	goOn, status := f.pausedUpload()
	f.eventually("one request is running", func() bool { return f.engine.Running() == 1 })
	f.engine.Drain()
	code, text := f.upload("", field{"reference", good}, field{"distorted", worse})
	f.refused(code, text, 503, "draining")
	close(goOn)
	if code := <-status; code != 200 {
		t.Errorf("the running request got status %d, want 200", code)
	}

	f = start(t, nil)
	goOn, status = f.pausedUpload()
	defer close(goOn)
	f.eventually("one request is running", func() bool { return f.engine.Running() == 1 })
	f.cutOff(scoring.Problemf(scoring.Draining, "the server is shutting down"))
	if code := <-status; code != 503 {
		t.Errorf("the request that was cut off got status %d, want 503", code)
	}
}
