package syncjson

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"pipesync/fsm"
)

// checkpoint reads the pipeline and its state, which may be any JSON value.
func (d *decoder) checkpoint() error {
	if d.json.PeekKind() != jsontext.KindBeginObject {
		return d.wrongType(fieldCheckpoint, "must be a JSON object; leave it out where there is none")
	}
	var c fsm.Checkpoint
	seen := map[string]bool{}
	err := d.members(func(name []byte) error {
		field := fieldCheckpoint + "." + string(name)
		seen[field] = true
		switch field {
		case fieldPipeline:
			key, err := d.key(field)
			c.Pipeline = string(key)
			return err
		case fieldState:
			var err error
			c.State, err = d.raw()
			if len(c.State) > fsm.MaxCheckpointBytes {
				d.problem(field, InvalidValue, fmt.Sprintf("has %d bytes; the limit is %d", len(c.State), fsm.MaxCheckpointBytes))
			}
			return err
		}
		return d.unknown(field, checkpointFields)
	})
	if err != nil {
		return err
	}
	for _, field := range checkpointFields {
		if !seen[field] {
			d.problem(field, Required, "is required in a checkpoint")
		}
	}
	d.req.Sync.Checkpoint = &c
	return nil
}
