package pairing

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vmaf-images/server/internal/media"
)

// film makes pictures that move: one a frame, all different.
func film(seed uint64, frames int) [][]byte {
	random := rand.New(rand.NewPCG(seed, 0))
	var waves [4][4]float64
	for i := range waves {
		waves[i] = [4]float64{random.Float64() * 6, random.Float64() * 6, 0.1 + random.Float64()/4,
			random.Float64() * 6}
	}
	var all [][]byte
	for n := range frames {
		picture := make([]byte, media.ThumbSize)
		for i := range picture {
			x := float64(i%media.ThumbWidth) / media.ThumbWidth
			y := float64(i/media.ThumbWidth) / media.ThumbHeight
			level := 128.0
			for _, w := range waves {
				level += 25 * math.Sin(w[0]*x+w[1]*y+w[2]*float64(n)+w[3])
			}
			picture[i] = byte(level)
		}
		all = append(all, picture)
	}
	return all
}

// video makes frames of pictures, with a constant rate. Its noise is that of a codec.
func video(rate float64, pictures [][]byte) *media.Frames {
	f := &media.Frames{Tick: 0.001}
	random := rand.New(rand.NewPCG(uint64(len(pictures)), 1))
	for n, picture := range pictures {
		f.Times = append(f.Times, math.Round(float64(n)/rate*1000)/1000)
		for _, level := range picture {
			f.Thumbs = append(f.Thumbs, byte(min(255, max(0, int(level)+random.IntN(5)-2))))
		}
	}
	return f
}

// every returns every n-th picture.
func every(n int, pictures [][]byte) [][]byte {
	var some [][]byte
	for i := 0; i < len(pictures); i += n {
		some = append(some, pictures[i])
	}
	return some
}

// without returns the elements but those of [from, to).
func without[T any](list []T, from, to int) []T {
	return append(slices.Clone(list[:from]), list[to:]...)
}

// lagging returns pictures of a codec at a low quality, whose motion lags.
func lagging(pictures [][]byte) [][]byte {
	lagged := [][]byte{pictures[0]}
	for n, picture := range pictures[1:] {
		mixed := make([]byte, len(picture))
		for i := range mixed {
			mixed[i] = byte((3*int(picture[i]) + 2*int(lagged[n][i])) / 5)
		}
		lagged = append(lagged, mixed)
	}
	return lagged
}

var still = slices.Repeat(film(9, 1), 100)

var moving = film(1, 200)

// later returns a video whose times are shifted, in seconds.
func later(f *media.Frames, by float64) *media.Frames {
	for i := range f.Times {
		f.Times[i] += by
	}
	return f
}

