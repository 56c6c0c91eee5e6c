// Package sandbox starts a program that reads files of strangers, with limits on what it can use and
// reach. The server starts itself again with Flag; that process gives up what the program does not
// need, and then becomes the program.
//
// The program gets no environment and no privileges. It reads the descriptors that it was given, and
// where the kernel has Landlock, no files but the system's libraries. It writes to its descriptors,
// and to no file. It opens no socket, starts no process, and sends no signal to another one. None of
// that needs a namespace or a capability, so that it works in a container without any.
package sandbox

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Flag is the first argument of a process that becomes a program in the sandbox.
const Flag = "--decode"

// Failed is the exit code if the sandbox cannot be set up.
const Failed = 125

// Limits are the limits of a program.
type Limits struct {
	// Memory is the size of its address space in bytes.
	Memory int64
	// CPU is its processor time. The system counts whole seconds, and ends the program by SIGKILL.
	CPU time.Duration
}

// Command returns the beginning of a command line. The path of the program and its arguments follow.
func (l Limits) Command() []string {
	return []string{"/proc/self/exe", Flag, strconv.FormatInt(l.Memory, 10),
		strconv.FormatInt(int64(max(time.Second, l.CPU)/time.Second), 10)}
}

// Landlock returns the version of the kernel's Landlock, or 0 if it has none.
func Landlock() int {
	version, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return version
}

// Main replaces the process with the program that the arguments after Flag name. It returns only if
// that fails, with the exit code.
func Main(args []string, stderr io.Writer) int {
	err := become(args)
	fmt.Fprintf(stderr, "vmaf-server %s: %v\n", Flag, err)
	return Failed
}

// maxFiles is the number of descriptors that a program may have open.
const maxFiles = 64

func become(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("expected limits of memory and time, and a program; got %d arguments",
			len(args))
	}
	memory, err := strconv.ParseUint(args[0], 10, 63)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseUint(args[1], 10, 31)
	if err != nil {
		return err
	}
	program, err := filepath.EvalSymlinks(args[2])
	if err != nil {
		return err
	}
	// If the container has too little memory, the kernel ends this process before the server.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	// Kernels before 5.13, and those that are started without Landlock, have none of its rules.
	if err := landlock.V10.BestEffort().Restrict(
		landlock.RODirs("/usr", "/lib", "/lib64", "/etc/ld.so.conf.d",
			"/sys/devices/system/cpu").IgnoreIfMissing(),
		landlock.ROFiles("/etc/ld.so.cache", "/etc/ld.so.conf", "/proc/cpuinfo", "/dev/null",
			"/dev/urandom", program).IgnoreIfMissing(),
	); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	environment := []string{"LANG=C", "AV_LOG_FORCE_NOCOLOR=1",
		// glibc reserves 64 MiB of address space for each arena.
		"MALLOC_ARENA_MAX=2"}
	return replace(program, append([]string{args[2]}, args[3:]...), environment, memory, seconds)
}
