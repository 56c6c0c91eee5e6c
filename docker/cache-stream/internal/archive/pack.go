package archive

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// node is a file to archive. Small files are read ahead by the workers.
type node struct {
	header *tar.Header
	file   string
	data   []byte
	err    error
	read   chan struct{}
}

// Pack writes the tree below a directory to out, without the paths that match a pattern of leaveOut.
// The patterns are those of path.Match, for complete paths below the directory.
//
// It fails on files that an archive cannot restore in a mount: devices, pipes, and symbolic links
// that lead out of the mount. Sockets are left out.
func Pack(root string, out io.Writer, leaveOut []string, report Report) (Totals, error) {
	compressor, err := zstd.NewWriter(
		out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2),
	)
	if err != nil {
		return Totals{}, err
	}
	total, err := packTar(root, compressor, leaveOut, report)
	if closed := compressor.Close(); err == nil {
		err = closed
	}
	return total, err
}

func packTar(root string, out io.Writer, leaveOut []string, report Report) (Totals, error) {
	// Both channels are bounded, so that at most their number of small files is in memory.
	nodes, unread := make(chan *node, 64), make(chan *node, 64)
	done := make(chan struct{})
	var group errgroup.Group
	group.Go(func() error {
		defer close(nodes)
		defer close(unread)
		return walk(root, leaveOut, func(n *node) bool {
			select {
			case nodes <- n:
			case <-done:
				return false
			}
			if n.read != nil {
				unread <- n
			}
			return true
		})
	})
	for range workers {
		group.Go(func() error {
			for n := range unread {
				n.data, n.err = os.ReadFile(n.file)
				close(n.read)
			}
			return nil
		})
	}
	total, err := write(out, nodes, report)
	close(done)
	if walked := group.Wait(); err == nil {
		err = walked
	}
	return total, err
}

// write writes the nodes in their order.
func write(out io.Writer, nodes <-chan *node, report Report) (Totals, error) {
	var total Totals
	archive := tar.NewWriter(out)
	for n := range nodes {
		if n.read != nil {
			<-n.read
			if n.err != nil {
				return total, n.err
			}
			n.header.Size = int64(len(n.data))
		}
		if err := archive.WriteHeader(n.header); err != nil {
			return total, err
		}
		if n.read != nil {
			if _, err := archive.Write(n.data); err != nil {
				return total, err
			}
		} else if n.header.Typeflag == tar.TypeReg {
			if err := copyFile(archive, n.file); err != nil {
				return total, err
			}
		}
		if n.header.Typeflag != tar.TypeDir {
			total.Files++
			total.Bytes += n.header.Size
			report(total)
		}
	}
	return total, archive.Close()
}

func copyFile(out io.Writer, name string) error {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(out, file)
	return err
}

// walk passes every file below a directory to add, a directory before its contents, until add
// returns false.
func walk(root string, leaveOut []string, add func(*node) bool) error {
	type inode struct{ device, number uint64 }
	linked := map[inode]string{}
	stop := fs.SkipAll
	return filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil || name == "." {
			return err
		}
		if name == Incoming || matches(name, leaveOut) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		n := &node{file: file, header: &tar.Header{
			Format:  tar.FormatPAX, // keeps nanoseconds
			Name:    name,
			Mode:    int64(stat.Mode & 0o7777),
			Uid:     int(stat.Uid),
			Gid:     int(stat.Gid),
			ModTime: time.Unix(stat.Mtim.Sec, stat.Mtim.Nsec),
		}}
		switch mode := info.Mode(); {
		case mode.IsDir():
			n.header.Typeflag = tar.TypeDir
			n.header.Name += "/"
		case mode.IsRegular():
			n.header.Typeflag, n.header.Size = tar.TypeReg, info.Size()
			if stat.Nlink > 1 {
				key := inode{uint64(stat.Dev), stat.Ino}
				if first, known := linked[key]; known {
					n.header.Typeflag, n.header.Size, n.header.Linkname = tar.TypeLink, 0, first
				} else {
					linked[key] = name
				}
			}
			if n.header.Typeflag == tar.TypeReg && info.Size() <= small {
				n.read = make(chan struct{})
			}
		case mode&fs.ModeSymlink != 0:
			n.header.Typeflag = tar.TypeSymlink
			if n.header.Linkname, err = os.Readlink(file); err != nil {
				return err
			}
			if leaves(name, n.header.Linkname) {
				return fmt.Errorf("the link %s leads out of the mount, to %s", name, n.header.Linkname)
			}
		case mode&fs.ModeSocket != 0:
			return nil
		default:
			return fmt.Errorf("%s is a %s, which an archive does not keep", name, mode.Type())
		}
		if !add(n) {
			return stop
		}
		return nil
	})
}

func matches(name string, patterns []string) bool {
	for _, pattern := range patterns {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// leaves says whether a symbolic link leads out of the tree that contains it.
func leaves(name, target string) bool {
	if path.IsAbs(target) {
		return true
	}
	joined := path.Join(path.Dir(name), target)
	return joined == ".." || strings.HasPrefix(joined, "../")
}
