package certs

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"pipesync/internal/durable"
)

const (
	trustName = "trust.pem"
	nodeName  = "node.pem"
	caName    = "ca.pem"
	nextName  = "ca-next.pem"

	// maxFileBytes bounds what is read of a file: some hundred certificates.
	maxFileBytes = 256 << 10

	typeCertificate = "CERTIFICATE"
	typeKey         = "PRIVATE KEY"
)

// WriteAuthority writes ca.pem, and trust.pem that trusts it alone.
func WriteAuthority(dir string, a *Authority) error {
	if err := writePair(dir, caName, a.cert, a.key); err != nil {
		return err
	}
	return writeTrust(dir, []*x509.Certificate{a.cert})
}

// WriteNode writes what a node needs: node.pem, and trust.pem that trusts those
// in trust.
func WriteNode(dir string, n *Node, trust []*x509.Certificate) error {
	if err := writeTrust(dir, trust); err != nil {
		return err
	}
	return writePair(dir, nodeName, n.cert, n.key)
}

func writeTrust(dir string, cas []*x509.Certificate) error {
	return write(dir, trustName, encodeCerts(cas...))
}

func writePair(dir, name string, cert *x509.Certificate, key crypto.Signer) error {
	text, err := encodePair(cert, key)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return write(dir, name, text)
}

func encodePair(cert *x509.Certificate, key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(encodeCerts(cert), pem.EncodeToMemory(&pem.Block{Type: typeKey, Bytes: der})...), nil
}

func encodeCerts(certs ...*x509.Certificate) (text []byte) {
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: c.Raw})...)
	}
	return text
}

func write(dir, name string, text []byte) error {
	err := durable.MakeDir(dir)
	if err == nil {
		err = durable.Replace(dir, name, text)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Join(dir, name), err)
	}
	return nil
}

// ReadAuthority reads dir's ca.pem. It is ErrNoAuthority if there is none.
func ReadAuthority(dir string) (*Authority, error) { return readAuthority(dir, caName) }

func readAuthority(dir, name string) (*Authority, error) {
	path := filepath.Join(dir, name)
	chain, key, err := readPair(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w", path, ErrNoAuthority)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if !isAuthority(chain[0]) {
		return nil, fmt.Errorf("reading %s: %w", path, errNotAuthority)
	}
	return &Authority{cert: chain[0], key: key}, nil
}

var errNotAuthority = errors.New("its certificate is not that of a cluster's CA: make one with 'pipesync certs ca'")

func isAuthority(cert *x509.Certificate) bool { return cert.IsCA && len(cert.PermittedURIDomains) == 1 }

// ReadTrust reads dir's trust.pem.
func ReadTrust(dir string) ([]*x509.Certificate, error) {
	return readCAs(filepath.Join(dir, trustName))
}

// readCAs reads a file of CA certificates and nothing else.
func readCAs(path string) ([]*x509.Certificate, error) {
	text, err := readFile(path, public)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	cas, key, err := parse(text)
	switch {
	case err != nil:
	case key != nil:
		err = errors.New("it holds a private key: only CA certificates belong there")
	case len(cas) == 0:
		err = errors.New("it holds no certificate")
	}
	for _, c := range cas {
		if err == nil && !c.IsCA {
			err = fmt.Errorf("the certificate of %q is no CA's", c.Subject.CommonName)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return cas, nil
}

// readPair reads certificates and the key of the first.
func readPair(path string) ([]*x509.Certificate, crypto.Signer, error) {
	text, err := readFile(path, private)
	if err != nil {
		return nil, nil, err
	}
	return parsePair(text)
}

func parsePair(text []byte) ([]*x509.Certificate, crypto.Signer, error) {
	chain, key, err := parse(text)
	if err != nil {
		return nil, nil, err
	}
	if len(chain) == 0 || key == nil {
		return nil, nil, fmt.Errorf("it holds %d certificates, and has a private key: %t; both are needed", len(chain), key != nil)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(chain[0].PublicKey) {
		return nil, nil, fmt.Errorf("the private key is not that of the first certificate, of %q", chain[0].Subject.CommonName)
	}
	return chain, key, nil
}

// Permissions that a file of keys mustn't give.
const (
	public  os.FileMode = 0     // there is no key in it
	private os.FileMode = 0o077 // for its owner alone
	shared  os.FileMode = 0o007 // its group may read it
)

func readFile(path string, forbidden os.FileMode) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return nil, fmt.Errorf("its mode is %04o, and it holds a private key: others than its owner must not read or write it (chmod 600)", mode)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = fmt.Errorf("it is over %d bytes", maxFileBytes)
	}
	return text, err
}

// parse reads the blocks of a PEM file: certificates, and at most one key.
func parse(text []byte) (chain []*x509.Certificate, key crypto.Signer, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return chain, key, nil
		}
		if block.Type == typeCertificate {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			chain = append(chain, cert)
			continue
		}
		if key != nil {
			return nil, nil, errors.New("it holds more than one private key")
		}
		if key, err = parseKey(block); err != nil {
			return nil, nil, err
		}
	}
}

// parseKey reads the forms in which outside CAs hand keys out.
func parseKey(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case typeKey:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("it holds a block of type %q: expected certificates and a private key that isn't encrypted", block.Type)
	}
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T can't sign", key)
	}
	return signer, nil
}
