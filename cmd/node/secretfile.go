package main

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"pipesync/internal/durable"
)

// secretFile is a new file, mode 0600, that is removed again unless a secret
// was written to it.
type secretFile struct {
	file *os.File
	kept bool
}

// newSecretFile refuses a path that exists: a secret is never overwritten.
func newSecretFile(path string) (*secretFile, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &secretFile{file: file}, nil
}

// write writes one line and makes it durable.
func (s *secretFile) write(text string) error {
	if _, err := s.file.WriteString(text + "\n"); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.kept = true
	return s.file.Close()
}

// remove takes back what was written.
func (s *secretFile) remove() { _ = os.Remove(s.file.Name()) }

func (s *secretFile) discardUnwritten() {
	if s.kept {
		return
	}
	_ = s.file.Close()
	_ = os.Remove(s.file.Name())
}

// readOrMakeSecret returns the secret in the file, which it makes with a new one
// if there is none.
func readOrMakeSecret(path string, mint func() string) (string, error) {
	text, err := secret("", path)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	text = mint()
	return text, durable.Replace(filepath.Dir(path), filepath.Base(path), []byte(text+"\n"))
}

// copySecret copies the secret in a file to another, if there is one.
func copySecret(from, to string) error {
	text, err := secret("", from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Dir(to), filepath.Base(to), []byte(text+"\n"))
}

// mintAdminToken makes a token of 256 random bits.
func mintAdminToken() string { return "pat_" + rand.Text() + rand.Text() }
