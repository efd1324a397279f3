package syncjson

import "strings"

// Names of the request's fields.
const (
	fieldOrganization = "organization_id"
	fieldMode         = "sync_mode"
	fieldOperations   = "operations"
	fieldTimestamp    = "sync_timestamp"
	fieldStore        = "vector_store_id"
	fieldOnStale      = "on_stale"
	fieldMaxDelete    = "max_delete_percent"
	fieldCheckpoint   = "checkpoint"
	fieldPipeline     = "checkpoint.pipeline"
	fieldState        = "checkpoint.state"
)

// Names of an operation's fields.
const (
	fieldAction    = "action"
	fieldID        = "id"
	fieldNamespace = "namespace"
	fieldData      = "data"
	fieldSource    = "source_system"
	fieldFile      = "file"
	fieldCreated   = "created_at"
	fieldUpdated   = "updated_at"
)

var (
	requestFields = []string{
		fieldOrganization, fieldMode, fieldOperations, fieldTimestamp, fieldStore, fieldOnStale, fieldMaxDelete, fieldCheckpoint,
	}
	checkpointFields = []string{fieldPipeline, fieldState}
	operationFields  = []string{
		fieldAction, fieldID, fieldNamespace, fieldData, fieldSource, fieldFile, fieldCreated, fieldUpdated,
	}
)

// maxTypos is how many letters a name may differ from a known one for that to
// be suggested.
const maxTypos = 2

// suggest returns the known field that name probably means, or "". Case,
// underscores and hyphens don't count: syncMode means sync_mode.
func suggest(name string, known []string) string {
	const maxNameBytes = 64 // longer ones resemble nothing
	if len(name) > maxNameBytes {
		return ""
	}
	best, bestTypos := "", maxTypos+1
	flat := flatten(name)
	for _, k := range known {
		target := flatten(k)
		typos := editDistance(flat, target)
		if typos < bestTypos && 2*typos < len(target) {
			best, bestTypos = k, typos
		}
	}
	return best
}

func flatten(name string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
}

// editDistance is Levenshtein's, over bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
