package main

import (
	"net"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/serve"
)

// check refuses flags that do not go together, before anything is loaded.
func (o *flags) check(f *cli.Flags) error {
	if err := o.checkModels(); err != nil {
		return err
	}
	switch {
	case o.log != "text" && o.log != "json" && o.log != "none":
		return cli.Usagef("-log %q, wanted text, json or none", o.log)
	case min(o.limits.Timeout, o.limits.Wait, o.grace) <= 0:
		return cli.Usagef("-timeout, -wait and -grace: wanted times above 0")
	case min(o.limits.Texts, o.limits.Tokens, o.limits.Requests, o.limits.Queue) <= 0:
		return cli.Usagef("-max-texts, -max-tokens, -max-requests and -max-queue: wanted numbers above 0")
	}
	if err := o.sizes(); err != nil {
		return err
	}
	if o.rm.As == "ended" {
		return cli.Usagef("-rm-as ended, wanted chat or raw: requests have a text end as it does")
	}
	if err := o.rm.Check(f); err != nil {
		return err
	}
	if err := o.Check(f, "chat"); err != nil { // a request may ask for a chat
		return err
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return cli.Usagef("-listen %q, wanted an address such as 127.0.0.1:8000", o.listen)
	}
	if !serve.Loopback(o.listen) && o.tokenFile == "" && !o.anyone {
		return cli.Usagef("-listen %s is reached from other machines: wanted -token-file, or -anyone to let all of them in", o.listen)
	}
	return nil
}

// checkModels refuses models that do not go together.
func (o *flags) checkModels() error {
	pair := o.Tuned != "" || o.Base != ""
	switch {
	case pair && o.model != "":
		return cli.Usagef("wanted -tuned and -base, or -model")
	case !pair && o.model == "" && o.rm.RM == "":
		return cli.Usagef("wanted -tuned and -base, or -model, or -rm, alone or beside these")
	case len(o.TunedAll) > 1 || len(o.rm.RMAll) > 1:
		return cli.Usagef("a second -tuned or -rm, wanted one model of each kind")
	case pair && (o.Tuned == "" || o.Base == ""):
		return cli.Usagef("-tuned and -base belong together")
	}
	return nil
}

// sizes reads the flags that are sizes in bytes.
func (o *flags) sizes() (err error) {
	for _, size := range []struct {
		flag, value string
		read        func(string) (int64, error)
		to          *int64
	}{
		{"max-body", o.body, cli.ParseSize, &o.limits.Body},
		{"max-bodies", o.bodies, cli.ParseSize, &o.limits.Bodies},
		{"prompt-cache", o.prompts, sizeOrNone, &o.promptBytes},
		{"answer-cache", o.answers, sizeOrNone, &o.answerBytes},
	} {
		if *size.to, err = size.read(size.value); err != nil {
			return cli.Usagef("-%s: %v", size.flag, err)
		}
	}
	return nil
}

// sizeOrNone is cli.ParseSize, and 0 for "0".
func sizeOrNone(s string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	return cli.ParseSize(s)
}
