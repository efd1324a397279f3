package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newTokensCommand(a *app) *cobra.Command {
	return group("tokens", "Make, list and revoke tokens with which nodes join", newTokensCreate(a), newTokensList(a), newTokensRevoke(a))
}

func newTokensCreate(a *app) *cobra.Command {
	var out string
	lifetime := days(time.Hour)
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token that lets one node join; its text is told only this once",
		Long: `Make a token that lets one node join the cluster, once. The new node knows the
cluster by it, and gets its certificate with it. Its text is told only this once.`,
		Example: "  pipesync tokens create --out token.txt\n  pipesync join 10.0.0.1:8801 --token-file token.txt",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().Var(&lifetime, "lifetime", "how long it can be used, such as 10m; at most 1h")
	cmd.Flags().StringVar(&out, "out", "", "write the token to this new file, mode 0600, and not to stdout")
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		if lifetime == 0 {
			return errors.New("--lifetime is 0s: it must be from 1s to 1h")
		}
		write := func(string) error { return nil }
		if out != "" {
			// Made first: a token whose text can't be kept would be lost.
			file, err := newSecretFile(out)
			if err != nil {
				return fmt.Errorf("making the file for the token: %w", err)
			}
			write = file.write
			defer file.discardUnwritten()
		}
		token, err := c.CreateToken(cmd.Context(), time.Duration(lifetime))
		if err != nil {
			return fmt.Errorf("making a join token: %w", err)
		}
		if err := write(token.Token); err != nil {
			return fmt.Errorf("keeping the token, which is useless now: revoke %s: %w", token.TokenID, err)
		}
		return a.printNewToken(token, out)
	})
}

// printNewToken tells the token's text, unless it is in the file out already.
func (a *app) printNewToken(token client.NewToken, out string) error {
	shown := struct {
		Token            string `json:"token,omitempty"`
		TokenID          string `json:"token_id"`
		ExpiresInSeconds int64  `json:"expires_in_seconds"`
	}(token)
	where := token.Token
	if out != "" {
		shown.Token, where = "", "in "+out
	}
	return a.print(shown, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "token\t%s\ntoken id\t%s\nexpires in\t%s\n", where, token.TokenID, time.Duration(token.ExpiresInSeconds)*time.Second)
	})
}

func newTokensList(a *app) *cobra.Command {
	var list client.ListOptions
	cmd := &cobra.Command{Use: "list", Short: "List join tokens, without their secrets", Args: cobra.NoArgs}
	pageFlags(cmd, &list)
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		page, err := c.Tokens(cmd.Context(), list)
		if err != nil {
			return fmt.Errorf("listing the join tokens: %w", err)
		}
		if page.Tokens == nil {
			page.Tokens = []client.Token{}
		}
		a.tellMore(page.NextCursor)
		return a.print(page, func(w *tabwriter.Writer) {
			fmt.Fprintln(w, "TOKEN ID\tCREATED\tEXPIRES IN\tUSED BY")
			for _, t := range page.Tokens {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.TokenID, timeOrDash(&t.CreatedAt), time.Duration(t.ExpiresInSeconds)*time.Second, orDash(deref(t.UsedBy)))
			}
		})
	})
}

func newTokensRevoke(a *app) *cobra.Command {
	return adminCommand(a, &cobra.Command{
		Use:   "revoke TOKEN_ID",
		Short: "Forget a join token",
		Args:  exactArgs(1, "the id of the token, jt_…"),
	}, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		revoked, err := c.RevokeToken(cmd.Context(), args[0])
		if err != nil {
			return fmt.Errorf("revoking the join token %s: %w", args[0], err)
		}
		return a.print(revoked, func(w *tabwriter.Writer) { fmt.Fprintf(w, "join token %s is revoked\n", revoked.TokenID) })
	})
}
