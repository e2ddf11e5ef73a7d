package local

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestF30_JavasToolsUseTheSandboxesHome(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			_, environ := userHome(t, map[string]string{"x": ""}) // not that of the password file
			box := open(t, Options{Isolation: isolation, Environ: append(environ, "MAVEN_OPTS=-Xmx1g")}, nil)
			home := sh(t, box, `printf %s "$HOME"`)
			got := sh(t, box, `printf '%s\n' "$GRADLE_USER_HOME" "$MAVEN_OPTS" "$SBT_OPTS"`)
			if want := home + "/.gradle\n-Duser.home=" + home + " -Xmx1g\n-Duser.home=" + home + "\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestX10_OptionsOfJavaThatHoldAPasswordStayOutside(t *testing.T) {
	for _, tt := range []struct {
		own, home string
		want      []string
	}{
		{"-Dhttps.proxyPassword=x", "/h", []string{"GRADLE_USER_HOME=/h/.gradle", "MAVEN_OPTS=-Duser.home=/h", "SBT_OPTS=-Duser.home=/h"}},
		{"-Duser.home=/mine", "/h", []string{"GRADLE_USER_HOME=/h/.gradle", "MAVEN_OPTS=-Duser.home=/h -Duser.home=/mine", "SBT_OPTS=-Duser.home=/h"}},
		{"", "/a b", []string{"GRADLE_USER_HOME=/a b/.gradle"}},
	} {
		if diff := cmp.Diff(tt.want, leadJava([]string{"MAVEN_OPTS=" + tt.own}, tt.home)); diff != "" {
			t.Error(diff)
		}
	}
}
