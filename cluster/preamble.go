package cluster

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// A connection to the peer port starts with a preamble; nothing else is sent
// before the other side has answered with one status byte.
//
//	dialer → listener
//	+------+------+------+------+---------+------+-----+--------------+-----+-----------+
//	| 'P'  | 'S'  | 'Y'  | 'N'  | version | kind | len | cluster id … | len | node id … |
//	+------+------+------+------+---------+------+-----+--------------+-----+-----------+
//	  4 bytes of magic            1         1      1     ≤ 64 bytes     1     ≤ 64 bytes
//
//	listener → dialer
//	+--------+         +--------+-----+----------+
//	| 0 = ok |   or    | status | len | reason … |
//	+--------+         +--------+-----+----------+
//	    1                   1      1    ≤ 255 bytes, a text for people
//
// The node id is that of the node that is meant. At the address of a member that
// is gone there may be another by now, whose answers would count as the first
// one's. It is empty where the dialer knows no more than an address.
//
// Since the dialer waits for the status, a refusal is always a failed dial: no
// request has been sent, so nothing was applied.
const (
	preambleMagic   = "PSYN"
	preambleVersion = 1
	// recordTypeHandshake is the first byte of TLS.
	recordTypeHandshake = 22
)

// connKind says what a connection carries after its preamble. Numbers are
// never reused.
type connKind byte

const (
	kindRaft connKind = 1 // Raft's net transport
	kindHTTP connKind = 2 // HTTP/1.1; with an empty cluster id only join and founding are served
)

type preambleStatus byte

const (
	statusOK            preambleStatus = 0
	statusBadVersion    preambleStatus = 1
	statusWrongCluster  preambleStatus = 2
	statusNotJoined     preambleStatus = 3
	statusUnknownKind   preambleStatus = 4
	statusShuttingDown  preambleStatus = 5
	statusRemovedMember preambleStatus = 6
	statusWrongNode     preambleStatus = 7
	statusTooMany       preambleStatus = 8
	statusNoCertificate preambleStatus = 9
	statusBadCert       preambleStatus = 10
	statusWantsTLS      preambleStatus = 11 // the only one that a port with TLS sends in plain text
)

var (
	errPreamble  = errors.New("not a peer connection")
	errWrongNode = errors.New("another node is at the peer's address")
	errTooMany   = errors.New("the peer has as many connections as it takes")

	errNoCertificate = errors.New("the peer wants a certificate of this node, which has none")
	errBadCert       = errors.New("the peer refuses this node's certificate")
	errWantsTLS      = errors.New("the peer speaks TLS alone, and this node plain text: it runs with --insecure")
	errPlainText     = errors.New("the other side speaks TLS, and this node plain text: it runs with --insecure")
	errPlainPeer     = errors.New("the other side speaks plain text: it runs with --insecure")
)

func (s preambleStatus) err() error {
	switch s {
	case statusOK:
		return nil
	case statusBadVersion:
		return errors.New("the peer speaks another version of the peer protocol")
	case statusWrongCluster:
		return errors.New("the peer belongs to another cluster")
	case statusNotJoined:
		return errors.New("the peer has not joined a cluster")
	case statusUnknownKind:
		return errors.New("the peer does not know this kind of connection")
	case statusShuttingDown:
		return errors.New("the peer is stopping")
	case statusRemovedMember:
		return errors.New("the peer was removed from its cluster")
	case statusWrongNode:
		return errWrongNode
	case statusTooMany:
		return errTooMany
	case statusNoCertificate:
		return errNoCertificate
	case statusBadCert:
		return errBadCert
	case statusWantsTLS:
		return errWantsTLS
	default:
		return fmt.Errorf("the peer refused the connection with status %d", byte(s))
	}
}

const maxReasonBytes = 255

// refusal is the answer to a preamble that isn't taken.
func refusal(s preambleStatus, reason string) []byte {
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxReasonBytes)], "")
	return append([]byte{byte(s), byte(len(reason))}, reason...)
}

// readAnswer reads the answer to a preamble: nil, or why it isn't taken.
func readAnswer(r io.Reader) error {
	var status [1]byte
	if _, err := io.ReadFull(r, status[:]); err != nil {
		return fmt.Errorf("awaiting the peer's preamble status: %w", err)
	}
	err := preambleStatus(status[0]).err()
	if err == nil {
		return nil
	}
	var n [1]byte
	if _, cut := io.ReadFull(r, n[:]); cut != nil {
		return err
	}
	reason := make([]byte, n[0])
	if _, cut := io.ReadFull(r, reason); cut != nil || len(reason) == 0 {
		return err
	}
	return fmt.Errorf("%w: it says %q", err, reason)
}

type preamble struct {
	Kind      connKind
	ClusterID string
	NodeID    string // of the node that is meant; empty: whichever it is
}

func (p preamble) encode() ([]byte, error) {
	b := append([]byte(preambleMagic), preambleVersion, byte(p.Kind))
	for _, id := range []string{p.ClusterID, p.NodeID} {
		if len(id) > maxIDBytes {
			return nil, fmt.Errorf("writing preamble: an id has %d bytes", len(id))
		}
		b = append(append(b, byte(len(id))), id...)
	}
	return b, nil
}

// readPreamble reads exactly the preamble's bytes. A version that it does not
// know is reported as statusBadVersion with what could be read.
func readPreamble(r io.Reader) (preamble, preambleStatus, error) {
	var head [len(preambleMagic) + 2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return preamble{}, 0, fmt.Errorf("reading preamble: %w", err)
	}
	if head[0] == recordTypeHandshake {
		return preamble{}, 0, fmt.Errorf("reading preamble: %w", errPlainText)
	}
	if string(head[:4]) != preambleMagic {
		return preamble{}, 0, fmt.Errorf("reading preamble: %w", errPreamble)
	}
	if head[4] != preambleVersion {
		return preamble{}, statusBadVersion, nil
	}
	p := preamble{Kind: connKind(head[5])}
	for _, id := range []*string{&p.ClusterID, &p.NodeID} {
		var err error
		if *id, err = readID(r); err != nil {
			return preamble{}, 0, fmt.Errorf("reading preamble: %w", err)
		}
	}
	return p, statusOK, nil
}

func readID(r io.Reader) (string, error) {
	var n [1]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return "", err
	}
	if n[0] > maxIDBytes {
		return "", fmt.Errorf("an id of %d bytes: %w", n[0], errPreamble)
	}
	id := make([]byte, n[0])
	_, err := io.ReadFull(r, id)
	return string(id), err
}
