package sandbox

import (
	"fmt"
	"strings"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// allowed are the system calls of a program that computes: on memory, threads, time, and files. Some
// of them exist on one architecture only. All others fail with EPERM, among them those that create
// sockets or processes, attach to a process, or send a signal to one.
const allowed = `
	access arch_prctl brk clock_getres clock_gettime clock_nanosleep close close_range dup dup2 dup3
	epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 execve exit exit_group faccessat faccessat2
	fadvise64 fcntl fstat fstatfs ftruncate futex get_mempolicy get_robust_list getcpu getcwd getdents64
	getegid geteuid getgid getpid getppid getpriority getrandom getrlimit getrusage gettid gettimeofday
	getuid ioctl lseek lstat madvise mbind membarrier memfd_create mincore mlock mmap mprotect mremap
	munlock munmap nanosleep newfstatat open openat openat2 pipe pipe2 poll ppoll prctl pread64 preadv
	pselect6 pwrite64 pwritev read readlink readlinkat readv restart_syscall rseq rt_sigaction
	rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_getaffinity
	sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min sched_yield select
	set_mempolicy set_robust_list set_tid_address sigaltstack stat statfs statx sysinfo time times umask
	uname write writev`

// filter restricts the system calls of the calling thread, and of the program that it executes. The
// identifier of the process remains the same by that.
func filter(pid int) error {
	native, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	var names []string
	for _, name := range strings.Fields(allowed) {
		if _, exists := native.SyscallNames[name]; exists {
			names = append(names, name)
		}
	}
	argument := func(name string, number uint32, operation seccomp.Operation, value int,
	) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: name, Conditions: seccomp.ArgumentConditions{
			{Argument: number, Operation: operation, Value: uint64(value)}}}
	}
	policy := seccomp.Policy{
		// This is also the action for system calls of another architecture, such as i386 on x86-64.
		DefaultAction: seccomp.ActionErrno,
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: names},
			{Action: seccomp.ActionAllow, NamesWithCondtions: []seccomp.NameWithConditions{
				argument("clone", 0, seccomp.BitsSet, unix.CLONE_THREAD),
				argument("tgkill", 0, seccomp.Equal, pid), // as by abort
				argument("prlimit64", 0, seccomp.Equal, 0),
			}},
			// The flags of clone3 are in memory, which a filter cannot read. Without it, the C library
			// calls clone.
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: []string{"clone3"}},
		},
	}
	if err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Policy: policy}); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}
