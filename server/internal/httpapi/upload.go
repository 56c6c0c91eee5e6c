package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"

	"vmaf-images/server/internal/scoring"
	"vmaf-images/server/internal/y4m"
)

// upload reads a multipart body: the options, if any, and then the two videos. The first
// video is stored, and the second one is scored against it while it is received.
type upload struct {
	body  io.Reader
	parts *multipart.Reader
	seen  map[string]bool
}

const bufferSize = 64 << 10

func (s *server) scoreUpload(ctx context.Context, body io.Reader, boundary string,
	emit scoring.Emit) (*scoring.Result, error) {
	u := newUpload(body, boundary)
	var options scoring.Options
	first, err := u.begin(s.MaxOptionsBytes, func(text []byte) (err error) {
		options, err = scoring.ParseOptions(text)
		return err
	})
	if err != nil {
		return nil, err
	}
	firstName := first.FormName()
	stored, err := s.store(firstName, first)
	if err != nil {
		return nil, err
	}
	defer stored.Close()
	second, err := u.next()
	if err != nil {
		return nil, err
	}
	firstVideo, err := s.engine.Open(firstName, stored)
	if err != nil {
		return nil, err
	}
	secondVideo, err := s.engine.Open(second.FormName(), second)
	if err != nil {
		return nil, err
	}
	ref, dist := firstVideo, secondVideo
	if firstName == "distorted" {
		ref, dist = dist, ref
	}
	pairs, err := scoring.Y4MPairs(ref, dist)
	if err != nil {
		return nil, err
	}
	return s.engine.Score(ctx, options, &lastPairs{Pairs: pairs, upload: u}, emit)
}

func newUpload(body io.Reader, boundary string) *upload {
	return &upload{
		body:  body,
		parts: multipart.NewReader(bufio.NewReaderSize(body, bufferSize), boundary),
		seen:  map[string]bool{},
	}
}

// begin passes the options to parse, if there are any, and returns the first video.
func (u *upload) begin(limit int64, parse func([]byte) error) (*part, error) {
	first, err := u.next()
	if err != nil || first.FormName() != "options" {
		return first, err
	}
	text, err := readAtMost(first, limit, "part \"options\"")
	if err == nil {
		err = parse(text)
	}
	if err != nil {
		return nil, err
	}
	return u.next()
}

// next returns the next part. It returns an error if the part is unknown, repeated or in the
// wrong position, or if a video is missing.
func (u *upload) next() (*part, error) {
	p, err := u.parts.NextRawPart()
	if errors.Is(err, io.EOF) {
		for _, name := range []string{"reference", "distorted"} {
			if !u.seen[name] {
				return nil, scoring.Problemf(scoring.BadRequest, "the part %q is missing", name)
			}
		}
	}
	if err != nil {
		return nil, scoring.Problemf(scoring.BadRequest, "invalid multipart body: %w", err)
	}
	name := p.FormName()
	switch {
	case name != "options" && name != "reference" && name != "distorted":
		return nil, scoring.Problemf(scoring.BadRequest,
			"unknown part %.100q; expected options, reference and distorted", name)
	case u.seen[name]:
		return nil, scoring.Problemf(scoring.BadRequest, "the part %q is repeated", name)
	case name == "options" && len(u.seen) > 0:
		return nil, scoring.Problemf(scoring.BadRequest, "the part \"options\" must be the first")
	}
	u.seen[name] = true
	return &part{Part: p}, nil
}

// part distinguishes the end of the body from the end of a video.
type part struct{ *multipart.Part }

func (p *part) Read(b []byte) (int, error) {
	n, err := p.Part.Read(b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = scoring.Problemf(scoring.BadRequest, "the multipart body ends within the part %q",
			p.FormName())
	}
	return n, err
}

// store stores a video in the scratch directory, unless its header is invalid.
func (s *server) store(which string, video io.Reader) (*scoring.Spool, error) {
	src := bufio.NewReaderSize(video, bufferSize)
	head, err := src.Peek(y4m.MaxHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if _, err := s.engine.Open(which, bytes.NewReader(head)); err != nil {
		return nil, err
	}
	return s.engine.Scratch.Store(src)
}

// lastPairs returns an error if the upload has more parts after the second video.
type lastPairs struct {
	scoring.Pairs
	upload *upload
}

func (p *lastPairs) Next(ctx context.Context) error {
	err := p.Pairs.Next(ctx)
	if !errors.Is(err, io.EOF) {
		return err
	}
	if broken := p.upload.end(); broken != nil {
		return broken
	}
	return err
}

// end returns an error unless the body ends after the second video.
func (u *upload) end() error {
	if _, end := u.parts.NextRawPart(); !errors.Is(end, io.EOF) {
		return scoring.Problemf(scoring.BadRequest,
			"the multipart body does not end after the second video")
	}
	_, err := io.Copy(io.Discard, u.body)
	return err
}
