package results

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"vmaf-images/server/internal/media"
	"vmaf-images/server/internal/pairing"
)

func TestStatistics(t *testing.T) {
	var scores []float64
	for i := range 100 {
		scores = append(scores, float64(100-i)) // 100, 99, ... 1
	}
	s := NewStatistics(scores)
	if s.Mean != 50.5 || s.Min != 1 || s.Max != 100 || s.P1 != 1 || s.P5 != 5 || s.P50 != 50 {
		t.Errorf("%+v", s)
	}
	if s := NewStatistics([]float64{0, 3}); math.Abs(s.Harmonic-(2/(1+0.25)-1)) > 1e-12 {
		t.Errorf("%+v", s)
	}
	for i, pool := range Pools {
		s := Statistics{1, 2, 3, 4, 5, 6, 7}
		if s.Get(pool) != float64(i+1) {
			t.Errorf("%s is %v", pool, s.Get(pool))
		}
	}
}

func log(numbers ...int) string {
	var frames []string
	for _, n := range numbers {
		frames = append(frames, fmt.Sprintf(`{"frameNum": %d, "metrics": {"vmaf": %d, "psnr_y": 40}}`,
			n, 90+n))
	}
	return `{"version": "3.2.0", "frames": [` + strings.Join(frames, ",") + "]}"
}

var plan = &pairing.Plan{Pairs: []pairing.Pair{{Ref: 4, Dist: 0}, {Ref: 5, Dist: 1}, {Ref: 6, Dist: 2}},
	Times: []float64{0.16, 0.2, 0.24}}

func TestReadLog(t *testing.T) {
	read, err := ReadLog(strings.NewReader(log(0, 1, 2)), plan, 1)
	if err != nil {
		t.Fatal(err)
	}
	if last := read.Frames[2]; read.Version != "3.2.0" || last.Reference != 6 || last.Distorted != 2 ||
		last.Time != 0.24 || last.Scores[VMAF] != 92 {
		t.Errorf("%+v", read)
	}
	if read, err := ReadLog(strings.NewReader(log(0, 2)), plan, 2); err != nil || len(read.Frames) != 2 ||
		read.Frames[1].Reference != 6 {
		t.Errorf("every second frame: %+v, %v", read, err)
	}
	for name, text := range map[string]string{"a lost frame": log(0, 1), "a frame too many": log(0, 1, 2, 3),
		"a gap": log(0, 2), "no log": "", "half a log": log(0, 1, 2)[:40]} {
		if _, err := ReadLog(strings.NewReader(text), plan, 1); err == nil {
			t.Errorf("%s is not noticed", name)
		}
	}
}

func run(t *testing.T, frames int) *Run {
	t.Helper()
	pair := &Pair{File: "<b>.mp4", Model: "vmaf_v0.6.1", Notes: []string{"scaled & more"}}
	for i := range frames {
		pair.Frames = append(pair.Frames, Frame{i, i, float64(i) / 25,
			map[string]float64{VMAF: 90 + math.Sin(float64(i)), "psnr_y": 40}})
	}
	pair.Pool()
	return &Run{Program: "score (x)", FFmpeg: "9.0.2", Reference: &media.Video{Path: "ref.mkv"},
		Pairs: []*Pair{pair, {File: "c.mp4", Refused: "it is <empty>"}}}
}

func TestWriteCSV(t *testing.T) {
	var out bytes.Buffer
	if err := run(t, 3).WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(lines) != 4 {
		t.Fatal(lines, err)
	}
	expected := []string{"distorted", "model", "reference_frame", "distorted_frame", "time", "vmaf",
		"psnr_y"}
	if !slices.Equal(lines[0], expected) || lines[2][5] != "90.841471" || lines[2][4] != "0.040000" {
		t.Error(lines)
	}
}

func TestWriteJSON(t *testing.T) {
	var out bytes.Buffer
	if err := run(t, 3).WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var read Run
	if err := json.Unmarshal(out.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if read.Pairs[0].Pooled[VMAF].Max != 90+math.Sin(2) || read.Pairs[1].Refused != "it is <empty>" {
		t.Errorf("%+v", read.Pairs)
	}
}

func TestWriteHTML(t *testing.T) {
	for _, frames := range []int{1, 3, 100_000} {
		var out bytes.Buffer
		if err := run(t, frames).WriteHTML(&out); err != nil {
			t.Fatal(err)
		}
		page := out.String()
		for _, expected := range []string{"&lt;b&gt;.mp4", "scaled &amp; more", "it is &lt;empty&gt;",
			"<polyline", "psnr_y"} {
			if !strings.Contains(page, expected) {
				t.Errorf("a page of %d frames lacks %q", frames, expected)
			}
		}
		if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "http") {
			t.Error("the page has a value that the template refused, or an address")
		}
		if len(page) > 200_000 {
			t.Errorf("a page of %d frames has %d bytes", frames, len(page))
		}
	}
}

// TestExtremes checks that a plot shows the lowest score of a long video.
func TestExtremes(t *testing.T) {
	r := run(t, 50_000)
	r.Pairs[0].Frames[31_234].Scores[VMAF] = 12
	r.Pairs[0].Pool()
	d := newPlot(r.Pairs[0])
	if d.Low != 10 || !strings.Contains(d.Scores, ",12]") {
		t.Errorf("lowest %v", d.Low)
	}
}
