// Serve answers for log-probabilities, implicit rewards and those of an explicit reward model
// over HTTP, in the forms that evaluation harnesses (lm-eval's local-completions, clients of
// OpenAI's completions), trainers (OpenRLHF's remote reward model) and clients of vLLM's reward
// models send. See internal/serve for how.
//
//	serve -tuned HuggingFaceTB/SmolLM2-135M-Instruct -base HuggingFaceTB/SmolLM2-135M
//	serve -rm Skywork/Skywork-Reward-V2-Qwen3-0.6B
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/serve"
)

func main() { cli.Main("serve", run) }

const purpose = `answers for log-probabilities and rewards over HTTP:

  /v1/completions          OpenAI's form, for scoring: echo, logprobs, max_tokens 0 or 1
  /v1/next_token_logprobs  ln p of all tokens, or of those asked for, after a prompt
  /v1/implicit_reward      beta * (ln p_tuned(reply | prompt) - ln p_base(reply | prompt))
  /v1/reward               the reward of an explicit reward model (-rm), alone or beside the others
  /classify /score         the same in vLLM's forms, after its activation unless asked without
  /get_reward              rewards as OpenRLHF's remote_rm_url asks for them: -rm's where there is
                           one, or with ?reward=implicit those of the pair
  /tokenize /detokenize /tokenizer_info /v1/models /metrics /healthz /readyz /openapi.json

and a page at / that explains them and scores a reply. The address http://127.0.0.1:8000
is what the program listens on unless -listen says otherwise. Ctrl-C or SIGTERM ends it
once what was accepted is answered.`

const examples = `  serve -tuned HuggingFaceTB/SmolLM2-135M-Instruct -base HuggingFaceTB/SmolLM2-135M
  serve -rm Skywork/Skywork-Reward-V2-Qwen3-0.6B
  serve -model ./model -dtype f32 -listen 127.0.0.1:9000
  serve -tuned ./tuned -base ./base -listen 0.0.0.0:8000 -token-file token.txt
  lm_eval --model local-completions --tasks arc_easy \
    --model_args model=./model,base_url=http://127.0.0.1:8000/v1/completions,num_concurrent=8`

type flags struct {
	cli.PairFlags
	rm                             cli.RMFlags
	model, listen, tokenFile, log  string
	anyone, logTexts               bool
	body, bodies, prompts, answers string
	promptBytes, answerBytes       int64
	grace                          time.Duration
	limits                         serve.Limits
}

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("serve", purpose, examples)
	var o flags
	f.StringVar(&o.model, "model", "", "`model` for completions alone: a folder, or org/name[@revision] on the hub, or BASE+ADAPTER, each so, with a LoRA adapter")
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
	o.rm.RegisterRM(f)
	o.RegisterBeta(f)
	o.Register(f)
	o.RegisterDevices(f)
	f.Lookup("tuned").Usage = "tuned `model` of a pair, likewise"
	f.Lookup("base").Usage = "base `model` of the pair"
	f.Lookup("tuned-as").Usage = "`rendering` of a prompt for the tuned model where a request does not say: chat, as the user's turn of its template, or raw, as it stands"
	f.Lookup("beta").Usage = "`factor` of the rewards where a request does not say, above 0"
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if err := o.check(f); err != nil {
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
