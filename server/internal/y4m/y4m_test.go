package y4m_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"vmaf-images/server/internal/y4m"
	"vmaf-images/server/internal/y4mtest"
)

// memory returns a frame laid out as in libvmaf: odd chroma sizes are rounded down, and each
// row is followed by pad bytes.
func memory(f y4m.Format, pad int) y4m.Frame {
	var frame y4m.Frame
	for i := range frame {
		row, rows := f.Width, f.Height
		if i > 0 && f.Chroma != y4m.Chroma444 {
			row /= 2
		}
		if i > 0 && f.Chroma == y4m.Chroma420 {
			rows /= 2
		}
		row *= f.SampleBytes()
		frame[i] = y4m.Plane{Data: make([]byte, (row+pad)*rows), Stride: row + pad, Row: row,
			Rows: rows}
	}
	return frame
}

func readAll(src io.Reader) (y4m.Format, int, error) {
	r, err := y4m.NewReader(src)
	if err != nil {
		return y4m.Format{}, 0, err
	}
	frame := memory(r.Format, 0)
	for n := 0; ; n++ {
		if err := r.Next(); err != nil {
			return r.Format, n, err
		}
		if err := r.Read(frame); err != nil {
			return r.Format, n, err
		}
	}
}

func TestRead(t *testing.T) {
	for _, f := range []y4m.Format{
		{Width: 64, Height: 48, Chroma: y4m.Chroma420, BitDepth: 8},
		{Width: 33, Height: 17, Chroma: y4m.Chroma420, BitDepth: 10},
		{Width: 7, Height: 3, Chroma: y4m.Chroma422, BitDepth: 12},
		{Width: 5, Height: 5, Chroma: y4m.Chroma444, BitDepth: 16},
	} {
		video := y4mtest.Video(f, 3, 1)
		for name, src := range map[string]io.Reader{
			"at once":      bytes.NewReader(video),
			"byte by byte": iotest.OneByteReader(bytes.NewReader(video)),
		} {
			got, n, err := readAll(src)
			if got != f || n != 3 || !errors.Is(err, io.EOF) {
				t.Errorf("%v, %s: %v, %d frames, %v", f, name, got, n, err)
			}
		}
	}
}

// TestPlanes checks that Copy fills rows correctly with and without padding between them.
func TestPlanes(t *testing.T) {
	for _, f := range []y4m.Format{
		{Width: 8, Height: 4, Chroma: y4m.Chroma420, BitDepth: 8},
		{Width: 9, Height: 5, Chroma: y4m.Chroma420, BitDepth: 10},
		{Width: 9, Height: 5, Chroma: y4m.Chroma422, BitDepth: 8},
	} {
		src := y4mtest.Frame(f, 0, 1)
		row := f.Width * f.SampleBytes()
		chroma := (f.Width + 1) / 2 * f.SampleBytes()
		for _, pad := range []int{0, 5} {
			frame := memory(f, pad)
			if err := f.Copy(frame, src); err != nil {
				t.Fatal(err)
			}
			for y := range frame[0].Rows {
				if !bytes.Equal(frame[0].Data[y*frame[0].Stride:][:row], src[y*row:][:row]) {
					t.Errorf("%v: row %d of Y", f, y)
				}
			}
			p := frame[1]
			for y := range p.Rows {
				from := src[row*f.Height+y*chroma:]
				if !bytes.Equal(p.Data[y*p.Stride:][:p.Row], from[:p.Row]) {
					t.Errorf("%v: row %d of Cb", f, y)
				}
			}
		}
	}
}

func TestMalformed(t *testing.T) {
	const head = "YUV4MPEG2 W2 H2 F25:1 Ip"
	frame := "FRAME\n123456"
	for video, want := range map[string]string{
		"":                                       "empty",
		"RIFF....AVI ":                           "not Y4M",
		"YUV4MPEG2":                              "ends within the header",
		head:                                     "ends within the header",
		"YUV4MPEG2 " + strings.Repeat("X", 5000): "longer than",
		"YUV4MPEG2 W2 F25:1\n":                   "no width or no height",
		"YUV4MPEG2 W0 H2\n":                      "no width or no height",
		"YUV4MPEG2 W-2 H2\n":                     "invalid size",
		"YUV4MPEG2 W99999999999999999999 H2\n":   "invalid size",
		"YUV4MPEG2 W2 H2 It\n":                   "interlaced",
		head + " Cmono\n":                        "Cmono is not supported",
		head + " C420p9\n":                       "C420p9 is not supported",
		head + " C444alpha\n":                    "not supported",
		head + "\nFRAME\n12345":                  "ends within frame 0",
		head + "\n" + frame + "FRA":              "ends within the header of frame 1",
		head + "\n" + frame + "JUNK!!!":          "frame 1 does not begin",
		head + "\nFRAME " + strings.Repeat("I", 500):            "the header of frame 0 is longer",
		head + " C420p10\nFRAME\n" + strings.Repeat("\xff", 12): "exceeds the bit depth of 10",
	} {
		_, _, err := readAll(strings.NewReader(video))
		var bad y4m.FormatError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: error %v, want %q", video, err, want)
		}
	}
}

// TestSourceFails checks that errors of the source are returned unchanged.
func TestSourceFails(t *testing.T) {
	broken := errors.New("broken")
	f := y4m.Format{Width: 16, Height: 16, Chroma: y4m.Chroma420, BitDepth: 8}
	video := y4mtest.Video(f, 2, 1)
	for _, at := range []int{0, 5, 20, 45, 60, 400, len(video) - 1} {
		_, _, err := readAll(io.MultiReader(bytes.NewReader(video[:at]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", at, err)
		}
	}
}

func TestCopyWrongSize(t *testing.T) {
	f := y4m.Format{Width: 4, Height: 4, Chroma: y4m.Chroma420, BitDepth: 8}
	for _, n := range []int{0, f.FrameBytes() - 1, f.FrameBytes() + 1} {
		if f.Copy(memory(f, 0), make([]byte, n)) == nil {
			t.Errorf("no error for %d bytes", n)
		}
	}
}

func FuzzY4M(f *testing.F) {
	for _, format := range []y4m.Format{
		{Width: 4, Height: 2, Chroma: y4m.Chroma420, BitDepth: 8},
		{Width: 3, Height: 3, Chroma: y4m.Chroma422, BitDepth: 10},
		{Width: 2, Height: 1, Chroma: y4m.Chroma444, BitDepth: 16},
	} {
		f.Add(y4mtest.Video(format, 2, 1))
	}
	f.Add([]byte("YUV4MPEG2 W2 H2 C420jpeg\nFRAME Ip\n123456"))
	f.Fuzz(func(t *testing.T, video []byte) {
		r, err := y4m.NewReader(bytes.NewReader(video))
		if err != nil {
			var bad y4m.FormatError
			if !errors.As(err, &bad) {
				t.Fatalf("%v is not a FormatError", err)
			}
			return
		}
		if err := r.Format.Validate(); err != nil {
			t.Fatal(err)
		}
		if r.Format.Above(1 << 18) {
			return
		}
		frame := memory(r.Format, 3)
		for n := 0; ; n++ {
			if n > len(video) {
				t.Fatal("more frames than bytes")
			}
			if err := r.Next(); err != nil {
				return
			}
			if err := r.Read(frame); err != nil {
				return
			}
		}
	})
}
