package fsm

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Caps of an entry. Encode refuses what is over them, and Decode too: a body
// over a cap would be a poison entry.
const (
	MaxOperations = 5000
	// MaxRawBytes bounds the operations block when decompressed.
	MaxRawBytes = 64 << 20
	// MaxCollectRows bounds the rows that one Collect or ChangeCollect looks at.
	MaxCollectRows = 2000
	// MaxCheckpointBytes bounds the state of a pipeline.
	MaxCheckpointBytes = 64 << 10
	// MaxCABytes bounds the certificate of a CA; those that we make have some 500.
	MaxCABytes = 8 << 10
	// MaxNameBytes bounds every name and id: 255 code points of UTF-8.
	MaxNameBytes = 4 * 255
)

// Every entry body begins with 22 bytes; the fields of its kind follow.
//
//	 0      1         2        6            22
//	┌──────┬─────────┬────────┬────────────┬─────────────────────┐
//	│ kind │ version │ crc32c │ request id │ fields of the kind… │
//	└──────┴─────────┴────────┴────────────┴─────────────────────┘
//
// The checksum covers every byte of the body but its own four.
const (
	entryVersion  = 1
	entrySumAt    = 2
	entrySumEnd   = 6
	entryPrefixed = 22
)

// Header is what an entry body says in plain bytes, before its operations are
// decompressed. From SyncID on it is a sync's; of other kinds that is zero.
type Header struct {
	Kind         Kind
	Version      byte
	RequestID    RequestID
	SyncID       string
	Org          string
	KeyID        string
	Store        string
	Mode         Mode
	Timestamp    int64 // nanoseconds since the Unix epoch
	HasTimestamp bool
	OnStale      OnStale
	MaxDelete    uint32
	HasMaxDelete bool
	Checkpoint   *Checkpoint // its State aliases the body
	Idempotency  Idempotency
	OpCount      int // operations
	RawBytes     int // of the operations with all contents, decompressed
	OmittedBytes int // of them, those of contents that the entry omits
}

// Command is what an entry's body says: a pointer to one of the structs of
// command.go.
type Command interface{ encode() ([]byte, error) }

// deciding is a command as Apply gets it.
type deciding interface {
	Command
	// decide returns what becomes of the command, on a cluster that was
	// bootstrapped, and puts all that it changes into the transaction.
	decide(*transaction) (*Result, error)
}

// maxKinds bounds the numbers of kinds.
const maxKinds = 64

// kindFormat is how entries of a kind are read.
type kindFormat struct {
	since  uint32 // the first cluster version with such entries
	decode func(*decoder, Header) (deciding, error)
}

// decoders read the fields of each kind, behind the prefix that all share.
var decoders = [maxKinds]kindFormat{
	KindBootstrap:   decodes(decodeBootstrap),
	KindSync:        decodes(decodeSync),
	KindKeyCreate:   decodes(decodeKeyCreate),
	KindKeyRevoke:   decodes(decodeKeyRevoke),
	KindStoreCreate: decodes(decodeStoreCreate),
	KindCollect:     decodes(decodeCollect),
	KindKeyRotate:   decodes(decodeKeyRotate),
	KindLimitsSet:   decodes(decodeLimitsSet),
	KindSettingsSet: decodes(decodeSettingsSet),
	KindMark:        decodes(decodeMark),

	KindVersionRaise: decodes(decodeVersionRaise),

	KindReconcile:       decodes(decodeReconcile),
	KindNamespaceDelete: decodes(decodeNamespaceDelete),
	KindStoreDelete:     decodes(decodeStoreDelete),
	KindOrgDelete:       decodes(decodeOrgDelete),
	KindPurge:           decodes(decodePurge),
	KindChangeCollect:   decodes(decodeChangeCollect),

	KindCheckpointDelete: decodes(decodeCheckpointDelete),

	KindTokenCreate: decodes(decodeTokenCreate),
	KindTokenUse:    decodes(decodeTokenUse),
	KindTokenRevoke: decodes(decodeTokenRevoke),

	KindGossipKeyAdd:     decodesFrom(2, decodeGossipKeyAdd),
	KindGossipKeyAdvance: decodesFrom(2, decodeGossipKeyAdvance),

	KindAdminTokenSet: decodesFrom(2, decodeAdminTokenSet),

	KindCARotationBegin:   decodesFrom(2, decodeCARotationBegin),
	KindCARotationAdvance: decodesFrom(2, decodeCARotationAdvance),
}

// decodes is a kind that was there from version 1 on.
func decodes[C deciding](decode func(*decoder, Header) (C, error)) kindFormat {
	return decodesFrom(1, decode)
}

func decodesFrom[C deciding](version uint32, decode func(*decoder, Header) (C, error)) kindFormat {
	return kindFormat{since: version, decode: func(d *decoder, h Header) (deciding, error) { return decode(d, h) }}
}

// Encode returns the entry body of cmd. The body aliases nothing of cmd. An error
// means that cmd is over a cap or misses a mandatory field.
func Encode(cmd Command) ([]byte, error) { return cmd.encode() }

