package results

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"vmaf-images/server/internal/pairing"
)

//go:embed report.html
var files embed.FS

var page = template.Must(template.New("report.html").Funcs(template.FuncMap{
	"score": func(x float64) string { return fmt.Sprintf("%.3f", x) },
	"clock": pairing.Clock,
	"plot":  newPlot,
	"pools": func() []string { return Pools },
}).ParseFS(files, "report.html"))

// WriteHTML writes one page with a table of all pairs, and a plot of each. It needs no other file.
func (r *Run) WriteHTML(to io.Writer) error { return page.Execute(to, r) }

// The area of a plot, in pixels.
const (
	plotWidth, plotHeight                    = 800, 240
	plotLeft, plotRight, plotTop, plotBottom = 36, 792, 8, 212
)

// plot has what the template draws.
type plot struct {
	Width, Height, Left, Right, Top, Bottom int
	Lines, Marks                            []mark
	// Points are the corners of the line of scores, as SVG writes them.
	Points string
	// Mean is the height of the mean score.
	Mean float64
	// Lowest is the place of the lowest score.
	Lowest struct{ X, Y float64 }
	// Scores are the drawn points for the script of the page, as JSON: time, reference frame,
	// score.
	Scores string
	// Last is the time at the right end, in seconds, and Low and High are the scores at the bottom
	// and the top.
	Last, Low, High float64
}

// mark is a value at an axis.
type mark struct {
	At   float64
	Text string
	// Anchor is the end of the text that is at the value: start, middle or end.
	Anchor string
}

// newPlot draws the scores of a pair.
func newPlot(p *Pair) plot {
	stats := p.Pooled[VMAF]
	last := p.Frames[len(p.Frames)-1]
	d := plot{Width: plotWidth, Height: plotHeight, Left: plotLeft, Right: plotRight, Top: plotTop,
		Bottom: plotBottom, Last: max(last.Time, 1e-3),
		Low:  min(math.Floor(stats.Min/10)*10, 90),
		High: max(math.Ceil(stats.Max/10)*10, 100)}
	x := func(t float64) float64 { return plotLeft + (plotRight-plotLeft)*t/d.Last }
	y := func(score float64) float64 {
		return plotBottom - (plotBottom-plotTop)*(score-d.Low)/(d.High-d.Low)
	}
	for i, anchor := range []string{"start", "middle", "middle", "middle", "end"} {
		part := float64(i) / 4
		score := d.Low + (d.High-d.Low)*part
		d.Lines = append(d.Lines,
			mark{y(score), strings.TrimSuffix(fmt.Sprintf("%.1f", score), ".0"), "end"})
		d.Marks = append(d.Marks, mark{x(d.Last * part), pairing.Clock(d.Last * part), anchor})
	}
	var points strings.Builder
	var scores [][3]float64
	for _, frame := range extremes(p.Frames, plotRight-plotLeft) {
		score := frame.Scores[VMAF]
		fmt.Fprintf(&points, "%.2f,%.2f ", x(frame.Time), y(score))
		scores = append(scores, [3]float64{frame.Time, float64(frame.Reference), score})
	}
	d.Points = strings.TrimSpace(points.String())
	if text, err := json.Marshal(scores); err == nil {
		d.Scores = string(text)
	}
	d.Mean = y(stats.Mean)
	lowest := p.Lowest()
	d.Lowest.X, d.Lowest.Y = x(lowest.Time), y(lowest.Scores[VMAF])
	return d
}

// extremes returns the frames with the lowest and the highest score of each interval, so that the
// plot of a long video has a bounded number of points.
func extremes(frames []Frame, intervals int) []Frame {
	if len(frames) <= 2*intervals {
		return frames
	}
	byScore := func(a, b Frame) int { return cmp.Compare(a.Scores[VMAF], b.Scores[VMAF]) }
	var found []Frame
	for i := range intervals {
		part := frames[i*len(frames)/intervals : (i+1)*len(frames)/intervals]
		both := []Frame{slices.MinFunc(part, byScore), slices.MaxFunc(part, byScore)}
		slices.SortFunc(both, func(a, b Frame) int { return cmp.Compare(a.Time, b.Time) })
		found = append(found, both...)
	}
	return found
}
