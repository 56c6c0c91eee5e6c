package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Unpack extracts an archive into an empty directory, to which nothing else may write meanwhile.
//
// It fails on an archive whose files are not exactly those of the totals, and on any path that is
// not below a directory that the archive itself has created. No path can therefore leave the
// directory, by `..` or through a symbolic link.
func Unpack(in io.Reader, root string, want Totals, report Report) error {
	expander, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(2))
	if err != nil {
		return err
	}
	defer expander.Close()
	u := &unpacker{root: root, want: want, report: report, kinds: map[string]byte{".": tar.TypeDir}}
	if err := u.read(tar.NewReader(expander)); err != nil {
		return err
	}
	// The end of the tar file is not the end of the compressed stream, which has a checksum.
	if _, err := io.Copy(io.Discard, expander); err != nil {
		return err
	}
	if u.total != want {
		return fmt.Errorf("the archive has %s, and its manifest says %s", u.total, want)
	}
	return nil
}

type unpacker struct {
	root   string
	want   Totals
	total  Totals
	report Report
	// kinds has the type of each path of the archive so far.
	kinds map[string]byte
	// Directories and links are completed last: a file that is created in a directory changes its
	// time, and the file that a link names may still be with a worker.
	directories, links []*tar.Header
}

type smallFile struct {
	header *tar.Header
	data   []byte
}

func (u *unpacker) read(archive *tar.Reader) error {
	queue := make(chan smallFile, 64)
	failed := make(chan struct{}, workers)
	var group errgroup.Group
	for range workers {
		group.Go(func() error {
			var first error
			for file := range queue {
				if first == nil {
					if first = u.create(file.header, bytes.NewReader(file.data)); first != nil {
						failed <- struct{}{}
					}
				}
			}
			return first
		})
	}
	err := u.entries(archive, queue, failed)
	close(queue)
	if created := group.Wait(); created != nil {
		err = created
	}
	if err != nil {
		return err
	}
	return u.finish()
}

var errWorker = errors.New("a file could not be created")

func (u *unpacker) entries(
	archive *tar.Reader, queue chan<- smallFile, failed <-chan struct{},
) error {
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := u.check(header); err != nil {
			return err
		}
		switch header.Typeflag {
		case tar.TypeDir:
			if err := os.Mkdir(u.path(header.Name), 0o700); err != nil {
				return err
			}
			u.directories = append(u.directories, header)
			continue
		case tar.TypeSymlink, tar.TypeLink:
			u.links = append(u.links, header)
		case tar.TypeReg:
			if header.Size > small {
				err = u.create(header, archive)
			} else {
				data := make([]byte, header.Size)
				if _, err = io.ReadFull(archive, data); err == nil {
					select {
					case queue <- smallFile{header, data}:
					case <-failed:
						err = errWorker
					}
				}
			}
			if err != nil {
				return err
			}
		}
		u.report(u.total)
	}
}

// check records an entry, or refuses it.
func (u *unpacker) check(header *tar.Header) error {
	name := strings.TrimSuffix(header.Name, "/")
	switch {
	case !filepath.IsLocal(name) || path.Clean(name) != name || name == ".":
		return fmt.Errorf("the path %q of the archive leaves the mount", header.Name)
	case u.kinds[path.Dir(name)] != tar.TypeDir:
		return fmt.Errorf("the path %q of the archive is not in a directory of it", header.Name)
	case u.kinds[name] != 0:
		return fmt.Errorf("the archive has %q twice", name)
	case name == Incoming:
		return fmt.Errorf("the archive has the reserved path %q", name)
	}
	switch header.Typeflag {
	case tar.TypeDir:
	case tar.TypeReg:
		u.total.Files++
		u.total.Bytes += header.Size
	case tar.TypeLink:
		u.total.Files++
		if u.kinds[header.Linkname] != tar.TypeReg {
			return fmt.Errorf("%q links %q, which is not a file of the archive", name, header.Linkname)
		}
	case tar.TypeSymlink:
		u.total.Files++
		if leaves(name, header.Linkname) {
			return fmt.Errorf("the link %q of the archive leads out of the mount", name)
		}
	default:
		return fmt.Errorf("%q of the archive is neither a file, a directory nor a link", name)
	}
	if u.total.Files > u.want.Files || u.total.Bytes > u.want.Bytes {
		return fmt.Errorf("the archive has more than the %s of its manifest", u.want)
	}
	u.kinds[name] = header.Typeflag
	return nil
}

func (u *unpacker) path(name string) string { return filepath.Join(u.root, name) }

func (u *unpacker) create(header *tar.Header, content io.Reader) error {
	name := u.path(header.Name)
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.CopyN(file, content, header.Size); err == nil {
		err = restore(int(file.Fd()), header)
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// restore sets the owner, then the mode, which a new owner would change, then the time.
func restore(file int, header *tar.Header) error {
	if header.Uid != os.Geteuid() || header.Gid != os.Getegid() {
		if err := unix.Fchown(file, header.Uid, header.Gid); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(file, uint32(header.Mode&0o7777)); err != nil {
		return err
	}
	// An empty path means the open file itself.
	return unix.UtimesNanoAt(file, "", times(header.ModTime), unix.AT_EMPTY_PATH)
}

func times(modified time.Time) []unix.Timespec {
	spec := unix.NsecToTimespec(modified.UnixNano())
	return []unix.Timespec{spec, spec}
}

func (u *unpacker) finish() error {
	for _, header := range u.links {
		name := u.path(header.Name)
		if header.Typeflag == tar.TypeLink {
			if err := os.Link(u.path(header.Linkname), name); err != nil {
				return err
			}
			continue
		}
		if err := os.Symlink(header.Linkname, name); err != nil {
			return err
		}
		if err := os.Lchown(name, header.Uid, header.Gid); err != nil {
			return err
		}
		err := unix.UtimesNanoAt(
			unix.AT_FDCWD, name, times(header.ModTime), unix.AT_SYMLINK_NOFOLLOW,
		)
		if err != nil {
			return err
		}
	}
	for at := len(u.directories) - 1; at >= 0; at-- { // the innermost first
		header := u.directories[at]
		directory, err := os.Open(u.path(header.Name))
		if err != nil {
			return err
		}
		err = restore(int(directory.Fd()), header)
		if closed := directory.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
	}
	return nil
}
