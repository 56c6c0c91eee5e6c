package vmaf

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"vmaf-images/server/internal/cmemory"
	"vmaf-images/server/internal/y4m"
)

const defaultModel = "vmaf_v0.6.1"

var small = y4m.Format{Width: 64, Height: 64, Chroma: y4m.Chroma420, BitDepth: 8}

// paint fills a picture with a moving texture, quantized to multiples of step.
func paint(p *Picture, frame, step int) {
	for i, plane := range p.Frame() {
		for y := range plane.Rows {
			row := plane.Data[y*plane.Stride:][:plane.Row]
			for x := range row {
				if p.format.SampleBytes() == 2 && x%2 == 1 {
					row[x] = 0 // A high byte of zero keeps the sample within any bit depth.
					continue
				}
				v := (x*x/7 + 5*y + 11*frame + 40*i) % 200
				row[x] = byte(v - v%step)
			}
		}
	}
}

// read passes pairs of painted frames to a context.
func read(x *Context, f y4m.Format, threads, frames int) error {
	if err := x.Allocate(f, threads); err != nil {
		return err
	}
	for i := range frames {
		ref, err := x.Fetch(f)
		if err != nil {
			return err
		}
		dist, err := x.Fetch(f)
		if err != nil {
			ref.Release()
			return err
		}
		paint(ref, i, 1)
		paint(dist, i, 16)
		if err := x.Read(ref, dist, i); err != nil {
			return err
		}
	}
	return x.Flush()
}

func newContext(t testing.TB, threads, subsample int) *Context {
	x, err := New(threads, subsample)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

func loadModel(t testing.TB, x *Context, name string) *Model {
	m, err := LoadBuiltIn(name, "model")
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Use(m); err != nil {
		m.Close()
		t.Fatal(err)
	}
	return m
}

func TestScores(t *testing.T) {
	var first float64
	for _, threads := range []int{0, 1, 3} {
		t.Run(fmt.Sprintf("%d threads", threads), func(t *testing.T) {
			x := newContext(t, threads, 1)
			m := loadModel(t, x, defaultModel)
			defer m.Close()
			defer x.Close()
			if err := read(x, small, threads, 5); err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for i := range 5 {
				if !m.Predict(x, i) {
					t.Fatalf("frame %d has no score", i)
				}
				v, known := x.Score(m.Series, i)
				if !known || v < 0 || v > 100 {
					t.Fatalf("frame %d: %v, %v", i, v, known)
				}
				sum += v
			}
			mean, err := x.Pooled(m.Series, Mean, 4)
			if err != nil || math.Abs(mean-sum/5) > 1e-9 {
				t.Errorf("mean %v, want %v: %v", mean, sum/5, err)
			}
			if threads == 0 {
				first = mean
			} else if math.Abs(mean-first) > 1e-9 {
				t.Errorf("mean %v, want %v as without threads", mean, first)
			}
		})
	}
}

func TestSubsample(t *testing.T) {
	x := newContext(t, 0, 2)
	m := loadModel(t, x, defaultModel)
	defer m.Close()
	defer x.Close()
	if err := read(x, small, 0, 5); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if known := m.Predict(x, i); known != (i%2 == 0) {
			t.Errorf("frame %d: known is %v, want %v", i, known, i%2 == 0)
		}
	}
}

func TestCollection(t *testing.T) {
	x := newContext(t, 1, 1)
	m := loadModel(t, x, "vmaf_b_v0.6.3")
	defer m.Close()
	defer x.Close()
	if err := read(x, small, 1, 2); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		for range 2 { // libvmaf itself fails the second time.
			if !m.Predict(x, i) {
				t.Fatalf("frame %d has no score", i)
			}
		}
	}
	low, _ := x.Score(m.Low, 0)
	score, _ := x.Score(m.Series, 0)
	high, known := x.Score(m.High, 0)
	if !known || low > score || score > high {
		t.Errorf("%v is not between %v and %v", score, low, high)
	}
}

// TestFeatures checks that libvmaf has every feature in Features, with the listed series.
func TestFeatures(t *testing.T) {
	large := y4m.Format{Width: 320, Height: 240, Chroma: y4m.Chroma420, BitDepth: 8}
	for name, series := range Features {
		t.Run(name, func(t *testing.T) {
			x := newContext(t, 0, 1)
			if err := x.UseFeature(name); err != nil {
				t.Fatal(err)
			}
			if err := read(x, large, 0, 3); err != nil {
				t.Fatal(err)
			}
			for _, s := range series {
				if _, err := x.Pooled(s.ID, Mean, 2); err != nil {
					t.Errorf("%s: %v", s.Name, err)
				}
			}
		})
	}
}

func TestBuiltIn(t *testing.T) {
	if names := BuiltIn(); !slices.Contains(names, defaultModel) {
		t.Errorf("the built-in models %v do not include %s", names, defaultModel)
	}
}

func TestLoadInvalidModel(t *testing.T) {
	if _, err := LoadBuiltIn("none", "model"); err == nil {
		t.Error("an unknown model was loaded")
	}
	for i, text := range []string{"", "{", "[]", `{"model_dict": {"model": 1}}`} {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.json", i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadFile(path, "model"); err == nil {
			t.Errorf("%q was loaded", text)
		}
	}
}

