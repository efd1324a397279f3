package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/cluster"
	"pipesync/cluster/certs"
)

func newCertsCommand(a *app) *cobra.Command {
	return group("certs", "Make certificates on this machine, and replace the cluster's CA", newCertsCA(a), newCertsNode(a), newCertsHTTP(a), newCertsClient(a), newCertsRotateCA(a))
}

// madeCerts is what the commands of certs print.
type madeCerts struct {
	ClusterID   string    `json:"cluster_id"`
	NodeID      string    `json:"node_id,omitempty"`
	Dir         string    `json:"dir"`
	NotAfter    time.Time `json:"not_after"`
	Fingerprint string    `json:"ca_sha256"`
}

func newCertsCA(a *app) *cobra.Command {
	var out, clusterID string
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Make a CA for a cluster",
		Long: `Make a CA for a cluster: ca.pem with its key, mode 0600, and trust.pem. It signs for
this one cluster alone. Keep it off the nodes if you like: then they don't renew
their certificates themselves, and you do by 'pipesync certs node'.

A node that is started with --bootstrap and has no certificates makes a CA itself.`,
		Example: "  pipesync certs ca --out ca\n  pipesync certs node --ca ca --node-id n1 --out n1/certs",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, err := certs.ReadAuthority(out); !errors.Is(err, certs.ErrNoAuthority) {
				return fmt.Errorf("%s has a CA already: name another directory", out)
			}
			if err := checkName("--cluster-id", clusterID); err != nil {
				return err
			}
			if clusterID == "" {
				clusterID = cluster.NewClusterID()
			}
			ca, err := certs.NewAuthority(clusterID, time.Now())
			if err == nil {
				err = certs.WriteAuthority(out, ca)
			}
			if err != nil {
				return err
			}
			made := madeCerts{ClusterID: clusterID, Dir: out, NotAfter: ca.Certificate().NotAfter, Fingerprint: certs.Fingerprint(ca.Certificate())}
			return a.print(made, func(w *tabwriter.Writer) {
				fmt.Fprintf(w, "the CA of %s is in %s until %s\n", clusterID, out, made.NotAfter.Format(time.RFC3339))
			})
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "directory to write it to")
	cmd.Flags().StringVar(&clusterID, "cluster-id", "", "the cluster's id, if there is one already (default: a new one)")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}

func newCertsNode(a *app) *cobra.Command {
	var caDir, nodeID, out string
	life := days(certs.NodeLife)
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Make a certificate for a node",
		Long: `Make a certificate for a node: node.pem with its key, mode 0600, and trust.pem. The
node finds them in its peer.certs_dir, DATA/certs unless told otherwise, also while
it runs. In a directory that has a certificate of the same node, it is renewed.`,
		Example: "  pipesync certs node --ca ca --node-id n2 --out n2/certs",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if life == 0 {
				return errors.New("--lifetime is 0: it must be at least 1s")
			}
			if err := checkName("--node-id", nodeID); err != nil {
				return err
			}
			ca, trust, err := readCA(caDir)
			if err != nil {
				return err
			}
			return a.issueNode(ca, trust, nodeID, out, time.Duration(life))
		},
	}
	cmd.Flags().StringVar(&caDir, "ca", "", "directory with the cluster's CA")
	cmd.Flags().StringVar(&nodeID, "node-id", "", "the node's id")
	cmd.Flags().StringVar(&out, "out", "", "directory to write it to")
	cmd.Flags().Var(&life, "lifetime", "how long it is valid, such as 90d or 12h")
	for _, name := range []string{"ca", "node-id", "out"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

// readCA reads the CA in dir, and those that whoever trusts it is to trust.
func readCA(dir string) (*certs.Authority, []*x509.Certificate, error) {
	ca, err := certs.ReadAuthority(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: make one with 'pipesync certs ca', or name another directory by --ca", err)
	}
	trust, err := certs.ReadTrust(dir)
	return ca, trust, err
}

func (a *app) issueNode(ca *certs.Authority, trust []*x509.Certificate, nodeID, out string, life time.Duration) error {
	want := certs.Identity{ClusterID: ca.ClusterID(), NodeID: nodeID}
	there, err := certs.Open(out, time.Now)
	if err != nil {
		return err
	}
	if self := there.Self(); self != (certs.Identity{}) && self != want {
		return fmt.Errorf("%s has the certificate of %s already: name another directory", out, self)
	}
	node, err := ca.Issue(nodeID, life, time.Now())
	if err == nil {
		err = certs.WriteNode(out, node, trust)
	}
	if err != nil {
		return err
	}
	made := madeCerts{ClusterID: want.ClusterID, NodeID: nodeID, Dir: out, NotAfter: node.NotAfter(), Fingerprint: certs.Fingerprint(ca.Certificate())}
	return a.print(made, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "the certificate of %s is in %s until %s\n", want, out, made.NotAfter.Format(time.RFC3339))
	})
}
