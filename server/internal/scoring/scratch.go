package scoring

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
)

// Scratch stores uploads on disk, in unlinked files. The system frees them at the latest when
// the process ends.
type Scratch struct {
	dir  string
	max  int64
	used atomic.Int64
}

// Spool is a stored upload.
type Spool struct {
	file    *os.File
	size    int64
	scratch *Scratch
}

// Used returns the size of all stored uploads in bytes.
func (s *Scratch) Used() int64 { return s.used.Load() }

// create creates an unlinked file.
func (s *Scratch) create() (*os.File, error) {
	file, err := os.CreateTemp(s.dir, "vmaf-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// Writable returns an error if the scratch directory cannot store anything.
func (s *Scratch) Writable() error {
	file, err := s.create()
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Write([]byte{0})
	return err
}

// Store stores src up to its end. It returns errors of src unchanged.
func (s *Scratch) Store(src io.Reader) (*Spool, error) {
	file, err := s.create()
	if err != nil {
		return nil, fmt.Errorf("scratch directory: %w", err)
	}
	spool := &Spool{file: file, scratch: s}
	// Hide src's WriteTo and the file's ReadFrom, so that spoolWriter counts every byte.
	_, err = io.CopyBuffer(spoolWriter{spool}, struct{ io.Reader }{src}, make([]byte, 256<<10))
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		spool.Close()
		return nil, err
	}
	return spool, nil
}

// File returns the file of the stored upload. It has no path.
func (s *Spool) File() *os.File { return s.file }

// Read reads the stored upload.
func (s *Spool) Read(p []byte) (int, error) { return s.file.Read(p) }

// Close deletes the stored upload.
func (s *Spool) Close() error {
	s.scratch.used.Add(-s.size)
	s.size = 0
	return s.file.Close()
}

// spoolWriter writes to a spool within the limit of its scratch.
type spoolWriter struct{ spool *Spool }

func (w spoolWriter) Write(p []byte) (int, error) {
	s := w.spool
	s.size += int64(len(p))
	if s.scratch.used.Add(int64(len(p))) > s.scratch.max {
		return 0, Problemf(ScratchFull,
			"stored uploads exceed the server's limit of %d bytes; try again later", s.scratch.max)
	}
	n, err := s.file.Write(p)
	if errors.Is(err, syscall.ENOSPC) {
		err = Problemf(ScratchFull, "the server's scratch directory is full")
	}
	return n, err
}
