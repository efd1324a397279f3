package vdso

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	symbol = "__vdso_clock_gettime"
	// maxBytes is more than any vDSO has.
	maxBytes = 1 << 20
	// stubAlign keeps the stub in one line of the cache.
	stubAlign = 64
)

// place is where to patch a process.
type place struct {
	function int64
	stub     int64
	taken    bool // it is patched
}

// look finds the place in the memory of a process.
func look(pid int, mem io.ReaderAt) (place, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return place{}, err
	}
	from, to, err := mapping(string(maps))
	if err != nil {
		return place{}, err
	}
	image := make([]byte, to-from)
	if _, err := mem.ReadAt(image, from); err != nil {
		return place{}, fmt.Errorf("reading its vDSO: %w", err)
	}
	at, err := find(image)
	at.function += from
	at.stub += from
	return at, err
}

// mapping is from where to where the vDSO is, by the text of /proc/PID/maps.
func mapping(maps string) (from, to int64, err error) {
	for line := range strings.Lines(maps) {
		if strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil || to <= from || to-from > maxBytes {
				return 0, 0, fmt.Errorf("no addresses of a vDSO: %q", line)
			}
			return from, to, nil
		}
	}
	return 0, 0, errors.New("it has no vDSO")
}

// find finds the place in a vDSO, as offsets.
func find(image []byte) (at place, err error) {
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return at, fmt.Errorf("its vDSO: %w", err)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return at, fmt.Errorf("its vDSO: %w", err)
	}
	for _, s := range symbols {
		if s.Name == symbol {
			at.function = int64(s.Value)
		}
	}
	at.stub = int64(len(image)) - stubAlign
	if at.function <= 0 || at.function+jumpBytes > at.stub {
		return at, fmt.Errorf("its vDSO has no %s", symbol)
	}
	code, end := image[at.function:][:jumpBytes], image[at.stub:]
	switch {
	case bytes.Equal(code, jump(at.function, at.stub)) && bytes.HasPrefix(end, stub()[:minutesAt]):
		at.taken = true
	case len(bytes.Trim(end, "\x00")) > 0:
		return at, errors.New("its vDSO has no room for more code")
	}
	return at, nil
}
