package pairing

import (
	"fmt"
	"path"
	"strings"

	"vmaf-images/server/internal/media"
)

// Model is a model of libvmaf.
type Model struct {
	// Name is the name of a built-in model, or the path of a file that ends with .json.
	Name string
	// Width and Height are the screen that it was made for, in pixels; 0 if that is not known.
	Width, Height int
	// Depth is the depth of the samples that it should get, in bits; 0 if any will do.
	Depth int
	// smallest is the smallest width and height that libvmaf 3.2 can compute.
	smallest int
}

// ModelHelp lists the names that --model takes besides those of libvmaf.
const ModelHelp = `auto: hd or 4k, by the size of the reference
hd:   vmaf_v0.6.1, for 1080p on a television
4k:   vmaf_4k_v0.6.1, for 2160p on a television
neg:  vmaf_v0.6.1neg or vmaf_4k_v0.6.1neg: gives no credit for sharpening
v1:   the vmaf_v1.0.16 model for the size and the frame rate of the reference
or the name of a built-in model, or the path of a model file (.json)`

const (
	// largeSide separates 1080p from 2160p by the longer side, in pixels: it is between both.
	largeSide = 2880
	// highRate separates 24 to 30 from 50 to 60 frames a second.
	highRate = 40
	// The smallest sides with which libvmaf 3.2 does not leave its memory; package vmaf tests
	// them.
	smallestFirst, smallestLater = 64, 320
)

// ChooseModel returns the model that a name stands for, for a reference of a rate in frames a
// second.
func ChooseModel(name string, ref *media.Video, rate float64) (Model, error) {
	large := max(ref.Width, ref.Height) > largeSide
	bySize := func(hd, uhd string) string {
		if large {
			return uhd
		}
		return hd
	}
	switch name {
	case "auto":
		name = bySize("vmaf_v0.6.1", "vmaf_4k_v0.6.1")
	case "hd":
		name = "vmaf_v0.6.1"
	case "4k":
		name = "vmaf_4k_v0.6.1"
	case "neg":
		name = bySize("vmaf_v0.6.1neg", "vmaf_4k_v0.6.1neg")
	case "v1":
		prefix := "vmaf_v1.0.16_"
		if rate > highRate {
			prefix += "hfr_"
		}
		name = prefix + bySize("3d0h", "1d5h_2160")
	}
	base := strings.TrimSuffix(path.Base(name), ".json")
	if strings.ContainsAny(name, ":|'\\=") {
		return Model{}, fmt.Errorf("the model %q has a character that libvmaf's options use", name)
	}
	m := Model{Name: name, smallest: smallestLater}
	if strings.Contains(base, "v0.6.") {
		m.smallest = smallestFirst
	}
	if strings.Contains(base, "_v1.") {
		m.Depth = 10 // Netflix's guide: with 10 bits also for 8 bit video, to measure banding
	}
	switch {
	case strings.Contains(base, "4k") || strings.HasSuffix(base, "_2160"):
		m.Width, m.Height = 3840, 2160
	case strings.HasPrefix(base, "vmaf_"):
		m.Width, m.Height = 1920, 1080
	}
	return m, nil
}

// Option returns the model as the libvmaf filter names it.
func (m Model) Option() string {
	if strings.HasSuffix(m.Name, ".json") {
		return "path=" + m.Name
	}
	return "version=" + m.Name
}
