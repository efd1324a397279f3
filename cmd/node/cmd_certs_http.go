package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/cluster/certs"
)

// madeHTTPCert is what is printed of a certificate whose key is in a file of its own.
type madeHTTPCert struct {
	ClusterID string    `json:"cluster_id"`
	Name      string    `json:"name,omitempty"`
	Hosts     []string  `json:"hosts,omitempty"`
	CertFile  string    `json:"cert_file"`
	KeyFile   string    `json:"key_file"`
	CAFile    string    `json:"ca_file"` // by which clients know the servers
	NotAfter  time.Time `json:"not_after"`
}

// issuing is what the two commands below have in common.
type issuing struct {
	caDir, out string
	life       days
}

func (f *issuing) add(cmd *cobra.Command, required ...string) {
	cmd.Flags().StringVar(&f.caDir, "ca", "", "directory with the cluster's CA")
	cmd.Flags().StringVar(&f.out, "out", "", "directory to write it to")
	cmd.Flags().Var(&f.life, "lifetime", "how long it is valid, such as 90d or 12h")
	for _, name := range append(required, "ca", "out") {
		_ = cmd.MarkFlagRequired(name)
	}
}

type writeCert func(ca *certs.Authority, trust []*x509.Certificate, life time.Duration) (certs.Written, error)

// issue has the certificate made and prints what made is without it.
func (f *issuing) issue(a *app, made madeHTTPCert, write writeCert) error {
	if f.life == 0 {
		return errors.New("--lifetime is 0: it must be at least 1s")
	}
	ca, trust, err := readCA(f.caDir)
	if err != nil {
		return err
	}
	files, err := write(ca, trust, time.Duration(f.life))
	if err != nil {
		return err
	}
	made.ClusterID, made.NotAfter = ca.ClusterID(), files.NotAfter
	made.CertFile, made.KeyFile, made.CAFile = files.Cert, files.Key, files.CA
	return a.print(made, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "certificate\t%s until %s\nkey\t%s\nCA of the servers\t%s\n", made.CertFile, made.NotAfter.Format(time.RFC3339), made.KeyFile, made.CAFile)
	})
}

func newCertsHTTP(a *app) *cobra.Command {
	var hosts []string
	f := issuing{life: days(certs.HTTPLife)}
	cmd := &cobra.Command{
		Use:   "http",
		Short: "Make a certificate for the HTTP port",
		Long: `Make a certificate for the HTTP port of a node, or of several: http-cert.pem,
http-key.pem, mode 0600, and server-ca.pem, by which clients know it. One of another
CA does as well. Nobody renews it: do so before it ends, with the same command; nodes
take what is new without a restart.`,
		Example: `  pipesync certs http --ca ca --host n1.example.com --host 10.0.0.1 --out http
  pipesync serve --http-tls-cert-file http/http-cert.pem --http-tls-key-file http/http-key.pem
  pipesync status --addr https://n1.example.com:8800 --ca http/server-ca.pem`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return f.issue(a, madeHTTPCert{Hosts: hosts}, func(ca *certs.Authority, trust []*x509.Certificate, life time.Duration) (certs.Written, error) {
				return ca.WriteHTTP(f.out, hosts, trust, life, time.Now())
			})
		},
	}
	cmd.Flags().StringSliceVar(&hosts, "host", nil, "DNS name or IP address by which clients reach the port; repeat it for more")
	f.add(cmd, "host")
	return cmd
}

func newCertsClient(a *app) *cobra.Command {
	var name string
	f := issuing{life: days(certs.NodeLife)}
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Make a certificate for an administrator",
		Long: `Make a certificate for an administrator: client-cert.pem, client-key.pem, mode 0600,
and server-ca.pem. At nodes whose http.client_ca_file has the CA it counts as the
admin token. It can't be taken back but with its CA: give it a short life.`,
		Example: `  pipesync certs client --ca ca --name alice --lifetime 7d --out alice
  pipesync status --addr https://n1.example.com:8800 --ca alice/server-ca.pem \
      --cert alice/client-cert.pem --key alice/client-key.pem`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkName("--name", name); err != nil {
				return err
			}
			return f.issue(a, madeHTTPCert{Name: name}, func(ca *certs.Authority, trust []*x509.Certificate, life time.Duration) (certs.Written, error) {
				return ca.WriteAdministrator(f.out, name, trust, life, time.Now())
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the administrator's name")
	f.add(cmd, "name")
	return cmd
}
