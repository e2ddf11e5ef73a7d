package modal

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// answers remembers what interpreters said, since starting one costs a tenth of a second.
// Only what leads to a start is kept: what was missing may have been installed since. The
// sidecar says its version again when it starts, so that an answer which is out of date
// cannot do harm.
type answers struct {
	file    string
	home    string // HOME and PYTHONUSERBASE decide where a person's own packages are
	kept    map[string]keptAnswer
	changed bool
}

// keptAnswer is one answer, and what it depends on.
type keptAnswer struct {
	Home   string           `json:"home"`
	Python stamp            `json:"python"`
	Record map[string]stamp `json:"record"` // of the package, and of a virtual environment
	Said   pythonAnswer     `json:"said"`
}

// stamp tells a file from another one that took its place.
type stamp struct {
	Size int64     `json:"size"`
	Time time.Time `json:"time"`
}

func stampOf(path string) (stamp, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, false
	}
	return stamp{info.Size(), info.ModTime().UTC()}, true
}

// maxKept bounds the file.
const maxKept = 32

func loadAnswers(file string, environ []string) *answers {
	a := &answers{file: file, home: lookup(environ, "HOME") + "\x00" + lookup(environ, "PYTHONUSERBASE")}
	b, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(b, &a.kept) != nil || a.kept == nil || len(a.kept) > maxKept {
		a.kept = map[string]keptAnswer{}
	}
	return a
}

func (a *answers) remembered(path string) (pythonAnswer, bool) {
	if a == nil {
		return pythonAnswer{}, false
	}
	k, ok := a.kept[path]
	now, there := stampOf(path)
	if !ok || !there || k.Home != a.home || k.Python != now {
		return pythonAnswer{}, false
	}
	for file, was := range k.Record {
		if now, there := stampOf(file); !there || now != was {
			return pythonAnswer{}, false
		}
	}
	return k.Said, true
}

// keep keeps the answer of an interpreter with the package. A shim's is not: which
// interpreter it starts is decided anew each time.
func (a *answers) keep(path string, said pythonAnswer) {
	if a == nil || said.Modal == "" || said.Executable != path {
		return
	}
	k := keptAnswer{Home: a.home, Record: map[string]stamp{}, Said: said}
	var ok bool
	if k.Python, ok = stampOf(path); !ok {
		return
	}
	// A package that is upgraded in place has a new folder for its record.
	for _, file := range []string{filepath.Join(said.At, "METADATA"), filepath.Join(filepath.Dir(filepath.Dir(path)), "pyvenv.cfg")} {
		if s, there := stampOf(file); there {
			k.Record[file] = s
		}
	}
	if _, ok := k.Record[filepath.Join(said.At, "METADATA")]; !ok || !filepath.IsAbs(said.At) {
		return
	}
	a.kept[path], a.changed = k, true
}

// save is for speed alone: where it fails, the next start asks again.
func (a *answers) save() {
	if a == nil || !a.changed {
		return
	}
	b, err := json.Marshal(a.kept)
	if err != nil {
		return
	}
	if os.MkdirAll(filepath.Dir(a.file), 0o700) == nil {
		_ = renameio.WriteFile(a.file, b, 0o600)
	}
}
