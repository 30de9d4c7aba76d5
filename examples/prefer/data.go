package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/tokenize"
)

// sides are the members that hold the two replies.
var sides = [2]string{"chosen", "rejected"}

// pair is a preference: of two replies to a conversation the first.
type pair struct {
	number       int // of the line or row, from 1
	id, subset   string
	conversation string // see encode; "" if it was refused when it was read
	replies      [2]string
	scored       [2]implicit.Reward
	refused      string // why it was not scored
}

// count counts the pairs that are not refused.
func count(list []pair) (n int) {
	for _, p := range list {
		if p.refused == "" {
			n++
		}
	}
	return n
}

func dataName(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// read reads a file of preferences, and its sha256.
func read(ctx context.Context, path string, stdin io.Reader) ([]pair, string, error) {
	name, in := dataName(path), stdin
	if path != "-" {
		f, _, err := regular.Open(path, regular.Scores)
		if err != nil {
			return nil, "", fmt.Errorf("data: %w", err)
		}
		defer f.Close()
		in = f
	}
	in = regular.Limit(in, regular.Scores)
	hash := sha256.New()
	b := make([]byte, 4)
	n, err := io.ReadFull(io.TeeReader(in, hash), b)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	rest := io.MultiReader(bytes.NewReader(b[:n]), io.TeeReader(in, hash))
	var list []pair
	if string(b[:n]) == "PAR1" { // the first bytes of a Parquet file
		list, err = readParquet(rest)
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
	} else {
		list, err = readLines(ctx, rest, name)
	}
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%s: empty, wanted pairs {\"prompt\": ..., \"chosen\": ..., \"rejected\": ...}", name)
	}
	return list, hex.EncodeToString(hash.Sum(nil)), err
}

func readLines(ctx context.Context, in io.Reader, name string) (list []pair, err error) {
	for line, err := range cli.Lines(ctx, in, name) {
		if err != nil {
			return nil, err
		}
		members, err := cli.Object(line.Text, "{\"prompt\": ..., \"chosen\": ..., \"rejected\": ...}")
		if err == nil {
			var p pair
			p, err = parse(members)
			p.number = line.Number
			list = append(list, p)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", name, line.Number, err)
		}
	}
	return list, nil
}

// unfit is a pair that is well written and cannot be scored.
type unfit struct{ reason string }

func (e *unfit) Error() string { return e.reason }

func unfitf(format string, args ...any) error { return &unfit{fmt.Sprintf(format, args...)} }

// parse makes a pair of its members. An error says that they are not what was agreed; a
// pair that is, and cannot be scored, is refused.
func parse(members map[string]json.RawMessage) (p pair, err error) {
	if raw, ok := members["subset"]; ok && !null(raw) {
		if p.subset, ok, err = cli.String(raw, "subset"); err != nil || !ok {
			return p, errors.Join(err, fmt.Errorf("wanted \"subset\" as a string"))
		}
	}
	if raw, ok := members["id"]; ok && !null(raw) {
		if p.id, ok, err = cli.String(raw, "id"); err != nil {
			return p, err
		} else if !ok {
			if p.id = string(raw); raw[0] == '{' || raw[0] == '[' {
				return p, errors.New("wanted \"id\" as a string or a number")
			}
		}
	}
	messages, replies, err := conversation(members)
	if reason := new(unfit); errors.As(err, &reason) {
		p.refused = reason.reason
		return p, nil
	}
	if err == nil {
		p.conversation, p.replies = encode(messages), replies
	}
	return p, err
}

func null(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// conversation finds the messages before the replies, which the members may tell several
// times over, and the replies.
func conversation(members map[string]json.RawMessage) (messages []tokenize.Message, replies [2]string, err error) {
	for side, name := range sides {
		raw, ok := members[name]
		if !ok {
			return nil, replies, errors.New("wanted \"chosen\" and \"rejected\"")
		}
		if null(raw) {
			return nil, replies, unfitf("%s: null, wanted a reply", name)
		}
		before, reply, err := sideOf(raw, name)
		if err != nil {
			return nil, replies, err
		}
		replies[side] = reply
		switch {
		case len(before) == 0:
		case messages != nil && !slices.EqualFunc(messages, before, tokenize.Message.Equal):
			return nil, replies, unfitf("chosen and rejected answer different conversations")
		default:
			messages = before
		}
	}
	prompt := members["prompt"]
	only, isText, err := cli.String(prompt, "prompt")
	switch {
	case err != nil:
		return nil, replies, err
	case null(prompt) && messages == nil:
		return nil, replies, errors.New("no \"prompt\", and no messages before the replies, wanted one of them")
	case null(prompt):
	case isText && messages == nil:
		messages = []tokenize.Message{{Role: "user", Content: only}}
	case isText && messages[len(messages)-1].Content != only:
		return nil, replies, unfitf("prompt is another text than the last message before the replies")
	case isText:
	default:
		list, err := messagesOf(prompt, "prompt")
		if err != nil {
			return nil, replies, err
		}
		if messages != nil && !slices.EqualFunc(messages, list, tokenize.Message.Equal) {
			return nil, replies, unfitf("prompt is another conversation than that before the replies")
		}
		messages = list
	}
	if len(messages) == 0 {
		return nil, replies, unfitf("prompt: no messages, wanted at least one")
	}
	if last := messages[len(messages)-1].Role; last != "user" {
		return nil, replies, unfitf("the last message before the replies is of the %s, wanted the user's", last)
	}
	return messages, replies, nil
}

// sideOf splits a reply from what stands before it.
func sideOf(raw json.RawMessage, name string) (before []tokenize.Message, reply string, err error) {
	reply, isText, err := cli.String(raw, name)
	if err != nil || isText {
		return nil, reply, err
	}
	list, err := messagesOf(raw, name)
	if err != nil {
		return nil, "", err
	}
	if n := len(list); n == 0 || list[n-1].Role != "assistant" {
		return nil, "", unfitf("%s: the last of %d messages is not of the assistant", name, n)
	}
	return list[:len(list)-1], list[len(list)-1].Content, nil
}

// messagesOf reads a list of messages.
func messagesOf(raw json.RawMessage, name string) ([]tokenize.Message, error) {
	var list []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, fmt.Errorf("wanted %q as a string or a list of messages {\"role\": ..., \"content\": ...}", name)
	}
	messages := make([]tokenize.Message, 0, len(list))
	for i, raw := range list {
		members, err := cli.Object(raw, "{\"role\": ..., \"content\": ...}")
		if err != nil {
			return nil, fmt.Errorf("%q: message %d: %w", name, i+1, err)
		}
		var m tokenize.Message
		for _, part := range []struct {
			key string
			to  *string
		}{{"role", &m.Role}, {"content", &m.Content}} {
			var ok bool
			if *part.to, ok, err = cli.String(members[part.key], part.key); err != nil {
				return nil, fmt.Errorf("%q: message %d: %w", name, i+1, err)
			}
			if !ok {
				return nil, unfitf("%s: message %d: %s is no text", name, i+1, part.key)
			}
		}
		if !slices.Contains([]string{"system", "user", "assistant"}, m.Role) {
			return nil, unfitf("%s: message %d: of the role %q, wanted system, user or assistant", name, i+1, m.Role)
		}
		if !null(members["tool_calls"]) && string(members["tool_calls"]) != "[]" {
			return nil, unfitf("%s: message %d: calls a tool, which no template is given", name, i+1)
		}
		messages = append(messages, m)
	}
	return messages, nil
}
