package vmaf

/*
#include <libvmaf/libvmaf.h>
*/
import "C"

import (
	"fmt"
	"unsafe"

	"vmaf-images/server/internal/y4m"
)

// Picture is memory for one frame, owned by libvmaf.
type Picture struct {
	c      C.VmafPicture
	format y4m.Format
}

var pixelFormats = map[y4m.Chroma]C.enum_VmafPixelFormat{
	y4m.Chroma420: C.VMAF_PIX_FMT_YUV420P,
	y4m.Chroma422: C.VMAF_PIX_FMT_YUV422P,
	y4m.Chroma444: C.VMAF_PIX_FMT_YUV444P,
}

// Allocate allocates the pictures that Fetch returns: a pair for the caller, a pair for each
// of the worker threads, and two more for earlier references that some features read.
func (x *Context) Allocate(format y4m.Format, threads int) error {
	fmtC, known := pixelFormats[format.Chroma]
	if !known {
		return fmt.Errorf("libvmaf has no pixel format for chroma %v", format.Chroma)
	}
	var cfg C.VmafPictureConfiguration
	cfg.pic_params.w = C.unsigned(format.Width)
	cfg.pic_params.h = C.unsigned(format.Height)
	cfg.pic_params.bpc = C.unsigned(format.BitDepth)
	cfg.pic_params.pix_fmt = fmtC
	cfg.pic_cnt = C.unsigned(2*(threads+1) + 2)
	return check("allocate pictures", C.vmaf_preallocate_pictures(x.c, cfg))
}

// Fetch returns a picture to fill. It waits until one is free.
func (x *Context) Fetch(format y4m.Format) (*Picture, error) {
	p := &Picture{format: format}
	if err := check("fetch picture", C.vmaf_fetch_preallocated_picture(x.c, &p.c)); err != nil {
		return nil, err
	}
	return p, nil
}

// Release returns the picture to libvmaf. Calling it again has no effect.
func (p *Picture) Release() {
	if p.c.ref != nil {
		C.vmaf_picture_unref(&p.c)
	}
}

// Frame returns the picture's memory. It is valid until Context.Read or Release is called.
func (p *Picture) Frame() y4m.Frame {
	var f y4m.Frame
	for i := range f {
		stride, rows := int(p.c.stride[i]), int(p.c.h[i])
		f[i] = y4m.Plane{
			Data:   unsafe.Slice((*byte)(p.c.data[i]), stride*rows),
			Stride: stride,
			Row:    int(p.c.w[i]) * p.format.SampleBytes(),
			Rows:   rows,
		}
	}
	return f
}
