// Serve answers for log-probabilities and implicit rewards over HTTP, in the forms that
// evaluation harnesses (lm-eval's local-completions, clients of OpenAI's completions) and
// trainers (OpenRLHF's remote reward model) send. See internal/serve for how.
//
//	serve -tuned HuggingFaceTB/SmolLM2-135M-Instruct -base HuggingFaceTB/SmolLM2-135M
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"strings"
	"time"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/serve"
)

func main() { cli.Main("serve", run) }

const purpose = `answers for log-probabilities and implicit rewards over HTTP:

  /v1/completions          OpenAI's form, for scoring: echo, logprobs, max_tokens 0 or 1
  /v1/next_token_logprobs  ln p of all tokens, or of those asked for, after a prompt
  /v1/implicit_reward      beta * (ln p_tuned(reply | prompt) - ln p_base(reply | prompt))
  /get_reward              the same, as OpenRLHF's remote_rm_url asks for it
  /tokenize /detokenize /tokenizer_info /v1/models /metrics /healthz /readyz /openapi.json

and a page at / that explains them and scores a pair. The address http://127.0.0.1:8000
is what the program listens on unless -listen says otherwise. Ctrl-C or SIGTERM ends it
once what was accepted is answered.`

const examples = `  serve -tuned HuggingFaceTB/SmolLM2-135M-Instruct -base HuggingFaceTB/SmolLM2-135M
  serve -model ./model -dtype f32 -listen 127.0.0.1:9000
  serve -tuned ./tuned -base ./base -listen 0.0.0.0:8000 -token-file token.txt
  lm_eval --model local-completions --tasks arc_easy \
    --model_args model=./model,base_url=http://127.0.0.1:8000/v1/completions,num_concurrent=8`

type flags struct {
	model, tuned, base, tunedAs, baseAs string
	listen, tokenFile, log              string
	anyone, logTexts                    bool
	beta                                float64
	body, bodies, prompts, answers      string
	promptBytes, answerBytes            int64
	grace                               time.Duration
	limits                              serve.Limits
	models                              cli.ModelFlags
}

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("serve", purpose, examples)
	var o flags
	f.StringVar(&o.model, "model", "", "`model` for completions alone: a folder, or org/name[@revision] on the hub")
	f.StringVar(&o.tuned, "tuned", "", "tuned `model` of a pair, likewise")
	f.StringVar(&o.base, "base", "", "base `model` of the pair")
	f.StringVar(&o.tunedAs, "tuned-as", "chat", "`rendering` of a prompt for the tuned model where a request does not say: chat, as the user's turn of its template, or raw, as it stands")
	f.StringVar(&o.baseAs, "base-as", "raw", "`rendering` for the base model")
	f.Float64Var(&o.beta, "beta", 1, "`factor` of the rewards where a request does not say, above 0")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8000", "`address` to listen on; port 0 takes a free one")
	f.StringVar(&o.tokenFile, "token-file", "", "`file` with the bearer token that requests must bring")
	f.BoolVar(&o.anyone, "anyone", false, "listen beyond this machine without a token: anyone who reaches the address may use it")
	f.StringVar(&o.log, "log", "text", "`form` of the log on standard error: text, json or none")
	f.BoolVar(&o.logTexts, "log-texts", false, "log the body of each request too, prompts and all")
	f.StringVar(&o.body, "max-body", "16MiB", "`size` of a request's body at most")
	f.StringVar(&o.bodies, "max-bodies", "256MiB", "`size` of all bodies held at a time at most")
	f.StringVar(&o.prompts, "prompt-cache", "256MiB", "`size` of what is kept, for each model, of prompts, long ones when they first come and short ones when they come again, so that other replies to them cost little")
	f.IntVar(&o.limits.Texts, "max-texts", 10_000, "`number` of texts of a request at most")
	f.IntVar(&o.limits.Tokens, "max-tokens", 1_000_000, "`number` of tokens of a request at most, for each model")
	f.IntVar(&o.limits.Requests, "max-requests", 1024, "`number` of requests that wait at most; more are answered with 429")
	f.IntVar(&o.limits.Queue, "max-queue", 4_000_000, "`number` of tokens that wait at most; more are answered with 429")
	f.StringVar(&o.answers, "answer-cache", "64MiB", "`size` of the answers that are remembered for each model, so that what texts begin with is not asked again; 0 for none")
	f.DurationVar(&o.limits.Timeout, "timeout", 5*time.Minute, "`time` for a request at most, its wait included")
	f.DurationVar(&o.limits.Wait, "wait", 2*time.Millisecond, "`time` for which an idle server gathers requests before it computes")
	f.DurationVar(&o.grace, "grace", time.Minute, "`time` to finish accepted requests when the program is told to stop")
	o.models.Register(f)
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	server, loader, err := o.server(ctx, stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", o.listen)
	if err != nil {
		server.Close(ctx)
		return err
	}
	fmt.Fprintf(stdout, "serve: http://%s\n", l.Addr())
	if err := server.Serve(ctx, l, o.grace); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("stopped after %v with requests unanswered (-grace)", o.grace)
		}
		return err
	}
	return nil
}

