package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestF30_EnvironmentsBelowACopiedFolderLeadToTheCopy(t *testing.T) {
	root := filepath.Join(t.TempDir(), "proj")
	for _, dir := range []string{".tox/py312", ".nox/tests-3-12", ".hatch/env/virtual/x"} {
		venv := filepath.Join(root, dir)
		put(t, filepath.Join(venv, "pyvenv.cfg"), "command = "+venv+"\n")
		put(t, filepath.Join(venv, "bin", "tool"), "#!"+venv+"/bin/python\n")
		put(t, filepath.Join(venv, "lib", "project.pth"), root+"/src\n")
		put(t, filepath.Join(venv, "lib", "data.txt"), root+"\n")
		name, _, _ := strings.Cut(dir, "/")
		room, inside := int64(1<<20), filepath.Join(t.TempDir(), "inside")
		c := copier{from: root, to: inside, room: &room}
		if _, err := c.copy(testContext(t), loan{root: root, path: name, at: filepath.Join(inside, name)}); err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string]string{
			"pyvenv.cfg": "command = " + inside + "/" + dir + "\n", "bin/tool": "#!" + inside + "/" + dir + "/bin/python\n",
			"lib/project.pth": inside + "/src\n", "lib/data.txt": root + "\n",
		} {
			if got, err := os.ReadFile(filepath.Join(inside, dir, file)); err != nil || string(got) != want {
				t.Errorf("%s/%s: %q, %v, want %q", dir, file, got, err, want)
			}
		}
	}
}

func TestF30_WhatWorksOnlyWhereItWasMadeIsNotCopied(t *testing.T) {
	for _, tt := range []struct{ path, file string }{{".pixi", ".pixi/envs/default/conda-meta/history"}, {"venv", "venv/conda-meta/history"}} {
		root := filepath.Join(t.TempDir(), "proj")
		put(t, filepath.Join(root, tt.file), "x")
		inside, room := filepath.Join(t.TempDir(), "inside"), int64(1<<20)
		l := loan{root: root, path: tt.path, at: filepath.Join(inside, tt.path)}
		moved := copier{from: root, to: inside, room: &room}
		how, err := moved.copy(testContext(t), l)
		if how != "" || err == nil || !strings.Contains(err.Error(), "setup") {
			t.Errorf("%s: %q, %v", tt.path, how, err)
		}
		if _, err := os.Lstat(l.at); err == nil {
			t.Errorf("%s is there", tt.path)
		}
		// Where the host's path leads to the workspace, it works.
		same := copier{from: root, room: &room}
		if how, err := same.copy(testContext(t), l); how == "" || err != nil {
			t.Errorf("%s: %q, %v", tt.path, how, err)
		}
	}
}
