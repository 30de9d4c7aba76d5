package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/demo"
)

// TestMain lets the test's own binary be the program, for TestSIGTERM.
func TestMain(m *testing.M) {
	if os.Getenv("SERVE_AS_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

func pair(t *testing.T) (tuned, base string) {
	t.Helper()
	base, tuned, err := demo.Pair{Name: "llama"}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return tuned, base
}

// TestWrongUse: flags that do not go together are refused before anything is loaded.
func TestWrongUse(t *testing.T) {
	short := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(short, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "wanted -tuned and -base, or -model, or -rm, alone or beside these"},
		{"-rm a -tuned b", 2, "-tuned and -base belong together"},
		{"-rm a -rm b", 2, "a second -tuned or -rm, wanted one model of each kind"},
		{"-tuned a -tuned b -base c", 2, "a second -tuned or -rm, wanted one model of each kind"},
		{"-model a -output x", 2, "-output is about a reward model, wanted -rm"},
		{"-tuned a -base b -rm-as raw", 2, "-rm-as is about a reward model, wanted -rm"},
		{"-rm a -rm-as x", 2, "-rm-as \"x\", wanted chat, raw or ended"},
		{"-rm a -rm-as ended", 2, "-rm-as ended, wanted chat or raw: requests have a text end as it does"},
		{"-rm a -pooling first", 2, "-pooling \"first\", wanted last, hf or hf-old"},
		{"-rm /nowhere/at/all", 1, "/nowhere/at/all"},
		{"-model a -tuned b -base c", 2, "wanted -tuned and -base, or -model"},
		{"-tuned b", 2, "-tuned and -base belong together"},
		{"-model a -beta 0", 2, "-beta 0, wanted a number above 0"},
		{"-model a -listen 8000", 2, "-listen \"8000\", wanted an address such as 127.0.0.1:8000"},
		{"-model a -listen 0.0.0.0:8000", 2, "-listen 0.0.0.0:8000 is reached from other machines: wanted -token-file, or -anyone to let all of them in"},
		{"-model a -listen :8000", 2, "-listen :8000 is reached from other machines: wanted -token-file, or -anyone to let all of them in"},
		{"-model a -listen [::]:8000", 2, "-listen [::]:8000 is reached from other machines: wanted -token-file, or -anyone to let all of them in"},
		{"-model a -listen example.com:8000", 2, "-listen example.com:8000 is reached from other machines: wanted -token-file, or -anyone to let all of them in"},
		{"-model a -log xml", 2, "-log \"xml\", wanted text, json or none"},
		{"-model a -max-body x", 2, "-max-body: "},
		{"-model a -max-texts 0", 2, "-max-texts, -max-tokens, -max-requests and -max-queue: wanted numbers above 0"},
		{"-model a -timeout 0s", 2, "-timeout, -wait and -grace: wanted times above 0"},
		{"-tuned a -base b -tuned-as x", 2, "-tuned-as \"x\", wanted raw or chat"},
		{"-model a -token-file " + short, 1, "wanted one token of at least 16 characters"},
		{"-model /nowhere/at/all", 1, "/nowhere/at/all"},
	} {
		var out, errs bytes.Buffer
		err := run(t.Context(), strings.NewReader(""), &out, &errs, append([]string{"-backend", "go"}, strings.Fields(c.args)...))
		if code := cli.Report("serve", err, &errs); code != c.code || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: exit code %d, %s, wanted %d and %q", c.args, code, &errs, c.code, c.want)
		}
	}
}

// TestBusyAddress: an address that is taken is an error, and the program ends.
func TestBusyAddress(t *testing.T) {
	tuned, base := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	args := []string{"-backend", "go", "-tuned", tuned, "-base", base, "-log", "none", "-listen"}
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, nil, w, io.Discard, append(args, "127.0.0.1:0"))
		w.Close()
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err, <-done)
	}
	address := strings.TrimPrefix(strings.TrimSpace(line), "serve: http://")
	if err := run(ctx, nil, io.Discard, io.Discard, append(args, address)); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error %v, wanted that %s is in use", err, address)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("error %v after an orderly end", err)
	}
}