// Decode verifies body in full and returns the same pointer types that Encode
// takes. The byte slices of a Sync alias a buffer of its own. Errors match
// ErrCorrupt or ErrUnknownFormat.
func Decode(body []byte) (Command, error) {
	cmd, err := decodeEntry(body)
	if err != nil {
		return nil, err
	}
	if e, ok := cmd.(*syncEntry); ok {
		return &e.Sync, nil
	}
	return cmd, nil
}

// Inspect is Decode for those who need to know only what a sync is about: its command is
// nil. Of any other kind there is no outline.
func Inspect(body []byte) (Command, Outline, error) {
	cmd, err := decodeEntry(body)
	if err != nil {
		return nil, Outline{}, err
	}
	e, ok := cmd.(*syncEntry)
	if !ok {
		return cmd, Outline{}, nil
	}
	defer e.release()
	return nil, e.Outline(), nil
}

// DecodeHeader reads what body says in plain bytes: of a sync its fields, of any
// other kind what all entries share. It is cheap, and doesn't verify the checksum or the
// operations. Errors match ErrCorrupt or ErrUnknownFormat.
func DecodeHeader(body []byte) (Header, error) {
	d := decoder{b: body}
	h, err := decodePrefix(&d)
	if err != nil {
		return Header{}, err
	}
	if h.Kind == KindSync {
		h.decodeSyncFields(&d)
	}
	if d.err != nil {
		return Header{}, fmt.Errorf("decode header of entry kind %d: %w", h.Kind, d.err)
	}
	return h, nil
}

// decodeEntry is Decode with a sync's namespace table, which Apply needs.
func decodeEntry(body []byte) (deciding, error) {
	d := decoder{b: body}
	h, err := decodePrefix(&d)
	if err != nil {
		return nil, err
	}
	if sumEntry(body) != binary.BigEndian.Uint32(body[entrySumAt:]) {
		return nil, fmt.Errorf("decode entry kind %d: %w: checksum differs", h.Kind, ErrCorrupt)
	}
	cmd, err := decoders[h.Kind].decode(&d, h)
	if err != nil {
		return nil, fmt.Errorf("decode entry kind %d: %w", h.Kind, err)
	}
	return cmd, nil
}

// decodePrefix reads the part that every entry has. When it succeeds, the kind
// and version are known ones.
func decodePrefix(d *decoder) (Header, error) {
	h := Header{Kind: Kind(d.u8("kind")), Version: d.u8("version")}
	if d.err != nil {
		return Header{}, fmt.Errorf("decode entry: %w", d.err)
	}
	if int(h.Kind) >= len(decoders) || decoders[h.Kind].decode == nil || h.Version != entryVersion {
		return Header{}, fmt.Errorf("decode entry: kind %d, version %d: %w", h.Kind, h.Version, ErrUnknownFormat)
	}
	d.bytes("checksum", entrySumEnd-entrySumAt)
	d.fill("request id", h.RequestID[:])
	if d.err != nil {
		return Header{}, fmt.Errorf("decode entry kind %d: %w", h.Kind, d.err)
	}
	return h, nil
}

// beginEntry starts a body of which fieldBytes more are expected.
func beginEntry(kind Kind, id RequestID, fieldBytes int) encoder {
	e := encoder{make([]byte, 0, entryPrefixed+fieldBytes)}
	e.u8(byte(kind))
	e.u8(entryVersion)
	e.u32(0)
	e.raw(id[:])
	return e
}

// sealEntry fills in the checksum.
func sealEntry(body []byte) []byte {
	binary.BigEndian.PutUint32(body[entrySumAt:], sumEntry(body))
	return body
}

func sumEntry(body []byte) uint32 {
	return crc32.Update(crc32.Checksum(body[:entrySumAt], castagnoli), castagnoli, body[entrySumEnd:])
}

// checkName is the one rule for names and ids, at both ends of the codec.
func checkName(what, name string) error {
	if name == "" || len(name) > MaxNameBytes {
		return fmt.Errorf("%s has %d bytes, want 1..%d", what, len(name), MaxNameBytes)
	}
	return nil
}

// checkOptionalName is checkName where the empty name means none.
func checkOptionalName(what, name string) error {
	if name == "" {
		return nil
	}
	return checkName(what, name)
}

func (d *decoder) name(what string) string {
	v := d.text(what, MaxNameBytes)
	if d.err == nil && v == "" {
		d.fail("%s is empty", what)
	}
	return v
}

func (d *decoder) optionalName(what string) string { return d.text(what, MaxNameBytes) }

// names reads a list of at most limit names, nil where it is empty.
func (d *decoder) names(what string, limit int) []string {
	n := int(d.uvarint(what, uint64(limit)))
	if d.err != nil || n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = d.name(what)
	}
	return list
}

func encodeError(what string, err error) error {
	return fmt.Errorf("encode %s entry: %w", what, err)
}
