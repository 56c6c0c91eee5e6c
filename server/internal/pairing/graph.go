package pairing

import (
	"fmt"
	"strings"
)

// run is a part of a video of which every step-th frame is compared.
type run struct{ first, last, step int }

// runs returns the frames of one video as runs.
func runs(frames []int) []run {
	var found []run
	for _, frame := range frames {
		if n := len(found); n > 0 {
			r := &found[n-1]
			if r.first == r.last {
				// A run has one step; the second frame decides it.
				if n == 1 || frame-r.last == found[n-2].step || frame-r.last == 1 {
					r.step, r.last = frame-r.last, frame
					continue
				}
			} else if frame-r.last == r.step {
				r.last = frame
				continue
			}
		}
		found = append(found, run{frame, frame, 1})
	}
	return found
}

// expression returns an expression of FFmpeg that is not 0 for the frames of the runs. It is a
// tree, so that a frame passes a few comparisons even if there are thousands of runs.
func expression(list []run) string {
	if len(list) == 1 {
		r := list[0]
		text := fmt.Sprintf("between(n,%d,%d)", r.first, r.last)
		if r.step > 1 {
			text += fmt.Sprintf("*not(mod(n-%d,%d))", r.first, r.step)
		}
		return text
	}
	half := len(list) / 2
	return fmt.Sprintf("if(lt(n,%d),%s,%s)", list[half].first, expression(list[:half]),
		expression(list[half:]))
}

// Scoring says how libvmaf scores.
type Scoring struct {
	// Features are computed besides those of the model; the names are libvmaf's.
	Features []string
	// Threads is the number of threads of libvmaf.
	Threads int
	// Every is 1, or n to score every n-th frame only.
	Every int
	// Log is the path that libvmaf writes its scores to, as JSON.
	Log string
}

// chain returns filters of FFmpeg that select the frames of a video that are compared, and convert
// them. sampleRange is the range of its samples, if that is converted.
func (p *Plan) chain(v Video, selected []int, sampleRange string) []string {
	c := p.Conversion
	var filters []string
	if all := runs(selected); len(all) > 1 || len(selected) != v.Count() {
		filters = append(filters, fmt.Sprintf("select='%s'", expression(all)))
	}
	if v.Width != c.Width || v.Height != c.Height || sampleRange != "" {
		scale := fmt.Sprintf("scale=%d:%d:flags=bicubic", c.Width, c.Height)
		if sampleRange != "" {
			scale += fmt.Sprintf(":in_range=%s:out_range=%s", sampleRange, c.refRange)
		}
		filters = append(filters, scale)
	}
	// Frames of equal numbers are compared, whatever their times are.
	return append(filters, "format="+c.PixelFormat, "settb=1/25", "setpts=N")
}

// chains returns the chains of both videos.
func (p *Plan) chains(dist, ref Video) (distFilters, refFilters []string) {
	var refFrames, distFrames []int
	for _, pair := range p.Pairs {
		refFrames, distFrames = append(refFrames, pair.Ref), append(distFrames, pair.Dist)
	}
	return p.chain(dist, distFrames, p.Conversion.distRange), p.chain(ref, refFrames, "")
}

func graph(input int, v Video, filters []string) string {
	return fmt.Sprintf("[%d:%d]%s", input, v.Index(), strings.Join(filters, ","))
}

// Graph returns the filter graph of FFmpeg that compares the first input, the distorted video,
// with the second one.
func (p *Plan) Graph(dist, ref Video, s Scoring) string {
	options := []string{"log_fmt=json", "log_path=" + s.Log, fmt.Sprintf("n_threads=%d", s.Threads),
		"model=" + p.Model.Option(), "shortest=1"}
	if s.Every > 1 {
		options = append(options, fmt.Sprintf("n_subsample=%d", s.Every))
	}
	if len(s.Features) > 0 {
		options = append(options, "feature='name="+strings.Join(s.Features, "|name=")+"'")
	}
	distFilters, refFilters := p.chains(dist, ref)
	return strings.Join([]string{
		graph(0, dist, distFilters) + "[dist]",
		graph(1, ref, refFilters) + "[ref]",
		"[dist][ref]libvmaf=" + strings.Join(options, ":"),
	}, ";\n")
}

// Graphs returns the filter graphs that make the compared frames of each video, of which it is the
// only input. The frames do not say that they are interlaced, which Y4M's reader refuses, because
// Make refuses such videos unless that is allowed.
func (p *Plan) Graphs(dist, ref Video) (distGraph, refGraph string) {
	distFilters, refFilters := p.chains(dist, ref)
	const progressive = "setfield=prog"
	return graph(0, dist, append(distFilters, progressive)),
		graph(0, ref, append(refFilters, progressive))
}
