package scoring

import (
	"bytes"
	"context"
	"encoding/json"
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

type nobody struct{}

func (nobody) Scored(int)                               {}
func (nobody) Finished(string, *Problem, time.Duration) {}

func newEngine(t testing.TB, change func(*Limits)) *Engine {
	l := Limits{
		DataRoot: t.TempDir(), ScratchDir: t.TempDir(), DefaultModel: "vmaf_v0.6.1",
		MaxScratchBytes: 1 << 30, MaxFramePixels: 1 << 24, MaxFrames: 1000,
		MaxThreads: 4, Threads: 1, Concurrency: 1, RequestTimeout: time.Minute,
	}
	if change != nil {
		change(&l)
	}
	e, err := NewEngine(l, nobody{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

var small = y4m.Format{Width: 64, Height: 64, Chroma: y4m.Chroma420, BitDepth: 8}

// counted are pairs that tell when they end.
type counted struct {
	Pairs
	ended chan struct{}
}

func (c *counted) Next() error {
	err := c.Pairs.Next()
	if err == io.EOF {
		close(c.ended)
	}
	return err
}

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

// Who does not take the frames does not hold up the reading: a client may send
// all before it reads.
func TestReadingDoesNotWaitForEmit(t *testing.T) {
	e := newEngine(t, nil)
	for _, threads := range []int{0, 2} {
		pairs := &counted{e.pairs(t, small, 50), make(chan struct{})}
		var got []int
		result, err := e.Score(context.Background(), Options{Threads: &threads}, pairs, func(_ context.Context, f Frame) error {
			<-pairs.ended
			got = append(got, f.Index)
			return nil
		})
		if err != nil || result.Scored != 50 || len(got) != 50 {
			t.Fatalf("%+v, %d frames, %v", result, len(got), err)
		}
		for i, index := range got {
			if i != index {
				t.Fatalf("frame %d comes as number %d", index, i)
			}
		}
	}
}

func TestEmitFails(t *testing.T) {
	e := newEngine(t, nil)
	gone := Problemf(Cancelled, "gone")
	_, err := e.Score(context.Background(), Options{}, e.pairs(t, small, 50), func(context.Context, Frame) error { return gone })
	if kind(err) != Cancelled {
		t.Errorf("%v", err)
	}
}

func TestScoreIsCancelled(t *testing.T) {
	e := newEngine(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := e.Score(ctx, Options{}, e.pairs(t, small, 50), func(context.Context, Frame) error { cancel(); return nil })
	if AsProblem(err).Kind != Cancelled {
		t.Errorf("%v", err)
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	for name, change := range map[string]func(*Limits){
		"data root":   func(l *Limits) { l.DataRoot = "/none" },
		"model dir":   func(l *Limits) { l.ModelDir = "/none" },
		"model":       func(l *Limits) { l.DefaultModel = "none" },
		"scratch dir": func(l *Limits) { l.ScratchDir = "/none" },
	} {
		l := Limits{ScratchDir: t.TempDir(), DefaultModel: "vmaf_v0.6.1", Concurrency: 1}
		change(&l)
		if e, err := NewEngine(l, nobody{}); err == nil {
			e.Close()
			t.Errorf("%s: it starts", name)
		}
	}
}

func TestModelFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"broken.json": "{", "other.txt": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := newEngine(t, func(l *Limits) { l.ModelDir = dir })
	models, err := e.Models()
	if last := models[len(models)-1]; err != nil || last != (ModelInfo{"broken.json", false}) || !models[0].BuiltIn {
		t.Errorf("%v, %v", models, err)
	}
	for _, name := range []string{"broken.json", "none.json", "../x.json", "/x.json", "x\x00.json"} {
		if _, err := e.loadOne(name, "m"); kind(err) != BadOptions {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// The scores are the vmaf program's, where there is one to compare with.
func TestScoresAreThePrograms(t *testing.T) {
	program, err := exec.LookPath("vmaf")
	if err != nil {
		t.Skip("there is no vmaf program on PATH to compare with")
	}
	e := newEngine(t, nil)
	dir := t.TempDir()
	features := []string{"psnr", "float_ssim", "adm", "vif", "motion", "float_moment"}
	models := []string{"vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_b_v0.6.3"}
	for _, chroma := range []y4m.Chroma{y4m.Chroma420, y4m.Chroma422, y4m.Chroma444} {
		for _, depth := range []int{8, 10, 12, 16} {
			f := y4m.Format{Width: 128, Height: 96, Chroma: chroma, BitDepth: depth}
			t.Run(f.String(), func(t *testing.T) {
				words := []string{"-q", "-w", "128", "-h", "96", "-p", chroma.String(), "-b", fmt.Sprint(depth),
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
					words = append(words, option, path)
				}
				for i, m := range models {
					words = append(words, "-m", fmt.Sprintf("version=%s:name=m%d", m, i))
				}
				for _, feature := range features {
					words = append(words, "--feature", feature)
				}
				if out, err := exec.Command(program, words...).CombinedOutput(); err != nil {
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
				result, err := e.Score(context.Background(), Options{Models: models, Features: features}, e.pairs(t, f, 4), nil)
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]Pooled{
					"m0": result.Models[0].Pooled, "m1": result.Models[1].Pooled, "m2_bagging": result.Models[2].Pooled,
					"m2_stddev": result.Models[2].Stddev, "m2_ci_p95_lo": result.Models[2].Low, "m2_ci_p95_hi": result.Models[2].High,
				}
				for _, feature := range result.Features {
					got[feature.Name] = feature.Pooled
				}
				for name, pooled := range got {
					for method, v := range pooled {
						if w, there := want.Pooled[name][method]; !there || math.Abs(v-w) > 1e-6 {
							t.Errorf("%s of %s: %v, the program's %v, %v", method, name, v, w, there)
						}
					}
				}
			})
		}
	}
}
