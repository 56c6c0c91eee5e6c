package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test program is the program in the sandbox, too: with the name of an attempt as its argument.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Flag {
		os.Exit(Main(os.Args[2:], os.Stderr))
	}
	if len(os.Args) > 1 {
		if try, ok := attempts[os.Args[1]]; ok {
			if err := try(os.Args[2:]); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// attempts are what the program tries.
var attempts = map[string]func(args []string) error{
	"nothing": func([]string) error { return nil },
	"library": func([]string) error { return read("/etc/ld.so.cache") },
	"read":    func(args []string) error { return read(args[0]) },
	"descriptor": func([]string) error {
		_, err := unix.Read(3, make([]byte, 1))
		return err
	},
	"write": func(args []string) error { return os.WriteFile(args[0], []byte("x"), 0o600) },
	"write to a descriptor": func([]string) error {
		// Go ignores SIGXFSZ, which ends other programs.
		_, err := unix.Write(3, []byte("x"))
		return err
	},
	"socket": func([]string) error {
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		return err
	},
	"local socket": func([]string) error {
		_, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		return err
	},
	"ring": func([]string) error {
		var parameters [120]byte
		return raw(unix.SYS_IO_URING_SETUP, 1, pointer(&parameters))
	},
	"fork": func([]string) error { return raw(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0) },
	"new fork": func([]string) error {
		var arguments [88]byte
		return raw(unix.SYS_CLONE3, pointer(&arguments), 88)
	},
	"kill": func([]string) error { return unix.Kill(os.Getppid(), 0) },
	"kill a thread": func([]string) error {
		return unix.Tgkill(os.Getppid(), os.Getppid(), 0)
	},
	"limit": func([]string) error {
		return unix.Prlimit(os.Getppid(), unix.RLIMIT_NOFILE, nil, &unix.Rlimit{})
	},
	"trace":     func([]string) error { return unix.PtraceAttach(os.Getppid()) },
	"namespace": func([]string) error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"memory": func([]string) error {
		_, err := unix.Mmap(-1, 0, 8<<30, unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE)
		return err
	},
	"time": func([]string) error {
		for time.Now().Year() > 0 { // it never ends by itself
		}
		return nil
	},
	"threads": func([]string) error {
		done := make(chan error)
		for range 8 {
			go func() { time.Sleep(time.Millisecond); done <- nil }()
		}
		for range 8 {
			<-done
		}
		return nil
	},
	"environment": func([]string) error {
		if value := os.Getenv("PATH") + os.Getenv("SECRET"); value != "" {
			return errors.New(value)
		}
		return nil
	},
	"privileges": func([]string) error {
		flag, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
		if err == nil && flag != 1 {
			err = errors.New("new privileges are possible")
		}
		return err
	},
}

func read(path string) error {
	_, err := os.ReadFile(path)
	return err
}

func raw(number, a, b uintptr) error {
	if _, _, errno := unix.RawSyscall(number, a, b, 0); errno != 0 {
		return errno
	}
	return nil
}

// start runs an attempt in a sandbox, and returns what it printed.
func start(t *testing.T, file *os.File, args ...string) (string, error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := append(Limits{Memory: 4 << 30, CPU: time.Second}.Command(), program)
	command = append(command, args...)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "SECRET=x")
	if file != nil {
		cmd.ExtraFiles = []*os.File{file}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

func TestAllowed(t *testing.T) {
	file, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, attempt := range []string{"nothing", "library", "descriptor", "threads", "environment",
		"privileges"} {
		if out, err := start(t, file, attempt); err != nil {
			t.Errorf("%s: %v: %s", attempt, err, out)
		}
	}
}

// TestRefused checks that an attempt fails in the sandbox for the expected reason. Each of them
// succeeds or fails otherwise outside.
func TestRefused(t *testing.T) {
	const refused = "operation not permitted"
	for attempt, expected := range map[string]string{
		"socket": refused, "local socket": refused, "ring": refused, "fork": refused,
		"new fork": "function not implemented", "kill": refused, "kill a thread": refused,
		"limit": refused, "trace": refused, "namespace": refused, "memory": "cannot allocate memory",
	} {
		if out, err := start(t, nil, attempt); err == nil || !strings.Contains(out, expected) {
			t.Errorf("%s: %v: %q", attempt, err, out)
		}
	}
}

func TestTime(t *testing.T) {
	_, err := start(t, nil, "time")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("a program without an end: %v", err)
	}
}

func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if out, err := start(t, file, "write to a descriptor"); err == nil {
		t.Errorf("a file was written: %s", out)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "x" {
		t.Errorf("the file is %q, %v", text, err)
	}
	if Landlock() == 0 {
		t.Skip("the kernel has no Landlock, which refuses to open files")
	}
	for _, attempt := range []string{"read", "write"} {
		if out, err := start(t, nil, attempt, path); err == nil ||
			!strings.Contains(out, "permission denied") {
			t.Errorf("%s: %v: %q", attempt, err, out)
		}
	}
}

func TestInvalid(t *testing.T) {
	for _, args := range [][]string{{}, {"1", "1"}, {"x", "1", "/bin/true"}, {"1", "-1", "/bin/true"},
		{"1", "1", "/none"}} {
		var said bytes.Buffer
		if code := Main(args, &said); code != Failed || said.Len() == 0 {
			t.Errorf("%q: exit code %d, %q", args, code, &said)
		}
	}
	if out, err := start(t, nil, "unknown attempt"); err == nil {
		t.Errorf("no such attempt: %q", out)
	}
}
