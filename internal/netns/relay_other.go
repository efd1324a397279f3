//go:build !linux

package netns

import (
	"errors"
	"io"
)

var errNoTaps = errors.New("relays need Linux")

func tapsWork() error { return errNoTaps }

func relay(string, io.Writer) error { return errNoTaps }
