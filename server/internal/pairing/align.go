package pairing

import (
	"fmt"
	"math"

	"vmaf-images/server/internal/media"
)

// Pair is a frame of each video that are compared. The first frame is 0.
type Pair struct{ Ref, Dist int }

// matchFrames decides which frames are compared. window is the largest offset of the videos that
// is looked for, in seconds.
func (v *verdict) matchFrames(ref, dist *media.Frames, window float64) ([]Pair, error) {
	if ref.Errors > 0 {
		if err := v.refuse(Damage, "the reference is damaged: the decoder reports %d errors, such as "+
			"%q", ref.Errors, ref.FirstError); err != nil {
			return nil, err
		}
	}
	if dist.Errors > 0 {
		v.note("the distorted video is damaged: the decoder reports %d errors, such as %q",
			dist.Errors, dist.FirstError)
	}
	refClock, distClock := newClock(ref), newClock(dist)
	m, err := v.matcher(ref, dist, refClock, distClock, window)
	if err != nil {
		return nil, err
	}
	if math.Abs(refClock.start-distClock.start) > max(ref.Tick, dist.Tick) {
		v.note("starts at %s, the reference at %s: both are counted from their first frames",
			seconds(distClock.start), seconds(refClock.start))
	}
	found := m.shift(window)
	if !found.alike {
		if err := v.refuse(Content, "the pictures do not look alike at any offset of up to %s; "+
			"a larger window may contain it", seconds(window)); err != nil {
			return nil, err
		}
	}
	pairs := m.pairs(found)
	if len(pairs) == 0 {
		return nil, &Refusal{Length, "no frame of one video has the time of a frame of the other"}
	}
	if err := v.checkPictures(m, pairs, refClock); err != nil {
		return nil, err
	}
	if err := v.checkEnds(m, pairs, refClock, distClock); err != nil {
		return nil, err
	}
	return pairs, v.checkMiddle(m, pairs, refClock)
}

// matcher chooses how frames are matched: by their numbers if one rate is a multiple of the other,
// or by their times if a rate is variable.
func (v *verdict) matcher(ref, dist *media.Frames, refClock, distClock clock, window float64) (
	*matcher, error,
) {
	if refClock.agrees(distClock) {
		if !refClock.constant {
			v.note("has a variable frame rate, with the times of the reference")
		}
		return newMatcher(ref, dist, refClock, distClock, false, 1), nil
	}
	if !refClock.constant || !distClock.constant {
		v.note("has %s and the reference %s: frames are matched by their times", distClock, refClock)
		refIsDense := ref.Count() > dist.Count()
		return newMatcher(ref, dist, refClock, distClock, refIsDense, byTimes), nil
	}
	fast, slow, refIsDense := distClock, refClock, refClock.rate > distClock.rate
	if refIsDense {
		fast, slow = refClock, distClock
	}
	switch multiple := fast.multipleOf(slow); {
	case multiple == 1:
		return newMatcher(ref, dist, refClock, distClock, ref.Count() > dist.Count(), 1), nil
	case multiple > 1:
		m := newMatcher(ref, dist, refClock, distClock, refIsDense, multiple)
		v.note("has %s and the reference %s: every %s frame of %s is compared", distClock, refClock,
			ordinal(multiple), m.denseName())
		return m, nil
	}
	if ref.Count() == dist.Count() { // a film at another speed, if the pictures say so, too
		m := newMatcher(ref, dist, refClock, distClock, false, 1)
		if m.shift(window).certain {
			v.note("has %s and the reference %s, with the same frames: they are compared one by one",
				distClock, refClock)
			return m, nil
		}
	}
	m := newMatcher(ref, dist, refClock, distClock, refIsDense, byTimes)
	m.regular = true
	return m, v.refuse(Rate, "the distorted video has %s and the reference %s, neither a multiple "+
		"of the other, so that most frames have no counterpart of the same moment", distClock, refClock)
}

// pairs returns the frames that are compared. Both numbers rise from pair to pair.
func (m *matcher) pairs(f found) []Pair {
	path := m.straight(0)
	if f.alike {
		path = m.path(f.shift, f.lag)
	}
	var pairs []Pair
	last := none
	for sparse, dense := range path {
		if dense > last {
			pairs = append(pairs, m.pair(sparse, dense))
			last = dense
		}
	}
	return pairs
}

// minAlike is the number of frames that must look different before a part of the videos does.
const minAlike = 12

