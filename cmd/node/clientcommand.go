package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

const defaultClientTimeout = 30 * time.Second

// credential is a secret that says as whom a command asks.
type credential struct {
	name     string // in words
	option   string // as the flag and the variable have it, before -file and _FILE
	dataFile string // in PIPESYNC_DATA_DIR, where nothing else says which; empty: none
	hint     string
	give     func(o *client.Options, secret string)
}

var (
	adminToken = credential{
		name: "admin token", option: "admin-token", dataFile: adminTokenName, hint: adminTokenHint,
		give: func(o *client.Options, secret string) { o.AdminToken = secret },
	}
	apiKey = credential{
		name: "API key", option: "api-key", hint: apiKeyHint,
		give: func(o *client.Options, secret string) { o.APIKey = secret },
	}
)

func (c *credential) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(c.option, "-", "_"))
}

// read returns the secret that the file has, or else the environment says, or else what
// is in PIPESYNC_DATA_DIR, unless somebody is known otherwise.
func (c *credential) read(a *app, file string, known bool) (string, error) {
	if file != "" {
		return secret("", file)
	}
	if value := a.getenv(c.variable()); value != "" {
		return secret(value, "")
	}
	path := a.getenv(c.variable() + "_FILE")
	if dir := a.getenv(envPrefix + "DATA_DIR"); path == "" && dir != "" && c.dataFile != "" && !known {
		path = filepath.Join(dir, c.dataFile)
	}
	return secret("", path)
}

// clientFlags say which nodes a command asks, for how long, and as whom.
type clientFlags struct {
	addrs      []string
	timeout    time.Duration
	credential credential
	secretFile string
	tls        tlsFlags
}

func (f *clientFlags) add(cmd *cobra.Command, timeout time.Duration) {
	fs := cmd.Flags()
	c := &f.credential
	fs.StringSliceVar(&f.addrs, "addr", nil, "HTTP address of a node; repeat it to have others tried (env PIPESYNC_HTTP_ADDR; default "+client.DefaultAddr+")")
	fs.StringVar(&f.secretFile, c.option+"-file", "", fmt.Sprintf("file with the %s (env %s, %[2]s_FILE)", c.name, c.variable()))
	f.tls.add(fs)
	fs.DurationVar(&f.timeout, "timeout", timeout, "how long to wait in all")
}

// client makes the client of one command.
func (f *clientFlags) client(a *app) (*client.Client, error) {
	if f.timeout <= 0 {
		return nil, fmt.Errorf("--timeout is %s: it must be above 0", f.timeout)
	}
	config, err := f.tls.config(a)
	if err != nil {
		return nil, err
	}
	isAdmin := config != nil && len(config.Certificates) > 0 && f.credential.name == adminToken.name
	text, err := f.credential.read(a, f.secretFile, isAdmin)
	if err != nil {
		return nil, fmt.Errorf("reading the %s: %w", f.credential.name, err)
	}
	if text == "" && !isAdmin {
		return nil, &exitError{code: exitLocal, err: fmt.Errorf("there is no %s", f.credential.name), hint: f.credential.hint}
	}
	o := client.Options{Addrs: f.addrs, Timeout: f.timeout, TLS: config}
	if env := a.getenv(envPrefix + "HTTP_ADDR"); len(o.Addrs) == 0 && env != "" {
		o.Addrs = strings.Split(env, ",")
	}
	f.credential.give(&o, text)
	return client.New(o), nil
}

// clientWork is one conversation with a node.
type clientWork func(cmd *cobra.Command, c *client.Client, args []string) error

// adminCommand makes a command that an administrator gives.
func adminCommand(a *app, cmd *cobra.Command, timeout time.Duration, work clientWork) *cobra.Command {
	return clientCommand(a, cmd, &clientFlags{credential: adminToken}, timeout, work)
}

// keyCommand makes a command that the holder of an API key gives.
func keyCommand(a *app, cmd *cobra.Command, work clientWork) *cobra.Command {
	return clientCommand(a, cmd, &clientFlags{credential: apiKey}, defaultClientTimeout, work)
}

func clientCommand(a *app, cmd *cobra.Command, flags *clientFlags, timeout time.Duration, work clientWork) *cobra.Command {
	flags.add(cmd, timeout)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := flags.client(a)
		if err != nil {
			return err
		}
		defer c.Close()
		return work(cmd, c, args)
	}
	return cmd
}
