package pairing

import (
	"fmt"
	"math"
	"slices"

	"vmaf-images/server/internal/media"
)

const (
	// jitter is how far the time of a frame may be from that of a constant rate, in intervals. A
	// frame that is missing anywhere moves a time by half an interval or more.
	jitter = 0.25
	// rateTolerance separates 30 from 29.97 frames a second, which differ by 0.001.
	rateTolerance = 0.0005
	// maxMultiple is the largest multiple of a rate that is recognized: 240 of 30 frames a second.
	maxMultiple = 8
)

// clock has the times of a video's frames.
type clock struct {
	// times are in seconds after the first frame.
	times []float64
	// start is the time of the first frame, in seconds.
	start float64
	tick  float64
	// rate is in frames a second: of all frames if it is constant, else of most. It is 0 for a
	// single frame.
	rate     float64
	constant bool
}

func newClock(f *media.Frames) clock {
	c := clock{start: f.Times[0], tick: f.Tick, constant: true}
	for _, t := range f.Times {
		c.times = append(c.times, t-c.start)
	}
	n := len(c.times)
	if n == 1 {
		return c
	}
	interval := c.times[n-1] / float64(n-1)
	for i, t := range c.times {
		if math.Abs(t-float64(i)*interval) > max(jitter*interval, 1.5*c.tick) {
			c.constant = false
			break
		}
	}
	if !c.constant {
		var steps []float64
		for i := range n - 1 {
			steps = append(steps, c.times[i+1]-c.times[i])
		}
		slices.Sort(steps)
		interval = steps[len(steps)/2]
	}
	if interval > 0 {
		c.rate = 1 / interval
	}
	return c
}

// error is how precisely the times tell the rate, as a part of it: less in a short video.
func (c clock) error() float64 { return c.tick / c.times[len(c.times)-1] }

// interval is the time between two frames, in seconds.
func (c clock) interval() float64 {
	if c.rate == 0 {
		return 0
	}
	return 1 / c.rate
}

// String returns the rate in words. It is a usual one, such as 29.97, if the times do not tell it
// from that.
func (c clock) String() string {
	rate := c.rate
	for _, usual := range []float64{math.Round(rate), math.Round(rate*1.001) / 1.001} {
		if math.Abs(usual/rate-1) < max(c.error(), 1e-5) {
			rate = usual
			break
		}
	}
	text := fmt.Sprintf("%s fps", shortest(rate))
	if !c.constant {
		text = "a variable frame rate (mostly " + text + ")"
	}
	return text
}

// shortest prints a number with at most three digits after the point.
func shortest(x float64) string {
	return fmt.Sprintf("%g", math.Round(x*1000)/1000)
}

// multipleOf returns k if the rate is k times that of another video, else 0.
func (c clock) multipleOf(slower clock) int {
	if c.rate == 0 || slower.rate == 0 {
		return 1
	}
	error := rateTolerance + c.error() + slower.error()
	ratio := c.rate / slower.rate
	k := math.Round(ratio)
	if k < 1 || k > maxMultiple || math.Abs(ratio/k-1) > error {
		return 0
	}
	return int(k)
}

// agrees reports whether all frames of two videos have the same times, after their first frames.
func (c clock) agrees(other clock) bool {
	if len(c.times) != len(other.times) {
		return false
	}
	for i, t := range c.times {
		if math.Abs(t-other.times[i]) > c.interval()/2 {
			return false
		}
	}
	return true
}

// nearest returns the index of the time that is nearest to t.
func nearest(times []float64, t float64) int {
	i, _ := slices.BinarySearch(times, t)
	if i == len(times) || i > 0 && t-times[i-1] <= times[i]-t {
		i--
	}
	return i
}
