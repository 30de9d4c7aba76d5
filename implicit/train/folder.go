package train

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// The files of a run's folder, beside checkpoint-N: see Run.
const (
	logFile      = "log.jsonl"
	evalFile     = "eval.jsonl"
	manifestFile = "train.json"
	stateDir     = "state"
)

// folder is the folder of a run. What it holds is complete at any moment, or is not what
// state/state.json, which is written last, says that there is.
type folder struct {
	path  string
	claim *os.File // see output.Claim
	made  bool     // by this process
	// event, if not nil, is called between changes of the folder: where a test ends the process.
	event func(what string)
}

func (f *folder) at(what string) {
	if f.event != nil {
		f.event(what)
	}
}

func (f *folder) join(name ...string) string {
	return filepath.Join(append([]string{f.path}, name...)...)
}

// checkpoint is the folder of a step's.
func (f *folder) checkpoint(step int) string { return f.join("checkpoint-" + strconv.Itoa(step)) }

// writeFile writes a file, or replaces it, as a whole.
func (f *folder) writeFile(path string, write func(io.Writer) error) error {
	f.at("before " + path)
	err := output.WriteFile(path, func(w io.Writer) error {
		if f.event == nil {
			return write(w)
		}
		var all bytes.Buffer
		if err := write(&all); err != nil {
			return err
		}
		half := all.Len() / 2
		if _, err := w.Write(all.Next(half)); err != nil {
			return err
		}
		f.at("in the middle of " + path)
		_, err := w.Write(all.Bytes())
		return err
	})
	f.at("after " + path)
	return err
}

// writeJSON writes a value as a file, as a whole.
func (f *folder) writeJSON(path string, value any) error {
	return f.writeFile(path, func(w io.Writer) error { return strictjson.Write(w, value, "  ") })
}

// writeFolder has a new folder written in the place of what may be there, and sees that it is
// on the disk.
func (f *folder) writeFolder(dir string, write func() error) error {
	f.at("before " + dir)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	f.at("without " + dir)
	if err := write(); err != nil {
		return err
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncPath(path)
	})
	if err == nil {
		err = syncPath(f.path)
	}
	f.at("after " + dir)
	return err
}

// syncPath has the system write a file or a folder's names to the disk.
func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// appendLine appends a value to a file of lines.
func (f *folder) appendLine(name string, value any) error {
	line, err := strictjson.Marshal(value)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	line = append(line, '\n')
	file, err := os.OpenFile(f.join(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	f.at("before a line of " + name)
	if f.event != nil {
		if _, err := file.Write(line[:len(line)/2]); err != nil {
			return errors.Join(err, file.Close())
		}
		f.at("in a line of " + name)
		line = line[len(line)/2:]
	}
	_, err = file.Write(line)
	err = errors.Join(err, file.Close())
	f.at("after a line of " + name)
	return err
}

// size sees that a file is on the disk, and returns its size; 0 if there is none.
func (f *folder) size(name string) (int64, error) {
	info, err := os.Stat(f.join(name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), syncPath(f.join(name))
}

// cut cuts a file to a size that it had before; to nothing if that is 0.
func (f *folder) cut(name string, size int64) error {
	info, err := os.Stat(f.join(name))
	switch {
	case size == 0:
		return os.RemoveAll(f.join(name))
	case err != nil:
		return err
	case info.Size() < size:
		return fmt.Errorf("%s has %d bytes, wanted at least the %d that state/%s tells of", f.join(name), info.Size(), size, stateFile)
	}
	return os.Truncate(f.join(name), size)
}

// sweep removes what came after a state: later checkpoints, later lines, and parts of files. nil
// means all but train.json.
func (f *folder) sweep(s *state) error {
	if s == nil {
		s = &state{Step: -1}
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, part := strings.CutSuffix(e.Name(), ".part")
		number, ok := strings.CutPrefix(name, "checkpoint-")
		step, err := strconv.Atoi(number)
		if !ok || err != nil || number != strconv.Itoa(step) || !part && step <= s.Step {
			continue
		}
		if err := os.RemoveAll(f.join(e.Name())); err != nil {
			return err
		}
	}
	entries, err = os.ReadDir(f.join(stateDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	keep := []string{s.Tensors}
	if s.Step >= 0 {
		keep = append(keep, stateFile)
	}
	for _, e := range entries {
		if slices.Contains(keep, e.Name()) {
			continue
		}
		if err := os.RemoveAll(f.join(stateDir, e.Name())); err != nil {
			return err
		}
	}
	return errors.Join(f.cut(logFile, s.Log), f.cut(evalFile, s.Eval))
}
