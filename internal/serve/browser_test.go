//go:build !nodaulet

package serve

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/internal/demo"
)

// browser drives a headless Chromium over its DevTools pipe: JSON messages, each ended by a
// zero byte.
type browser struct {
	t       *testing.T
	in      io.Writer
	out     *bufio.Reader
	session string
	id      int
	log     []string // what the console and the security policy complained of
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("long: a browser")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs the program chromium")
	}
	fromUs, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, toUs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "serve-browser")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, "--headless", "--window-size=900,1300", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	c.ExtraFiles = []*os.File{fromUs, toUs} // 3 and 4
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	fromUs.Close()
	toUs.Close()
	late := time.AfterFunc(2*time.Minute, func() { c.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		c.Process.Kill()
		c.Wait()
		in.Close()
		out.Close()
		os.RemoveAll(profile)
	})
	return &browser{t: t, in: in, out: bufio.NewReader(out)}
}

// call sends a command and reads messages until its answer.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	b.id++
	message := map[string]any{"id": b.id, "method": method, "params": params}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	m, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(m, 0)); err != nil {
		b.t.Fatal(err)
	}
	for {
		raw, err := b.out.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("%s: the browser ended: %v", method, err)
		}
		var got struct {
			ID     int
			Method string
			Params json.RawMessage
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(raw[:len(raw)-1], &got); err != nil {
			b.t.Fatal(err)
		}
		switch {
		case got.Method == "Log.entryAdded" || got.Method == "Runtime.exceptionThrown":
			b.log = append(b.log, string(got.Params))
		case got.ID != b.id:
		case got.Error != nil:
			b.t.Fatalf("%s: %s", method, got.Error.Message)
		default:
			if result != nil {
				if err := json.Unmarshal(got.Result, result); err != nil {
					b.t.Fatal(err)
				}
			}
			return
		}
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	b.call("Log.enable", map[string]any{}, nil)
	b.call("Runtime.enable", map[string]any{}, nil)
	b.call("Page.enable", map[string]any{}, nil)
	b.call("Page.navigate", map[string]any{"url": url}, nil)
}

// eval runs a script, whose value is a string.
func (b *browser) eval(script string) string {
	b.t.Helper()
	var got struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &got)
	if got.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", script, got.ExceptionDetails)
	}
	return fmt.Sprint(got.Result.Value)
}

