package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
)

// unread are members of a conversation; a pair has one prompt.
var unread = []string{"system", "system_prompt", "messages", "history", "tools", "images"}

// parsePair reads a line's object, to which the members named in added will be added. whole
// reports whether the answer, also an error, may be added to the object's own members.
func parsePair(line []byte, added []string) (item implicit.Item, whole bool, err error) {
	keys, err := cli.Object(line, "{\"prompt\": ..., \"reply\": ...}", slices.Concat(added, unread, []string{"prompt", "reply"})...)
	if err != nil {
		return item, false, err
	}
	for _, key := range added {
		if _, ok := keys[key]; ok {
			return item, false, fmt.Errorf("%q is there already, wanted lines without the members that are added", key)
		}
	}
	for _, key := range unread {
		if v := string(keys[key]); !slices.Contains([]string{"", "null", `""`, "[]", "{}"}, v) {
			return item, true, fmt.Errorf("%q is not read, and the reply would be to another conversation, wanted prompt and reply (-system gives all lines one system text)", key)
		}
	}
	for key, to := range map[string]*string{"prompt": &item.Prompt, "reply": &item.Reply} {
		var ok bool
		if *to, ok, err = cli.String(keys[key], key); err != nil {
			return item, true, err
		}
		if !ok {
			return item, true, errors.New("wanted both \"prompt\" and \"reply\", as strings")
		}
	}
	return item, true, nil
}
