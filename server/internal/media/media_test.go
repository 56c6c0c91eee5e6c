package media

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCheckFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, content := range map[string]string{"video": "x", "empty": ""} {
		if err := os.WriteFile(path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Source{Name: path("video")}).Check(); err != nil {
		t.Error(err)
	}
	for name, expected := range map[string]string{"empty": "is empty", "none": "does not exist",
		"pipe": "not a regular file", ".": "not a regular file"} {
		var refused *FileError
		if err := (Source{Name: path(name)}).Check(); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		} else if !strings.Contains(refused.Reason, expected) {
			t.Errorf("%s: %v", name, refused)
		}
	}
}

// TestInput checks that a file's name is never taken for an option or for another protocol, and
// that no demuxer is allowed that opens files which the given one names.
func TestInput(t *testing.T) {
	if args := OnPath.input(Source{Name: "concat:a|b"}, 0); args[len(args)-1] != "file:concat:a|b" {
		t.Error(args)
	}
	if args := OnPath.input(Source{Name: "x"}, 0); args[1] != "file" {
		t.Errorf("protocols: %s", args[1])
	}
	for _, demuxer := range []string{"concat", "dash", "hls", "image2", "imf", "lavfi", "rtsp", "sdp",
		"tty", "vobsub", "webm_dash_manifest"} {
		if slices.Contains(strings.Split(demuxers, ","), demuxer) {
			t.Errorf("%s may open other files", demuxer)
		}
	}
}

