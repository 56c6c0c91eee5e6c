package agent

import (
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"vmaf-images/cache-stream/internal/archive"
)

// Entry describes a file for ls.
type Entry struct {
	Name string `json:"name"`
	// Mode is as in `ls -l`.
	Mode  string `json:"mode"`
	UID   uint32 `json:"uid"`
	GID   uint32 `json:"gid"`
	Bytes int64  `json:"bytes"`
	// Time is in UTC, with nanoseconds.
	Time string `json:"time"`
	// Link is the target of a symbolic link.
	Link string `json:"link,omitempty"`
}

// Usage sums up a file or directory for du.
type Usage struct {
	Name string `json:"name"`
	archive.Totals
}

// look writes a file for cat, or lines of JSON for ls and du.
func look(directory string, request Request, out io.Writer) error {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return err
	}
	defer root.Close()
	name := path.Clean(strings.TrimPrefix(request.Path, "/"))
	if request.Verb == "cat" {
		file, err := root.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(out, file)
		return err
	}
	names, err := children(root, name)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(out)
	for _, child := range names {
		var line any
		if request.Verb == "ls" {
			line, err = entry(root, child)
		} else {
			line, err = usage(root, child)
		}
		if err != nil {
			return err
		}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// children returns the paths in a directory, sorted, or a file itself.
func children(root *os.Root, name string) ([]string, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	entries, err := fs.ReadDir(root.FS(), name)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if full := path.Join(name, entry.Name()); full != archive.Incoming {
			names = append(names, full)
		}
	}
	return names, nil
}

func entry(root *os.Root, name string) (Entry, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return Entry{}, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	found := Entry{
		Name: name, Mode: info.Mode().String(), UID: stat.Uid, GID: stat.Gid, Bytes: info.Size(),
		Time: info.ModTime().UTC().Format(time.RFC3339Nano),
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		found.Link, err = root.Readlink(name)
	}
	return found, err
}

func usage(root *os.Root, name string) (Usage, error) {
	sum := Usage{Name: name}
	err := fs.WalkDir(root.FS(), name, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		sum.Files++
		if info.Mode().IsRegular() {
			sum.Bytes += info.Size()
		}
		return nil
	})
	return sum, err
}
