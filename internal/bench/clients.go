package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// load is many clients that ask a server for continuations, each for one at a time, together
// for all of them in random order and then again.
type load struct {
	url     string
	all     []continuation
	clients int
	seed    uint64
	pid     int // of the server, whose memory is watched

	mu       sync.Mutex
	order    []int // of all, this time round
	next     int   // in order
	round    int
	start    time.Time
	done     []answered
	busy     int // answered with 429, and asked again
	failed   []error
	compared int // log-probabilities
	wrong    int
	most     float64 // largest difference

	early, late int64 // most resident memory until servedSettled and after, bytes
}

// answered is a request that was.
type answered struct {
	round   int
	seconds float64
	at      time.Duration // since the start
}

// take gives a client its next request.
func (l *load) take() (n, round int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == len(l.order) {
		l.order = rand.New(rand.NewPCG(l.seed, uint64(l.round))).Perm(len(l.all))
		l.next = 0
		l.round++
	}
	l.next++
	return l.order[l.next-1], l.round
}

// run keeps the clients asking for so long, and until what they asked for is answered.
func (l *load) run(ctx context.Context, d time.Duration) error {
	transport := &http.Transport{MaxIdleConnsPerHost: l.clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Minute}
	bodies := make([][]byte, len(l.all))
	for i, c := range l.all {
		var err error
		// What lm-eval's local-completions posts.
		if bodies[i], err = json.Marshal(map[string]any{"prompt": [][]int32{c.text.IDs}, "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": true}); err != nil {
			return err
		}
	}
	l.start = time.Now()
	ended := make(chan struct{})
	var watch, group sync.WaitGroup
	watch.Go(func() { l.watchMemory(ended) })
	for range l.clients {
		group.Go(func() {
			for time.Since(l.start) < d && ctx.Err() == nil {
				n, round := l.take()
				if !l.ask(ctx, client, bodies[n], n, round) {
					time.Sleep(100 * time.Millisecond) // a server that is gone
				}
			}
		})
	}
	group.Wait()
	close(ended)
	watch.Wait()
	return ctx.Err()
}

// ask sends one request until it is answered with something else than 429.
func (l *load) ask(ctx context.Context, client *http.Client, body []byte, n, round int) bool {
	for ctx.Err() == nil {
		begin := time.Now()
		status, wait, got, err := post(ctx, client, l.url+"/v1/completions", body)
		took := time.Since(begin).Seconds()
		if status == http.StatusTooManyRequests {
			l.mu.Lock()
			l.busy++
			l.mu.Unlock()
			time.Sleep(wait)
			continue
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if err == nil && len(got) != len(l.all[n].text.IDs)+1 {
			err = fmt.Errorf("%d log-probabilities, wanted %d", len(got), len(l.all[n].text.IDs)+1)
		}
		if err != nil {
			l.failed = append(l.failed, err)
			return false
		}
		c := l.all[n]
		d := differ(got[c.text.Reply:len(got)-1], c.want) // the last is of the token that was written
		l.compared += len(c.want)
		l.most = math.Max(l.most, d)
		if !(d <= servedTolerance) {
			l.wrong++
		}
		l.done = append(l.done, answered{round, took, time.Since(l.start)})
		return true
	}
	return false
}

// post sends a body and reads the log-probabilities of the answer's only choice.
func post(ctx context.Context, client *http.Client, url string, body []byte) (status int, wait time.Duration, got []*float32, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0, 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, 0, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return resp.StatusCode, time.Duration(max(1, seconds)) * time.Second, nil, fmt.Errorf("status %d: %.200s", resp.StatusCode, b)
	}
	var answer struct {
		Choices []struct {
			Logprobs struct {
				TokenLogprobs []*float32 `json:"token_logprobs"`
			} `json:"logprobs"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return 0, 0, nil, err
	}
	if len(answer.Choices) != 1 {
		return 0, 0, nil, fmt.Errorf("%d choices, wanted 1", len(answer.Choices))
	}
	return resp.StatusCode, 0, answer.Choices[0].Logprobs.TokenLogprobs, nil
}

// watchMemory looks at the server's resident memory until the load is over.
func (l *load) watchMemory(ended <-chan struct{}) {
	ticks := time.NewTicker(200 * time.Millisecond)
	defer ticks.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ticks.C:
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.pid))
		if err != nil {
			return
		}
		resident := statusField(string(b), "VmRSS")
		if time.Since(l.start) < servedSettled {
			l.early = max(l.early, resident)
		} else {
			l.late = max(l.late, resident)
		}
	}
}

// latencies are the seconds of all requests, or of those of the first round alone.
func (l *load) latencies(cold bool) []float64 {
	var s []float64
	for _, a := range l.done {
		if !cold || a.round == 1 {
			s = append(s, a.seconds)
		}
	}
	slices.Sort(s)
	return s
}

// coldRate is the requests a second of the first round, until the last of them was answered.
func (l *load) coldRate() float64 {
	n, end := 0, time.Duration(0)
	for _, a := range l.done {
		if a.round == 1 {
			n, end = n+1, max(end, a.at)
		}
	}
	return float64(n) / end.Seconds()
}

// rate is the requests a second of the whole load.
func (l *load) rate() float64 {
	if len(l.done) == 0 {
		return 0
	}
	return float64(len(l.done)) / l.done[len(l.done)-1].at.Seconds()
}

// quantile is the smallest value that a share q of the sorted values does not pass; NaN of none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
