package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vmaf-images/server/internal/sandbox"
	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/y4m"
	"vmaf-images/server/internal/y4mtest"
)

// The test program is the sandbox of FFmpeg, too, as the server is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Flag {
		os.Exit(sandbox.Main(os.Args[2:], os.Stderr))
	}
	os.Exit(m.Run())
}

// noObserver ignores all events.
type noObserver struct{}

func (noObserver) Scored(int)                                       {}
func (noObserver) Finished(string, *scoring.Problem, time.Duration) {}

var discard = slog.New(slog.DiscardHandler)

func newEngine(t testing.TB) *scoring.Engine {
	t.Helper()
	e, err := scoring.NewEngine(scoring.Limits{
		DataRoot: t.TempDir(), ScratchDir: t.TempDir(), DefaultModel: "vmaf_v0.6.1",
		MaxScratchBytes: 1 << 30, MaxFramePixels: 1 << 20, MaxFrames: 60, MaxThreads: 4, Threads: 1,
		Concurrency: 1, RequestTimeout: time.Minute,
	}, noObserver{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// studio has a decoder, and a directory with videos.
type studio struct {
	*testing.T
	decoder *Decoder
	dir     string
}

// clip is a path that is not below a data root.
type clip string

func (c clip) Name() string            { return filepath.Base(string(c)) }
func (c clip) Open() (*os.File, error) { return os.Open(string(c)) }
func (c clip) Close() error            { return nil }

func newStudio(t *testing.T, s Settings) *studio {
	t.Helper()
	s.FFmpeg, s.FFprobe = "ffmpeg", "ffprobe"
	decoder, err := NewDecoder(context.Background(), s, newEngine(t))
	if errors.Is(err, ErrNotFound) {
		t.Skipf("FFmpeg is not installed: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &studio{t, decoder, t.TempDir()}
}

var settings = Settings{Duration: time.Minute,
	Decoder: sandbox.Limits{Memory: 4 << 30, CPU: time.Minute}}

func (s *studio) path(name string) string { return filepath.Join(s.dir, name) }

// encode makes a video of generated frames. The options are ffmpeg's.
func (s *studio) encode(name string, f y4m.Format, frames int, options string) string {
	s.Helper()
	args := append([]string{"-v", "error", "-y", "-i", "-"}, strings.Fields(options)...)
	cmd := exec.Command("ffmpeg", append(args, s.path(name))...)
	cmd.Stdin = bytes.NewReader(y4mtest.Video(f, frames, 1))
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("%v: %s", err, out)
	}
	return s.path(name)
}

func (s *studio) score(reference, distorted string, o Options) (*Result, error) {
	s.Helper()
	result, err := s.decoder.Score(context.Background(),
		Job{Reference: clip(reference), Distorted: clip(distorted), Options: o}, func(Progress) {})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// refused checks that two videos are refused.
func (s *studio) refused(reference, distorted string, kind scoring.Kind, reason string) {
	s.Helper()
	_, err := s.score(reference, distorted, Options{})
	if p := scoring.AsProblem(err); err == nil || p.Kind != kind ||
		!strings.Contains(p.Detail, reason) {
		s.Errorf("%s: %v, want %s with %q", filepath.Base(distorted), err, kind, reason)
	}
}

const (
	lossless = "-c:v libx264 -qp 0"
	lossy    = "-c:v libx264 -crf 40"
)

var hd = y4m.Format{Width: 320, Height: 180, Chroma: y4m.Chroma420, BitDepth: 8}

func TestScore(t *testing.T) {
	s := newStudio(t, settings)
	reference := s.encode("reference.mkv", hd, 30, lossless)
	same, err := s.score(reference, reference, Options{})
	if err != nil {
		t.Fatal(err)
	}
	worse, err := s.score(reference,
		s.encode("distorted.mp4", hd, 30, "-vf scale=160:90 -r 50 "+lossy),
		Options{Options: scoring.Options{Models: []string{"auto", "vmaf_b_v0.6.3"},
			Features: []string{"psnr"}}})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := same.Models[0].Pooled["mean"], worse.Models[0].Pooled["mean"]; a < 95 || b > a-10 {
		t.Errorf("the reference itself scores %v, a worse video %v", a, b)
	}
	if worse.Frames != 30 || worse.Scores.Count() != 30 || worse.Models[0].Name != "vmaf_v0.6.1" ||
		worse.Reference.Frames != 30 || worse.Distorted.Frames != 60 || worse.Distorted.Width != 160 {
		t.Errorf("%+v", worse)
	}
	sum := 0.0
	for i := range worse.Scores.Count() {
		f := worse.Scores.Frame(i)
		sum += f.Models[0]
		if f.Pair != i || f.Reference != i || f.Distorted != 2*i || len(f.Models) != 2 ||
			len(f.Features) != 3 {
			t.Fatalf("frame %d: %+v", i, f)
		}
	}
	if mean := worse.Models[0].Pooled["mean"]; mean-sum/30 > 1e-9 || sum/30-mean > 1e-9 {
		t.Errorf("the mean of the frames is %v, the result %v", sum/30, mean)
	}
	notes := strings.Join(worse.Notes, "\n")
	for _, note := range []string{"scaled from 160x90 to 320x180", "every second frame"} {
		if !strings.Contains(notes, note) {
			t.Errorf("no %q in %q", note, notes)
		}
	}
}

// TestFormats checks that the frames of all formats of libvmaf reach it.
func TestFormats(t *testing.T) {
	s := newStudio(t, settings)
	for _, chroma := range []y4m.Chroma{y4m.Chroma420, y4m.Chroma422, y4m.Chroma444} {
		for _, depth := range []int{8, 10, 12, 16} {
			f := y4m.Format{Width: 130, Height: 66, Chroma: chroma, BitDepth: depth}
			name := fmt.Sprintf("%s-%d.mkv", chroma, depth)
			video := s.encode(name, f, 3, "-strict -1 -c:v ffv1 -level 3")
			result, err := s.score(video, video, Options{})
			if err != nil || result.Format != f {
				t.Errorf("%s: %+v, %v", name, result, err)
			}
		}
	}
	tall := s.encode("tall.mkv", hd, 3, "-flags +ildct+ilme -x264opts tff=1 "+lossless)
	s.refused(tall, tall, scoring.VideosDiffer, `add "interlaced" to "allow"`)
	if _, err := s.score(tall, tall, Options{Allow: []string{"interlaced"}}); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	s := newStudio(t, settings)
	reference := s.encode("reference.mkv", hd, 30, lossless)
	for name, text := range map[string]string{
		"text.mp4": strings.Repeat("This is no video.\n", 100), "empty.mp4": "",
		"list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nreference.mkv\n#EXT-X-ENDLIST\n",
		"url.m3u8":  "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1/\n#EXT-X-ENDLIST\n",
		"list.txt":  "ffconcat version 1.0\nfile " + reference + "\n",
		"none.y4m":  "YUV4MPEG2 W320 H180 F25:1\n",
	} {
		if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(s.encode("whole.mp4", hd, 30, lossy))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("cut.mp4"), whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	s.encode("sound.m4a", hd, 1, "-f lavfi -i sine=d=0.2 -map 1")
	s.encode("shorter.mkv", hd, 20, lossy)
	s.encode("tall.mkv", y4m.Format{Width: 180, Height: 320, Chroma: y4m.Chroma420, BitDepth: 8}, 30,
		lossy)
	s.encode("large.mkv", y4m.Format{Width: 2048, Height: 1024, Chroma: y4m.Chroma420, BitDepth: 8}, 1,
		lossy)
	s.encode("many.mkv", hd, 61, lossy)
	s.encode("slow.mkv", hd, 3, "-vf setpts=N*60/TB "+lossy)
	for name, c := range map[string]struct {
		kind   scoring.Kind
		reason string
	}{
		"text.mp4":    {scoring.BadVideo, "is not a video that FFmpeg can read"},
		"empty.mp4":   {scoring.BadVideo, "is empty"},
		"list.m3u8":   {scoring.BadVideo, "names other files"},
		"url.m3u8":    {scoring.BadVideo, "names other files"},
		"list.txt":    {scoring.BadVideo, "names other files"},
		"none.y4m":    {scoring.BadVideo, "has no frame"},
		"cut.mp4":     {scoring.BadVideo, "is incomplete"},
		"sound.m4a":   {scoring.BadVideo, "has no video stream"},
		"shorter.mkv": {scoring.VideosDiffer, "10 frames"},
		"tall.mkv":    {scoring.VideosDiffer, "cropped"},
		"large.mkv":   {scoring.TooLarge, "limit of 1048576 pixels"},
		"many.mkv":    {scoring.TooLarge, "more frames than the limit of 60"},
		"slow.mkv":    {scoring.TooLarge, "above the limit of 1m0s"},
	} {
		s.refused(reference, s.path(name), c.kind, c.reason)
	}
	if files, err := os.ReadDir("/proc/self/fd"); err != nil || len(files) > 30 {
		t.Errorf("%d files are open, %v", len(files), err)
	}
}

// TestSizeChanges decodes a stream whose frames become larger than the limit, which its header does
// not say.
func TestSizeChanges(t *testing.T) {
	s := newStudio(t, settings)
	reference := s.encode("reference.mkv", hd, 20, lossless)
	var both []byte
	large := y4m.Format{Width: 2048, Height: 1024, Chroma: y4m.Chroma420, BitDepth: 8}
	for _, f := range []y4m.Format{hd, large} {
		part, err := os.ReadFile(s.encode("part.h264", f, 10, lossy))
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, part...)
	}
	if err := os.WriteFile(s.path("both.h264"), both, 0o600); err != nil {
		t.Fatal(err)
	}
	s.refused(reference, s.path("both.h264"), scoring.TooLarge, "limit of 1048576 pixels")
}

// TestDecoderLimits checks that the limits of the sandbox are explained.
func TestDecoderLimits(t *testing.T) {
	little := settings
	little.Decoder.Memory = 200 << 20
	s := newStudio(t, little)
	s.decoder.programs.Limits.Pixels = 1 << 30
	large := s.encode("large.mkv",
		y4m.Format{Width: 4096, Height: 2048, Chroma: y4m.Chroma420, BitDepth: 8}, 17,
		"-c:v libx264 -preset ultrafast -x264-params ref=16")
	s.refused(large, large, scoring.TooLarge, "needs more memory")

	short := settings
	short.Decoder.CPU = time.Second
	s = newStudio(t, short)
	s.decoder.programs.Limits.Frames, s.decoder.programs.Limits.Duration = 0, 0
	part, err := os.ReadFile(s.encode("part.h264", hd, 60, lossy))
	if err != nil {
		t.Fatal(err)
	}
	long := s.path("long.h264")
	if err := os.WriteFile(long, bytes.Repeat(part, 500), 0o600); err != nil {
		t.Fatal(err)
	}
	s.refused(long, long, scoring.Timeout, "needs more than 1s of processor time")
}

func TestCancelled(t *testing.T) {
	s := newStudio(t, settings)
	video := s.encode("reference.mkv", hd, 60, lossless)
	for _, stage := range []Stage{ReadingReference, ReadingDistorted, Scoring} {
		ctx, cancel := context.WithCancelCause(context.Background())
		_, err := s.decoder.Score(ctx, Job{Reference: clip(video), Distorted: clip(video)},
			func(p Progress) {
				if p.Stage == stage {
					cancel(scoring.Problemf(scoring.Cancelled, "removed"))
				}
			})
		if err == nil || scoring.AsProblem(err).Kind != scoring.Cancelled {
			t.Errorf("%s: %v", stage, err)
		}
		cancel(nil)
	}
}

func TestNewDecoder(t *testing.T) {
	e := newEngine(t)
	s := settings
	s.FFmpeg, s.FFprobe = "no-such-program", "ffprobe"
	if _, err := NewDecoder(context.Background(), s, e); !errors.Is(err, ErrNotFound) {
		t.Errorf("a name that is not on PATH: %v", err)
	}
	s.FFmpeg, s.FFprobe = "/none/ffmpeg", "ffprobe"
	if _, err := NewDecoder(context.Background(), s, e); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a path that does not exist: %v", err)
	}
	s.FFmpeg, s.FFprobe = "/bin/false", "/bin/false"
	if _, err := NewDecoder(context.Background(), s, e); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a program that is not ffmpeg: %v", err)
	}
}
