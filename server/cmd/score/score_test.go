package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vmaf-images/server/internal/pairing"
	"vmaf-images/server/internal/results"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"ref.mkv", "--min", "93", "a.mp4", "-json=-", "b.mp4", "--features",
		"psnr,ssim", "--allow=rate", "--size", "model", "--", "--odd.mp4", "-c.mp4"})
	if err != nil {
		t.Fatal(err)
	}
	distorted := []string{"a.mp4", "b.mp4", "--odd.mp4", "-c.mp4"}
	if o.reference != "ref.mkv" || !slices.Equal(o.distorted, distorted) {
		t.Errorf("files: %s %q", o.reference, o.distorted)
	}
	if o.min != 93 || o.json != "-" || !o.pairing.Fit || !o.pairing.Allowed[pairing.Rate] ||
		!slices.Equal(o.features, []string{"psnr", "float_ssim"}) {
		t.Errorf("%+v", o)
	}
	if o, err := parse([]string{"r", "d"}); err != nil || !math.IsNaN(o.min) || o.pool != "mean" {
		t.Errorf("defaults: %+v, %v", o, err)
	}
	for expected, args := range map[string]string{
		"at least one distorted video": "ref.mkv",
		"can be reference or model":    "r d --size 720p",
		"is not a check":               "r d --allow all",
		"--pool is":                    "r d --pool median",
		"--features":                   "r d --features vmaf",
		"--threads":                    "r d --threads 0",
		"--every":                      "r d --every 0",
		"--window":                     "r d --window -1",
		"not defined":                  "r d --verbose",
		"invalid value":                "r d --min high",
	} {
		_, err := parse(strings.Fields(args))
		if err == nil || !strings.Contains(err.Error(), expected) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if _, err := parse([]string{"r", "d", "--window", "NaN"}); err == nil {
		t.Error("a window of NaN is accepted")
	}
}

// TestUsage checks that the manual has all options.
func TestUsage(t *testing.T) {
	var text bytes.Buffer
	usage(&text)
	var ignored string
	(&options{}).flags(&ignored, &ignored, &ignored).VisitAll(func(f *flag.Flag) {
		if !strings.Contains(text.String(), "--"+f.Name) {
			t.Errorf("--help does not have --%s", f.Name)
		}
	})
}

func TestOutput(t *testing.T) {
	dir := t.TempDir()
	video, result := filepath.Join(dir, "video"), filepath.Join(dir, "result")
	if err := os.WriteFile(video, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openOutput(video, []string{video}); err == nil {
		t.Error("a video may be overwritten")
	}
	if _, err := openOutput(filepath.Join(dir, "none", "x"), nil); err == nil {
		t.Error("a directory that does not exist is accepted")
	}
	if _, err := openOutput(dir, nil); err == nil {
		t.Error("a directory is accepted as a file")
	}

	o, err := openOutput(result, []string{video})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.write(func(io.Writer) error { return errors.New("bad") }, nil); err == nil {
		t.Error("an error is lost")
	}
	o.discard()
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 1 {
		t.Errorf("left behind: %q", names)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, ".*")); len(names) != 0 {
		t.Errorf("left behind: %q", names)
	}

	o, err = openOutput(result, nil)
	if err != nil {
		t.Fatal(err)
	}
	write := func(to io.Writer) error { _, err := io.WriteString(to, "scores"); return err }
	if err := o.write(write, nil); err != nil {
		t.Fatal(err)
	}
	o.discard()
	if text, err := os.ReadFile(result); err != nil || string(text) != "scores" {
		t.Errorf("%q, %v", text, err)
	}
	var standard bytes.Buffer
	if o, err = openOutput("-", nil); err == nil {
		err = o.write(write, &standard)
	}
	if err != nil || standard.String() != "scores" {
		t.Errorf("%q, %v", standard.String(), err)
	}
}

func TestPrint(t *testing.T) {
	pair := &results.Pair{File: "d.mp4", Model: "m", Notes: []string{"scaled"},
		Frames: []results.Frame{{
			Scores: map[string]float64{"vmaf": 90, "ciede2000": 30, "integer_adm2": 1},
		}}}
	pair.Pool()
	var text bytes.Buffer
	s := &session{summary: &text,
		options: &options{min: 93, pool: "mean", features: []string{"ciede"}}}
	s.print(pair)
	s.print(&results.Pair{File: "e.mp4", Refused: "it is empty"})
	for _, expected := range []string{"d.mp4: 90.000 (m, 1 frame;", "\n  scaled\n", "ciede2000: 30.000",
		"too low: its mean is 90.000, and --min is 93.000", "e.mp4: not scored: it is empty\n"} {
		if !strings.Contains(text.String(), expected) {
			t.Errorf("no %q in %q", expected, text.String())
		}
	}
	if strings.Contains(text.String(), "adm") {
		t.Errorf("it prints what nobody asked for: %q", text.String())
	}
}
