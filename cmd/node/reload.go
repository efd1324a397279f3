package main

import (
	"context"
	"log/slog"
	"os"
)

// reloadAt reloads at each signal until ctx is done.
func (n *node) reloadAt(ctx context.Context, signals <-chan os.Signal, reread func() (Config, error), level *slog.LevelVar) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			n.reload(reread, level)
		}
	}
}

// reload takes what may change while the node runs: certificates and the log level. It
// names other settings that have changed.
func (n *node) reload(reread func() (Config, error), level *slog.LevelVar) {
	n.auditLog.Reopen()
	n.cluster.ReloadCertificates()
	if n.httpCerts != nil {
		n.reloadHTTPCerts()
	}
	cfg, err := reread()
	if err != nil {
		n.log.Error("reloading: the configuration is not right, and nothing of it is in force", "error", err)
		return
	}
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // validated before
	var waiting []string
	for _, s := range settings {
		if s.key != "log.level" && s.text(&cfg) != s.text(&n.Config) {
			waiting = append(waiting, s.key)
		}
	}
	if len(waiting) > 0 {
		n.log.Warn("reloading: some settings have changed that need a restart", "settings", waiting)
	}
	n.log.Info("reloaded", "log_level", cfg.Log.Level)
}
