package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// HTTPFiles are what the HTTP port speaks TLS with, each in PEM, as other servers have
// them.
type HTTPFiles struct {
	Cert     string // the certificate, then intermediates if any
	Key      string // its key; others than owner and group must not read it
	ClientCA string // the CAs of administrators' certificates; empty: there are none
}

// HTTPStore is the files of an HTTP port and what is in force of them. Its methods may
// be called concurrently.
type HTTPStore struct {
	files HTTPFiles
	clocks

	current atomic.Pointer[httpMaterial] // never nil

	mu     sync.Mutex // held while the files are read
	marks  []mark     // of the files when they were last read
	broken error      // why what is on the disk isn't in force; nil: it is
}

// httpMaterial is what was read together.
type httpMaterial struct {
	leaf   *x509.Certificate
	admins trust
	config *tls.Config
}

// OpenHTTP reads the files, which have to be right, but for a certificate that has
// expired. The clocks are as Open's.
func OpenHTTP(files HTTPFiles, now func() time.Time, others ...func() time.Time) (*HTTPStore, error) {
	s := &HTTPStore{files: files, clocks: append(clocks{now}, others...)}
	s.marks = s.marksNow()
	m, err := readHTTP(files)
	if err != nil {
		return nil, err
	}
	s.current.Store(m)
	return s, nil
}

func (s *HTTPStore) marksNow() []mark { return marksOf(s.files.Cert, s.files.Key, s.files.ClientCA) }

func readHTTP(files HTTPFiles) (*httpMaterial, error) {
	certText, err := readFile(files.Cert, public)
	if err != nil {
		return nil, fmt.Errorf("reading the HTTP port's certificate %s: %w", files.Cert, err)
	}
	keyText, err := readFile(files.Key, shared)
	if err != nil {
		return nil, fmt.Errorf("reading the HTTP port's key %s: %w", files.Key, err)
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return nil, fmt.Errorf("reading the HTTP port's certificate %s and key %s: %w", files.Cert, files.Key, err)
	}
	if !isForServers(pair.Leaf) {
		return nil, fmt.Errorf("reading %s: the certificate of %q is for other uses than a server's: %w", files.Cert, pair.Leaf.Subject.CommonName, ErrUntrusted)
	}
	m := &httpMaterial{leaf: pair.Leaf, config: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"},
	}}
	if files.ClientCA == "" {
		return m, nil
	}
	cas, err := readCAs(files.ClientCA)
	if err != nil {
		return nil, err
	}
	m.admins = newTrust(cas)
	// Whoever shows a certificate that doesn't count gets an answer in words, and
	// may have another right to be here: see Administrator. The names of the CAs spare
	// others the question.
	m.config.ClientAuth, m.config.ClientCAs = tls.RequestClientCert, m.admins.roots
	m.config.SessionTicketsDisabled = true // each connection shows its certificate
	return m, nil
}

func isForServers(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// ServerConfig is what the port listens with: what is in force when somebody connects.
// Versions from TLS 1.2 on, with Go's choice of the rest.
func (s *HTTPStore) ServerConfig() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load().config, nil },
	}
}

// Reload reads the files again if they have changed, and says whether they had. What
// isn't right is not put in force: the port goes on with what it has.
func (s *HTTPStore) Reload() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	marks := s.marksNow()
	if slices.EqualFunc(marks, s.marks, mark.same) {
		return false, nil
	}
	s.marks = marks
	m, err := readHTTP(s.files)
	if err == nil && outOfTime(s.current.Load().leaf, s.now()) == nil {
		if late := outOfTime(m.leaf, s.now()); late != nil {
			err = fmt.Errorf("reading %s: the certificate is %w", s.files.Cert, late)
		}
	}
	if s.broken = err; err != nil {
		return true, fmt.Errorf("the HTTP port's certificate on the disk isn't in force: %w", err)
	}
	s.current.Store(m)
	return true, nil
}

// Status is the port's, now. Its CAs are those of administrators.
func (s *HTTPStore) Status() Status {
	s.mu.Lock()
	broken := s.broken
	s.mu.Unlock()
	m := s.current.Load()
	st := Status{NotAfter: m.leaf.NotAfter, Late: isLate(m.leaf, s.now()), Problem: broken}
	for _, c := range m.admins.cas {
		st.CAs = append(st.CAs, Fingerprint(c))
	}
	if late := outOfTime(m.leaf, s.now()); late != nil {
		st.Problem = errors.Join(fmt.Errorf("the HTTP port's certificate is %w", late), broken)
	}
	return st
}

// Administrator is the name in a certificate that a client of the HTTP port has shown,
// if it makes an administrator of this cluster of whoever has it; of any cluster where
// clusterID is empty. The handshake has proved that the client has the key. What counts
// is what is in force now, also on a connection that is older.
func (s *HTTPStore) Administrator(chain []*x509.Certificate, clusterID string) (string, error) {
	m := s.current.Load()
	if len(chain) == 0 || m.admins.roots == nil {
		return "", ErrNoCertificate
	}
	cluster, name, err := namedBy(chain[0], uriAdminPrefix, "NAME")
	if err != nil {
		return "", fmt.Errorf("the certificate of %q: %w", chain[0].Subject.CommonName, err)
	}
	err = s.atAny(func(now time.Time) error {
		return m.admins.verifyChain(chain, "administrators", x509.ExtKeyUsageClientAuth, now)
	})
	if err != nil {
		return "", fmt.Errorf("the certificate of administrator %s: %w", name, err)
	}
	if clusterID != "" && cluster != clusterID {
		return "", fmt.Errorf("expected cluster %s, found %s of administrator %s: %w", clusterID, cluster, name, ErrWrongCluster)
	}
	return name, nil
}
