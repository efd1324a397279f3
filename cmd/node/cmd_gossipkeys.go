package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newGossipKeysCommand(a *app) *cobra.Command {
	var out string
	create := &cobra.Command{
		Use:     "new",
		Short:   "Make a gossip key for a new cluster",
		Example: "  pipesync gossip-keys new --out gossip.key",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			key := mintGossipKey()
			if out == "" {
				return a.print(map[string]string{"gossip_key": key}, func(w *tabwriter.Writer) { fmt.Fprintln(w, key) })
			}
			file, err := newSecretFile(out)
			if err != nil {
				return fmt.Errorf("making the file for the gossip key: %w", err)
			}
			defer file.discardUnwritten()
			if err := file.write(key); err != nil {
				return fmt.Errorf("writing the gossip key: %w", err)
			}
			return a.print(map[string]string{"gossip_key_file": out}, func(w *tabwriter.Writer) {
				fmt.Fprintf(w, "the gossip key is in %s: copy it to every node\n", out)
			})
		},
	}
	create.Flags().StringVar(&out, "out", "", "write the key to this new file, mode 0600, and not to stdout")
	return group("gossip-keys", "Make the key that encrypts gossip", create)
}

func mintGossipKey() string {
	key := make([]byte, gossipKeyBytes)
	_, _ = rand.Read(key) // never fails: see crypto/rand
	return base64.StdEncoding.EncodeToString(key)
}
