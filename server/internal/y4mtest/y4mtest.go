// Package y4mtest makes video for tests.
package y4mtest

import (
	"bytes"
	"fmt"

	"vmaf-images/server/internal/y4m"
)

// Video returns Y4M of a moving texture, coarser in steps of step.
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

// Frame returns the samples of one frame.
func Frame(f y4m.Format, index, step int) []byte {
	data := make([]byte, f.FrameBytes())
	for i := range data {
		if f.SampleBytes() == 2 && i%2 == 1 {
			continue // the higher byte: dark, but within any depth
		}
		v := (i%f.Width*i%251/3 + 7*(i/f.Width) + 11*index) % 200
		data[i] = byte(v - v%step)
	}
	return data
}
