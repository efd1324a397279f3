package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

const defaultAdminTimeout = 30 * time.Second

// adminFlags say which nodes an admin command asks, and as whom.
type adminFlags struct {
	addrs     []string
	tokenFile string
	timeout   time.Duration
}

func (f *adminFlags) add(cmd *cobra.Command, timeout time.Duration) {
	fs := cmd.Flags()
	fs.StringSliceVar(&f.addrs, "addr", nil, "HTTP address of a node; repeat it to have others tried (env PIPESYNC_HTTP_ADDR; default "+client.DefaultAddr+")")
	fs.StringVar(&f.tokenFile, "admin-token-file", "", "file with the admin token (env PIPESYNC_ADMIN_TOKEN, PIPESYNC_ADMIN_TOKEN_FILE)")
	fs.DurationVar(&f.timeout, "timeout", timeout, "how long to wait in all")
}

// client makes the client of one command.
func (f *adminFlags) client(a *app) (*client.Client, error) {
	if f.timeout <= 0 {
		return nil, fmt.Errorf("--timeout is %s: it must be above 0", f.timeout)
	}
	token, err := f.token(a)
	if err != nil {
		return nil, fmt.Errorf("reading the admin token: %w", err)
	}
	if token == "" {
		return nil, &exitError{code: exitLocal, err: fmt.Errorf("there is no admin token"), hint: adminTokenHint}
	}
	addrs := f.addrs
	if env := a.getenv(envPrefix + "HTTP_ADDR"); len(addrs) == 0 && env != "" {
		addrs = strings.Split(env, ",")
	}
	return client.New(client.Options{Addrs: addrs, AdminToken: token, Timeout: f.timeout}), nil
}

func (f *adminFlags) token(a *app) (string, error) {
	if f.tokenFile != "" {
		return secret("", f.tokenFile)
	}
	if value := a.getenv(envPrefix + "ADMIN_TOKEN"); value != "" {
		return secret(value, "")
	}
	path := a.getenv(envPrefix + "ADMIN_TOKEN_FILE")
	if dir := a.getenv(envPrefix + "DATA_DIR"); path == "" && dir != "" {
		path = filepath.Join(dir, adminTokenName)
	}
	return secret("", path)
}

// adminCommand makes a command whose work is one conversation with a node.
func adminCommand(a *app, cmd *cobra.Command, timeout time.Duration,
	work func(cmd *cobra.Command, c *client.Client, args []string) error) *cobra.Command {
	flags := &adminFlags{}
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
