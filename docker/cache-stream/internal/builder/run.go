package builder

import (
	"bytes"
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
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/tonistiigi/fsutil"

	"vmaf-images/cache-stream/internal/agent"
)

const (
	// patience is after how long the wait for the mount is reported.
	patience = 2 * time.Second
	attempts = 3
)

var ( // variables for the tests
	// silence is how long the agent may be silent. It reports every agent.Beat; a BuildKit before
	// 0.29 may fail to start or to end a process and report neither (moby/buildkit#6531).
	silence = 60 * time.Second
	// farewell is how long BuildKit has to report the end of an agent that said it was done.
	farewell = 5 * time.Second
)

// Mount is a cache mount as a Dockerfile declares it.
type Mount struct {
	Namespace string `json:"namespace"`
	ID        string `json:"id"`
	// Directory is the target in the Dockerfile. BuildKit describes a mount by the directory of the
	// first container that used it, which may be the agent's.
	Directory string `json:"directory"`
	// Owned says that the Dockerfile sets a uid, gid or mode, which then are a part of the key.
	Owned bool        `json:"owned"`
	UID   int         `json:"uid"`
	GID   int         `json:"gid"`
	Mode  os.FileMode `json:"mode"`
}

// errSilent is the failure of a container that never reported anything, so that another try is
// safe.
var errSilent = errors.New("the agent did not start")

// Run runs the agent beside a cache mount. It passes messages to report; the last one is the
// result, unless there is an error.
//
// The mount is locked, as by a step: Run waits for a build that uses it.
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
	for attempt := 1; ; attempt++ {
		if file, ok := in.(io.Seeker); ok && attempt > 1 {
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				return err
			}
		}
		r := &run{
			files: files, name: name, digest: digest, arguments: string(arguments),
			mount: mount, in: in, out: out, report: report,
		}
		options := client.SolveOpt{
			LocalMounts: map[string]fsutil.FS{"agent": files},
			Internal:    true, // not a build of the history
		}
		_, err = c.Build(ctx, options, "cache-stream", r.build, nil)
		if !errors.Is(r.failure, errSilent) || attempt == attempts || ctx.Err() != nil {
			break
		}
	}
	return err
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

type run struct {
	files     fsutil.FS
	name      string
	digest    string
	arguments string
	mount     Mount
	in        io.Reader
	out       io.Writer
	report    func(agent.Message)
	failure   error
}

func (r *run) build(ctx context.Context, g gateway.Client) (*gateway.Result, error) {
	r.failure = r.container(ctx, g)
	return gateway.NewResult(), r.failure
}

func (r *run) container(ctx context.Context, g gateway.Client) error {
	// BuildKit compares a context with the last one of the same key by sizes and times only, which
	// two versions of the program may have in common.
	local := llb.Local("agent",
		llb.SharedKeyHint("cache-stream:"+r.digest), llb.IncludePatterns([]string{r.name}))
	// A copy is found again by its content; a context that is a root would be kept for every run.
	root, err := solve(ctx, g, llb.Scratch().File(llb.Copy(local, "/"+r.name, "/"+r.name)))
	if err != nil {
		return err
	}
	cache, err := r.cacheMount(ctx, g)
	if err != nil {
		return err
	}
	waiting := time.AfterFunc(patience, func() { r.report(agent.Message{Event: agent.Waiting}) })
	container, err := g.NewContainer(ctx, gateway.NewContainerRequest{
		Mounts: []gateway.Mount{
			{Dest: "/", MountType: pb.MountType_BIND, Ref: root},
			cache,
		},
		NetMode: pb.NetMode_NONE,
	})
	waiting.Stop()
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		_ = container.Release(ctx)
	}()
	return r.start(ctx, container)
}

// cacheMount returns the mount as the Dockerfile frontend would request it. Any difference would
// give another, empty mount: the namespace is a prefix of the id, also if it is empty, and a mount
// with an owner has a directory with that owner as its base.
func (r *run) cacheMount(ctx context.Context, g gateway.Client) (gateway.Mount, error) {
	mount := gateway.Mount{
		Dest:      r.mount.Directory,
		MountType: pb.MountType_CACHE,
		CacheOpt: &pb.CacheOpt{
			ID:      r.mount.Namespace + "/" + r.mount.ID,
			Sharing: pb.CacheSharingOpt_LOCKED,
		},
	}
	if !r.mount.Owned {
		return mount, nil
	}
	owner := llb.WithUIDGID(r.mount.UID, r.mount.GID)
	base, err := solve(ctx, g, llb.Scratch().File(llb.Mkdir("/cache", r.mount.Mode, owner)))
	mount.Ref, mount.Selector = base, "/cache"
	return mount, err
}

func solve(ctx context.Context, g gateway.Client, state llb.State) (gateway.Reference, error) {
	definition, err := state.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	result, err := g.Solve(ctx, gateway.SolveRequest{Definition: definition.ToPB(), Evaluate: true})
	if err != nil {
		return nil, err
	}
	return result.SingleRef()
}

// start runs the agent in the container to its end.
func (r *run) start(ctx context.Context, container gateway.Container) error {
	messages := newMessages()
	request := gateway.StartRequest{
		Args:   []string{"/" + r.name, "agent", r.mount.Directory, r.arguments},
		Cwd:    "/",
		Stdout: keepOpen{r.out},
		Stderr: keepOpen{messages},
	}
	if r.in != nil {
		request.Stdin = io.NopCloser(r.in)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	process, err := container.Start(ctx, request)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	var farewells <-chan time.Time
	var last agent.Message
	for {
		select {
		case message := <-messages.lines:
			last = message
			quiet.Reset(silence)
			if message.Event == agent.Done || message.Event == agent.Failed {
				farewells = time.After(farewell)
			} else {
				r.report(message)
			}
			continue
		case err := <-ended:
			// The last messages may still be on their way through the channel.
			for len(messages.lines) > 0 {
				last = <-messages.lines
			}
			return r.result(last, err)
		case <-farewells:
			return r.result(last, nil)
		case <-quiet.C:
			if last.Event == "" {
				return errSilent
			}
			return fmt.Errorf("the builder was silent for %s", silence)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r *run) result(last agent.Message, err error) error {
	switch last.Event {
	case agent.Done, agent.Failed:
		r.report(last)
		if last.Event == agent.Failed {
			return errors.New(last.Error)
		}
		return nil
	}
	if err == nil {
		err = errors.New("the agent ended without a result")
	}
	return err
}

// keepOpen is an output that BuildKit may close without an effect.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

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
