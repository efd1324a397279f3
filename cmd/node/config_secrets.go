package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	gossipKeyBytes     = 32
	maxSecretBytes     = 4096
	minAdminTokenBytes = 16
)

// secrets are those of a Config, read from their files. Empty: not given.
type secrets struct {
	gossipKey  []byte
	joinToken  string
	adminToken string
}

func (c *Config) readSecrets() (secrets, error) {
	var s secrets
	var err error
	if s.gossipKey, err = c.gossipKey(); err != nil {
		return s, err
	}
	if s.joinToken, err = secret(c.JoinToken, c.JoinTokenFile); err != nil {
		return s, fmt.Errorf("reading the join token: %w", err)
	}
	if s.adminToken, err = secret(c.AdminToken, c.AdminTokenFile); err != nil {
		return s, fmt.Errorf("reading the admin token: %w", err)
	}
	if s.adminToken != "" && len(s.adminToken) < minAdminTokenBytes {
		return s, fmt.Errorf("the admin token has %d characters: it must have at least %d", len(s.adminToken), minAdminTokenBytes)
	}
	if c.BootstrapExpect > 0 && s.joinToken == "" {
		s.joinToken = s.adminToken
	}
	if c.Join != "" && s.joinToken == "" {
		return s, &exitError{code: exitLocal, err: errors.New("join is set, but there is no join token"),
			hint: joinTokenHint}
	}
	return s, nil
}

// gossipKey reads the key that a cluster begins with; nil: none is given.
func (c *Config) gossipKey() ([]byte, error) {
	text, err := secret(c.Gossip.Key, c.Gossip.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the gossip key: %w", err)
	}
	if text == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != gossipKeyBytes || bytes.Count(key, []byte{0}) == len(key) {
		return nil, fmt.Errorf("the gossip key is not %d bytes in base64, not all zeros: make one with 'pipesync gossip-keys new', or give none", gossipKeyBytes)
	}
	return key, nil
}

// secret returns value, or else the content of the file without surrounding
// space, or else nothing.
func secret(value, path string) (string, error) {
	if value != "" || path == "" {
		return strings.TrimSpace(value), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxSecretBytes+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxSecretBytes {
		return "", fmt.Errorf("%s is over %d bytes: is it the right file?", path, maxSecretBytes)
	}
	value = strings.TrimSpace(string(text))
	if value == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return value, nil
}
