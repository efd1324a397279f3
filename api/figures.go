package api

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"pipesync/api/syncjson"
	"pipesync/fsm"
)

// figuresReply is an object with a member for each figure, in their order.
type figuresReply []namedFigure

type namedFigure struct {
	name  string
	value uint64
}

func newFigures[Row any](figures fsm.Figures[Row], row Row) figuresReply {
	reply := make(figuresReply, len(figures))
	for i, f := range figures {
		reply[i] = namedFigure{f.Name, f.Of(row)}
	}
	return reply
}

// MarshalJSONTo implements json.MarshalerTo.
func (r figuresReply) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, f := range r {
		if err := enc.WriteToken(jsontext.String(f.name)); err != nil {
			return err
		}
		if err := enc.WriteToken(jsontext.Uint(f.value)); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// readFigures reads what is to be set: some of the figures, by their names. It
// tells everything that is wrong with them at once.
func readFigures[Row any](s *server, c *call, figures fsm.Figures[Row]) ([]fsm.FigureValue, error) {
	given := map[string]jsontext.Value{}
	if err := s.readAdminBody(c, &given); err != nil {
		return nil, err
	}
	var values []fsm.FigureValue
	var rules fieldRules
	for _, f := range figures {
		text, ok := given[f.Name]
		if !ok {
			continue
		}
		delete(given, f.Name)
		value, err := strconv.ParseUint(string(text), 10, 64)
		if err != nil {
			value = f.Max + 1
		}
		if err := f.Check(value); err != nil {
			rules.add(f.Name, syncjson.InvalidValue, "%v", err)
		}
		c.concerns(f.Name, strconv.FormatUint(value, 10))
		values = append(values, fsm.FigureValue{Number: f.Number, Value: value})
	}
	for name := range given {
		rules.add(name, syncjson.UnknownField, "is not a field of this request")
	}
	slices.SortFunc(rules.details, func(a, b detail) int { return cmp.Compare(a.Field, b.Field) })
	if err := rules.err(); err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, failField(codeValidationFailed, "", syncjson.Required, "must name at least one figure to set")
	}
	return values, nil
}
