package vmaf

import (
	"fmt"
	"strings"

	"vmaf-images/server/internal/y4m"
)

// libvmaf 3.2.0 does not check whether a frame is large enough for what it is
// asked to compute: of a smaller one it reads, and writes, beside the planes. The
// sizes here were found with the address sanitizer; TestSmallFrames repeats it.
const (
	minSide       = 64  // what VMAF's 0.6 models and most features take; adm needs 33
	minSideLater  = 320 // of any other model: those of 1.0 use speed and cambi
	minSpeedPlane = 80  // of the planes that speed_temporal and speed_chroma read
)

// CheckSize refuses frames that libvmaf would read beside.
func CheckSize(f y4m.Format, models, features []string) error {
	side, who := minSide, "VMAF"
	for _, m := range models {
		if !strings.Contains(m, "v0.6.") {
			side, who = minSideLater, "model "+m
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
			return fmt.Errorf("ciede needs an even width and height unless chroma is 4:4:4")
		}
		if need > side {
			side, who = need, feature
		}
	}
	if f.Width < side || f.Height < side {
		return fmt.Errorf("a frame of %dx%d is too small: %s needs %dx%d", f.Width, f.Height, who, side, side)
	}
	return nil
}
