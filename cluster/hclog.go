package cluster

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// raftLogger lets Raft log through slog. Raft's levels are kept, except that
// trace becomes debug. The logger's level is slog's business: SetLevel does
// nothing.
type raftLogger struct {
	to      *slog.Logger
	name    string
	implied []any
}

func newRaftLogger(to *slog.Logger) hclog.Logger {
	return &raftLogger{to: to.With("component", "raft"), name: "raft"}
}

func slogLevel(l hclog.Level) slog.Level {
	switch l {
	case hclog.Error:
		return slog.LevelError
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Info, hclog.NoLevel:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}

func (l *raftLogger) Log(level hclog.Level, msg string, args ...any) {
	at := slogLevel(level)
	if !l.to.Enabled(context.Background(), at) {
		return
	}
	for i, a := range args {
		switch v := a.(type) {
		case hclog.Format:
			if len(v) > 0 {
				args[i] = fmt.Sprintf(fmt.Sprint(v[0]), v[1:]...)
			}
		case fmt.Stringer:
			args[i] = v.String()
		}
	}
	l.to.Log(context.Background(), at, msg, args...)
}

func (l *raftLogger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *raftLogger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *raftLogger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *raftLogger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *raftLogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *raftLogger) enabled(at slog.Level) bool { return l.to.Enabled(context.Background(), at) }
func (l *raftLogger) IsTrace() bool              { return false }
func (l *raftLogger) IsDebug() bool              { return l.enabled(slog.LevelDebug) }
func (l *raftLogger) IsInfo() bool               { return l.enabled(slog.LevelInfo) }
func (l *raftLogger) IsWarn() bool               { return l.enabled(slog.LevelWarn) }
func (l *raftLogger) IsError() bool              { return l.enabled(slog.LevelError) }

func (l *raftLogger) ImpliedArgs() []any    { return l.implied }
func (l *raftLogger) Name() string          { return l.name }
func (l *raftLogger) SetLevel(hclog.Level)  {}
func (l *raftLogger) GetLevel() hclog.Level { return hclog.NoLevel }

func (l *raftLogger) With(args ...any) hclog.Logger {
	return &raftLogger{to: l.to.With(args...), name: l.name, implied: append(append([]any{}, l.implied...), args...)}
}

func (l *raftLogger) Named(name string) hclog.Logger { return l.ResetNamed(l.name + "." + name) }

func (l *raftLogger) ResetNamed(name string) hclog.Logger {
	return &raftLogger{to: l.to, name: name, implied: l.implied}
}

func (l *raftLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(nil), "", 0)
}

func (l *raftLogger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer {
	return lineLogger{l.to}
}

// lineLogger is the writer behind a standard logger whose lines carry their
// level in brackets, as memberlist's do: "[WARN] memberlist: …".
type lineLogger struct{ to *slog.Logger }

func (w lineLogger) Write(p []byte) (int, error) {
	line, level := strings.TrimSpace(string(p)), slog.LevelInfo
	if tag, rest, ok := strings.Cut(line, "] "); ok && strings.HasPrefix(tag, "[") {
		line = rest
		switch tag[1:] {
		case "ERR", "ERROR":
			level = slog.LevelError
		case "WARN":
			level = slog.LevelWarn
		case "DEBUG":
			level = slog.LevelDebug
		}
	}
	w.to.Log(context.Background(), level, line)
	return len(p), nil
}
