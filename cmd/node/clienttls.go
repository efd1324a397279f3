package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
)

// tlsFlags are for nodes whose HTTP port speaks TLS.
type tlsFlags struct{ ca, cert, key string }

func (f *tlsFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.ca, "ca", "", "file with the CAs of https nodes (env PIPESYNC_CA; default: the system's)")
	fs.StringVar(&f.cert, "cert", "", "file with a certificate to show to https nodes; an administrator's stands for the admin token (env PIPESYNC_CERT)")
	fs.StringVar(&f.key, "key", "", "file with the certificate's key (env PIPESYNC_KEY)")
}

// config is nil where nothing is said about TLS.
func (f *tlsFlags) config(a *app) (*tls.Config, error) {
	ca := cmp.Or(f.ca, a.getenv(envPrefix+"CA"))
	cert, key := cmp.Or(f.cert, a.getenv(envPrefix+"CERT")), cmp.Or(f.key, a.getenv(envPrefix+"KEY"))
	if ca == "" && cert == "" && key == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("reading the CA: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("reading the CA: there is no certificate in %s", ca)
		}
	}
	if (cert == "") != (key == "") {
		return nil, errors.New("--cert and --key belong together: give both, or neither")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
