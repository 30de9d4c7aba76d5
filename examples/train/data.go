package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/train"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/tokenize"
)

// read reads the rows, chooses those that are trained on, and says how they are rendered.
func (o *flags) read(ctx context.Context, stderr io.Writer) (err error) {
	if o.data, err = rows(ctx, o.file, o.Task, o.selection, stderr); err != nil {
		return err
	}
	if o.eval != "" {
		if o.Eval, err = rows(ctx, o.eval, o.Task, train.Select{Refused: o.selection.Refused}, stderr); err != nil {
			return err
		}
	}
	if o.order != "" {
		f, _, err := regular.Open(o.order, regular.Text)
		if err != nil {
			return fmt.Errorf("-order: %w", err)
		}
		defer f.Close()
		if o.Order, err = train.ReadOrder(regular.Limit(f, regular.Text)); err != nil {
			return fmt.Errorf("%s: %w", o.order, err)
		}
	}
	return o.rendering(stderr)
}

// rows reads a file of rows and chooses some. Those that cannot be read are named: they are an
// error, or are left out.
func rows(ctx context.Context, path string, task train.Task, which train.Select, stderr io.Writer) (*train.Data, error) {
	f, _, err := regular.Open(path, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := train.Read(ctx, f, task)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	refused := all.Refused()
	for i, r := range refused {
		if i == 10 {
			fmt.Fprintf(stderr, "%s: and %d more\n", path, len(refused)-i)
			break
		}
		fmt.Fprintf(stderr, "%s: %v\n", path, r)
	}
	if len(refused) > 0 && !which.Refused {
		return nil, fmt.Errorf("%s: %d of %d rows cannot be used: -skip leaves them out", path, len(refused), len(refused)+all.Len())
	}
	chosen, err := all.Select(which)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return chosen, nil
}

// rendering says how rows and the prompts of -corpus are rendered.
func (o *flags) rendering(stderr io.Writer) error {
	chats := o.Turns || o.data.Form() == "a conversation"
	if o.aboutChats != "" && !chats {
		return cli.Usagef("-%s is about chats, and the rows of %s are %s: wanted -turns, or conversations", o.aboutChats, o.file, o.data.Form())
	}
	t, err := tokenize.Load(o.Model)
	if err != nil {
		return err
	}
	defer t.Close()
	if o.Chat, err = o.models.ChatOptions(t); err != nil {
		return err
	}
	switch {
	case o.as != "" || o.corpus == "":
	case chats:
		o.as = "chat"
	case o.data.Form() != "text":
		return cli.Usagef("the rows of %s are %s, wanted -as chat, raw or ended for the prompts of -corpus", o.file, o.data.Form())
	case o.Task == train.Reward:
		o.as = "ended"
	default:
		o.as = "raw"
	}
	if chats || o.as == "chat" {
		if o.Chat.Template == "" && t.Template() == "" {
			return fmt.Errorf("%s has no chat template, wanted -template, or rows of texts", o.model)
		}
	}
	if chats && o.Task == train.Reward && o.Chat.BOS == tokenize.BOSAuto && beginsPlain(t, o.Chat) {
		fmt.Fprintln(stderr, "the chat template writes no BOS: rows are trained without it, as TRL does, and the reward model is scored without it (-bos add trains with one)")
	}
	return nil
}

// beginsPlain reports whether the chat template writes no BOS, though the tokenizer begins plain
// text with it.
func beginsPlain(t *tokenize.Tokenizer, chat *tokenize.ChatOptions) bool {
	name, ok := t.SpecialToken("bos_token")
	if _, begins := t.BOS(); !ok || !begins {
		return false
	}
	text, err := t.Transcript([]tokenize.Message{{Role: "user", Content: "x"}}, "y", chat)
	return err == nil && !strings.HasPrefix(text.Rendered, name)
}