// checkPictures refuses pairs of which a part does not look alike, as after a cut in one video
// that is longer than the search for lost frames.
func (v *verdict) checkPictures(m *matcher, pairs []Pair, refClock clock) error {
	limit := max(alikeLevels, alikeFactor*m.apart(m.samples()))
	from, sum := 0, 0.0
	differs := func(p Pair) float64 {
		if m.refIsDense {
			return m.difference(p.Dist, p.Ref)
		}
		return m.difference(p.Ref, p.Dist)
	}
	for i, pair := range pairs {
		sum += differs(pair)
		if i-from+1 < minAlike {
			continue
		}
		if sum/float64(i-from+1) > limit {
			return v.refuse(Content, "the pictures do not look alike from %s of the reference on; a "+
				"part of one video may be missing in the other", refClock.at(pairs[from].Ref))
		}
		from, sum = i+1, 0
	}
	return nil
}

// checkMiddle refuses pairs between which frames of one video are missing in the other.
func (v *verdict) checkMiddle(m *matcher, pairs []Pair, refClock clock) error {
	missing := map[string]int{}
	first := map[string]int{}
	for i, pair := range pairs[1:] {
		before := pairs[i]
		sparse, dense := pair.Ref-before.Ref, pair.Dist-before.Dist
		if m.refIsDense {
			sparse, dense = dense, sparse
		}
		lacking := ""
		switch step := m.step(); {
		case sparse > 1: // the dense video has no frame for one of the sparse ones
			lacking = m.denseName()
			missing[lacking] += sparse - 1
		case m.regular: // the dense video has more frames by its rate
		case dense > step:
			lacking = m.sparseName()
			missing[lacking] += (dense - 1) / step
		}
		if _, known := first[lacking]; lacking != "" && !known {
			first[lacking] = before.Ref
		}
	}
	for _, name := range []string{m.name(false), m.name(true)} {
		if n := missing[name]; n > 0 {
			other := m.name(name == m.name(false))
			if err := v.refuse(Missing, "%s lacks %s in its middle that %s has, the first after %s of "+
				"the reference", name, Count(n, "frame"), other, refClock.at(first[name])); err != nil {
				return err
			}
		}
	}
	return nil
}

// freeEnd is the number of frames that one video may have more at its end than the other.
const freeEnd = 2

// checkEnds refuses pairs if one video goes on after the other has ended. A video that starts
// later may end later by as much.
func (v *verdict) checkEnds(m *matcher, pairs []Pair, ref, dist clock) error {
	head, tail := pairs[0], pairs[len(pairs)-1]
	step := m.step()
	refStep, distStep := 1, step // frames of a video for each pair
	if m.refIsDense {
		refStep, distStep = step, 1
	}
	offset := max(head.Ref/refStep, head.Dist/distStep)
	if n := head.Ref; n >= refStep {
		v.note("not scored: the %s of the reference (%s), which the distorted video lacks",
			at("first", n), seconds(ref.times[n]))
	}
	if n := head.Dist; n >= distStep {
		v.note("not scored: the %s of the distorted video (%s), which the reference lacks",
			at("first", n), seconds(dist.times[n]))
	}
	for _, end := range []struct {
		frames, step int
		clock        clock
		ends, goesOn string
	}{
		{len(ref.times) - 1 - tail.Ref, refStep, ref, "the distorted video", "the reference"},
		{len(dist.times) - 1 - tail.Dist, distStep, dist, "the reference", "the distorted video"},
	} {
		if end.frames < end.step {
			continue
		}
		last := len(end.clock.times) - 1
		left := end.clock.times[last] - end.clock.times[last-end.frames]
		if end.frames/end.step > max(freeEnd, offset) {
			if err := v.refuse(Length, "%s ends %s (%s) before %s", end.ends, seconds(left),
				Count(end.frames, "frame"), end.goesOn); err != nil {
				return err
			}
			continue
		}
		v.note("not scored: the %s of %s (%s), after the end of %s", at("last", end.frames),
			end.goesOn, seconds(left), end.ends)
	}
	return nil
}

// at returns the time of a frame, after the first one.
func (c clock) at(frame int) string {
	return Clock(c.times[frame])
}

// Clock prints a time, given in seconds, as minutes and seconds.
func Clock(t float64) string {
	minutes := int(t) / 60
	return fmt.Sprintf("%d:%06.3f", minutes, t-float64(60*minutes))
}

func seconds(t float64) string { return shortest(t) + " s" }

// Count prints a number with its noun.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// at returns "first frame" or "first 2 frames".
func at(end string, n int) string {
	if n == 1 {
		return end + " frame"
	}
	return end + " " + Count(n, "frame")
}

func ordinal(n int) string {
	switch n {
	case 2:
		return "second"
	case 3:
		return "third"
	}
	return fmt.Sprintf("%dth", n)
}
