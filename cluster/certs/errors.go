package certs

import "errors"

// Why a certificate isn't accepted. The texts around them name what was expected
// and what was found.
var (
	ErrNoCertificate = errors.New("no certificate")
	// ErrNoIdentity means that a certificate doesn't name whom it is for as ours do, or
	// names several.
	ErrNoIdentity = errors.New("the certificate doesn't say whom of Pipesync it is for")
	// ErrUntrusted means that no trusted CA has signed the certificate, or not for
	// this use.
	ErrUntrusted    = errors.New("the certificate is not to be trusted")
	ErrNotValidNow  = errors.New("the certificate is not valid now")
	ErrWrongCluster = errors.New("the certificate is for another cluster")
	ErrWrongNode    = errors.New("the certificate is for another node")
)

// ErrNoAuthority means that there is no ca.pem here to sign with.
var ErrNoAuthority = errors.New("this node doesn't have the key of the cluster's CA")
