//go:build unix

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/tomehub/tomehub/internal/supervisor"
)

// inherit finds what a supervisor or systemd passed to this process. The variables that say so are taken out of the
// environment, so that no child takes them for its own; NOTIFY_SOCKET stays, and the supervisor keeps it from its workers.
func inherit() (k keeper, err error) {
	k.restarts = supervisor.ParseRestarts(os.Getenv(supervisor.RestartsVariable))
	parent, supervised := os.LookupEnv(supervisor.ParentVariable)
	if supervised {
		if parent != strconv.Itoa(os.Getppid()) {
			return k, fmt.Errorf("%s is %s, and the parent is process %d: this was a supervisor's worker, and the supervisor is gone", supervisor.ParentVariable, parent, os.Getppid())
		}
		k.supervised = true
		k.worker, _ = strconv.Atoi(os.Getenv(supervisor.WorkerVariable)) // only counts
		// What a supervisor in Go cannot set between fork and exec.
		err = errors.Join(os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())), os.Unsetenv(supervisor.ParentVariable), os.Unsetenv(supervisor.WorkerVariable), os.Unsetenv(supervisor.RestartsVariable))
	}
	files := activation.Files(true)
	var watchdogErr error
	if k.watchdog, watchdogErr = daemon.SdWatchdogEnabled(true); watchdogErr != nil {
		watchdogErr = fmt.Errorf("read the service manager's watchdog time: %w", watchdogErr)
	}
	if os.Getenv("NOTIFY_SOCKET") != "" {
		k.tell = func(state string) error {
			_, err := daemon.SdNotify(false, state)
			return err
		}
	}
	faults := []error{err, watchdogErr}
	for _, f := range files {
		faults = append(faults, k.take(f))
	}
	switch {
	case supervised && (k.control == nil || k.public == nil):
		faults = append(faults, errors.New("the supervisor passed no socket or no line to it"))
	case k.control != nil:
		k.tell = k.control.Tell
	}
	if k.tell == nil {
		k.watchdog = 0
	}
	if err := errors.Join(faults...); err != nil {
		return keeper{}, errors.Join(err, k.close())
	}
	return k, nil
}

// take finds the use of one file that was passed on, and closes it where the use has a copy.
func (k *keeper) take(f *os.File) error {
	if f.Name() == supervisor.ControlSocket && k.supervised {
		var err error
		k.alone = make(chan struct{})
		k.control, err = supervisor.NewControl(f)
		return err
	}
	l, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return usageError{fmt.Errorf("take the socket %s that was passed on: %w", f.Name(), err)}
	}
	if _, ok := l.Addr().(*net.TCPAddr); !ok {
		return usageError{errors.Join(fmt.Errorf("take the socket %s that was passed on: it is a %s socket, want TCP", f.Name(), l.Addr().Network()), l.Close())}
	}
	switch {
	case f.Name() == supervisor.AdminSocket && k.admin == nil:
		k.admin = l
	case f.Name() != supervisor.AdminSocket && k.public == nil:
		k.public = l
	default:
		return usageError{errors.Join(fmt.Errorf("socket %s (%v) was passed on, and its use is taken: want one, and one more named %s (FileDescriptorName=%[3]s)",
			f.Name(), l.Addr(), supervisor.AdminSocket), l.Close())}
	}
	return nil
}
