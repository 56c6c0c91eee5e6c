package builder

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver/pb"
	"github.com/tonistiigi/fsutil"

	"vmaf-images/cache-stream/internal/agent"
	"vmaf-images/cache-stream/internal/link"
)

// Marker is a variable of the agent's step, which has another value in each step: BuildKit would not
// run the same one again.
const Marker = "CACHE_STREAM"

// patience is after how long the wait for the mount is reported.
const patience = 2 * time.Second

// silence is how long the agent may be silent; it reports every agent.Beat. A variable for tests.
var silence = 60 * time.Second

// Mount is a cache mount as a Dockerfile declares it.
type Mount struct {
	Namespace string `json:"namespace"`
	ID        string `json:"id"`
	// Directory is the target in the Dockerfile. BuildKit describes a mount by the directory of the
	// first step that used it, which may be the agent's.
	Directory string `json:"directory"`
	// Owned says that the Dockerfile sets a uid, gid or mode, which then are a part of the key.
	Owned bool        `json:"owned"`
	UID   int         `json:"uid"`
	GID   int         `json:"gid"`
	Mode  os.FileMode `json:"mode"`
}

// Run runs the agent in a build step with a cache mount. It passes messages to report; the last one
// is the result, unless there is an error.
//
// The mount is locked, as by other steps: Run waits for a build that uses it.
func Run(
	ctx context.Context, c *client.Client, mount Mount, request agent.Request,
	in io.Reader, out io.Writer, report func(agent.Message),
) error {
	files, name, digest, err := program()
	if err != nil {
		return err
	}
	arguments, err := json.Marshal(request)
	if err != nil {
		return err
	}
	definition, err := step(mount, name, digest, string(arguments)).Marshal(ctx)
	if err != nil {
		return err
	}
	messages := newMessages()
	streams := link.NewClient(in, out, messages)
	options := client.SolveOpt{
		LocalMounts: map[string]fsutil.FS{"agent": files},
		Session:     []session.Attachable{streams},
		Internal:    true, // not a build of the history
	}
	return follow(ctx, messages, report, func(ctx context.Context) error {
		_, err := c.Solve(ctx, definition, options, nil)
		return cmp.Or(streams.Err(), err)
	})
}

// program returns a directory with this program, its name, and its digest.
func program() (fsutil.FS, string, string, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, "", "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, "", "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return nil, "", "", err
	}
	files, err := fsutil.NewFS(filepath.Dir(path))
	return files, filepath.Base(path), hex.EncodeToString(hash.Sum(nil)), err
}

// step returns the build step that runs the agent.
func step(mount Mount, name, digest, arguments string) llb.State {
	// BuildKit compares a context with the last one of the same key by sizes and times only, which
	// two versions of the program may have in common.
	local := llb.Local("agent",
		llb.SharedKeyHint("cache-stream:"+digest), llb.IncludePatterns([]string{name}))
	// A copy is found again by its content; a context that is a root would be kept for every run.
	root := llb.Scratch().File(llb.Copy(local, "/"+name, "/"+name))
	base, cache := cacheMount(mount)
	return root.Run(
		llb.Args([]string{"/" + name, "agent", mount.Directory, arguments}),
		llb.AddEnv(Marker, identity.NewID()),
		llb.AddSSHSocket(llb.SSHID(link.ID), llb.SSHSocketTarget(link.Socket)),
		llb.AddMount(mount.Directory, base, cache...),
		llb.Network(pb.NetMode_NONE),
	).Root()
}

// cacheMount returns the mount as the Dockerfile frontend would request it, and its base. Any
// difference would give another, empty mount: the namespace is a prefix of the id, also if it is
// empty, and a mount with an owner has a directory with that owner as its base.
func cacheMount(mount Mount) (llb.State, []llb.MountOption) {
	id := mount.Namespace + "/" + mount.ID
	options := []llb.MountOption{llb.AsPersistentCacheDir(id, llb.CacheMountLocked)}
	if !mount.Owned {
		return llb.Scratch(), options
	}
	owner := llb.WithUIDGID(mount.UID, mount.GID)
	base := llb.Scratch().File(llb.Mkdir("/cache", mount.Mode, owner))
	return base, append(options, llb.SourcePath("/cache"))
}

// follow solves a build and passes the messages of its agent on, to its end.
func follow(
	ctx context.Context, messages *messages, report func(agent.Message),
	solve func(context.Context) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { ended <- solve(ctx) }()
	waiting := time.After(patience)
	var quiet <-chan time.Time
	var last agent.Message
	for {
		select {
		case message := <-messages.lines:
			waiting = nil
			quiet = time.After(silence)
			last = message
			if message.Event != agent.Done && message.Event != agent.Failed {
				report(message)
			}
		case <-waiting:
			report(agent.Message{Event: agent.Waiting})
		case <-quiet:
			cancel(fmt.Errorf("the builder was silent for %s", silence))
			quiet = nil
		case err := <-ended:
			// The last messages may still be on their way through the channel.
			for len(messages.lines) > 0 {
				last = <-messages.lines
			}
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return result(last, err, report)
		}
	}
}

// result reports the last message, and returns why there is none.
func result(last agent.Message, err error, report func(agent.Message)) error {
	switch {
	case last.Event == agent.Failed:
		report(last)
		return errors.New(last.Error)
	case err != nil:
		return err
	case last.Event != agent.Done:
		return errors.New("the agent ended without a result")
	}
	report(last)
	return nil
}

// messages parses what the agent writes to standard error.
type messages struct {
	mutex sync.Mutex
	rest  []byte
	lines chan agent.Message
}

// newMessages has room for all that an agent can send before they are read.
func newMessages() *messages { return &messages{lines: make(chan agent.Message, 1024)} }

func (m *messages) Write(data []byte) (int, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.rest = append(m.rest, data...)
	for {
		line, rest, found := bytes.Cut(m.rest, []byte("\n"))
		if !found {
			return len(data), nil
		}
		m.rest = rest
		var message agent.Message
		if err := json.Unmarshal(line, &message); err != nil {
			// Not the agent's: for example a panic, of which each line is the latest error.
			message = agent.Message{Event: agent.Progress, Error: string(line)}
		}
		m.lines <- message
	}
}