func TestMatchFrames(t *testing.T) {
	dropped := video(25, moving)
	dropped.Times = without(dropped.Times, 60, 63)
	dropped.Thumbs = without(dropped.Thumbs, 60*media.ThumbSize, 63*media.ThumbSize)
	damaged := video(25, moving)
	damaged.Errors, damaged.FirstError = 3, "corrupt"
	doubled := append(slices.Clone(moving[:100]), moving[99:]...)
	brighter := video(25, moving)
	for i, level := range brighter.Thumbs {
		brighter.Thumbs[i] = byte(min(255, int(level)+20))
	}
	longCut := without(moving, 60, 100)

	for _, c := range []struct {
		name      string
		ref, dist *media.Frames
		allowed   string
		// first and last are the pairs at the ends, and count is their number.
		first, last Pair
		count       int
		refused     Check
		note        string // a part of a note
	}{
		{name: "equal", ref: video(25, moving), dist: video(25, moving),
			last: Pair{199, 199}, count: 200},
		{name: "brighter", ref: video(25, moving), dist: brighter, last: Pair{199, 199}, count: 200},
		{name: "starts later", ref: video(25, moving), dist: later(video(25, moving), 0.5),
			last: Pair{199, 199}, count: 200, note: "starts at 0.5 s, the reference at 0 s"},
		{name: "beginning cut", ref: video(25, moving), dist: video(25, moving[10:]),
			first: Pair{10, 0}, last: Pair{199, 189}, count: 190,
			note: "the first 10 frames of the reference (0.4 s), which the distorted video lacks"},
		{name: "beginning added", ref: video(25, moving[10:]), dist: video(25, moving),
			first: Pair{0, 10}, last: Pair{189, 199}, count: 190,
			note: "the first 10 frames of the distorted video (0.4 s), which the reference lacks"},
		{name: "delayed", ref: video(25, moving[5:]), dist: video(25, moving[:195]),
			first: Pair{0, 5}, last: Pair{189, 194}, count: 190,
			note: "not scored: the last 5 frames of the reference (0.2 s)"},
		{name: "motion lags", ref: video(25, moving), dist: video(25, lagging(moving)),
			last: Pair{199, 199}, count: 200},
		{name: "beginning cut, motion lags", ref: video(25, moving),
			dist: video(25, lagging(moving[10:])), first: Pair{10, 0}, last: Pair{199, 189}, count: 190},
		{name: "beginning cut beyond the window", ref: video(25, moving), dist: video(25, moving[60:]),
			refused: Content},
		{name: "end cut", ref: video(25, moving), dist: video(25, moving[:150]), refused: Length},
		{name: "end cut, allowed", ref: video(25, moving), dist: video(25, moving[:150]),
			allowed: "length", last: Pair{149, 149}, count: 150,
			note: "length is allowed: the distorted video ends 2 s (50 frames) before the reference"},
		{name: "end added", ref: video(25, moving[:150]), dist: video(25, moving), refused: Length},
		{name: "mostly cut", ref: video(25, moving), dist: video(25, moving[:15]), refused: Length},
		{name: "two frames shorter", ref: video(25, moving), dist: video(25, moving[:198]),
			last: Pair{197, 197}, count: 198, note: "the last 2 frames of the reference (0.08 s)"},
		{name: "three frames shorter", ref: video(25, moving), dist: video(25, moving[:197]),
			refused: Length},
		{name: "twice the rate", ref: video(25, every(2, moving)), dist: video(50, moving),
			last: Pair{99, 198}, count: 100, note: "every second frame of the distorted video"},
		{name: "half the rate", ref: video(50, moving), dist: video(25, every(2, moving)),
			last: Pair{198, 99}, count: 100, note: "every second frame of the reference"},
		{name: "half the rate, the other frames", ref: video(50, moving),
			dist: video(25, every(2, moving[1:])), first: Pair{1, 0}, last: Pair{199, 99}, count: 100},
		{name: "twice the rate and cut", ref: video(25, every(2, moving)), dist: video(50, moving[20:]),
			first: Pair{10, 0}, last: Pair{99, 178}, count: 90},
		{name: "other rate", ref: video(25, moving), dist: video(30, film(1, 240)), refused: Rate},
		{name: "other rate, allowed", ref: video(25, every(6, film(1, 1200))),
			dist: video(30, every(5, film(1, 1200))), allowed: "rate", last: Pair{199, 239}, count: 200},
		{name: "NTSC and 30", ref: video(30, moving), dist: video(30/1.001, moving[:150]),
			refused: Rate},
		{name: "other speed", ref: video(24, moving), dist: video(25, moving),
			last: Pair{199, 199}, count: 200, note: "with the same frames: they are compared one by one"},
		{name: "other speed, still", ref: video(24, still), dist: video(25, still), refused: Rate},
		{name: "lost frames with their times", ref: video(25, moving), dist: dropped, refused: Missing},
		{name: "lost frames with their times, allowed", ref: video(25, moving), dist: dropped,
			allowed: "missing", last: Pair{199, 196}, count: 197,
			note: "the distorted video lacks 3 frames in its middle"},
		{name: "both have the times", ref: dropped, dist: dropped, last: Pair{196, 196}, count: 197,
			note: "a variable frame rate"},
		{name: "a lost frame", ref: video(25, moving), dist: video(25, without(moving, 100, 101)),
			refused: Missing},
		{name: "a lost frame, allowed", ref: video(25, moving),
			dist: video(25, without(moving, 100, 101)), allowed: "missing",
			last: Pair{199, 198}, count: 199},
		{name: "a lost and a repeated frame", ref: video(25, moving),
			dist: video(25, append(without(moving[:150], 50, 51), moving[149:]...)), refused: Missing},
		{name: "a repeated frame", ref: video(25, moving), dist: video(25, doubled), refused: Missing},
		{name: "a repeated frame, allowed", ref: video(25, moving), dist: video(25, doubled),
			allowed: "missing", last: Pair{199, 200}, count: 200},
		{name: "a lost part", ref: video(25, moving), dist: video(25, longCut), refused: Content},
		{name: "other film", ref: video(25, moving), dist: video(25, film(2, 200)), refused: Content},
		{name: "other film, allowed", ref: video(25, moving), dist: video(25, film(2, 200)),
			allowed: "content", last: Pair{199, 199}, count: 200},
		{name: "still", ref: video(25, still), dist: video(25, still), last: Pair{99, 99}, count: 100},
		{name: "still and shorter", ref: video(25, still), dist: video(25, still[:90]),
			refused: Length},
		{name: "damaged reference", ref: damaged, dist: video(25, moving), refused: Damage},
		{name: "damaged distorted video", ref: video(25, moving), dist: damaged,
			last: Pair{199, 199}, count: 200, note: "is damaged: the decoder reports 3 errors"},
		{name: "one picture", ref: video(25, moving[:1]), dist: video(25, moving[:1]), count: 1},
		{name: "a picture and a film", ref: video(25, moving[:1]), dist: video(25, moving),
			refused: Length},
	} {
		t.Run(c.name, func(t *testing.T) {
			allowed, err := ParseAllowed(c.allowed)
			if err != nil {
				t.Fatal(err)
			}
			v := &verdict{allowed: allowed}
			pairs, err := v.matchFrames(c.ref, c.dist, 2)
			var refusal *Refusal
			switch errors.As(err, &refusal); {
			case refusal == nil && err != nil:
				t.Fatal(err)
			case c.refused == "" && refusal != nil:
				t.Fatalf("refused: %v", refusal)
			case c.refused != "" && refusal == nil:
				t.Fatalf("not refused: %d pairs from %v to %v; %q", len(pairs), pairs[0],
					pairs[len(pairs)-1], v.notes)
			case c.refused != "":
				if refusal.Check != c.refused {
					t.Fatalf("refused for %s instead of %s: %v", refusal.Check, c.refused, refusal)
				}
				return
			}
			if len(pairs) != c.count || pairs[0] != c.first || pairs[len(pairs)-1] != c.last {
				t.Errorf("%d pairs from %v to %v, expected %d from %v to %v; %q", len(pairs), pairs[0],
					pairs[len(pairs)-1], c.count, c.first, c.last, v.notes)
			}
			if !strings.Contains(strings.Join(v.notes, "\n"), c.note) {
				t.Errorf("no note has %q: %q", c.note, v.notes)
			}
		})
	}
}

func TestClock(t *testing.T) {
	for expected, f := range map[string]*media.Frames{
		"25 fps": video(25, still[:50]), "30 fps": video(30, still[:50]), "12.5 fps": video(12.5, still),
		"29.97 fps": video(30/1.001, still), "23.976 fps": video(24/1.001, still),
	} {
		if got := newClock(f).String(); got != expected {
			t.Errorf("%s instead of %s", got, expected)
		}
	}
}