func TestTooManySeries(t *testing.T) {
	x := newContext(t, 0, 1)
	var models []*Model
	defer func() {
		x.Close()
		for _, m := range models {
			m.Close()
		}
	}()
	for i := range 5 {
		m, err := LoadBuiltIn("vmaf_b_v0.6.3", fmt.Sprintf("model%d", i))
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
		if err := x.Use(m); err != nil {
			return
		}
	}
	t.Errorf("no error for more than %d series", maxSeries)
}

// TestNothingLeaks checks that closing a context frees all memory, in whatever state it is.
func TestNothingLeaks(t *testing.T) {
	paths := map[string]func(t *testing.T, x *Context){
		"scored":    func(t *testing.T, x *Context) { fail(t, read(x, small, 2, 4)) },
		"unflushed": func(t *testing.T, x *Context) { readSome(t, x, true) },
		"released":  func(t *testing.T, x *Context) { readSome(t, x, false) },
		"no frames": func(t *testing.T, x *Context) { fail(t, x.Allocate(small, 2)) },
		"nothing":   func(*testing.T, *Context) {},
		"refused": func(t *testing.T, x *Context) {
			fail(t, x.UseFeature("float_ms_ssim"))
			if read(x, small, 2, 3) == nil {
				if _, known := x.Score("float_ms_ssim", 0); known {
					t.Error("a frame that is too small has a score")
				}
			}
		},
		"unknown model": func(t *testing.T, _ *Context) {
			if _, err := LoadBuiltIn("none", "model"); err == nil {
				t.Error("an unknown model was loaded")
			}
		},
	}
	for name, path := range paths {
		for _, threads := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s, %d threads", name, threads), func(t *testing.T) {
				once := func() {
					x, err := New(threads, 1)
					fail(t, err)
					m := loadModel(t, x, defaultModel)
					path(t, x)
					x.Close()
					m.Close()
				}
				// Each thread caches freed memory, which counts as in use.
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				for range 10 {
					once()
				}
				const runs, tolerance = 100, 256
				before := cmemory.InUse()
				for range runs {
					once()
				}
				if growth := cmemory.InUse() - before; growth > runs*tolerance {
					t.Errorf("memory in use grew by %d bytes in %d runs", growth, runs)
				}
				if cmemory.Leaks() {
					t.Error("the address sanitizer found a leak")
				}
			})
		}
	}
}

// readSome reads three pairs of pictures but does not flush. Unless last is set, it releases
// the third pair instead of reading it.
func readSome(t *testing.T, x *Context, last bool) {
	fail(t, x.Allocate(small, 2))
	for i := range 3 {
		ref, err := x.Fetch(small)
		fail(t, err)
		dist, err := x.Fetch(small)
		fail(t, err)
		paint(ref, i, 1)
		paint(dist, i, 8)
		if i == 2 && !last {
			ref.Release()
			dist.Release()
			dist.Release()
			return
		}
		fail(t, x.Read(ref, dist, i))
	}
}

func fail(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestSmallFrames scores the smallest frames that CheckSize allows. libvmaf may return an
// error but must not access memory outside of the planes, which the address sanitizer detects
// if libvmaf is built with it.
func TestSmallFrames(t *testing.T) {
	sides := func(f y4m.Format, models, features []string) (allowed []y4m.Format) {
		for side := 1; side <= 400 && len(allowed) < 4; side++ {
			f.Width, f.Height = side, side+1
			if CheckSize(f, models, features) == nil {
				allowed = append(allowed, f)
			}
		}
		return allowed
	}
	for _, format := range []y4m.Format{
		{Chroma: y4m.Chroma420, BitDepth: 8}, {Chroma: y4m.Chroma422,
			BitDepth: 10}, {Chroma: y4m.Chroma444, BitDepth: 16},
	} {
		for feature := range Features {
			for _, f := range sides(format, nil, []string{feature}) {
				x := newContext(t, 0, 1)
				fail(t, x.UseFeature(feature))
				if err := read(x, f, 0, 3); err != nil {
					t.Logf("%v, %s: %v", f, feature, err)
				}
				x.Close()
			}
		}
		for _, name := range BuiltIn() {
			for _, f := range sides(format, []string{name}, nil)[:2] {
				x := newContext(t, 0, 1)
				m := loadModel(t, x, name)
				if err := read(x, f, 0, 3); err != nil {
					t.Logf("%v, %s: %v", f, name, err)
				}
				x.Close()
				m.Close()
			}
		}
	}
}

func TestCheckSize(t *testing.T) {
	even := y4m.Format{Width: 320, Height: 320, Chroma: y4m.Chroma420, BitDepth: 8}
	odd, tiny := even, even
	odd.Height = 321
	tiny.Width = 63
	for _, c := range []struct {
		f       y4m.Format
		model   string
		feature string
		ok      bool
	}{
		{even, defaultModel, "ciede", true},
		{odd, defaultModel, "ciede", false},
		{odd, "vmaf_v1.0.16_hfr_5d0h", "psnr", true},
		{tiny, defaultModel, "psnr", false},
		{small, defaultModel, "psnr", true},
		{small, defaultModel, "speed_temporal", false},
		{small, "vmaf_v1.0.16_3d0h", "psnr", false},
	} {
		if err := CheckSize(c.f, []string{c.model}, []string{c.feature}); (err == nil) != c.ok {
			t.Errorf("%v, %s, %s: %v", c.f, c.model, c.feature, err)
		}
	}
}
