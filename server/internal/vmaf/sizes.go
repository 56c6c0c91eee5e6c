package vmaf

import (
	"errors"
	"fmt"
	"strings"

	"vmaf-images/server/internal/y4m"
)

// libvmaf 3.2.0 does not check that a frame is large enough for the requested features. If it
// is too small, libvmaf reads and writes memory outside of the planes. The project's
// small-frames.patch refuses the frames on which libvmaf crashed, and no others. These minimum
// sizes were determined with the address sanitizer, and TestSmallFrames checks them.
const (
	minSide       = 64  // for the 0.6 models and most features
	minSideLater  = 320 // for all other models; the 1.0 models use speed and cambi
	minSpeedPlane = 80  // for the planes that speed_temporal and speed_chroma read
)

// CheckSize returns an error if frames of format f are too small for libvmaf to compute the
// given models and features.
func CheckSize(f y4m.Format, models, features []string) error {
	side, user := minSide, "VMAF"
	for _, m := range models {
		if !strings.Contains(m, "v0.6.") {
			side, user = minSideLater, "model "+m
		}
	}
	for _, feature := range features {
		need := minSide
		switch {
		case feature == "speed_temporal":
			need = minSpeedPlane
		case feature == "speed_chroma" && f.Chroma == y4m.Chroma444:
			need = minSpeedPlane
		case feature == "speed_chroma":
			need = 2 * minSpeedPlane
		case feature == "ciede" && f.Chroma != y4m.Chroma444 && (f.Width%2 == 1 || f.Height%2 == 1):
			return errors.New("feature ciede needs an even width and height unless chroma is 4:4:4")
		}
		if need > side {
			side, user = need, "feature "+feature
		}
	}
	if f.Width < side || f.Height < side {
		return fmt.Errorf("frames of %dx%d are too small: %s needs at least %dx%d", f.Width,
			f.Height, user, side, side)
	}
	return nil
}
