package netns

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tunDevice = "/dev/net/tun"
	// maxFrameBytes is for the whole of an Ethernet frame; the kernel cuts larger ones up.
	maxFrameBytes = 2048
	// maxHeldFrames is how many a relay is late with at once. More are lost.
	maxHeldFrames = 8192
)

// tapsWork is nil where there can be taps, else it says why not.
func tapsWork() error {
	tap, err := openTap("relaytrial")
	if err != nil {
		return err
	}
	return tap.Close()
}

// openTap makes a network device: what is sent out of it is read from the file. It is
// gone when that is closed.
func openTap(name string) (*os.File, error) {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", tunDevice, err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("making the tap %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openOut opens a device for frames to be sent out of it past its queue and filters, one
// of which has them come to the relay.
func openOut(device string) (fd int, err error) {
	at, err := net.InterfaceByName(device)
	if err != nil {
		return 0, err
	}
	// Without a protocol nothing is received.
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("opening %s: %w", device, err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: at.Index})
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("opening %s: %w", device, err)
	}
	return fd, nil
}

// relay passes on what comes to its tap, as it is told by a relayed, until the process is
// ended. It says when it is ready.
func relay(arg string, out io.Writer) error {
	var r relayed
	if err := json.Unmarshal([]byte(arg), &r); err != nil {
		return err
	}
	tap, err := openTap(r.Tap)
	if err != nil {
		return err
	}
	if err := ip("link set " + r.Tap + " addrgenmode none up"); err != nil {
		return err
	}
	to, err := openOut(r.Device)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return err
	}
	var held atomic.Int32
	buf := make([]byte, maxFrameBytes)
	for {
		n, err := tap.Read(buf)
		if err != nil {
			return err
		}
		late := r.Disturbance.Delay
		if r.Disturbance.Jitter > 0 {
			late += rand.N(r.Disturbance.Jitter)
		}
		switch {
		case rand.IntN(100) < r.Disturbance.LossPercent:
		case late == 0:
			// A device that is down loses it, too.
			_, _ = unix.Write(to, buf[:n])
		case held.Load() < maxHeldFrames:
			held.Add(1)
			frame := append([]byte(nil), buf[:n]...)
			time.AfterFunc(late, func() {
				_, _ = unix.Write(to, frame)
				held.Add(-1)
			})
		}
	}
}
