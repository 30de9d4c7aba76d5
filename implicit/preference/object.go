package preference

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Object is a row of a file as it stands there, for readers of further columns or of other
// forms than preferences.
type Object struct {
	Number  int // of the line, or of the row of a table or array, from 1
	members []strictjson.Member
	err     error
}

// Objects yields the rows of a file as Read does, whatever their members.
func Objects(ctx context.Context, r io.Reader) iter.Seq2[Object, error] {
	return objects(ctx, r, false)
}

func objects(ctx context.Context, r io.Reader, pairs bool) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		n, stopped := 0, false
		err := read(regular.Until(ctx, r), form{pairs: pairs, packed: true}, func(o Object) bool {
			n++
			stopped = !yield(o, nil)
			return !stopped
		})
		if err == nil && n == 0 {
			err = errors.New("empty, wanted rows")
			if pairs {
				err = fmt.Errorf("%w %s", err, wanted)
			}
		}
		if err != nil && !stopped {
			yield(Object{}, fmt.Errorf("preference: %w", err))
		}
	}
}

// object parses a row.
func object(number int, text []byte) Object {
	members, err := strictjson.Members(bytes.Clone(text), wanted) // the reader uses text again
	return Object{Number: number, members: members, err: err}
}

// Err returns why the row has no members: its text is no JSON object, or a column no text.
func (o Object) Err() error { return o.err }

// Names returns the names of the members, in order.
func (o Object) Names() []string {
	names := make([]string, 0, len(o.members))
	for _, m := range o.members {
		names = append(names, m.Key)
	}
	return names
}

// Value returns a member's JSON; nil if there is none, or it is null.
func (o Object) Value(name string) json.RawMessage {
	for _, m := range o.members {
		if m.Key == name && !strictjson.Null(m.Value) {
			return m.Value
		}
	}
	return nil
}

// Found lists the members' names, for errors.
func (o Object) Found() string { return found(o.members) }

// Messages reads a list of messages, or one; name is that of the member in errors.
func Messages(raw json.RawMessage, name string) ([]tokenize.Message, error) {
	return messagesOf(raw, name)
}
