// Package y4mtest generates video for tests.
package y4mtest

import (
	"bytes"
	"fmt"

	"vmaf-images/server/internal/y4m"
)

// Video returns a Y4M file of a moving texture. Its samples are quantized to multiples of
// step, so a larger step gives a lower quality.
func Video(f y4m.Format, frames, step int) []byte {
	var b bytes.Buffer
	suffix := ""
	if f.BitDepth > 8 {
		suffix = fmt.Sprintf("p%d", f.BitDepth)
	}
	fmt.Fprintf(&b, "YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C%s%s\n", f.Width, f.Height, f.Chroma, suffix)
	for i := range frames {
		b.WriteString("FRAME\n")
		b.Write(Frame(f, i, step))
	}
	return b.Bytes()
}

// Frame returns the samples of the frame of Video at index.
func Frame(f y4m.Format, index, step int) []byte {
	data := make([]byte, f.FrameBytes())
	for i := range data {
		if f.SampleBytes() == 2 && i%2 == 1 {
			continue // A high byte of zero keeps the sample within any bit depth.
		}
		v := (i%f.Width*i%251/3 + 7*(i/f.Width) + 11*index) % 200
		data[i] = byte(v - v%step)
	}
	return data
}
