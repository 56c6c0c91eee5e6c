package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// output is a file that is written at the end. It has its name only when it is complete.
type output struct {
	path string
	temp *os.File
}

const stdout = "-"

// openOutput makes sure that a file can be written before the videos are scored.
func openOutput(path string, inputs []string) (*output, error) {
	if path == stdout {
		return &output{path: path}, nil
	}
	if existing, err := os.Stat(path); err == nil {
		for _, input := range inputs {
			if info, err := os.Stat(input); err == nil && os.SameFile(existing, info) {
				return nil, fmt.Errorf("%s is a video; it will not be overwritten", path)
			}
		}
		if !existing.Mode().IsRegular() {
			return nil, fmt.Errorf("%s exists and is not a regular file", path)
		}
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".score-*")
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s cannot be written by the user %d; in a container, use "+
			"`docker run --user \"$(id -u):$(id -g)\"`, or write to - and redirect it", path, os.Getuid())
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return &output{path, temp}, nil
}

// write writes the file and gives it its name.
func (o *output) write(content func(io.Writer) error, standard io.Writer) error {
	if o.temp == nil {
		return content(standard)
	}
	err := errors.Join(content(o.temp), o.temp.Chmod(0o644), o.temp.Close())
	if err == nil {
		err = os.Rename(o.temp.Name(), o.path)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", o.path, err)
	}
	o.temp = nil
	return nil
}

// discard removes what was not written.
func (o *output) discard() {
	if o.temp != nil {
		o.temp.Close()
		os.Remove(o.temp.Name())
	}
}
