package cluster

import (
	"errors"
	"fmt"
	"io"
)

// A connection to the peer port starts with a preamble; nothing else is sent
// before the other side has answered with one status byte.
//
//	dialer → listener
//	+------+------+------+------+---------+------+-----+----------------+
//	| 'P'  | 'S'  | 'Y'  | 'N'  | version | kind | len | cluster id …   |
//	+------+------+------+------+---------+------+-----+----------------+
//	  4 bytes of magic            1         1      1     len bytes, ≤ 64
//
//	listener → dialer
//	+--------+
//	| status |
//	+--------+
//
// Since the dialer waits for the status, a refusal is always a failed dial: no
// request has been sent, so nothing was applied.
const (
	preambleMagic   = "PSYN"
	preambleVersion = 1
)

// connKind says what a connection carries after its preamble. Numbers are
// never reused.
type connKind byte

const (
	kindRaft connKind = 1 // Raft's net transport
	kindHTTP connKind = 2 // HTTP/1.1; with an empty cluster id only a join is served
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
)

var errPreamble = errors.New("not a peer connection")

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
	default:
		return fmt.Errorf("the peer refused the connection with status %d", byte(s))
	}
}

type preamble struct {
	Kind      connKind
	ClusterID string
}

func (p preamble) encode() ([]byte, error) {
	if len(p.ClusterID) > maxIDBytes {
		return nil, fmt.Errorf("writing preamble: cluster id has %d bytes", len(p.ClusterID))
	}
	b := append([]byte(preambleMagic), preambleVersion, byte(p.Kind), byte(len(p.ClusterID)))
	return append(b, p.ClusterID...), nil
}

// readPreamble reads exactly the preamble's bytes. A version that it does not
// know is reported as statusBadVersion with what could be read.
func readPreamble(r io.Reader) (preamble, preambleStatus, error) {
	var head [len(preambleMagic) + 3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return preamble{}, 0, fmt.Errorf("reading preamble: %w", err)
	}
	if string(head[:4]) != preambleMagic {
		return preamble{}, 0, fmt.Errorf("reading preamble: %w", errPreamble)
	}
	if head[4] != preambleVersion {
		return preamble{}, statusBadVersion, nil
	}
	n := int(head[6])
	if n > maxIDBytes {
		return preamble{}, 0, fmt.Errorf("reading preamble: cluster id of %d bytes: %w", n, errPreamble)
	}
	id := make([]byte, n)
	if _, err := io.ReadFull(r, id); err != nil {
		return preamble{}, 0, fmt.Errorf("reading preamble: %w", err)
	}
	return preamble{Kind: connKind(head[5]), ClusterID: string(id)}, statusOK, nil
}
