package pairing

import (
	"errors"
	"strings"
	"testing"

	"vmaf-images/server/internal/media"
)

func picture(width, height int, change func(*media.Video)) *media.Video {
	v := &media.Video{Width: width, Height: height, PixelAspect: 1, PixelFormat: "yuv420p", Depth: 8,
		Chroma: "420", FieldOrder: "progressive", Streams: 1}
	if change != nil {
		change(v)
	}
	return v
}

func TestMatchFormats(t *testing.T) {
	ten := func(v *media.Video) { v.PixelFormat, v.Depth = "yuv420p10le", 10 }
	hdr := func(v *media.Video) { v.Transfer = "smpte2084" }
	full := func(v *media.Video) { v.Range = "pc" }
	for _, c := range []struct {
		name      string
		ref, dist *media.Video
		model     string
		fit       bool
		allowed   string
		expected  Conversion
		refused   Check
		note      string
	}{
		{name: "equal", ref: picture(1280, 720, nil), dist: picture(1280, 720, nil),
			expected: Conversion{Width: 1280, Height: 720, PixelFormat: "yuv420p"}},
		{name: "smaller", ref: picture(1280, 720, nil), dist: picture(640, 360, nil),
			expected: Conversion{Width: 1280, Height: 720, PixelFormat: "yuv420p"},
			note:     "scaled from 640x360 to 1280x720"},
		{name: "fit", ref: picture(1280, 720, nil), dist: picture(640, 360, nil), fit: true,
			expected: Conversion{Width: 1920, Height: 1080, PixelFormat: "yuv420p"},
			note:     "the reference is scaled from 1280x720 to 1920x1080"},
		{name: "fit, wide", ref: picture(1920, 800, nil), dist: picture(1920, 800, nil), fit: true,
			expected: Conversion{Width: 1920, Height: 800, PixelFormat: "yuv420p"}},
		{name: "fit, upright", ref: picture(720, 1280, nil), dist: picture(720, 1280, nil), fit: true,
			expected: Conversion{Width: 1080, Height: 1920, PixelFormat: "yuv420p"}},
		{name: "rounded", ref: picture(1920, 1080, nil), dist: picture(854, 480, nil),
			expected: Conversion{Width: 1920, Height: 1080, PixelFormat: "yuv420p"}},
		{name: "anamorphic", ref: picture(1920, 1080, nil),
			dist:     picture(1440, 1080, func(v *media.Video) { v.PixelAspect = 4.0 / 3 }),
			expected: Conversion{Width: 1920, Height: 1080, PixelFormat: "yuv420p"}},
		{name: "cropped", ref: picture(1920, 1080, nil), dist: picture(1920, 800, nil), refused: Aspect},
		{name: "cropped, allowed", ref: picture(1920, 1080, nil), dist: picture(1920, 800, nil),
			allowed: "aspect", expected: Conversion{Width: 1920, Height: 1080, PixelFormat: "yuv420p"}},
		{name: "10 bits distorted", ref: picture(1280, 720, nil), dist: picture(1280, 720, ten),
			expected: Conversion{Width: 1280, Height: 720, PixelFormat: "yuv420p10le"},
			note:     "the reference is converted from yuv420p to yuv420p10le"},
		{name: "10 bits reference", ref: picture(1280, 720, ten), dist: picture(1280, 720, nil),
			expected: Conversion{Width: 1280, Height: 720, PixelFormat: "yuv420p10le"},
			note:     "converted from yuv420p to yuv420p10le"},
		{name: "a v1 model", ref: picture(1280, 720, nil), dist: picture(1280, 720, nil), model: "v1",
			expected: Conversion{Width: 1280, Height: 720, PixelFormat: "yuv420p10le"}},
		{name: "RGB", ref: picture(640, 360, func(v *media.Video) {
			v.PixelFormat, v.Chroma, v.Depth = "gbrp12le", "444", 12
		}), dist: picture(640, 360, nil),
			expected: Conversion{Width: 640, Height: 360, PixelFormat: "yuv444p12le"}},
		{name: "full range", ref: picture(640, 360, nil), dist: picture(640, 360, full),
			expected: Conversion{Width: 640, Height: 360, PixelFormat: "yuv420p", refRange: "tv",
				distRange: "pc"}, note: "converted from full to limited range"},
		{name: "both full range", ref: picture(640, 360, full), dist: picture(640, 360, full),
			expected: Conversion{Width: 640, Height: 360, PixelFormat: "yuv420p"}},
		{name: "HDR and SDR", ref: picture(640, 360, hdr), dist: picture(640, 360, nil),
			refused: Transfer},
		{name: "both HDR", ref: picture(640, 360, hdr), dist: picture(640, 360, hdr),
			expected: Conversion{Width: 640, Height: 360, PixelFormat: "yuv420p"},
			note:     "the models were made for SDR"},
		{name: "interlaced", ref: picture(640, 360, nil),
			dist:    picture(640, 360, func(v *media.Video) { v.FieldOrder = "tt" }),
			refused: Interlaced},
		{name: "too small", ref: picture(62, 62, nil), dist: picture(62, 62, nil), refused: Size},
		{name: "too small for v1", ref: picture(318, 318, nil), dist: picture(318, 318, nil),
			model: "v1", refused: Size},
		{name: "two streams", ref: picture(640, 360, nil),
			dist:     picture(640, 360, func(v *media.Video) { v.Streams = 2 }),
			expected: Conversion{Width: 640, Height: 360, PixelFormat: "yuv420p"},
			note:     "the distorted video has 2 video streams; the first is scored"},
		{name: "other matrix", ref: picture(640, 360, func(v *media.Video) { v.Matrix = "bt709" }),
			dist:     picture(640, 360, func(v *media.Video) { v.Matrix = "smpte170m" }),
			expected: Conversion{Width: 640, Height: 360, PixelFormat: "yuv420p"},
			note:     "the colour matrix is bt709 in the reference and smpte170m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			allowed, err := ParseAllowed(c.allowed)
			if err != nil {
				t.Fatal(err)
			}
			if c.model == "" {
				c.model = "auto"
			}
			model, err := ChooseModel(c.model, c.ref, 25)
			if err != nil {
				t.Fatal(err)
			}
			v := &verdict{allowed: allowed}
			conversion, err := v.matchFormats(c.ref, c.dist, model, c.fit)
			var refusal *Refusal
			if errors.As(err, &refusal) || c.refused != "" {
				if refusal == nil || refusal.Check != c.refused {
					t.Fatalf("expected %q: %v", c.refused, err)
				}
				return
			}
			if err != nil || conversion != c.expected {
				t.Errorf("%+v, expected %+v, %v", conversion, c.expected, err)
			}
			if !strings.Contains(strings.Join(v.notes, "\n"), c.note) {
				t.Errorf("no note has %q: %q", c.note, v.notes)
			}
		})
	}
}

