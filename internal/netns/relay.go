package netns

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"pipesync/internal/testcluster"
)

// Disturbance is what becomes of the packets of a link.
type Disturbance struct {
	LossPercent int
	// Delay is the least that a packet is late, and Jitter how much later it may be, each
	// by chance: so that it may be overtaken.
	Delay, Jitter time.Duration
}

// relayed is what a relay is told.
type relayed struct {
	Device      string
	Tap         string
	Disturbance Disturbance
}

// CanDisturb is nil where Disturb works, else it says why not. It is for programs in
// the hub.
func CanDisturb() error {
	if err := CanCutLinks(); err != nil {
		return err
	}
	return tapsWork()
}

// Disturb has all that comes to a host and goes from it pass through processes that lose
// packets or are late with them, until the function is called that it returns. The command
// self is as for Flow. It adds to what Cut, Isolate and CutLink do.
func (l *Lab) Disturb(ctx context.Context, self []string, host int, d Disturbance) (heal func() error, err error) {
	tap := "relay" + strconv.Itoa(host)
	in, errIn := l.relay(ctx, self, Hub, relayed{port(host), tap, d})
	out, errOut := l.relay(ctx, self, host, relayed{"eth0", tap, d})
	heal = func() error { return errors.Join(in(), out()) }
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, errors.Join(err, heal())
	}
	return heal, nil
}

// relay starts a relay of what leaves a device of a host, or of the hub, and hands it to
// it. What it returns undoes that, also if there is an error.
func (l *Lab) relay(ctx context.Context, self []string, host int, r relayed) (undo func() error, err error) {
	undo = func() error { return nil }
	text, err := json.Marshal(r)
	if err != nil {
		return undo, err
	}
	cmd := l.child(context.WithoutCancel(ctx), host, self, "relay "+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return undo, err
	}
	p, err := testcluster.StartProcess(cmd)
	if err != nil {
		return undo, err
	}
	undo = p.Kill9
	told := bufio.NewScanner(out)
	if !told.Scan() {
		return undo, fmt.Errorf("a relay for %s didn't start", r.Device)
	}
	var in []string
	if host != Hub {
		in = In(l.Hosts[host].Namespace)
	}
	filter := "dev " + r.Device + " egress prio 1"
	if err := tc(in, "qdisc replace dev "+r.Device+" clsact"); err != nil {
		return undo, err
	}
	if err := tc(in, "filter add "+filter+" protocol all u32 match u32 0 0 action mirred egress redirect dev "+r.Tap); err != nil {
		return undo, err
	}
	return func() error { return errors.Join(tc(in, "filter del "+filter), p.Kill9()) }, nil
}
