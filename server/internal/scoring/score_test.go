package scoring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"vmaf-images/server/internal/y4m"
	"vmaf-images/server/internal/y4mtest"
)

// noObserver ignores all events.
type noObserver struct{}

func (noObserver) Scored(int)                               {}
func (noObserver) Finished(string, *Problem, time.Duration) {}

// newEngine returns an engine with small limits, which change may modify.
func newEngine(t testing.TB, change func(*Limits)) *Engine {
	l := Limits{
		DataRoot: t.TempDir(), ScratchDir: t.TempDir(), DefaultModel: "vmaf_v0.6.1",
		MaxScratchBytes: 1 << 30, MaxFramePixels: 1 << 24, MaxFrames: 1000,
		MaxThreads: 4, Threads: 1, Concurrency: 1, RequestTimeout: time.Minute,
	}
	if change != nil {
		change(&l)
	}
	e, err := NewEngine(l, noObserver{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

var small = y4m.Format{Width: 64, Height: 64, Chroma: y4m.Chroma420, BitDepth: 8}

// notifyingPairs closes ended after its last pair.
type notifyingPairs struct {
	Pairs
	ended chan struct{}
}

func (p *notifyingPairs) Next(ctx context.Context) error {
	err := p.Pairs.Next(ctx)
	if errors.Is(err, io.EOF) {
		close(p.ended)
	}
	return err
}

// pairs returns a generated video and a worse copy of it.
func (e *Engine) pairs(t testing.TB, f y4m.Format, frames int) Pairs {
	var videos [2]*y4m.Reader
	for i, step := range []int{1, 16} {
		r, err := e.Open("reference", bytes.NewReader(y4mtest.Video(f, frames, step)))
		if err != nil {
			t.Fatal(err)
		}
		videos[i] = r
	}
	pairs, err := Y4MPairs(videos[0], videos[1])
	if err != nil {
		t.Fatal(err)
	}
	return pairs
}

// TestReadingDoesNotWaitForEmit checks that pairs are read to the end while emit blocks, since
// a client may send both videos before it reads the response.
func TestReadingDoesNotWaitForEmit(t *testing.T) {
	e := newEngine(t, nil)
	for _, threads := range []int{0, 2} {
		pairs := &notifyingPairs{Pairs: e.pairs(t, small, 50), ended: make(chan struct{})}
		var got []int
		result, err := e.Score(context.Background(), Options{Threads: &threads}, pairs,
			func(_ context.Context, f Frame) error {
				<-pairs.ended
				got = append(got, f.Index)
				return nil
			})
		if err != nil || result.Scored != 50 || len(got) != 50 {
			t.Fatalf("%+v, %d frames, %v", result, len(got), err)
		}
		for i, index := range got {
			if i != index {
				t.Fatalf("frame %d was emitted at position %d", index, i)
			}
		}
	}
}

func TestEmitFails(t *testing.T) {
	e := newEngine(t, nil)
	cancelled := Problemf(Cancelled, "cancelled")
	_, err := e.Score(context.Background(), Options{}, e.pairs(t, small, 50),
		func(context.Context, Frame) error { return cancelled })
	if kind(err) != Cancelled {
		t.Errorf("%v", err)
	}
}

func TestScoreIsCancelled(t *testing.T) {
	e := newEngine(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := e.Score(ctx, Options{}, e.pairs(t, small, 50),
		func(context.Context, Frame) error { cancel(); return nil })
	if AsProblem(err).Kind != Cancelled {
		t.Errorf("%v", err)
	}
}

func TestNewEngineInvalidSettings(t *testing.T) {
	for name, change := range map[string]func(*Limits){
		"data root":   func(l *Limits) { l.DataRoot = "/none" },
		"model dir":   func(l *Limits) { l.ModelDir = "/none" },
		"model":       func(l *Limits) { l.DefaultModel = "none" },
		"scratch dir": func(l *Limits) { l.ScratchDir = "/none" },
	} {
		l := Limits{ScratchDir: t.TempDir(), DefaultModel: "vmaf_v0.6.1", Concurrency: 1}
		change(&l)
		if e, err := NewEngine(l, noObserver{}); err == nil {
			e.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestModelDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"broken.json": "{", "other.txt": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := newEngine(t, func(l *Limits) { l.ModelDir = dir })
	models, err := e.Models()
	if last := models[len(models)-1]; err != nil || last != (ModelInfo{Name: "broken.json"}) ||
		!models[0].BuiltIn {
		t.Errorf("%v, %v", models, err)
	}
	for _, name := range []string{"broken.json", "none.json", "../x.json", "/x.json",
		"x\x00.json"} {
		if _, err := e.loadOne(name, "m"); kind(err) != BadOptions {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestScoresMatchProgram compares scores with those of the vmaf program, if it is installed.
func TestScoresMatchProgram(t *testing.T) {
	program, err := exec.LookPath("vmaf")
	if err != nil {
		t.Skip("the vmaf program is not on PATH")
	}
	e := newEngine(t, nil)
	dir := t.TempDir()
	features := []string{"psnr", "float_ssim", "adm", "vif", "motion", "float_moment"}
	models := []string{"vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_b_v0.6.3"}
	for _, chroma := range []y4m.Chroma{y4m.Chroma420, y4m.Chroma422, y4m.Chroma444} {
		for _, depth := range []int{8, 10, 12, 16} {
			f := y4m.Format{Width: 128, Height: 96, Chroma: chroma, BitDepth: depth}
			t.Run(f.String(), func(t *testing.T) {
				args := []string{"-q", "-w", "128", "-h", "96", "-p", chroma.String(), "-b",
					fmt.Sprint(depth),
					"--json", "-o", filepath.Join(dir, "out.json")}
				for i, option := range []string{"-r", "-d"} {
					path := filepath.Join(dir, option+".yuv")
					var raw []byte
					for frame := range 4 {
						raw = append(raw, y4mtest.Frame(f, frame, 1+15*i)...)
					}
					if err := os.WriteFile(path, raw, 0o600); err != nil {
						t.Fatal(err)
					}
					args = append(args, option, path)
				}
				for i, m := range models {
					args = append(args, "-m", fmt.Sprintf("version=%s:name=m%d", m, i))
				}
				for _, feature := range features {
					args = append(args, "--feature", feature)
				}
				if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				var want struct {
					Pooled map[string]map[string]float64 `json:"pooled_metrics"`
				}
				text, err := os.ReadFile(filepath.Join(dir, "out.json"))
				if err == nil {
					err = json.Unmarshal(text, &want)
				}
				if err != nil {
					t.Fatal(err)
				}
				result, err := e.Score(context.Background(),
					Options{Models: models, Features: features}, e.pairs(t, f, 4), nil)
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]Pooled{
					"m0":           result.Models[0].Pooled,
					"m1":           result.Models[1].Pooled,
					"m2_bagging":   result.Models[2].Pooled,
					"m2_stddev":    result.Models[2].Stddev,
					"m2_ci_p95_lo": result.Models[2].Low,
					"m2_ci_p95_hi": result.Models[2].High,
				}
				for _, feature := range result.Features {
					got[feature.Name] = feature.Pooled
				}
				for name, pooled := range got {
					for method, v := range pooled {
						if w, ok := want.Pooled[name][method]; !ok || math.Abs(v-w) > 1e-6 {
							t.Errorf("%s of %s: %v, want %v (%v)", method, name, v, w, ok)
						}
					}
				}
			})
		}
	}
}
