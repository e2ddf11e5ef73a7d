package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPruneTellsWhatGoesAndNeverTakesWhatWasNotReturned(t *testing.T) {
	p := newPerson(t)
	p.does(0, "run", "--apply=no", "--", "sh", "-c", "echo kept > kept.txt")
	p.does(0, "run", "--keep", "--apply=yes", "--", "sh", "-c", "echo done > done.txt")
	list, _ := p.does(0, "sessions", "list")
	p.sees(list, "Disk use: ", "of 10 GiB", "2 sessions", "1 with changes that were not returned")
	doctor, _ := p.does(0, "doctor")
	p.sees(doctor, "disk use", "of 10 GiB")
	if out, _ := p.does(0, "sessions", "prune"); strings.Contains(out, "deleted session") {
		t.Errorf("records of today are deleted: %s", out)
	}
	dry, _ := p.does(0, "sessions", "prune", "--older-than", "0", "--dry-run")
	p.sees(dry, "would delete session", "would be freed", "kept session", "its changes were not returned")
	var got struct {
		Removed, Kept []prunedItem
		QuotaBytes    int64
	}
	out, _ := p.does(0, "sessions", "prune", "--older-than", "0", "--json")
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Kept) != 1 || got.QuotaBytes != 10<<30 {
		t.Errorf("%v %s", err, out)
	}
	list, _ = p.does(0, "sessions", "list")
	p.sees(list, got.Kept[0].Name, "1 session (")
	p.does(0, "sessions", "apply", got.Kept[0].Name, "--yes")
	if p.read("kept.txt") != "kept\n" || p.read("done.txt") != "done\n" {
		t.Error("a change is missing")
	}
	if _, errs := p.does(exitFailure, "sessions", "prune", "--older-than", "soon"); !strings.Contains(errs, "want a time such as 12h or 30d") {
		t.Errorf("a wrong age: %s", errs)
	}
}

func TestAgesAreInHoursOrDays(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "12h": 12 * time.Hour, "30d": 720 * time.Hour, "1.5d": 36 * time.Hour, "10m": 10 * time.Minute} {
		if got, err := parseAge(text); err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1h", "-1d", "7", "x"} {
		if got, err := parseAge(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestX8_APruneShowsNoEscapesOfNamesThatItFinds(t *testing.T) {
	p := newPerson(t)
	p.does(0, "sessions", "list") // makes the state folder
	if err := os.MkdirAll(filepath.Join(p.home, "sessions", "x\x1b[31my\u202e", "objects.git"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, _ := p.does(0, "sessions", "prune", "--older-than", "0")
	if strings.ContainsAny(out, "\x1b\u202e") || !strings.Contains(out, `x\u001b[31my\u202e`) {
		t.Errorf("%q", out)
	}
}