// output returns ffprobe's output for streams.
func output(t *testing.T, streams ...map[string]any) []byte {
	t.Helper()
	component := func(depth int) map[string]int { return map[string]int{"bit_depth": depth} }
	format := func(name string, w, h, depth, n int) map[string]any {
		return map[string]any{"name": name, "log2_chroma_w": w, "log2_chroma_h": h,
			"components": slices.Repeat([]map[string]int{component(depth)}, n)}
	}
	text, err := json.Marshal(map[string]any{"streams": streams,
		"format": map[string]string{"format_name": "matroska,webm"},
		"pixel_formats": []any{format("yuv420p", 1, 1, 8, 3), format("yuvj422p", 1, 0, 8, 3),
			format("gbrp10le", 0, 0, 10, 3), format("gray12le", 0, 0, 12, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func stream(changes map[string]any) map[string]any {
	s := map[string]any{"index": 0, "codec_type": "video", "codec_name": "h264", "width": 1280,
		"height": 720, "pix_fmt": "yuv420p", "field_order": "progressive", "color_range": "tv"}
	for key, value := range changes {
		s[key] = value
	}
	return s
}

func TestRead(t *testing.T) {
	cover := stream(map[string]any{"disposition": map[string]int{"attached_pic": 1}, "index": 0})
	v, err := OnPath.read("a.mkv", output(t, cover, stream(map[string]any{"index": 2}),
		stream(map[string]any{"index": 3, "width": 10})))
	if err != nil {
		t.Fatal(err)
	}
	if v.Index() != 2 || v.Streams != 2 || v.Size() != "1280x720" || v.PixelAspect != 1 {
		t.Errorf("%+v", v)
	}
	for _, c := range []struct {
		format          string
		depth           int
		chroma, rangeOf string
	}{{"yuv420p", 8, "420", "tv"}, {"yuvj422p", 8, "422", "pc"}, {"gbrp10le", 10, "444", "tv"},
		{"gray12le", 12, "420", "tv"}} {
		v, err := OnPath.read("a.mkv", output(t, stream(map[string]any{"pix_fmt": c.format})))
		if err != nil || v.Depth != c.depth || v.Chroma != c.chroma || v.Range != c.rangeOf {
			t.Errorf("%s: %+v, %v", c.format, v, err)
		}
	}
	v, err = OnPath.read("a.mp4", output(t, stream(map[string]any{"sample_aspect_ratio": "2:1",
		"side_data_list": []any{map[string]int{"rotation": -90}}})))
	if err != nil || v.Size() != "720x1280" || v.Aspect() != 720*0.5/1280 {
		t.Errorf("turned: %+v, %v", v, err)
	}
	for expected, streams := range map[string][]map[string]any{
		"only sound, subtitles or cover pictures": {cover, stream(map[string]any{"codec_type": "audio"})},
		"has no video stream":                     {},
		"size or format is unknown":               {stream(map[string]any{"width": 0})},
		"is not supported":                        {stream(map[string]any{"pix_fmt": nil})},
	} {
		var refused *FileError
		if _, err := OnPath.read("a.mp4", output(t, streams...)); !errors.As(err, &refused) {
			t.Errorf("%s: %v", expected, err)
		} else if !strings.Contains(refused.Reason, expected) {
			t.Errorf("%s: %v", expected, refused)
		}
	}
}

func TestReadTimes(t *testing.T) {
	f := &Frames{}
	text := "#software: x\n#tb 0: 1/1000\n0,  40,  80,  40, 576, 0x0\n0, 80, 120, 40, 576, 0x1\n"
	if err := f.readTimes(strings.NewReader(text), Limits{}, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.Times, []float64{0.08, 0.12}) || f.Tick != 0.001 {
		t.Errorf("%+v", f)
	}
	for _, bad := range []string{"0, 1\n", "0, 1, x, 1\n", "#tb 0: 1/0\n"} {
		if err := (&Frames{}).readTimes(strings.NewReader(bad), Limits{}, nil); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestMessages(t *testing.T) {
	m := &messages{}
	for range 3000 {
		m.Write([]byte("[h264 @ 0x1] error while decoding\nsecond\n"))
	}
	if m.lines != 6000 || m.text.Len() != maxMessages || m.first() != "error while decoding" {
		t.Errorf("%d lines, %d bytes, first %q", m.lines, m.text.Len(), m.first())
	}
}

// TestDescriptor checks that a program gets a file by its descriptor only.
func TestDescriptor(t *testing.T) {
	p := Programs{Threads: 2, Limits: Limits{Pixels: 100}}
	args := strings.Join(p.input(Source{Name: "x", File: os.Stdin}, 5), " ")
	if !strings.HasPrefix(args, "-threads 2 -max_pixels 100 -protocol_whitelist fd ") ||
		!strings.HasSuffix(args, " -fd 5 -i fd:") || strings.Contains(args, "x ") {
		t.Error(args)
	}
}

func TestLimits(t *testing.T) {
	p := Programs{Limits: Limits{Pixels: 1280 * 720, Duration: time.Minute}}
	if _, err := p.read("a.mp4", output(t, stream(nil))); err != nil {
		t.Error(err)
	}
	for _, size := range [][2]int{{1280, 721}, {1 << 31, 1 << 31}, {1 << 62, 4}} {
		_, err := p.read("a.mp4", output(t, stream(map[string]any{"width": size[0], "height": size[1]})))
		if !errors.Is(err, ErrLimit) {
			t.Errorf("%v: %v", size, err)
		}
	}
	for text, limits := range map[string]Limits{
		"#tb 0: 1/1\n0, 0, 0, 1\n0, 1, 1, 1\n0, 2, 2, 1\n": {Frames: 2},
		"#tb 0: 1/1\n0, 0, 5, 1\n0, 1, 66, 1\n":            {Duration: time.Minute},
	} {
		if err := (&Frames{}).readTimes(strings.NewReader(text), limits, nil); !errors.Is(err, ErrLimit) {
			t.Errorf("%+v: %v", limits, err)
		}
	}
}

func TestAboveLimit(t *testing.T) {
	p := Programs{Limits: Limits{Pixels: 1000}}
	for text, above := range map[string]bool{
		"Picture size 32x64 exceeds specified max pixel count 1000, see the documentation": true,
		"[x @ 0x1] Picture size 16384x16384 is invalid":                                    true,
		"Picture size 0x0 is invalid":                                                      false,
		"end of file":                                                                      false,
	} {
		if err := p.aboveLimit("x", text); errors.Is(err, ErrLimit) != above {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzProbed(f *testing.F) {
	f.Add([]byte(`{"streams": [{"codec_type": "video", "width": 1, "height": 1, "pix_fmt": "a",
		"sample_aspect_ratio": "0:1", "side_data_list": [{"rotation": 90}]}],
		"pixel_formats": [{"name": "a", "components": [{"bit_depth": 8}]}], "format": {"duration": "1"}}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`[`))
	p := Programs{Limits: Limits{Pixels: 1000, Duration: time.Minute}}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := p.read("x", text)
		if err == nil && (v.Width <= 0 || v.Height <= 0 || v.Width > 1000/v.Height) {
			t.Errorf("%+v", v)
		}
	})
}

func FuzzTimes(f *testing.F) {
	f.Add([]byte("#tb 0: 1/1000\n0, 40, 80, 40, 576, 0x0\n"))
	f.Add([]byte("#tb 0: 1/0\n0, 40, NOPTS, 40\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		frames := &Frames{}
		err := frames.readTimes(bytes.NewReader(text), Limits{Frames: 3}, nil)
		if err == nil && frames.Count() > 3 {
			t.Errorf("%d frames", frames.Count())
		}
	})
}