func (b *browser) wait(script string) {
	b.t.Helper()
	for range 300 {
		if b.eval(script) == "true" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("%s: not within 30 s; the page says %s", script, b.eval("document.body.innerText"))
}

// TestPage: in a real browser, the page shows what is served, scores a reply and colours
// it, shows refusals and scripts as text, takes a token, and breaks no rule of its security
// policy. SERVE_SHOTS names a folder for pictures.
func TestPage(t *testing.T) {
	const token = "0123456789abcdef"
	s, _, _ := demoServer(t, "llama", func(o *Options) { o.Token = token })
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	b := newBrowser(t)
	b.open(server.URL + "/")
	b.wait(`document.readyState === "complete" && document.getElementById("state").textContent.includes("wants a token")`)
	refused := len(b.log) // the 401 itself is in the log
	b.eval(`document.getElementById("token").value = "` + token + `"; document.getElementById("usetoken").click(); ""`)
	b.wait(`!document.getElementById("models").hidden`)
	if got := b.eval(`document.getElementById("models").innerText`); !strings.Contains(got, "demo/tuned") || !strings.Contains(got, "demo/base") {
		t.Errorf("models %q", got)
	}
	// What is typed stays text: no element comes of it.
	const reply = `power <img src=x onerror=alert(1)> Łove`
	score := func(reply string) {
		q, _ := json.Marshal(reply)
		b.eval(`document.getElementById("result").hidden = true; document.getElementById("reply").value = ` + string(q) + `; document.getElementById("score").click(); ""`)
		b.wait(`!document.getElementById("score").disabled`)
	}
	score(reply)
	b.wait(`!document.getElementById("result").hidden`)
	if got := b.eval(`document.getElementById("tokens").textContent`); got != reply {
		t.Errorf("the coloured text is %q, wanted %q", got, reply)
	}
	if n := b.eval(`document.querySelectorAll("#result img").length`); n != "0" {
		t.Errorf("%s images", n)
	}
	q, _ := json.Marshal(map[string]any{"prompt": b.eval(`document.getElementById("prompt").value`), "reply": reply, "per_token": true})
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/v1/implicit_reward", strings.NewReader(string(q)))
	r.Header.Set("Authorization", "Bearer "+token)
	s.Handler().ServeHTTP(w, r)
	want := object[rewardResponse](t, w).Data[0]
	if got := b.eval(`document.getElementById("sum").textContent`); !strings.Contains(got, strings.Replace(fmt.Sprintf("Reward %.3f ", *want.Reward), "-", "\u2212", 1)) {
		t.Errorf("%q, wanted the reward %.3f", got, *want.Reward)
	}
	for i, p := range want.PerToken {
		colour := b.eval(fmt.Sprintf(`getComputedStyle(document.querySelectorAll("#tokens span")[%d]).backgroundColor`, i))
		low := strings.HasPrefix(colour, "rgba(214")
		if !strings.HasPrefix(colour, "rgba(") || *p.Reward < -0.1 != low && *p.Reward*(*p.Reward) > 0.01 {
			t.Errorf("%q with reward %.3f has the colour %s", p.Text, *p.Reward, colour)
		}
	}
	shot(b, "page.png")
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": "dark"}}}, nil)
	shot(b, "page-dark.png")
	if b.eval(`String(document.getElementById("rmfield").hidden && document.getElementById("explicit").hidden)`) != "true" {
		t.Error("the page shows a reward model, and there is none")
	}
	before := len(b.log)
	score("")
	if got := b.eval(`document.getElementById("error").textContent`); !strings.Contains(got, "reply 0: empty, wanted text") {
		t.Errorf("error %q", got)
	}
	for i, entry := range b.log {
		if i >= refused && i < before || strings.Contains(entry, "Content Security Policy") {
			t.Errorf("the browser complains: %s", entry)
		}
	}
}

// TestPageRM: the page of a server with a reward model alone scores a reply with it, and shows
// nothing of a pair.
func TestPageRM(t *testing.T) {
	s, _ := rmServer(t, "llama", nil)
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	b := newBrowser(t)
	b.open(server.URL + "/")
	b.wait(`document.readyState === "complete" && !document.getElementById("models").hidden`)
	if got := b.eval(`document.getElementById("state").textContent`); got != "A reward model: its rewards, of the head linear: score.weight [1 64], pooling last." {
		t.Errorf("state %q", got)
	}
	b.eval(`document.getElementById("prompt").value = "What is the best thing?"; document.getElementById("reply").value = "power"; document.getElementById("score").click(); ""`)
	b.wait(`!document.getElementById("explicit").hidden`)
	want := fmt.Sprintf("The reward model gives %.3f and reads prompt and reply as chat, 21 tokens, BOS add.", demo.Moods()["best"]+word(t, "power").Reward("llama"))
	if got := b.eval(`document.getElementById("rmsum").textContent`); got != want {
		t.Errorf("%q, wanted %q", got, want)
	}
	if b.eval(`String(document.getElementById("result").hidden && document.getElementById("pairfields").hidden && document.getElementById("outputs").hidden)`) != "true" {
		t.Error("the page shows a pair, and there is none")
	}
	shot(b, "page-rm.png")
	for _, entry := range b.log {
		if !strings.Contains(entry, `"level":"verbose"`) {
			t.Errorf("the browser complains: %s", entry)
		}
	}
}

// shot keeps a picture of the page, all of it.
func shot(b *browser, name string) {
	dir := os.Getenv("SERVE_SHOTS")
	if dir == "" {
		return
	}
	var got struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &got)
	png, err := base64.StdEncoding.DecodeString(got.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), png, 0o644)
	}
	if err != nil {
		b.t.Error(err)
	}
}
