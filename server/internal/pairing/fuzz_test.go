package pairing

import (
	"encoding/binary"
	"errors"
	"testing"

	"vmaf-images/server/internal/media"
)

// decoded makes frames of any bytes: each has a time of two bytes and a picture of one.
func decoded(data []byte) *media.Frames {
	f := &media.Frames{Tick: 0.01}
	for ; len(data) >= 3; data = data[3:] {
		f.Times = append(f.Times, float64(int16(binary.LittleEndian.Uint16(data)))*f.Tick)
		for i := range media.ThumbSize {
			f.Thumbs = append(f.Thumbs, data[2]+byte(i))
		}
	}
	return f
}

// FuzzMake aligns videos whose times a stranger has chosen.
func FuzzMake(f *testing.F) {
	f.Add([]byte{0, 0, 1, 4, 0, 2, 8, 0, 3}, []byte{0, 0, 1, 2, 0, 9, 4, 0, 2, 6, 0, 7}, 1.0, true)
	f.Add([]byte{0, 0, 1}, []byte{9, 9, 9, 9, 9, 9}, 0.0, false)
	f.Add([]byte{0, 0, 1, 0, 0, 1}, []byte{255, 255, 9, 0, 0, 9, 0, 1, 2}, 600.0, true)
	video := &media.Video{Width: 640, Height: 360, PixelAspect: 1, PixelFormat: "yuv420p", Depth: 8,
		Chroma: "420", Streams: 1}
	f.Fuzz(func(t *testing.T, a, b []byte, window float64, allow bool) {
		ref, dist := Video{video, decoded(a)}, Video{video, decoded(b)}
		if ref.Count() == 0 || dist.Count() == 0 || max(ref.Count(), dist.Count()) > 50 ||
			!(window >= 0 && window <= 600) {
			return
		}
		o := Options{Model: "auto", Window: window, Allowed: Allowed{}}
		for check := range Checks {
			o.Allowed[check] = allow
		}
		plan, err := Make(ref, dist, o)
		var refusal *Refusal
		if err != nil {
			if !errors.As(err, &refusal) {
				t.Fatalf("%v is no Refusal", err)
			}
			return
		}
		if len(plan.Pairs) == 0 || len(plan.Times) != len(plan.Pairs) {
			t.Fatalf("%+v", plan)
		}
		last := Pair{-1, -1}
		for _, pair := range plan.Pairs {
			if pair.Ref <= last.Ref || pair.Dist <= last.Dist || pair.Ref >= ref.Count() ||
				pair.Dist >= dist.Count() {
				t.Fatalf("%+v", plan.Pairs)
			}
			last = pair
		}
		plan.Graphs(dist, ref)
	})
}
