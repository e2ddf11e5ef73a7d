package git

import (
	"errors"
	"testing"
)

func TestVersionsOfVendorsAreRead(t *testing.T) {
	for _, c := range []struct {
		out, version string
		good         bool
	}{
		{"git version 2.39.5\n", "2.39.5", true},
		{"git version 2.38.0\n", "2.38.0", true},
		{"git version 2.37.9\n", "2.37.9", false},
		{"git version 2.50.1 (Apple Git-155)\n", "2.50.1", true},
		{"git version 2.47.0.rc1.windows.1\n", "2.47.0.rc1.windows.1", true},
		{"git version 3.0.0\n", "3.0.0", true},
		{"git version 1.99.0\n", "1.99.0", false},
		{"hub version 2.40\n", "of an unknown version", false},
		{"", "of an unknown version", false},
	} {
		version, good := parseVersion(c.out)
		if version != c.version || good != c.good {
			t.Errorf("%q is read as %q, good %v; want %q, %v", c.out, version, good, c.version, c.good)
		}
	}
}

func TestFindNamesWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Find(t.Context())
	var missing *MissingError
	if !errors.As(err, &missing) {
		t.Fatalf("without git on PATH the error is %v", err)
	}
}

func TestFindRefusesAnOldGit(t *testing.T) {
	dir := t.TempDir()
	script(t, dir+"/git", "echo git version 2.30.2")
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	_, err := Find(t.Context())
	var old *VersionError
	if !errors.As(err, &old) || old.Found != "2.30.2" {
		t.Fatalf("the error for an old git is %v", err)
	}
}
