package scoring

import (
	"context"
	"errors"
	"io"

	"vmaf-images/server/internal/y4m"
)

// Pairs reads frame pairs of two videos of the same format.
type Pairs interface {
	// Format returns the format of both videos.
	Format() y4m.Format
	// Next advances to the next pair. It returns io.EOF after the last pair.
	Next(ctx context.Context) error
	// Read reads the samples of the pair that Next advanced to.
	Read(ref, dist y4m.Frame) error
}

type y4mPairs struct {
	ref, dist *y4m.Reader
	read      int
}

// Y4MPairs returns the frame pairs of two Y4M videos. It returns an error if their formats
// differ.
func Y4MPairs(ref, dist *y4m.Reader) (Pairs, error) {
	if ref.Format != dist.Format {
		return nil, Problemf(VideosDiffer, "the reference is %s, but the distorted video is %s",
			ref.Format, dist.Format)
	}
	return &y4mPairs{ref: ref, dist: dist}, nil
}

func (p *y4mPairs) Format() y4m.Format { return p.ref.Format }

// Next does not use its context: package httpapi ends blocked reads of an upload itself.
func (p *y4mPairs) Next(context.Context) error {
	errRef, errDist := p.ref.Next(), p.dist.Next()
	endRef, endDist := errors.Is(errRef, io.EOF), errors.Is(errDist, io.EOF)
	switch {
	case endRef && endDist:
		return io.EOF
	case errRef != nil && !endRef:
		return ofVideo("reference", errRef)
	case errDist != nil && !endDist:
		return ofVideo("distorted", errDist)
	case endRef && p.read == 0:
		return Problemf(BadVideo, "the reference has no frames")
	case endDist && p.read == 0:
		return Problemf(BadVideo, "the distorted video has no frames")
	case endRef:
		return Problemf(VideosDiffer, "the reference ends before the distorted video")
	case endDist:
		return Problemf(VideosDiffer, "the distorted video ends before the reference")
	}
	p.read++
	return nil
}

func (p *y4mPairs) Read(ref, dist y4m.Frame) error {
	if err := p.ref.Read(ref); err != nil {
		return ofVideo("reference", err)
	}
	if err := p.dist.Read(dist); err != nil {
		return ofVideo("distorted", err)
	}
	return nil
}
