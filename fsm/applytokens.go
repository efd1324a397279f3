package fsm

import (
	"fmt"

	"pipesync/internal/planted"
	"pipesync/storage"
)

const (
	// MaxTokenLifetimeSeconds of cluster time: a token that lies about is of no use
	// for long.
	MaxTokenLifetimeSeconds = 3600
	// MaxJoinTokens bounds the tokens that haven't expired.
	MaxJoinTokens = 1000
)

// decide makes the token, and clears away those that have expired.
func (c *TokenCreate) decide(tx *transaction) (*Result, error) {
	_, found, err := tx.db.JoinToken(c.TokenID)
	if err != nil {
		return nil, fmt.Errorf("create join token: %w", err)
	}
	if found {
		return tx.done(false), nil
	}
	kept := 0
	err = tx.db.ScanJoinTokens("", MaxJoinTokens, func(id string, t storage.JoinToken) error {
		if t.ExpiresAt <= tx.system.ClusterTime {
			tx.batch.DeleteJoinToken(id)
			return nil
		}
		kept++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("create join token: %w", err)
	}
	if kept >= MaxJoinTokens {
		return tx.refuse(TooManyTokens), nil
	}
	tx.batch.PutJoinToken(c.TokenID, storage.JoinToken{
		SecretHash: c.SecretHash, CreatedAt: tx.wall,
		ExpiresAt: secondsLater(tx.system.ClusterTime, c.LifetimeSeconds),
	})
	return tx.done(true), nil
}

// decide uses the token up. Whoever has used it may do so again, since the answer
// may have been lost.
func (c *TokenUse) decide(tx *transaction) (*Result, error) {
	t, found, err := tx.db.JoinToken(c.TokenID)
	if err != nil {
		return nil, fmt.Errorf("use join token: %w", err)
	}
	switch {
	case !found:
		return tx.refuse(TokenNotFound), nil
	case t.UsedBy == c.NodeID && t.UsedWith == c.With:
		return tx.done(false), nil
	case t.UsedBy != "" && !planted.Is(planted.ReusableToken):
		return tx.refuse(TokenUsed), nil
	case t.ExpiresAt <= tx.system.ClusterTime:
		return tx.refuse(TokenExpired), nil
	}
	t.UsedBy, t.UsedWith = c.NodeID, c.With
	tx.batch.PutJoinToken(c.TokenID, t)
	return tx.done(true), nil
}

func (c *TokenRevoke) decide(tx *transaction) (*Result, error) {
	_, found, err := tx.db.JoinToken(c.TokenID)
	if err != nil {
		return nil, fmt.Errorf("revoke join token: %w", err)
	}
	if !found {
		return tx.refuse(TokenNotFound), nil
	}
	tx.batch.DeleteJoinToken(c.TokenID)
	return tx.done(false), nil
}
