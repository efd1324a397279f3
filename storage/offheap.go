package storage

import (
	"fmt"
	"syscall"
)

// mapMemory gives zeroed memory outside of Go's heap, where its size counts once, and
// not for when the garbage collector runs.
func mapMemory(bytes int64) ([]byte, error) {
	memory, err := syscall.Mmap(-1, 0, int(bytes), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("getting %d bytes of memory: %w", bytes, err)
	}
	return memory, nil
}

// unmapMemory gives it back.
func unmapMemory(memory []byte) error {
	if err := syscall.Munmap(memory); err != nil {
		return fmt.Errorf("giving back %d bytes of memory: %w", len(memory), err)
	}
	return nil
}
