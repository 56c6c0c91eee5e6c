// cache-stream copies a cache mount of BuildKit to an archive and back, and looks into it.
//
//	cache-stream ADDRESS REQUEST
//
// ADDRESS is described at builder.Connect. REQUEST is JSON: a builder.Mount as `mount`, an
// agent.Request as `agent`, and, for save and load, the path of the archive as `file`. Messages are
// lines of JSON on standard error (agent.Message), and the results of ls, du and cat are on
// standard output.
//
// BuildKit starts this same program as `cache-stream agent DIRECTORY REQUEST` in a step with the
// mount; its streams are then connections of internal/link, and otherwise the standard ones.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"vmaf-images/cache-stream/internal/agent"
	"vmaf-images/cache-stream/internal/builder"
	"vmaf-images/cache-stream/internal/link"
)

func main() {
	// Most of the memory is buffers of messages and files, used once. With the default of 100, the
	// heap of a few megabytes would be collected hundreds of times.
	debug.SetGCPercent(800)
	if len(os.Args) == 4 && os.Args[1] == "agent" {
		syscall.Umask(0)
		var request agent.Request
		if err := json.Unmarshal([]byte(os.Args[3]), &request); err != nil {
			fail(err)
		}
		if os.Getenv(builder.Marker) == "" {
			os.Exit(agent.Run(os.Args[2], request, os.Stdin, os.Stdout, os.Stderr))
		}
		os.Exit(link.Serve(link.Socket, func(in io.Reader, out, messages io.Writer) int {
			return agent.Run(os.Args[2], request, in, out, messages)
		}))
	}
	if len(os.Args) != 3 {
		fail(errors.New("usage: cache-stream ADDRESS REQUEST"))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil {
		fail(err)
	}
}

// fail writes an error that the agent did not report itself.
func fail(err error) {
	if !errors.Is(err, errReported) {
		agent.Write(os.Stderr, agent.Message{Event: agent.Failed, Error: err.Error()})
	}
	os.Exit(1)
}

var errReported = errors.New("the agent has failed")

func run(ctx context.Context, address, text string) error {
	var request struct {
		Mount builder.Mount `json:"mount"`
		Agent agent.Request `json:"agent"`
		File  string        `json:"file"`
	}
	if err := json.Unmarshal([]byte(text), &request); err != nil {
		return err
	}
	var said tail // buildx also complains about a connection that ends as it should
	client, err := builder.Connect(ctx, address, &said)
	if err != nil {
		return err
	}
	defer client.Close()
	var in io.Reader
	var out io.Writer = os.Stdout
	var saved *archiveFile
	switch request.Agent.Verb {
	case "save":
		if saved, err = create(request.File); err != nil {
			return err
		}
		out = saved
	case "load":
		file, err := os.Open(request.File)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	var last agent.Message
	err = builder.Run(ctx, client, request.Mount, request.Agent, in, out, func(m agent.Message) {
		last = m
		if m.Event != agent.Done {
			agent.Write(os.Stderr, m)
		}
	})
	if err != nil && last.Event == agent.Failed {
		return errReported
	}
	if err == nil && saved != nil {
		err = saved.finish(last)
	}
	if err != nil {
		client.Close()
		if text := said.String(); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return err
	}
	agent.Write(os.Stderr, last)
	return nil
}

// tail is what another program has written.
type tail struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (t *tail) Write(data []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.text.Write(data)
}

func (t *tail) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return string(bytes.TrimSpace(t.text.Bytes()))
}

// archiveFile is the archive that is being saved.
type archiveFile struct {
	file   *os.File
	buffer *bufio.Writer
	bytes  int64
	// begun is the number of bytes that the kernel has been told to write to the disk.
	begun int64
	hash  hash.Hash
}

func create(name string) (*archiveFile, error) {
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return &archiveFile{
		file: file, buffer: bufio.NewWriterSize(file, 1<<20), hash: sha256.New(),
	}, nil
}

func (a *archiveFile) Write(data []byte) (int, error) {
	a.hash.Write(data)
	a.bytes += int64(len(data))
	n, err := a.buffer.Write(data)
	// The disk works meanwhile, so that finish need not wait for all of it.
	if written := a.bytes - int64(a.buffer.Buffered()); err == nil && written-a.begun >= 16<<20 {
		_ = unix.SyncFileRange( // an optimization, which not all file systems have
			int(a.file.Fd()), a.begun, written-a.begun, unix.SYNC_FILE_RANGE_WRITE,
		)
		a.begun = written
	}
	return n, err
}

// finish checks that the agent sent what has arrived, and writes it to the disk.
func (a *archiveFile) finish(sent agent.Message) error {
	if err := a.buffer.Flush(); err != nil {
		return err
	}
	if err := a.file.Sync(); err != nil {
		return err
	}
	if err := a.file.Close(); err != nil {
		return err
	}
	if digest := hex.EncodeToString(a.hash.Sum(nil)); digest != sent.Digest || a.bytes != sent.Archive {
		return fmt.Errorf("%d of %d bytes of the archive arrived", a.bytes, sent.Archive)
	}
	return nil
}
