package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// replace sets the limits and the filter of system calls, and executes a program. It returns only if
// that fails. Both are of the calling thread, and remain when the other ones end by the execution.
func replace(program string, args, environment []string, memory, seconds uint64) error {
	runtime.LockOSThread()
	path, err := syscall.BytePtrFromString(program)
	if err != nil {
		return err
	}
	argv, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(environment)
	if err != nil {
		return err
	}
	for _, limit := range []struct {
		name             string
		resource         int
		current, maximum uint64
	}{
		// A write to a file fails, even to one that was open before. Pipes have no such limit.
		{"RLIMIT_FSIZE", unix.RLIMIT_FSIZE, 0, 0},
		{"RLIMIT_CORE", unix.RLIMIT_CORE, 0, 0},
		{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE, maxFiles, maxFiles},
		// With equal limits, the program gets SIGKILL and no SIGXCPU, which ffmpeg takes for a request
		// to end in time.
		{"RLIMIT_CPU", unix.RLIMIT_CPU, seconds, seconds},
	} {
		value := unix.Rlimit{Cur: limit.current, Max: limit.maximum}
		if err := unix.Setrlimit(limit.resource, &value); err != nil {
			return fmt.Errorf("%s: %w", limit.name, err)
		}
	}
	if err := filter(os.Getpid()); err != nil {
		return err
	}
	// Go may reserve more address space than the program gets, so nothing is allocated after this.
	debug.SetGCPercent(-1)
	space := unix.Rlimit{Cur: memory, Max: memory}
	if _, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_AS,
		uintptr(unsafe.Pointer(&space)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("RLIMIT_AS: %w", errno)
	}
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])))
	return fmt.Errorf("%s: %w", program, errno)
}
