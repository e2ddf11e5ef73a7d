package sidecar

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestTheProgramIsWrittenOnceAndMendedWhenItWasChanged(t *testing.T) {
	home := t.TempDir()
	first, err := Materialise(home)
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(filepath.Dir(first), "glue_sidecar", "__pycache__")
	if err := os.Mkdir(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	if again, err := Materialise(home); err != nil || again != first {
		t.Errorf("%s and then %s: %v", first, again, err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("the byte code did not last: %v", err)
	}
	service := filepath.Join(filepath.Dir(first), "glue_sidecar", "service.py")
	want, err := os.ReadFile(service)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"changed": func() error { return os.WriteFile(service, []byte("raise SystemExit"), 0o600) },
		"lost":    func() error { return os.Remove(service) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if again, err := Materialise(home); err != nil || again != first {
			t.Fatalf("%s: %s %v", name, again, err)
		}
		if got, err := os.ReadFile(service); err != nil || string(got) != string(want) {
			t.Errorf("%s: it holds %q, %v", name, got, err)
		}
	}
	list, err := os.ReadDir(filepath.Join(home, "sidecar"))
	if err != nil || len(list) != 1 {
		t.Errorf("what is left beside it: %v %v", list, err)
	}
	for dir := filepath.Dir(service); dir != home; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s is %v, %v", dir, info.Mode(), err)
		}
	}
}

func TestManyProcessesAtOnceGetTheSameProgram(t *testing.T) {
	home := t.TempDir()
	var all sync.WaitGroup
	got := make([]string, 16)
	for i := range got {
		all.Go(func() {
			var err error
			if got[i], err = Materialise(home); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, file := range got {
		if file != got[0] {
			t.Errorf("%s and %s", got[0], file)
		}
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}
