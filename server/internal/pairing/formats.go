package pairing

import (
	"fmt"
	"math"
	"strings"

	"vmaf-images/server/internal/media"
)

// Conversion is what both videos are converted to before they are compared.
type Conversion struct {
	Width  int `json:"width"`
	Height int `json:"height"`
	// PixelFormat is a format that the libvmaf filter takes.
	PixelFormat string `json:"pixel_format"`
	// refRange and distRange are the ranges of the samples ("tv" or "pc"), if they differ.
	refRange, distRange string
}

// aspectTolerance is how much the shapes of two pictures may differ. Encoders round sides to
// multiples of 2 or 16 pixels.
const aspectTolerance = 0.015

// matchFormats compares the pictures of two videos. With fit, both are scaled to the screen of the
// model; otherwise the distorted one is scaled to the size of the reference.
func (v *verdict) matchFormats(ref, dist *media.Video, m Model, fit bool) (Conversion, error) {
	c := Conversion{Width: ref.Width, Height: ref.Height}
	for _, one := range []struct {
		name  string
		video *media.Video
	}{{"the reference", ref}, {"the distorted video", dist}} {
		if one.video.Streams > 1 {
			v.note("%s has %d video streams; the first is scored", one.name, one.video.Streams)
		}
		switch one.video.FieldOrder {
		case "", "progressive":
		default:
			if err := v.refuse(Interlaced, "%s is interlaced (%s), and VMAF compares whole "+
				"pictures; deinterlace it first", one.name, one.video.FieldOrder); err != nil {
				return c, err
			}
		}
	}
	if a, b := transferClass(ref), transferClass(dist); a != b {
		if err := v.refuse(Transfer, "the reference has %s and the distorted video %s, so that equal "+
			"pictures have different samples", a, b); err != nil {
			return c, err
		}
	} else if a != sdr {
		v.note("both videos have %s; the models were made for SDR", a)
	}
	if ref.Matrix != "" && dist.Matrix != "" && ref.Matrix != dist.Matrix {
		v.note("the colour matrix is %s in the reference and %s in the distorted video; the samples "+
			"are compared as they are", ref.Matrix, dist.Matrix)
	}
	if a, b := fullRange(ref), fullRange(dist); a != b {
		c.refRange, c.distRange = a, b
		v.note("converted from %s to %s range", rangeNames[b], rangeNames[a])
	}

	if fit && m.Width > 0 {
		c.Width, c.Height = m.Width, m.Height
		if ref.Height > ref.Width {
			c.Width, c.Height = c.Height, c.Width
		}
		// The shape of the reference, within the screen.
		if shape := ref.Aspect(); shape > float64(c.Width)/float64(c.Height) {
			c.Height = even(float64(c.Width) / shape)
		} else {
			c.Width = even(float64(c.Height) * shape)
		}
		if c.Width != ref.Width || c.Height != ref.Height {
			v.note("the reference is scaled from %s to %dx%d (bicubic)", ref.Size(), c.Width, c.Height)
		}
	}
	if ref.Width != dist.Width || ref.Height != dist.Height {
		a, b := ref.Aspect(), dist.Aspect()
		if math.Abs(a/b-1) > aspectTolerance {
			if err := v.refuse(Aspect, "the picture of the reference is %s, which is %.3f:1, and that "+
				"of the distorted video %s, which is %.3f:1; one of them may be cropped or have bars",
				ref.Size(), a, dist.Size(), b); err != nil {
				return c, err
			}
		}
	}
	if dist.Width != c.Width || dist.Height != c.Height {
		v.note("scaled from %s to %dx%d (bicubic)", dist.Size(), c.Width, c.Height)
	}
	if c.Width < m.smallest || c.Height < m.smallest {
		return c, &Refusal{Size, fmt.Sprintf("frames of %dx%d are too small for %s, which needs %dx%d; "+
			"the size \"model\" is larger", c.Width, c.Height, m.Name, m.smallest, m.smallest)}
	}

	// The chroma of the reference, and the larger depth, so that nothing is lost.
	depth := max(ref.Depth, dist.Depth, m.Depth)
	c.PixelFormat = pixelFormat(ref.Chroma, depth)
	if c.PixelFormat != dist.PixelFormat && c.PixelFormat != plain(dist.PixelFormat) {
		v.note("converted from %s to %s", dist.PixelFormat, c.PixelFormat)
	}
	if c.PixelFormat != ref.PixelFormat && c.PixelFormat != plain(ref.PixelFormat) {
		v.note("the reference is converted from %s to %s", ref.PixelFormat, c.PixelFormat)
	}
	return c, nil
}

const (
	sdr = "an SDR transfer function"
	pq  = "the HDR transfer function PQ"
	hlg = "the HDR transfer function HLG"
)

func transferClass(v *media.Video) string {
	switch v.Transfer {
	case "smpte2084":
		return pq
	case "arib-std-b67":
		return hlg
	}
	return sdr
}

var rangeNames = map[string]string{"tv": "limited", "pc": "full"}

// fullRange returns the range of the samples. FFmpeg takes unknown YUV for limited range.
func fullRange(v *media.Video) string {
	if v.Range == "pc" {
		return "pc"
	}
	return "tv"
}

func even(side float64) int { return 2 * int(math.Round(side/2)) }

// plain returns the format without the range in its name.
func plain(format string) string { return strings.Replace(format, "yuvj", "yuv", 1) }

// pixelFormat returns the planar format of libvmaf that has a chroma format and at least a depth.
func pixelFormat(chroma string, depth int) string {
	suffix := ""
	switch {
	case depth > 12:
		suffix = "16le"
	case depth > 10:
		suffix = "12le"
	case depth > 8:
		suffix = "10le"
	}
	return "yuv" + chroma + "p" + suffix
}
