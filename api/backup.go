package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"pipesync/fsm/backup"
)

// maxBackups bounds how many a node sends at once: each keeps files that the
// database may have no more use for.
const maxBackups = 1

// backupStall is how long a client that takes a backup may take nothing.
const backupStall = time.Minute

// handleBackup sends this node's state as it is once it shows every write that was
// acknowledged before the call. How long that takes is for the client to say.
func (s *server) handleBackup(c *call) error {
	if err := s.Audit.Refusal(); err != nil {
		return fail(codeNotReady, "%v", err)
	}
	select {
	case s.backups <- struct{}{}:
		defer func() { <-s.backups }()
	default:
		return fail(codeOverloaded, "another backup of this node is under way")
	}
	ctx, cancel := c.within(s.Limits.ReadTimeout)
	defer cancel()
	if _, err := s.catchUp(ctx); err != nil {
		return err
	}
	state, err := s.State.Backup()
	if err != nil {
		return fmt.Errorf("backing up the state: %w", err)
	}
	defer func() {
		if err := state.Close(); err != nil {
			s.log.Error("removing the files of a backup", "error", err, "request_id", c.id)
		}
	}()
	info := state.Info()
	h := c.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Pipesync-Index", strconv.FormatUint(info.AppliedIndex, 10))
	h.Set("X-Pipesync-State-Bytes", strconv.FormatInt(info.Bytes, 10))
	header := backup.Header{MadeAt: time.Now().UnixNano(), Node: s.NodeID, Version: s.Version}
	if err := backup.Write(&patient{c.w, http.NewResponseController(c.w)}, header, state); err != nil {
		s.log.Warn("a backup ended too early", "error", err, "request_id", c.id)
		panic(http.ErrAbortHandler) // the connection is cut, so that nobody takes it for whole
	}
	return nil
}

// patient is a reply that may take any time, as long as it goes on.
type patient struct {
	w       io.Writer
	control *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(backupStall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.w.Write(b)
}
