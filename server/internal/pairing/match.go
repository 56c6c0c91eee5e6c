package pairing

import (
	"math"

	"vmaf-images/server/internal/media"
)

// matcher finds the frame of the dense video for each frame of the sparse one. The sparse video
// has the lower rate, or fewer frames.
type matcher struct {
	sparse, dense *media.Frames
	// means are the mean grey values of the thumbnails.
	sparseMeans, denseMeans []int16
	// multiple is the number of dense frames for each sparse one, or byTimes.
	multiple int
	// The times are in seconds after the first frame.
	sparseTimes, denseTimes []float64
	// unit is the time between two dense frames, in seconds.
	unit float64
	// regular tells that the dense video has more frames by its rate, which is no multiple.
	regular    bool
	refIsDense bool
}

const (
	none    = -1
	byTimes = 0
)

func newMatcher(ref, dist *media.Frames, refClock, distClock clock, refIsDense bool, multiple int,
) *matcher {
	m := &matcher{sparse: ref, dense: dist, sparseTimes: refClock.times, denseTimes: distClock.times,
		unit: distClock.interval(), multiple: multiple, refIsDense: refIsDense}
	if refIsDense {
		m.sparse, m.dense = dist, ref
		m.sparseTimes, m.denseTimes, m.unit = distClock.times, refClock.times, refClock.interval()
	}
	m.sparseMeans, m.denseMeans = means(m.sparse), means(m.dense)
	return m
}

// step returns the number of dense frames between two pairs, where that is constant.
func (m *matcher) step() int { return max(1, m.multiple) }

func (m *matcher) sparseName() string { return m.name(!m.refIsDense) }
func (m *matcher) denseName() string  { return m.name(m.refIsDense) }

func (m *matcher) name(reference bool) string {
	if reference {
		return "the reference"
	}
	return "the distorted video"
}

func (m *matcher) pair(sparse, dense int) Pair {
	if m.refIsDense {
		return Pair{dense, sparse}
	}
	return Pair{sparse, dense}
}

// base returns the dense frame of a sparse one, if the dense video starts shift frames earlier
// than the sparse one; or none.
func (m *matcher) base(frame, shift int) int {
	if m.multiple != byTimes {
		found := frame*m.multiple + shift
		if found < 0 || found >= m.dense.Count() {
			return none
		}
		return found
	}
	t := m.sparseTimes[frame] + float64(shift)*m.unit
	found := nearest(m.denseTimes, t)
	if math.Abs(m.denseTimes[found]-t) > 0.51*m.unit {
		return none
	}
	return found
}

// means returns the mean grey value of each thumbnail.
func means(f *media.Frames) []int16 {
	result := make([]int16, f.Count())
	for i := range result {
		sum := 0
		for _, value := range f.Thumb(i) {
			sum += int(value)
		}
		result[i] = int16(sum / media.ThumbSize)
	}
	return result
}

// difference returns the mean difference of two thumbnails whose means are made equal, in grey
// levels, so that a change of brightness does not hide which frame it is.
func (m *matcher) difference(sparse, dense int) float64 {
	a, b := m.sparse.Thumb(sparse), m.dense.Thumb(dense)
	shift := int(m.sparseMeans[sparse] - m.denseMeans[dense])
	sum := 0
	for i := range a {
		d := int(a[i]) - int(b[i]) - shift
		sum += max(d, -d)
	}
	return float64(sum) / media.ThumbSize
}

// maxSamples is the number of frames that the search for a shift compares.
const maxSamples = 300

// samples returns sparse frames from all parts of the video. Of each part, it is the frame that
// differs most from the one before.
func (m *matcher) samples() []int {
	n := m.sparse.Count()
	for n > 1 && m.base(n-1, 0) == none { // the dense video has ended
		n--
	}
	parts := min(n, maxSamples)
	motion := &matcher{sparse: m.sparse, dense: m.sparse, sparseMeans: m.sparseMeans,
		denseMeans: m.sparseMeans}
	var found []int
	for part := range parts {
		best, most := part*n/parts, -1.0
		for i := best; i < (part+1)*n/parts; i++ {
			if i == 0 {
				continue
			}
			if d := motion.difference(i, i-1); d > most {
				best, most = i, d
			}
		}
		found = append(found, best)
	}
	return found
}

// cost returns the mean difference of sampled frames for a shift. It is infinite if less than half
// of the samples have a frame in the other video.
func (m *matcher) cost(samples []int, shift int) float64 {
	sum, n := 0.0, 0
	for _, frame := range samples {
		if found := m.base(frame, shift); found != none {
			sum += m.difference(frame, found)
			n++
		}
	}
	if 2*n < len(samples) {
		return math.Inf(1)
	}
	return sum / float64(n)
}

const (
	// A shift is found if the frames differ less by this factor and by this many grey levels than
	// without a shift.
	shiftFactor = 0.8
	shiftLevels = 0.1
	// Motion lags by this many frames at most, and the lowest cost is then lower by this factor.
	lagFrames = 2
	lagCost   = 2
	// Pictures do not look alike if their frames differ by this many grey levels, and by this
	// factor of what frames of different times differ. A clip that x264 coded in 160x90 pixels
	// with crf 35 differed by 5 levels from its reference, and is alike by the factor.
	alikeLevels = 4
	alikeFactor = 0.5
	// Frames of different times differ by this many grey levels at least, if something moves.
	movingLevels = 2
)