func TestChooseModel(t *testing.T) {
	for _, c := range []struct {
		name          string
		width, height int
		rate          float64
		expected      string
	}{
		{"auto", 1920, 1080, 25, "vmaf_v0.6.1"},
		{"auto", 3840, 2160, 25, "vmaf_4k_v0.6.1"},
		{"auto", 2160, 3840, 25, "vmaf_4k_v0.6.1"},
		{"auto", 2560, 1440, 25, "vmaf_v0.6.1"},
		{"hd", 3840, 2160, 25, "vmaf_v0.6.1"},
		{"4k", 1280, 720, 25, "vmaf_4k_v0.6.1"},
		{"neg", 1280, 720, 25, "vmaf_v0.6.1neg"},
		{"neg", 3840, 2160, 25, "vmaf_4k_v0.6.1neg"},
		{"v1", 1280, 720, 30, "vmaf_v1.0.16_3d0h"},
		{"v1", 1280, 720, 50, "vmaf_v1.0.16_hfr_3d0h"},
		{"v1", 3840, 2160, 24, "vmaf_v1.0.16_1d5h_2160"},
		{"vmaf_b_v0.6.3", 1280, 720, 24, "vmaf_b_v0.6.3"},
	} {
		m, err := ChooseModel(c.name, picture(c.width, c.height, nil), c.rate)
		if err != nil || m.Name != c.expected {
			t.Errorf("%s for %dx%d: %+v, %v", c.name, c.width, c.height, m, err)
		}
	}
	if _, err := ChooseModel("a.json:log_path=/etc/x", picture(640, 360, nil), 25); err == nil {
		t.Error("a model may set other options of the filter")
	}
}

func TestExpression(t *testing.T) {
	for expected, frames := range map[string][]int{
		"between(n,0,4)":                            {0, 1, 2, 3, 4},
		"between(n,1,7)*not(mod(n-1,2))":            {1, 3, 5, 7},
		"if(lt(n,6),between(n,0,4),between(n,6,8))": {0, 1, 2, 3, 4, 6, 7, 8},
		"between(n,5,5)":                            {5},
	} {
		if text := expression(runs(frames)); text != expected {
			t.Errorf("%v: %s", frames, text)
		}
	}
}

// TestRuns checks that the runs of any list of frames are these frames.
func TestRuns(t *testing.T) {
	for seed := range 200 {
		var frames []int
		for n := range 40 {
			if (n*(seed+7)*(n+seed))%5 < 3 {
				frames = append(frames, n)
			}
		}
		var again []int
		for _, r := range runs(frames) {
			for n := r.first; n <= r.last; n += r.step {
				again = append(again, n)
			}
		}
		if len(again) != len(frames) {
			t.Fatalf("%v became %v", frames, again)
		}
		for i := range again {
			if again[i] != frames[i] {
				t.Fatalf("%v became %v", frames, again)
			}
		}
	}
}

func TestGraph(t *testing.T) {
	ref := Video{picture(640, 360, nil), video(25, moving[:20])}
	dist := Video{picture(320, 180, nil), video(25, moving[2:20])}
	plan, err := Make(ref, dist, Options{Model: "auto", Window: 1})
	if err != nil {
		t.Fatal(err)
	}
	expected := "[0:0]scale=640:360:flags=bicubic,format=yuv420p,settb=1/25,setpts=N[dist];\n" +
		"[1:0]select='between(n,2,19)',format=yuv420p,settb=1/25,setpts=N[ref];\n" +
		"[dist][ref]libvmaf=log_fmt=json:log_path=/log:n_threads=2:model=version=vmaf_v0.6.1:shortest=1:" +
		"n_subsample=5:feature='name=psnr|name=float_ssim'"
	graph := plan.Graph(dist, ref, Scoring{Features: []string{"psnr", "float_ssim"}, Threads: 2,
		Every: 5, Log: "/log"})
	if graph != expected {
		t.Errorf("%s\nexpected:\n%s", graph, expected)
	}
}

func TestParseAllowed(t *testing.T) {
	if a, err := ParseAllowed(" rate, length"); err != nil || !a[Rate] || !a[Length] || a[Content] {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := ParseAllowed("everything"); err == nil || !strings.Contains(err.Error(), "aspect, content") {
		t.Error(err)
	}
}