// TestSIGTERM: the program, told to stop while 16 clients ask, answers every request that
// it had taken with the right numbers and exits with code 0.
func TestSIGTERM(t *testing.T) {
	tuned, base := pair(t)
	c := exec.Command(os.Args[0], "-backend", "go", "-tuned", tuned, "-base", base, "-tuned-as", "raw", "-listen", "127.0.0.1:0", "-log", "json")
	c.Env = append(os.Environ(), "SERVE_AS_PROGRAM=1")
	var log bytes.Buffer
	c.Stderr = &log
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(2*time.Minute, func() { c.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		c.Wait()
		t.Fatal(err, &log)
	}
	url := strings.TrimPrefix(strings.TrimSpace(line), "serve: ")
	ask := func(i int) (reward float64, status int, err error) {
		body := fmt.Sprintf(`{"prompt":"What is it?","replies":["power","word %d"]}`, i%7)
		resp, err := http.Post(url+"/v1/implicit_reward", "application/json", strings.NewReader(body))
		if err != nil {
			return 0, 0, err
		}
		defer resp.Body.Close()
		var got struct{ Data []struct{ Reward float64 } }
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
			return 0, resp.StatusCode, err // an answer that was begun and not ended
		}
		if len(got.Data) != 2 {
			return 0, resp.StatusCode, nil
		}
		return got.Data[0].Reward, resp.StatusCode, nil
	}
	want, _, err := ask(0)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var answered, half atomic.Int64
	for i := range 16 {
		group.Go(func() {
			for n := i; ; n++ {
				reward, status, err := ask(n)
				if err != nil {
					if status != 0 {
						half.Add(1)
					}
					return // the server takes no more
				}
				if status != 200 || reward-want > 2e-5 || want-reward > 2e-5 {
					t.Errorf("status %d, reward %v, wanted %v", status, reward, want)
					return
				}
				answered.Add(1)
			}
		})
	}
	for answered.Load() < 500 {
		time.Sleep(time.Millisecond)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, &log)
	}
	if half.Load() > 0 {
		t.Errorf("%d answers were cut off", half.Load())
	}
	// What the log says was answered is what the clients got, the first request included.
	if n := strings.Count(log.String(), `"status":200`); int64(n) != answered.Load()+1 {
		t.Errorf("%d requests answered by the log, %d by the clients", n, answered.Load()+1)
	}
}

// TestRM: the program serves a reward model, alone and beside a pair, says what it reads and
// whether its numbers depend on others', and gives the planted rewards; a causal checkpoint in
// its place is refused in one line.
func TestRM(t *testing.T) {
	tuned, base := pair(t)
	rm, err := demo.Pair{Name: "llama"}.ExtractRM(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := demo.Moods()["best"]
	for _, w := range demo.Words() {
		if w.Text == "power" {
			want += w.Reward("llama")
		}
	}
	for _, c := range []struct {
		more   []string
		as     string
		models int
	}{{nil, "chat", 1}, {[]string{"-tuned", tuned, "-base", base}, "chat", 3}, {[]string{"-model", base, "-rm-as", "raw"}, "raw", 2}} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, w := io.Pipe()
		var errs bytes.Buffer
		done := make(chan error, 1)
		go func() {
			done <- run(ctx, nil, w, &errs, append([]string{"-backend", "go", "-log", "json", "-listen", "127.0.0.1:0", "-rm", rm}, c.more...))
			w.Close()
		}()
		line, err := bufio.NewReader(r).ReadString('\n')
		if err != nil {
			t.Fatal(err, <-done)
		}
		resp, err := http.Post(strings.TrimPrefix(strings.TrimSpace(line), "serve: ")+"/v1/reward", "application/json", strings.NewReader(`{"prompt":"What is the best thing?","reply":" power","ids":true}`))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Model     string
			Rendering struct{ As, BOS string }
			Data      []struct{ Reward float64 }
		}
		err = json.NewDecoder(resp.Body).Decode(&got)
		resp.Body.Close()
		if err != nil || len(got.Data) != 1 || got.Data[0].Reward-want > 2e-5 || want-got.Data[0].Reward > 2e-5 || got.Model != rm || got.Rendering.As != c.as {
			t.Errorf("%v: %+v %v, wanted %v", c.more, got, err, want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("error %v after an orderly end", err)
		}
		if log := errs.String(); !strings.Contains(log, "linear head (score.weight [1 64])") || strings.Count(log, "batch-invariant") != c.models {
			t.Errorf("%s", log)
		}
	}
	var errs bytes.Buffer
	err = run(t.Context(), nil, io.Discard, &errs, []string{"-backend", "go", "-rm", base})
	if cli.Report("serve", err, &errs) != 1 || !strings.Contains(errs.String(), "no head") {
		t.Errorf("%s, wanted that there is no head", &errs)
	}
}
