package implicitreward_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// block is what README shows between two fences.
type block struct{ language, text string }

func readmeBlocks(t *testing.T) (blocks []block, rest string) {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split("\n"+string(b), "\n```") {
		if i%2 == 0 {
			rest += part
			continue
		}
		language, text, _ := strings.Cut(part, "\n")
		blocks = append(blocks, block{language, text + "\n"})
	}
	return blocks, rest
}

// notAsWritten are README's commands that are not run as they stand: what is run
// instead, if anything, and why. A command begins as its entry does.
var notAsWritten = []struct{ begins, instead, why string }{
	{"make demo", "bin/quickstart", "the programs are built already"},
	{"make replicate", "", "takes too long; TestMake of examples/replicate runs all of its parts, each small"},
	{"bin/score -tuned HuggingFaceTB/", "", "needs the hub itself"},
	{"git clone https://github.com/brchristian/", "", "../shared holds a part of it, which stands at paper"},
	{"go get github.com/implicitreward/", "", "setup's TestImport does, from a packed copy"},
	{"go run github.com/implicitreward/", "", "setup's TestImport does, from a packed copy"},
}

// TestReadmeCommands runs the commands that README shows, in order, in a folder that
// has what a clone has after make build.
func TestReadmeCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("long: runs the programs on the real model")
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for from, to := range map[string]string{"internal": "internal", ".deps": ".deps", "../shared/data/paper": "paper"} {
		if _, err := os.Stat(from); err == nil {
			if err := os.Symlink(filepath.Join(root, from), filepath.Join(folder, to)); err != nil {
				t.Fatal(err)
			}
		}
	}
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(folder, "bin")+"/", "./examples/...")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()

	all := t
	used := make([]bool, len(notAsWritten))
	blocks, _ := readmeBlocks(t)
	for _, b := range blocks {
		if b.language == "yaml" { // the text beside it calls it study.yaml
			if err := os.WriteFile(filepath.Join(folder, "study.yaml"), []byte(b.text), 0o644); err != nil {
				t.Fatal(err)
			}
			t.Run("study.yaml", func(t *testing.T) { readmeCommand(t, all, folder, address, "bin/study -config study.yaml") })
		}
		if b.language != "sh" {
			continue
		}
		for line := range strings.Lines(b.text) {
			command := strings.TrimSpace(line)
			for i, n := range notAsWritten {
				if strings.HasPrefix(command, n.begins) {
					used[i], command = true, n.instead
				}
			}
			if command != "" {
				t.Run(fmt.Sprintf("%.40s", command), func(t *testing.T) { readmeCommand(t, all, folder, address, command) })
			}
		}
	}
	for i, n := range notAsWritten {
		if !used[i] {
			t.Errorf("README has no command that begins with %q: the exception is not needed", n.begins)
		}
	}
}

// readmeCommand runs one command in the folder. A server goes on until the test of all commands ends.
func readmeCommand(t, all *testing.T, folder, address, command string) {
	for _, need := range []struct{ word, path, name string }{
		{".deps/models/", ".deps/models/smollm2-135m-instruct", "the real model (make real)"},
		{"curl -s http://127.0.0.1:8000/", ".deps/models/smollm2-135m-instruct", "the real model (make real)"}, // which the server before it serves
		{"paper/", "../shared/data/paper", "../shared"},
		{"-data paper", "../shared/data/paper", "../shared"},
		{"study.yaml", "../shared/data/paper", "../shared"},
	} {
		if _, err := os.Stat(need.path); strings.Contains(command, need.word) && err != nil {
			t.Skip("needs " + need.name)
		}
	}
	command = strings.ReplaceAll(command, "127.0.0.1:8000", address)
	if !strings.HasPrefix(command, "bin/serve") {
		c := exec.CommandContext(t.Context(), "sh", "-e", "-c", command)
		c.Dir = folder
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		} else if strings.HasPrefix(command, "curl") && !bytes.Contains(out, []byte(`"per_token"`)) {
			t.Errorf("the server answered %s", out)
		}
		return
	}
	served := exec.Command("sh", "-e", "-c", "exec "+command+" -listen "+address)
	served.Dir = folder
	var out bytes.Buffer
	served.Stdout, served.Stderr = &out, &out
	if err := served.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- served.Wait() }()
	all.Cleanup(func() {
		served.Process.Signal(os.Interrupt)
		if err := <-ended; err != nil {
			all.Errorf("the interrupted server: %v\n%s", err, out.Bytes())
		}
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if answer, err := http.Get("http://" + address + "/readyz"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-ended:
			ended <- nil
			t.Fatalf("the server ended: %v\n%s", err, out.Bytes())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("not ready after two minutes")
		}
	}
}

// TestReadmeGo: README's programs in Go compile. (setup's TestImport runs the first.)
func TestReadmeGo(t *testing.T) {
	blocks, _ := readmeBlocks(t)
	programs := 0
	for _, b := range blocks {
		if b.language != "go" {
			continue
		}
		programs++
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(b.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	if programs == 0 {
		t.Error("README shows no Go, wanted a program")
	}
}

// TestReadmeText: code stands in fences that say what it is, so that it is tested, and
// what the text calls a make target is one.
func TestReadmeText(t *testing.T) {
	blocks, rest := readmeBlocks(t)
	for _, b := range blocks {
		if !regexp.MustCompile(`^(sh|go|yaml|text)$`).MatchString(b.language) {
			t.Errorf("a block of %q, wanted sh, go, yaml or text:\n%s", b.language, b.text)
		}
	}
	if indented := regexp.MustCompile(`(?m)^(    |\t).*`).FindString(rest); indented != "" {
		t.Errorf("indented code, wanted a fence: %q", indented)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range regexp.MustCompile("`make ([a-z]+)`").FindAllStringSubmatch(rest, -1) {
		if !strings.Contains(string(makefile), "\n"+target[1]+":") {
			t.Errorf("the Makefile has no target %s", target[1])
		}
	}
}
