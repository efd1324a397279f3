package certs

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// ServerConfig is for the side that is dialled. It has everybody finish the
// handshake, also without a certificate or with one that doesn't count: Peer
// says which, and must be asked before a byte is believed. So a refusal can be
// told in words; in TLS 1.3 a client takes the handshake for done before the
// server has seen its certificate.
func (s *Store) ServerConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequestClientCert,
		// A session that is resumed would spare the certificates of a later one.
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			m := s.current.Load()
			if m.empty() {
				return nil, ErrNoCertificate
			}
			return &m.chain, nil
		},
	}
}

// Peer says who has dialled, after the handshake. It has to be a node of want's
// cluster, and want's node unless that is empty.
func (s *Store) Peer(state tls.ConnectionState, want Identity) (Identity, error) {
	return s.verify(s.current.Load().trust, state, want, x509.ExtKeyUsageClientAuth)
}

// PinnedConfig is for a node that has no certificate yet, and wants one of the cluster
// whose CA has one of the fingerprints. The handshake fails unless a node of that
// cluster answers.
func (s *Store) PinnedConfig(pins []string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // #nosec G402 // as in ClientConfig
		VerifyConnection: func(state tls.ConnectionState) error {
			ca, err := pinned(pins, state.PeerCertificates)
			if err == nil {
				_, err = s.verify(newTrust([]*x509.Certificate{ca}), state, Identity{}, x509.ExtKeyUsageServerAuth)
			}
			return err
		},
	}
}

// ClientConfig is for the side that dials. The handshake fails unless a node of
// want's cluster answers, and want's node unless that is empty.
func (s *Store) ClientConfig(want Identity) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// Nodes have no host names to verify. VerifyConnection verifies the chain
		// and who it is; it is called at every handshake.
		InsecureSkipVerify: true, // #nosec G402
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := s.verify(s.current.Load().trust, state, want, x509.ExtKeyUsageServerAuth)
			return err
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &s.current.Load().chain, nil // empty: none is sent
		},
	}
}

// verify says who is at the other end of a connection.
func (s *Store) verify(by trust, state tls.ConnectionState, want Identity, usage x509.ExtKeyUsage) (id Identity, err error) {
	err = s.atAny(func(now time.Time) error {
		id, err = by.verify(state.PeerCertificates, want, usage, now)
		return err
	})
	return id, err
}
