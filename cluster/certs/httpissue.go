package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

const (
	// HTTPLife is how long the certificate of an HTTP port is valid unless told
	// otherwise: nobody renews it by itself.
	HTTPLife = 365 * 24 * time.Hour

	uriAdminPrefix = "/admin/"

	httpCertName   = "http-cert.pem"
	httpKeyName    = "http-key.pem"
	clientCertName = "client-cert.pem"
	clientKeyName  = "client-key.pem"
	serverCAName   = "server-ca.pem"
)

// Written is where a certificate, its key and the CAs for clients have been written to.
type Written struct {
	Cert, Key, CA string
	NotAfter      time.Time
}

// WriteHTTP makes a certificate for the HTTP port of whoever is reached by one of hosts,
// DNS names or IP addresses, those of IPv6 with or without brackets, and writes it into dir with its key and, for clients, the
// CAs in trust. It is valid for life from now on, but no longer than the CA itself.
func (a *Authority) WriteHTTP(dir string, hosts []string, trust []*x509.Certificate, life time.Duration, now time.Time) (Written, error) {
	if len(hosts) == 0 {
		return Written{}, errors.New("issuing a certificate for an HTTP port: at least one host is required")
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: hosts[0]}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, host := range hosts {
		bare := host
		if inner, ok := strings.CutPrefix(host, "["); ok {
			bare, _ = strings.CutSuffix(inner, "]")
		}
		switch ip := net.ParseIP(bare); {
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		case host == "" || strings.ContainsAny(host, ":/[]@ "):
			return Written{}, fmt.Errorf("issuing a certificate for an HTTP port: %q is neither a DNS name nor an IP address", host)
		default:
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.writeApart(dir, httpCertName, httpKeyName, template, trust, life, now)
}

// WriteAdministrator makes a certificate that makes an administrator of whoever has its
// key, and writes it into dir as WriteHTTP does.
func (a *Authority) WriteAdministrator(dir, name string, trust []*x509.Certificate, life time.Duration, now time.Time) (Written, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		URIs:        []*url.URL{{Scheme: uriScheme, Host: a.ClusterID(), Path: uriAdminPrefix + name}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	// As a certificate's reader sees it.
	if _, got, err := namedBy(template, uriAdminPrefix, "NAME"); err != nil || got != name {
		return Written{}, fmt.Errorf("issuing a certificate for an administrator: %q can't be a name", name)
	}
	return a.writeApart(dir, clientCertName, clientKeyName, template, trust, life, now)
}

// writeApart writes certificate and key each to a file of its own, as HTTP servers and
// clients want them. Between the two writes they don't match; who watches them takes
// them once they do.
func (a *Authority) writeApart(dir, certName, keyName string, template *x509.Certificate, trust []*x509.Certificate, life time.Duration, now time.Time) (Written, error) {
	doing := fmt.Sprintf("issuing a certificate for %q", template.Subject.CommonName)
	key, err := newKey()
	if err != nil {
		return Written{}, fmt.Errorf("%s: %w", doing, err)
	}
	cert, err := a.signFor(life, now, key.Public(), template)
	if err != nil {
		return Written{}, fmt.Errorf("%s: %w", doing, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Written{}, fmt.Errorf("%s: %w", doing, err)
	}
	if err := write(dir, serverCAName, encodeCerts(trust...)); err != nil {
		return Written{}, err
	}
	if err := write(dir, keyName, pem.EncodeToMemory(&pem.Block{Type: typeKey, Bytes: der})); err != nil {
		return Written{}, err
	}
	if err := write(dir, certName, encodeCerts(cert)); err != nil {
		return Written{}, err
	}
	return Written{
		Cert: filepath.Join(dir, certName), Key: filepath.Join(dir, keyName), CA: filepath.Join(dir, serverCAName), NotAfter: cert.NotAfter,
	}, nil
}