// check refuses flags that do not go together, before anything is loaded.
func (o *flags) check() error {
	var err error
	pair := o.tuned != "" || o.base != ""
	switch {
	case pair == (o.model != ""):
		return cli.Usagef("wanted -tuned and -base, or -model")
	case pair && (o.tuned == "" || o.base == ""):
		return cli.Usagef("-tuned and -base belong together")
	case !(o.beta > 0) || math.IsInf(o.beta, 1):
		return cli.Usagef("-beta %g, wanted a number above 0", o.beta)
	case o.log != "text" && o.log != "json" && o.log != "none":
		return cli.Usagef("-log %q, wanted text, json or none", o.log)
	case o.limits.Timeout <= 0 || o.limits.Wait <= 0 || o.grace <= 0:
		return cli.Usagef("-timeout, -wait and -grace: wanted times above 0")
	case o.limits.Texts <= 0 || o.limits.Tokens <= 0 || o.limits.Requests <= 0 || o.limits.Queue <= 0:
		return cli.Usagef("-max-texts, -max-tokens, -max-requests and -max-queue: wanted numbers above 0")
	}
	if o.limits.Body, err = cli.ParseSize(o.body); err != nil {
		return cli.Usagef("-max-body: %v", err)
	}
	if o.limits.Bodies, err = cli.ParseSize(o.bodies); err != nil {
		return cli.Usagef("-max-bodies: %v", err)
	}
	if o.promptBytes, err = sizeOrNone(o.prompts); err != nil {
		return cli.Usagef("-prompt-cache: %v", err)
	}
	if o.answerBytes, err = sizeOrNone(o.answers); err != nil {
		return cli.Usagef("-answer-cache: %v", err)
	}
	if err := cli.CheckRendering("tuned-as", o.tunedAs); err != nil {
		return err
	}
	if err := cli.CheckRendering("base-as", o.baseAs); err != nil {
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

// sizeOrNone is cli.ParseSize, and 0 for "0".
func sizeOrNone(s string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	return cli.ParseSize(s)
}

// server loads the models and makes a server of them. The caller closes the loader.
func (o *flags) server(ctx context.Context, stderr io.Writer) (server *serve.Server, loader *cli.Loader, err error) {
	options := serve.Options{Beta: o.beta, Limits: o.limits, LogTexts: o.logTexts}
	if o.tokenFile != "" {
		b, err := regular.Read(o.tokenFile, 1<<20)
		if err != nil {
			return nil, nil, err
		}
		if options.Token = strings.TrimSpace(string(b)); len(options.Token) < 16 || strings.ContainsAny(options.Token, " \t\r\n") {
			return nil, nil, fmt.Errorf("%s: wanted one token of at least 16 characters", o.tokenFile)
		}
	}
	options.Loopback = serve.Loopback(o.listen) && options.Token == ""
	switch o.log {
	case "text":
		options.Log = slog.New(slog.NewTextHandler(stderr, nil))
	case "json":
		options.Log = slog.New(slog.NewJSONHandler(stderr, nil))
	}
	if loader, err = o.models.Loader(stderr); err != nil {
		return nil, nil, err
	}
	loader.Remember(o.promptBytes, o.answerBytes)
	if err = o.load(ctx, loader, &options); err == nil {
		err = logInvariance(options.Log, options.Tuned, options.Base)
	}
	if err == nil {
		server, err = serve.New(options)
	}
	if err != nil {
		loader.Close()
	}
	return server, loader, err
}

// logInvariance says of each model whether the numbers of short texts depend on what other
// clients ask (logprob.Model.BatchInvariant). It measures that, which would otherwise wait for
// the first request.
func logInvariance(log *slog.Logger, models ...*serve.Model) error {
	for _, m := range models {
		if m == nil {
			continue
		}
		lm, ok := m.LM.(interface{ BatchInvariant() (bool, error) })
		if !ok {
			continue
		}
		invariant, err := lm.BatchInvariant()
		if err != nil {
			return err
		}
		if log != nil {
			log.Info("numbers of short texts", "model", m.Name, "batch-invariant", invariant)
		}
	}
	return nil
}

// load loads the model or the pair.
func (o *flags) load(ctx context.Context, loader *cli.Loader, to *serve.Options) (err error) {
	if o.model != "" {
		m, err := loader.Load(ctx, o.model)
		if err != nil {
			return err
		}
		chat, err := loader.Chat(m, "model")
		to.Tuned = &serve.Model{LM: m, Name: o.model, As: "raw", Chat: chat}
		return err
	}
	if to.Tuned, err = policy(ctx, loader, o.tuned, "tuned-as", o.tunedAs); err != nil {
		return err
	}
	to.Base, err = policy(ctx, loader, o.base, "base-as", o.baseAs)
	return err
}

func policy(ctx context.Context, loader *cli.Loader, name, flag, as string) (*serve.Model, error) {
	m, err := loader.Load(ctx, name)
	if err != nil {
		return nil, err
	}
	chat, err := loader.Reads(m, name, flag, as) // which fails where the rendering does
	if err != nil {
		return nil, err
	}
	return &serve.Model{LM: m, Name: name, As: as, Chat: chat}, nil
}
