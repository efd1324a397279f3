package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// An API key's text:
//
//	psk_01jd3v0q5w8r2t4y6v8x0z2a4c_mfrggzdfmztwq2lknnwg23tpobyxe43uovthqylboezdgnbvgy3q
//	    └──────── 26: ULID ──────┘ └──────────── 52: 256 random bits, base32 ─────────┘
//
// key_ and the ULID are its public id. The SHA-256 of the last part is all that
// is stored of the secret.
const (
	keyTextPrefix = "psk_"
	keyIDPrefix   = "key_"
	ulidChars     = 26
	secretChars   = 52
	keyTextChars  = len(keyTextPrefix) + ulidChars + 1 + secretChars
)

const (
	ulidAlphabet   = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's, in lower case
	secretAlphabet = "abcdefghijklmnopqrstuvwxyz234567" // RFC 4648's, in lower case
)

var secretEncoding = base32.NewEncoding(secretAlphabet).WithPadding(base32.NoPadding)

// mintKey makes a new API key from crypto/rand. text is told once.
func mintKey() (text, keyID string, secretHash [32]byte) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails: it ends the process instead
	id, secret := mintULID(), secretEncoding.EncodeToString(random)
	return keyTextPrefix + id + "_" + secret, keyIDPrefix + id, sha256.Sum256([]byte(secret))
}

// parseKey splits the text of a key. It accepts exactly what mintKey makes, so
// that garbage costs no look-up.
func parseKey(text string) (keyID string, secretHash [32]byte, ok bool) {
	if len(text) != keyTextChars || !strings.HasPrefix(text, keyTextPrefix) {
		return "", secretHash, false
	}
	id, secret := text[len(keyTextPrefix):][:ulidChars], text[keyTextChars-secretChars:]
	separator := text[len(keyTextPrefix)+ulidChars]
	if separator != '_' || strings.Trim(id, ulidAlphabet) != "" || strings.Trim(secret, secretAlphabet) != "" {
		return "", secretHash, false
	}
	return keyIDPrefix + id, sha256.Sum256([]byte(secret)), true
}