// found is the shift of two videos.
type found struct {
	// shift is in dense frames.
	shift int
	// lag is what a frame may gain by lagging motion, in grey levels.
	lag float64
	// alike tells whether the frames look alike, and certain whether that was found in moving
	// pictures.
	alike, certain bool
}

// shift finds the shift of the videos within a window in seconds.
func (m *matcher) shift(window float64) found {
	samples := m.samples()
	reach := m.dense.Count()
	if m.unit > 0 {
		reach = min(reach, int(math.Ceil(window/m.unit)))
	}
	unshifted := m.cost(samples, 0)
	best, lowest := 0, unshifted
	costs := map[int]float64{0: unshifted}
	for distance := 1; distance <= reach; distance++ {
		for _, candidate := range []int{distance, -distance} {
			costs[candidate] = m.cost(samples, candidate)
			if costs[candidate] < lowest {
				best, lowest = candidate, costs[candidate]
			}
		}
	}
	if lowest > unshifted*shiftFactor-shiftLevels {
		best, lowest = 0, unshifted
	} else {
		best = m.byFirstFrames(costs, best)
	}
	apart := m.apart(samples)
	return found{shift: best, lag: lagFactor * costs[best],
		alike:   lowest <= alikeLevels || lowest <= alikeFactor*apart,
		certain: lowest < alikeFactor*apart && apart > movingLevels}
}

// byFirstFrames returns the shift of those near the best with which the first frames are most
// alike. At a low quality, encoders let motion lag, and only a frame that is coded without
// others, as the first one, shows the right moment.
func (m *matcher) byFirstFrames(costs map[int]float64, best int) int {
	limit := costs[best]*lagCost + shiftLevels
	near := lagFrames * m.step()
	chosen, least := best, math.Inf(1)
	for shift := best - near; shift <= best+near; shift++ {
		if cost, ok := costs[shift]; !ok || cost > limit {
			continue
		}
		for frame := range m.sparse.Count() {
			if dense := m.base(frame, shift); dense != none {
				if d := m.difference(frame, dense); d < least {
					chosen, least = shift, d
				}
				break
			}
		}
	}
	return chosen
}

// apart returns how much frames of different times differ, in grey levels.
func (m *matcher) apart(samples []int) float64 {
	sum := 0.0
	for i, frame := range samples {
		other := samples[(i+len(samples)/2)%len(samples)]
		sum += m.difference(frame, other*(m.dense.Count()-1)/max(1, m.sparse.Count()-1))
	}
	return sum / float64(len(samples))
}

const (
	// maxSteps is how many frames may be lost or repeated, in dense frames.
	maxSteps = 8
	// stepCost is what the frames after a lost or repeated one must gain together, in grey levels,
	// so that noise and pictures that do not move are not taken for one.
	stepCost = 12
	// absent is what a frame costs that is outside of the dense video.
	absent = 60
	// This factor of the mean difference is what a frame away from the videos' clocks costs, so
	// that motion that lags is not taken for a lost frame.
	lagFactor = 0.2
)

// straight returns the dense frame of each sparse one, by the clocks alone.
func (m *matcher) straight(shift int) []int {
	found := make([]int, m.sparse.Count())
	for frame := range found {
		found[frame] = m.base(frame, shift)
	}
	return found
}

// path returns the dense frame of each sparse one, by the pictures. It follows frames that are
// lost or repeated in either video: it is the path with the lowest sum of differences, where each
// step away from the videos' clocks costs stepCost (the Viterbi algorithm).
func (m *matcher) path(shift int, lag float64) []int {
	reach := maxSteps + 2*m.multiple
	states := 2*reach + 1
	chosen := m.straight(shift)
	n := len(chosen)
	costs, next := make([]float64, states), make([]float64, states)
	for state := range costs {
		if state != reach {
			costs[state] = stepCost
		}
	}
	origins := make([]int16, n*states) // the state before
	for frame := range n {
		cheapest := 0
		for state, cost := range costs {
			if cost < costs[cheapest] {
				cheapest = state
			}
		}
		base := chosen[frame]
		for state := range states {
			origin, cost := state, costs[state]
			if step := costs[cheapest] + stepCost; step < cost {
				origin, cost = cheapest, step
			}
			if base != none {
				if state != reach {
					cost += lag
				}
				dense := base + state - reach
				if dense < 0 || dense >= m.dense.Count() {
					cost += absent
				} else {
					cost += m.difference(frame, dense)
				}
			}
			next[state] = cost
			origins[frame*states+state] = int16(origin)
		}
		costs, next = next, costs
	}
	state := 0
	for other, cost := range costs {
		if cost < costs[state] {
			state = other
		}
	}
	for frame := n - 1; frame >= 0; frame-- {
		if chosen[frame] != none {
			chosen[frame] += state - reach
			if chosen[frame] < 0 || chosen[frame] >= m.dense.Count() {
				chosen[frame] = none
			}
		}
		state = int(origins[frame*states+state])
	}
	return chosen
}
