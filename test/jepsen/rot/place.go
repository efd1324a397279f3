// Package rot finds bytes on the disk of a node that the node has to read some time, and
// damages them. What it looks at must stand still meanwhile: the node is stopped or paused.
package rot

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// ErrNothing says that there is nothing yet to damage.
var ErrNothing = errors.New("there is nothing to damage")

// Place is a range of bytes in a file that the node has in use.
type Place struct {
	File           string // path
	Offset, Length int64
	What           string // is there, in words
	// Told is what a message has to name that tells of the damage.
	Told string
	// Entry of the log is what it is; 0: it is something else.
	Entry uint64
}

func (p Place) String() string {
	return fmt.Sprintf("%s, %s at byte %d", p.What, filepath.Base(p.File), p.Offset)
}

// Flip flips a bit of the place, and returns where: the place is one byte then.
func (p Place) Flip(rng *rand.Rand) (Place, error) {
	p.Offset, p.Length = p.Offset+rng.Int64N(p.Length), 1
	mask := byte(1) << rng.IntN(8)
	return p, p.change(func(b []byte) { b[0] ^= mask })
}

// Zero has the place read as if nothing had ever been written there.
func (p Place) Zero() error { return p.change(func(b []byte) { clear(b) }) }

func (p Place) change(how func([]byte)) error {
	file, err := os.OpenFile(p.File, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, p.Length)
	_, err = file.ReadAt(b, p.Offset)
	if err == nil {
		how(b)
		_, err = file.WriteAt(b, p.Offset)
	}
	return errors.Join(err, file.Close())
}

// Cut ends the file where the place begins.
func (p Place) Cut() error { return os.Truncate(p.File, p.Offset) }

// copyFile copies a file, so that it can be opened while its owner has it locked, and
// damaged on trial.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// scratch has do work in a directory that is gone afterwards, on the disk of dir.
func scratch(dir string, do func(string) error) error {
	made, err := os.MkdirTemp(filepath.Dir(dir), "rot-")
	if err != nil {
		return err
	}
	return errors.Join(do(made), os.RemoveAll(made))
}
