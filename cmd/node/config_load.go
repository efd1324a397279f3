package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"
)

const maxConfigBytes = 1 << 20

// layer is one source of settings: what it calls a setting, and what it says.
type layer struct {
	name func(setting) string
	get  func(setting) (string, bool)
}

// addConfigFlags gives fs -c and a flag for each setting but the secrets, which
// would be seen in the list of processes, except where a user types them once.
func addConfigFlags(fs *pflag.FlagSet) {
	fs.StringP("config", "c", "", "configuration file (env PIPESYNC_CONFIG)")
	defaults := defaultConfig()
	for _, s := range settings {
		switch p := s.pick(&defaults).(type) {
		case *string:
			if s.secret && s.key != "join_token" {
				continue
			}
			fs.String(s.flag(), *p, s.usage)
		case *bool:
			fs.Bool(s.flag(), *p, s.usage)
		case *int64:
			fs.Int64(s.flag(), *p, s.usage)
		}
	}
}

// loadConfig reads all sources and validates what they come to. Secrets that are
// given by file are not read yet.
func loadConfig(fs *pflag.FlagSet, getenv func(string) string) (Config, error) {
	cfg := defaultConfig()
	path, _ := fs.GetString("config")
	if path == "" {
		path = getenv(envPrefix + "CONFIG")
	}
	if path != "" {
		if err := readConfigFile(path, &cfg); err != nil {
			return Config{}, err
		}
	}
	layers := []layer{
		{name: setting.env, get: func(s setting) (string, bool) {
			text := getenv(s.env())
			return text, text != ""
		}},
		{name: func(s setting) string { return "--" + s.flag() }, get: func(s setting) (string, bool) {
			f := fs.Lookup(s.flag())
			if f == nil || !f.Changed {
				return "", false
			}
			return f.Value.String(), true
		}},
	}
	for _, l := range layers {
		if err := l.overlay(&cfg); err != nil {
			return Config{}, err
		}
	}
	return cfg, cfg.validate()
}

// overlay puts what l says over c. A secret given directly replaces a file named
// by an earlier layer, and the reverse.
func (l layer) overlay(c *Config) error {
	for _, s := range settings {
		text, ok := l.get(s)
		if !ok {
			continue
		}
		if err := s.set(c, text); err != nil {
			return fmt.Errorf("reading %s: %w", l.name(s), err)
		}
		if s.rival == "" {
			continue
		}
		rival := settingByKey(s.rival)
		if _, both := l.get(rival); both {
			return fmt.Errorf("%s and %s are both set: leave one out", l.name(s), l.name(rival))
		}
		rival.clear(c)
	}
	return nil
}

func readConfigFile(path string, cfg *Config) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening the configuration: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxConfigBytes+1))
	if err != nil {
		return fmt.Errorf("reading the configuration %s: %w", path, err)
	}
	if len(text) > maxConfigBytes {
		return fmt.Errorf("the configuration %s is over %d bytes", path, maxConfigBytes)
	}
	if err := parseConfig(text, cfg); err != nil {
		return fmt.Errorf("in the configuration %s:\n%w", path, err)
	}
	return nil
}

// parseConfig decodes one YAML document over cfg. Its errors show the line, the
// column and a caret.
func parseConfig(text []byte, cfg *Config) error {
	var content any
	if err := yaml.Unmarshal(text, &content); err == nil && content == nil {
		return nil // decoding nothing would clear the defaults
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := decoder.Decode(cfg); err != nil {
		return errors.New(strings.TrimRight(yaml.FormatError(err, false, true), "\n"))
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one YAML document: keep one")
	}
	for _, s := range settings {
		if s.rival == "" || s.secret {
			continue
		}
		if rival := settingByKey(s.rival); s.text(cfg) != "" && rival.text(cfg) != "" {
			return fmt.Errorf("%s and %s are both set: leave one out", s.key, rival.key)
		}
	}
	return nil
}
